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
# release (default), san (address and undefined behaviour), tsan (threads), fuzz (clang)
BUILD   ?= release
B       := build/$(BUILD)

PKGS    := openssl libgsasl libcrypt libidn2 sqlite3 libseccomp
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
OPT_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
OPT_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CFLAGS  := -std=c17 -D_GNU_SOURCE -DHIKYAKU_VERSION='"$(VERSION)"' $(OPT_$(BUILD)) $(WARN) $(HARDEN) \
           -iquote src $(PKG_CFLAGS) -MMD -MP $(EXTRA_CFLAGS)
LDFLAGS := $(OPT_$(BUILD)) -pie -Wl,-z,relro,-z,now -pthread
LIBS    := $(PKG_LIBS) -lm

SRC   := $(filter-out %_test.c %_fuzz.c,$(wildcard src/*/*.c))
TESTS := $(wildcard src/*/*_test.c)
FUZZ  := $(wildcard src/*/*_fuzz.c)
OBJ   := $(SRC:src/%.c=$(B)/%.o)
TEST_BIN := $(TESTS:src/%.c=$(B)/test/%)
FUZZ_BIN := $(FUZZ:src/%.c=$(B)/fuzz/%)

.PHONY: all
all: $(B)/hikyaku $(B)/XMail ## build the program (BUILD=release, san, tsan)

$(B)/hikyaku: $(B)/main.o $(B)/libhikyaku.a
	@echo '  link  $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/XMail: $(B)/hikyaku
	ln -sf hikyaku $@

$(B)/libhikyaku.a: $(OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/%.o: src/%.c
	@mkdir -p $(@D)
	@echo '  cc    $<'
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

$(B)/test/%: src/%.c $(B)/libhikyaku.a
	@mkdir -p $(@D)
	@echo '  link  $@'
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(B)/libhikyaku.a $(LIBS) -lcmocka

$(B)/fuzz/%: src/%.c $(B)/libhikyaku.a
	@mkdir -p $(@D)
	@echo '  link  $@'
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(B)/libhikyaku.a $(LIBS)

-include $(OBJ:.o=.d) $(B)/main.d $(TEST_BIN:=.d) $(FUZZ_BIN:=.d)

.PHONY: unit
unit: $(TEST_BIN) ## build the unit test programs of this BUILD

.PHONY: format
format: ## rewrite the sources with clang-format
	clang-format -i $(wildcard src/*/*.[ch] src/*.c tests/*/*.c)

.PHONY: clean
clean: ## remove what was built
	rm -rf build

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14
