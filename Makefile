# Hikyaku. "make help" lists the targets. No configure step: pkg-config is asked and nothing else.
.DEFAULT_GOAL := all
ifeq ($(origin CC),default)
CC := gcc
endif
V ?= 0
Q := $(if $(filter 0,$(V)),@)
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := $(shell cat VERSION)
# release (default), san (address and undefined behaviour), debug (for kills: quick, with what the crash tests use), tsan (threads), fuzz (clang)
BUILD   ?= release
B       := build/$(BUILD)

# libunbound isn't asked for: its .pc needs that of libevent, which Debian doesn't install with it.
PKGS    := openssl libgsasl libcrypt libidn2 sqlite3 libseccomp jansson zlib
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wold-style-definition -Wvla -Wwrite-strings -Wcast-qual \
        -Wpointer-arith -Wundef -Wformat=2 -Wimplicit-fallthrough -Wswitch-enum \
        -Wnull-dereference -Wdouble-promotion -Werror
GCC_WARN := -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wjump-misses-init -Walloca \
        -Wtrampolines
CLANG_WARN := -Wcomma -Wunreachable-code -Wassign-enum
IS_CLANG := $(findstring clang,$(shell $(CC) --version 2>/dev/null | head -1))
WARN += $(if $(IS_CLANG),$(CLANG_WARN),$(GCC_WARN))
HARDEN := -fno-common -fstack-protector-strong -fPIE

OPT_release := -O2 -g -D_FORTIFY_SOURCE=2
OPT_san     := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_debug   := -O1 -g -D_FORTIFY_SOURCE=2 -DHIKYAKU_DEBUG
OPT_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
OPT_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CFLAGS  := -std=c17 -D_GNU_SOURCE -DHIKYAKU_VERSION='"$(VERSION)"' $(OPT_$(BUILD)) $(WARN) $(HARDEN) \
           -iquote src $(PKG_CFLAGS) -MMD -MP $(EXTRA_CFLAGS)
LDFLAGS := $(OPT_$(BUILD)) -pie -Wl,-z,relro,-z,now -pthread
LIBS    := $(PKG_LIBS) -lunbound -lm

SRC   := $(filter-out %_test.c %_fuzz.c,$(wildcard src/*/*.c))
TESTS := $(wildcard src/*/*_test.c)
FUZZ  := $(wildcard src/*/*_fuzz.c)
OBJ   := $(SRC:src/%.c=$(B)/%.o)
TEST_BIN := $(TESTS:src/%.c=$(B)/test/%)
FUZZ_BIN := $(FUZZ:src/%.c=$(B)/fuzz/%)

.PHONY: all
all: $(B)/hikyaku $(B)/XMail $(B)/CtrlClnt $(B)/XMCrypt $(B)/MkUsers $(B)/sendmail ## build the program (BUILD=release, san, debug, tsan)

$(B)/hikyaku: $(B)/main.o $(B)/libhikyaku.a
	@echo '  link  $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/XMail $(B)/CtrlClnt $(B)/XMCrypt $(B)/MkUsers $(B)/sendmail: $(B)/hikyaku
	@ln -sf hikyaku $@

# The pages of the web role: bundled with Node, embedded as octets.
UI := $(wildcard ui/src/*.ts ui/src/*.tsx ui/src/*.css ui/src/*/*.ts ui/src/*/*.tsx ui/public/*) ui/src/manual.json ui/build.mjs ui/manual.mjs ui/messages.mjs docs/manual.md docs/manual.ja.md
ui/node_modules/.installed: ui/package-lock.json
	@echo '  npm   ui'
	$(Q)cd ui && npm ci --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@
build/ui/assets.c: $(UI) ui/node_modules/.installed
	@echo '  ui    $@'
	$(Q)cd ui && npx --no-install tsc --noEmit
	$(Q)node ui/build.mjs $@
$(B)/assets.o: build/ui/assets.c
	@mkdir -p $(@D)
	@echo '  cc    $<'
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

$(B)/libhikyaku.a: $(OBJ) $(B)/assets.o
	@rm -f $@
	$(Q)ar qcs $@ $^

$(B)/%.o: src/%.c
	@mkdir -p $(@D)
	@echo '  cc    $<'
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

$(B)/test/%: src/%.c $(B)/libhikyaku.a
	@mkdir -p $(@D)
	@echo '  link  $@'
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(B)/libhikyaku.a $(LIBS) -lcmocka

$(B)/bench/%: tests/bench/%.c $(B)/libhikyaku.a
	@mkdir -p $(@D)
	@echo '  link  $@'
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(B)/libhikyaku.a $(LIBS)

$(B)/fuzz/%: src/%.c $(B)/libhikyaku.a
	@mkdir -p $(@D)
	@echo '  link  $@'
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(B)/libhikyaku.a $(LIBS)

-include $(OBJ:.o=.d) $(B)/main.d $(TEST_BIN:=.d) $(FUZZ_BIN:=.d)

.PHONY: unit
unit: $(TEST_BIN) ## build the unit test programs of this BUILD

# --- using and testing it -------------------------------------------------------------------------

.PHONY: deps
deps: ## install the build dependencies that are missing (Debian)
	@tools/install-deps build

.PHONY: run
run: ## build, make a demo MailRoot in demo/, serve on high ports of loopback
	@tools/install-deps build
	@$(MAKE) --no-print-directory all
	@tools/run-demo $(B)/hikyaku

.PHONY: test
test: ## build with sanitizers, run every test
	@tools/install-deps test
	@$(MAKE) --no-print-directory BUILD=san all unit
	@$(MAKE) --no-print-directory BUILD=debug all build/debug/test/sys/seal_test
	@$(MAKE) --no-print-directory $(NODE_TESTS)
	@python3 tests/run.py all

# What drives the browser and nodemailer. The tests have no network themselves.
NODE_TESTS := tests/e2e/browser/node_modules/.installed tests/e2e/node/node_modules/.installed
$(NODE_TESTS): %/node_modules/.installed: %/package-lock.json
	@cd $(dir $<) && npm ci --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

.PHONY: test-unit test-e2e test-tsan
test-unit: ## only the unit tests
	@$(MAKE) --no-print-directory BUILD=san all unit
	@python3 tests/run.py unit
test-e2e: ## only the end-to-end tests
	@$(MAKE) --no-print-directory BUILD=san all
	@$(MAKE) --no-print-directory $(NODE_TESTS)
	@python3 tests/run.py e2e
test-tsan: ## the unit tests under ThreadSanitizer
	@$(MAKE) --no-print-directory BUILD=tsan unit
	@BUILD_FOLDER=build/tsan python3 tests/run.py unit

.PHONY: images
images: ## new pictures of the pages for the manual, docs/images, by the browser tests
	@$(MAKE) --no-print-directory BUILD=san all $(NODE_TESTS)
	@mkdir -p docs/images
	@IMAGES=$(CURDIR)/docs/images python3 tests/run.py e2e test_pages

.PHONY: bench
bench: ## measure against Postfix and Dovecot in the same run
	@tools/install-deps bench
	@$(MAKE) --no-print-directory BUILD=release all $(B)/bench/gates
	@python3 tests/bench/bench.py $(B)/hikyaku

FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZ_SECONDS (60); T=name for one
	@tools/install-deps fuzz
	@$(MAKE) --no-print-directory CC=clang BUILD=fuzz fuzz-programs
	@tools/run-fuzz build/fuzz/fuzz $(FUZZ_SECONDS) $(T)
.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_BIN)

TIDY_FLAGS := -std=c17 -D_GNU_SOURCE -DHIKYAKU_VERSION=\"$(VERSION)\" -iquote src $(PKG_CFLAGS)
.PHONY: lint
lint: ## layers, banned calls, lengths, docs' references, clang-format, cppcheck, clang-tidy
	@tools/install-deps lint
	@python3 tools/lint.py
	@clang-format --dry-run -Werror $(wildcard src/*/*.[ch] src/*.c)
	@cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
	    --inline-suppr --suppressions-list=tools/cppcheck.txt -D_GNU_SOURCE -I src src
	@printf '%s\n' $(SRC) src/main.c | xargs -P 2 -n 8 sh -c 'clang-tidy --quiet "$$@" -- $(TIDY_FLAGS) 2>/dev/null' tidy

# --- installing -----------------------------------------------------------------------------------

BINDIR  := $(DESTDIR)$(PREFIX)/bin
MANDIR  := $(DESTDIR)$(PREFIX)/share/man
DOCDIR  := $(DESTDIR)$(PREFIX)/share/doc/hikyaku
UNITDIR := $(DESTDIR)$(if $(filter /usr,$(PREFIX)),/lib,$(PREFIX)/lib)/systemd/system
.PHONY: install
install: all ## install program, man pages, systemd unit (PREFIX, DESTDIR)
	install -d $(BINDIR) $(MANDIR)/man1 $(MANDIR)/man5 $(MANDIR)/man8 $(DOCDIR) $(UNITDIR) $(DESTDIR)$(PREFIX)/lib/sysusers.d
	install -m 755 $(B)/hikyaku $(BINDIR)/hikyaku
	for name in XMail CtrlClnt XMCrypt MkUsers; do ln -sf hikyaku $(BINDIR)/$$name; done
	install -d $(DESTDIR)$(PREFIX)/sbin
	ln -sf ../bin/hikyaku $(DESTDIR)$(PREFIX)/sbin/sendmail
	install -m 644 $(wildcard man/*.1) $(MANDIR)/man1
	install -m 644 $(wildcard man/*.8) $(MANDIR)/man8
	install -m 644 $(wildcard man/*.5) $(MANDIR)/man5
	install -m 644 README.md README.ja.md $(wildcard docs/*.md) $(DOCDIR)
	install -d $(DOCDIR)/images
	install -m 644 $(wildcard docs/images/*.png) $(DOCDIR)/images
	install -d $(DOCDIR)/fail2ban
	install -m 644 packaging/fail2ban/*.conf $(DOCDIR)/fail2ban
	sed 's|@PREFIX@|$(PREFIX)|g' packaging/hikyaku.service > $(UNITDIR)/hikyaku.service
	install -m 644 packaging/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/hikyaku.conf

.PHONY: deb
deb: ## build a Debian package in build/deb
	@tools/install-deps deb
	@tools/make-deb

# --- housekeeping ---------------------------------------------------------------------------------

.PHONY: format
format: ## rewrite the sources with clang-format
	clang-format -i $(wildcard src/*/*.[ch] src/*.c)

.PHONY: clean
clean: ## remove what was built
	rm -rf build

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 16
