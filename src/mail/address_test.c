/* address_test.c - what is an address, and that printing and parsing agree. */
#include "mail/address.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define QUOTED ADDRESS_QUOTED
#define LOOSE ADDRESS_LOOSE_DOTS
#define UTF8 ADDRESS_UTF8
#define L16 "0123456789abcdef"
#define L64 L16 L16 L16 L16
#define L63 "a123456789abcdef" L16 L16 "0123456789abcde"

/* good rows: local and domain expected; bad rows: local NULL and the status code. */
struct row {
    const char *name;
    struct str in;
    unsigned rules;
    const char *local, *domain, *dsn;
};

/* A slice in a static table. */
#define IN(lit)                                                                                \
    {                                                                                          \
        "" lit, sizeof(lit) - 1                                                                \
    }

/* clang-format off */
static const struct row addresses[] = {
    { "plain",               IN("a@b.example"), 0, "a", "b.example", "" },
    { "domain is lowered",   IN("Amy@EXAMPLE.Org"), 0, "Amy", "example.org", "" },
    { "all atext",           IN("!#$%&'*+-/=?^_`{|}~@x.test"), 0, "!#$%&'*+-/=?^_`{|}~", "x.test", "" },
    { "inner dots",          IN("a.b.c@x.test"), 0, "a.b.c", "x.test", "" },
    { "one label",           IN("a@localhost"), 0, "a", "localhost", "" },
    { "digits and hyphens",  IN("a@1-2.x--y.3"), 0, "a", "1-2.x--y.3", "" },
    { "A-label",             IN("a@xn--wgv71a119e.jp"), 0, "a", "xn--wgv71a119e.jp", "" },
    { "IPv4 literal",        IN("a@[192.0.2.1]"), 0, "a", "[192.0.2.1]", "" },
    { "IPv6 literal",        IN("a@[ipv6:2001:DB8:0::1]"), 0, "a", "[IPv6:2001:db8::1]", "" },
    { "local of 64",         IN(L64 "@x.test"), 0, L64, "x.test", "" },
    { "label of 63",         IN("a@" L63 ".test"), 0, "a", L63 ".test", "" },
    { "quoted blank",        IN("\"a b\"@x.test"), QUOTED, "a b", "x.test", "" },
    { "quoted at sign",      IN("\"a@b\"@x.test"), QUOTED, "a@b", "x.test", "" },
    { "quoted pair",         IN("\"a\\\"\\\\b\"@x.test"), QUOTED, "a\"\\b", "x.test", "" },
    { "needlessly quoted",   IN("\"abc\"@x.test"), QUOTED, "abc", "x.test", "" },
    { "loose two dots",      IN("a..b@x.test"), LOOSE, "a..b", "x.test", "" },
    { "loose ends",          IN(".a.@x.test"), LOOSE, ".a.", "x.test", "" },
    { "loose quoted dots",   IN("\"a..b.\"@x.test"), LOOSE, "a..b.", "x.test", "" },
    { "loose underscore",    IN("a@far_x.test"), LOOSE, "a", "far_x.test", "" },
    { "UTF-8 local",         IN("\xe6\x97\xa5@x.test"), UTF8, "\xe6\x97\xa5", "x.test", "" },
    { "UTF-8 domain",        IN("a@\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.jp"), UTF8, "a", "xn--wgv71a119e.jp", "" },
    { "sharp s stays",       IN("a@stra\xc3\x9f" "e.test"), UTF8, "a", "xn--strae-oqa.test", "" },
    { "U-label upper case",  IN("a@B\xc3\x9c" "CHER.test"), UTF8, "a", "xn--bcher-kva.test", "" },
    { "full-width dot",      IN("a@\xe6\x97\xa5\xe3\x80\x82jp"), UTF8, "a", "xn--wgv.jp", "" },

    { "empty",               IN(""), 0, NULL, NULL, "5.1.3" },
    { "no at sign",          IN("abc"), 0, NULL, NULL, "5.1.3" },
    { "no local part",       IN("@x.test"), 0, NULL, NULL, "5.1.3" },
    { "no domain",           IN("a@"), 0, NULL, NULL, "5.1.3" },
    { "two at signs",        IN("a@b@c"), 0, NULL, NULL, "5.1.3" },
    { "two dots",            IN("a..b@x.test"), 0, NULL, NULL, "5.1.3" },
    { "dot first",           IN(".a@x.test"), 0, NULL, NULL, "5.1.3" },
    { "dot last",            IN("a.@x.test"), 0, NULL, NULL, "5.1.3" },
    { "blank",               IN("a b@x.test"), LOOSE, NULL, NULL, "5.1.3" },
    { "bracket",             IN("a<b@x.test"), LOOSE, NULL, NULL, "5.1.3" },
    { "parenthesis",         IN("a(b@x.test"), LOOSE, NULL, NULL, "5.1.3" },
    { "quotes not allowed",  IN("\"a b\"@x.test"), 0, NULL, NULL, "5.1.3" },
    { "quotes when loose",   IN("\"a b\"@x.test"), LOOSE, NULL, NULL, "5.1.3" },
    { "empty quotes",        IN("\"\"@x.test"), QUOTED, NULL, NULL, "5.1.3" },
    { "open quotes",         IN("\"a@x.test"), QUOTED, NULL, NULL, "5.1.3" },
    { "backslash at end",    IN("\"a\\"), QUOTED, NULL, NULL, "5.1.3" },
    { "text after quotes",   IN("\"a\"b@x.test"), QUOTED, NULL, NULL, "5.1.3" },
    { "NUL",                 IN("a\0b@x.test"), QUOTED | LOOSE | UTF8, NULL, NULL, "5.1.3" },
    { "NUL at the end",      IN("a@x.test\0"), QUOTED | LOOSE | UTF8, NULL, NULL, "5.1.3" },
    { "CR in quotes",        IN("\"a\rb\"@x.test"), QUOTED, NULL, NULL, "5.1.3" },
    { "LF quoted pair",      IN("\"a\\\nb\"@x.test"), QUOTED, NULL, NULL, "5.1.3" },
    { "DEL",                 IN("a\x7f@x.test"), LOOSE, NULL, NULL, "5.1.3" },
    { "C1 control",          IN("a\xc2\x85@x.test"), UTF8, NULL, NULL, "5.1.3" },
    { "UTF-8 not asked for", IN("\xe6\x97\xa5@x.test"), QUOTED | LOOSE, NULL, NULL, "5.6.7" },
    { "bad UTF-8",           IN("\xe6\x97@x.test"), UTF8, NULL, NULL, "5.1.3" },
    { "local of 65",         IN(L64 "x@x.test"), 0, NULL, NULL, "5.1.3" },
    { "label of 64",         IN("a@" L63 "x.test"), 0, NULL, NULL, "5.1.3" },
    { "longer than a path",  IN("a@" L63 "." L63 "." L63 "." L63), 0, NULL, NULL, "5.1.3" },
    { "dot ends domain",     IN("a@x.test."), 0, NULL, NULL, "5.1.3" },
    { "dot begins domain",   IN("a@.x.test"), 0, NULL, NULL, "5.1.3" },
    { "two dots in domain",  IN("a@x..test"), LOOSE, NULL, NULL, "5.1.3" },
    { "hyphen first",        IN("a@-x.test"), 0, NULL, NULL, "5.1.3" },
    { "hyphen last",         IN("a@x-.test"), 0, NULL, NULL, "5.1.3" },
    { "underscore",          IN("a@far_x.test"), 0, NULL, NULL, "5.1.3" },
    { "slash in domain",     IN("a@../../x"), LOOSE, NULL, NULL, "5.1.3" },
    { "literal of 5",        IN("a@[1.2.3.4.5]"), 0, NULL, NULL, "5.1.3" },
    { "literal above 255",   IN("a@[1.2.3.256]"), 0, NULL, NULL, "5.1.3" },
    { "literal not closed",  IN("a@[1.2.3.4"), 0, NULL, NULL, "5.1.3" },
    { "text behind literal", IN("a@[1.2.3.4]x"), 0, NULL, NULL, "5.1.3" },
    { "literal in literal",  IN("a@[[1.2.3.4]]"), 0, NULL, NULL, "5.1.3" },
    { "IPv6 without tag",    IN("a@[2001:db8::1]"), 0, NULL, NULL, "5.1.3" },
    { "IPv4 with tag",       IN("a@[IPv6:1.2.3.4]"), 0, NULL, NULL, "5.1.3" },
    { "other literal",       IN("a@[x400:foo]"), 0, NULL, NULL, "5.1.3" },
    { "empty literal",       IN("a@[]"), 0, NULL, NULL, "5.1.3" },
    { "symbol U-label",      IN("a@\xe2\x98\x83\xc2\xad@.test"), UTF8, NULL, NULL, "5.1.3" },
};

struct path_row {
    const char *name;
    struct str in;
    unsigned rules;
    const char *printed, *rest; /* printed NULL: refused; "" : the null path */
};

static const struct path_row paths[] = {
    { "brackets",            IN("<a@x.test>"), 0, "a@x.test", "" },
    { "blank before",        IN("  <a@x.test>"), 0, "a@x.test", "" },
    { "TAB before",          IN("\t<a@x.test>"), 0, "a@x.test", "" },
    { "parameters",          IN("<a@x.test>  SIZE=3 BODY=7BIT"), 0, "a@x.test", "SIZE=3 BODY=7BIT" },
    { "null",                IN("<>"), 0, "", "" },
    { "null and parameters", IN("<> SIZE=1"), 0, "", "SIZE=1" },
    { "no brackets",         IN("a@x.test SIZE=3"), 0, "a@x.test", "SIZE=3" },
    { "no brackets alone",   IN("a@x.test"), 0, "a@x.test", "" },
    { "source route",        IN("<@a.test,@b.test:c@d.test>"), 0, "c@d.test", "" },
    { "postmaster",          IN("<PostMaster>"), 0, "PostMaster", "" },
    { "routed postmaster",   IN("<@a.test:postmaster>"), 0, "postmaster", "" },
    { "quoted bracket",      IN("<\"a>b\"@x.test> X=1"), QUOTED, "\"a>b\"@x.test", "X=1" },
    { "quoted quote",        IN("<\"a\\\">b\"@x.test>"), QUOTED, "\"a\\\">b\"@x.test", "" },
    { "quoted, no brackets", IN("\"a b\"@x.test S=1"), QUOTED, "\"a b\"@x.test", "S=1" },
    { "path of 256",         IN("<" L64 "@" L63 "." L63 "." L16 L16 L16 "0123456789a.x>"), 0,
      L64 "@" L63 "." L63 "." L16 L16 L16 "0123456789a.x", "" },
    { "path of 257",         IN("<" L64 "@" L63 "." L63 "." L16 L16 L16 "0123456789ab.x>"), 0, NULL, NULL },
    { "empty",               IN(""), 0, NULL, NULL },
    { "blanks",              IN("   "), 0, NULL, NULL },
    { "not closed",          IN("<a@x.test"), 0, NULL, NULL },
    { "only opened",         IN("<"), 0, NULL, NULL },
    { "text behind",         IN("<a@x.test>SIZE=3"), 0, NULL, NULL },
    { "twice",               IN("<<a@x.test>>"), 0, NULL, NULL },
    { "blank inside",        IN("< a@x.test >"), 0, NULL, NULL },
    { "blank null",          IN("< >"), 0, NULL, NULL },
    { "only parameters",     IN("SIZE=3"), 0, NULL, NULL },
    { "route alone",         IN("<@a.test:>"), 0, NULL, NULL },
    { "route not ended",     IN("<@a.test,c@d.test>"), 0, NULL, NULL },
    { "bad route",           IN("<@a..b:c@d.test>"), 0, NULL, NULL },
    { "display name",        IN("Amy <a@x.test>"), 0, NULL, NULL },
    { "bare word",           IN("<amy>"), 0, NULL, NULL },
    { "line end",            IN("<a@x.test>\r\nRCPT"), 0, NULL, NULL },
    { "line end inside",     IN("<a@x.test\r\n>"), 0, NULL, NULL },
};
/* clang-format on */

static void check_address(const struct row *row)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct address out = { 0 }, again = { 0 };
    struct err e = { 0 };
    enum rc rc = address_parse(row->in, row->rules, &a, &out, &e);
    print_message("  %s\n", row->name);
    if (row->local == NULL) {
        assert_int_equal(rc, RC_PERM);
        assert_string_equal(e.dsn, row->dsn);
        return;
    }
    assert_int_equal(rc, RC_OK);
    assert_true(str_eq(out.local, str_from_c(row->local)));
    assert_true(str_eq(out.domain, str_from_c(row->domain)));
    assert_false(out.is_null);
    assert_int_equal(out.needs_utf8, !str_is_ascii(row->in));
    assert_int_equal(address_parse(address_print(&out, &a), row->rules, &a, &again, &e), RC_OK);
    assert_true(address_eq(&out, &again));
}

static void test_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        check_address(&addresses[i]);
}

static void check_path(const struct path_row *row)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct address out = { 0 };
    struct str rest = { 0 };
    struct err e = { 0 };
    enum rc rc = address_parse_path(row->in, row->rules, &a, &out, &rest, &e);
    print_message("  %s\n", row->name);
    if (row->printed == NULL) {
        assert_int_equal(rc, RC_PERM);
        assert_null(out.local.p);
        return;
    }
    assert_int_equal(rc, RC_OK);
    assert_true(str_eq(address_print(&out, &a), str_from_c(row->printed)));
    assert_true(str_eq(rest, str_from_c(row->rest)));
    assert_int_equal(out.is_null, row->printed[0] == '\0');
}

static void test_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        check_path(&paths[i]);
}

static void test_equality(void **state)
{
    (void)state;
    struct address amy = { .local = STR("Amy"), .domain = STR("x.test") };
    struct address same = { .local = STR("aMY"), .domain = STR("x.test") };
    struct address other = { .local = STR("Amy"), .domain = STR("y.test") };
    struct address null = { .is_null = true };
    assert_true(address_eq(&amy, &same));
    assert_false(address_eq(&amy, &other));
    assert_false(address_eq(&amy, &null));
    assert_true(address_eq(&null, &null));
}

static void test_domains(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str out = { 0 };
    assert_int_equal(domain_parse(STR("Far_X.Test"), false, &a, &out, NULL), RC_OK);
    assert_true(str_eq(out, STR("far_x.test")));
    assert_int_equal(domain_parse(STR("b\xc3\xbc"
                                      "cher.test"),
                                  true, &a, &out, NULL),
                     RC_OK);
    assert_true(str_eq(out, STR("xn--bcher-kva.test")));
    assert_int_equal(domain_parse(STR("b\xc3\xbc"
                                      "cher.test"),
                                  false, &a, &out, NULL),
                     RC_PERM);
    assert_int_equal(domain_parse(STR("[1.2.3.4]"), false, &a, &out, NULL), RC_PERM);
    assert_int_equal(domain_parse(STR(""), false, &a, &out, NULL), RC_PERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
