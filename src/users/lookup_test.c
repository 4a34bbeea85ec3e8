/* lookup_test.c - addresses, logins and senders over a scratch MailRoot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "users/test_root.h"

#define NIHON "\xe6\x97\xa5\xe6\x9c\xac"
#define NIHON_A "xn--wgv71a"

static int make_root(void **state)
{
    (void)state;
    root_enter();
    root_put("server.tab", "\"RootDomain\"\t\"x.test\"\n\"PostMaster\"\t\"amy@x.test\"\n"
                           "\"RecipientDelimiter\"\t\"+\"\n");
    root_put("domains.tab", "\"x.test\"\n\"Mixed.Test\"\n\"far_y.test\"\n\"" NIHON ".test\"\r\n"
                            "\"sub.wild.test\"\n");
    root_put("aliasdomain.tab",
             "\"alias.test\"\t\"x.test\"\n\"*.wild.test\"\t\"x.test\"\n"
             "\"a*.wild.test\"\t\"Mixed.Test\"\n\"nowhere.test\"\t\"gone.test\"\n");
    root_put("mailusers.tab",
             "# comment\n"
             "\"x.test\"\t\"amy\"\t\"1d08040c09\"\t1\t\"amy\"\t\"U\"\n"
             "\"x.test\"\t\"UpperUser\"\t\"1d08040c09\"\t2\t\"elsewhere\"\t\"U\"\n"
             "\"x.test\"\t\"list\"\t\"1d08040c09\"\t3\t\"list\"\t\"M\"\n"
             "\"x.test\"\t\"runs\"\t\"1d08040c09\"\t4\t\"runs\"\t\"U\"\n"
             "\"x.test\"\t\"a+b\"\t\"1d08040c09\"\t5\t\"a+b\"\t\"U\"\n"
             "\"Mixed.Test\"\t\"bob\"\t\"1d08040c09\"\t6\t\"bob\"\t\"U\"\n"
             "\"" NIHON ".test\"\t\"taro\"\t\"1d08040c09\"\t7\t\"taro\"\t\"U\"\n"
             "\"sub.wild.test\"\t\"sue\"\t\"1d08040c09\"\t8\t\"sue\"\t\"U\"\n"
             "\"x.test\"\t\"amy\"\t\"00\"\t9\t\"twice\"\t\"U\"\n"
             "\"x.test\"\t\"escape\"\t\"00\"\t10\t\"../../etc\"\t\"U\"\n"
             "\"no.such.test\"\t\"eve\"\t\"00\"\t11\t\"eve\"\t\"U\"\n"
             "\"x.test\"\t\"short\"\n");
    root_put("aliases.tab", "\"x.test\"\t\"boss\"\t\"amy\"\n"
                            "\"x.test\"\t\"chain\"\t\"boss\"\n"
                            "\"x.test\"\t\"cross\"\t\"bob@mixed.test\"\n"
                            "\"x.test\"\t\"away\"\t\"me@Remote.Example\"\n"
                            "\"x.test\"\t\"broken\"\t\"nobody\"\n"
                            "\"x.test\"\t\"everyone\"\t\"list\"\n"
                            "\"x.test\"\t\"via\"\t\"amy@alias.test\"\n"
                            "\"x.test\"\t\"s*\"\t\"amy\"\n"
                            "\"x.test\"\t\"sales*\"\t\"UpperUser\"\n"
                            "\"*.test\"\t\"sale*\"\t\"bob@Mixed.Test\"\n"
                            "\"x.te?t\"\t\"tie*\"\t\"bob@Mixed.Test\"\n"
                            "\"x.test\"\t\"tie*\"\t\"amy\"\n"
                            "\"Mixed.Test\"\t\"*\"\t\"bob\"\n"
                            "\"alias.test\"\t\"own\"\t\"UpperUser@x.test\"\n"
                            "\"" NIHON_A ".test\"\t\"hanako\"\t\"taro\"\n"
                            "\"x.test\"\t\"runs2\"\n");
    root_put("extaliases.tab",
             "\"remote.example\"\t\"amy.r\"\t\"x.test\"\t\"amy\"\n\"short\"\n");
    root_folder("cmdaliases/x.test");
    root_folder("cmdaliases/Mixed.Test");
    root_put("cmdaliases/x.test/runs.tab", "\"external\"\t\"x\"\n");
    root_put("cmdaliases/x.test/robot.tab", "\"external\"\t\"x\"\n");
    root_put("cmdaliases/Mixed.Test/only.tab", "\"external\"\t\"x\"\n");
    root_put("cmdaliases/x.test/.hidden.tab", "\"external\"\t\"x\"\n");
    root_put("cmdaliases/secret.tab", "\"external\"\t\"x\"\n");
    root_folder("custdomains");
    root_put("custdomains/custom.example.tab", "\"external\"\t\"x\"\n");
    root_put("custdomains/.parent.example.tab", "\"external\"\t\"x\"\n");
    struct err e;
    if (options_load(&e) != RC_OK)
        return -1;
    (void)root_index();
    return 0;
}

static int drop_root(void **state)
{
    (void)state;
    root_leave();
    return 0;
}

struct resolve_row {
    const char *name, *local, *domain;
    enum recipient_kind kind;
    const char *leads_to; /* name@domain of the account, or local@domain of the target */
};

static const struct resolve_row resolve_rows[] = {
    { "account", "amy", "x.test", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "case is ignored", "AMY", "X.TEST", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "account in mixed case", "upperuser", "x.test", RECIPIENT_ACCOUNT, "UpperUser@x.test" },
    { "domain in mixed case", "bob", "mixed.test", RECIPIENT_ACCOUNT, "bob@Mixed.Test" },
    { "list", "list", "x.test", RECIPIENT_LIST, "list@x.test" },
    { "unknown", "nobody", "x.test", RECIPIENT_UNKNOWN, NULL },
    { "first of two lines", "amy", "x.test", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "account whose folder leaves the domain", "escape", "x.test", RECIPIENT_UNKNOWN, NULL },
    { "account in no domain of ours", "eve", "no.such.test", RECIPIENT_REMOTE, NULL },
    { "remote", "amy", "remote.example", RECIPIENT_REMOTE, NULL },
    { "parent of a local domain", "amy", "test", RECIPIENT_REMOTE, NULL },
    { "address literal", "amy", "[192.0.2.1]", RECIPIENT_REMOTE, NULL },
    { "alias", "boss", "x.test", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "no chains", "chain", "x.test", RECIPIENT_UNKNOWN, NULL },
    { "alias into another domain", "cross", "x.test", RECIPIENT_ACCOUNT, "bob@Mixed.Test" },
    { "alias to a remote address", "away", "x.test", RECIPIENT_EXTERNAL, "me@remote.example" },
    { "alias to nobody", "broken", "x.test", RECIPIENT_UNKNOWN, NULL },
    { "alias to a list", "everyone", "x.test", RECIPIENT_LIST, "list@x.test" },
    { "alias through an alias domain", "via", "x.test", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "short wildcard", "support", "x.test", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "longest wildcard", "sales-jp", "x.test", RECIPIENT_ACCOUNT, "UpperUser@x.test" },
    { "wildcard domain", "sale1", "far_y.test", RECIPIENT_ACCOUNT, "bob@Mixed.Test" },
    { "longer pair with a wildcard domain", "sale1", "x.test", RECIPIENT_ACCOUNT,
      "bob@Mixed.Test" },
    { "tie: first in the file", "tie1", "x.test", RECIPIENT_ACCOUNT, "bob@Mixed.Test" },
    { "catch-all", "anything", "mixed.test", RECIPIENT_ACCOUNT, "bob@Mixed.Test" },
    { "alias domain", "amy", "alias.test", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "alias in the alias domain", "own", "alias.test", RECIPIENT_ACCOUNT, "UpperUser@x.test" },
    { "that alias isn't the real domain's", "own", "x.test", RECIPIENT_UNKNOWN, NULL },
    { "alias by alias domain", "boss", "alias.test", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "unknown in alias domain", "nobody", "alias.test", RECIPIENT_UNKNOWN, NULL },
    { "wildcard alias domain", "amy", "any.wild.test", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "first wildcard domain in the file", "only", "abc.wild.test", RECIPIENT_UNKNOWN, NULL },
    { "the pattern's parent", "amy", "wild.test", RECIPIENT_REMOTE, NULL },
    { "local domain under a pattern: itself", "sue", "sub.wild.test", RECIPIENT_ACCOUNT,
      "sue@sub.wild.test" },
    { "local domain under a pattern: then that", "amy", "sub.wild.test", RECIPIENT_ACCOUNT,
      "amy@x.test" },
    { "alias of a domain that is gone", "amy", "nowhere.test", RECIPIENT_REMOTE, NULL },
    { "A-label for a U-label table", "taro", NIHON_A ".test", RECIPIENT_ACCOUNT,
      "taro@" NIHON ".test" },
    { "U-label", "taro", NIHON ".test", RECIPIENT_ACCOUNT, "taro@" NIHON ".test" },
    { "alias written with an A-label", "hanako", NIHON ".test", RECIPIENT_ACCOUNT,
      "taro@" NIHON ".test" },
    { "cmdalias before account", "runs", "x.test", RECIPIENT_CMDALIAS, "runs@x.test" },
    { "cmdalias without account", "robot", "x.test", RECIPIENT_CMDALIAS, "robot@x.test" },
    { "cmdalias in lower case", "ROBOT", "x.test", RECIPIENT_CMDALIAS, "robot@x.test" },
    { "cmdalias in a mixed-case domain", "only", "mixed.test", RECIPIENT_CMDALIAS,
      "only@Mixed.Test" },
    { "cmdalias by alias domain", "robot", "alias.test", RECIPIENT_CMDALIAS, "robot@x.test" },
    { "cmdalias with a leading dot", ".hidden", "x.test", RECIPIENT_UNKNOWN, NULL },
    { "cmdalias outside its folder", "../secret", "x.test", RECIPIENT_UNKNOWN, NULL },
    { "custom domain", "any", "custom.example", RECIPIENT_CUSTDOMAIN, "any@custom.example" },
    { "parent file", "any", "a.b.parent.example", RECIPIENT_CUSTDOMAIN, "any@.parent.example" },
    { "parent file doesn't cover itself", "any", "parent.example", RECIPIENT_REMOTE, NULL },
    { "exact file doesn't cover children", "any", "a.custom.example", RECIPIENT_REMOTE, NULL },
    { "tag", "amy+news", "x.test", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "tag on an alias", "boss+news", "x.test", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "tag on a cmdalias", "robot+1", "x.test", RECIPIENT_CMDALIAS, "robot@x.test" },
    { "account with a plus", "a+b", "x.test", RECIPIENT_ACCOUNT, "a+b@x.test" },
    { "tag before catch-all", "bob+x", "mixed.test", RECIPIENT_ACCOUNT, "bob@Mixed.Test" },
    { "only a tag", "+x", "x.test", RECIPIENT_UNKNOWN, NULL },
    { "bare postmaster", "PostMaster", "", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "postmaster of a domain", "postmaster", "far_y.test", RECIPIENT_ACCOUNT, "amy@x.test" },
    { "postmaster of an alias domain", "postmaster", "alias.test", RECIPIENT_ACCOUNT,
      "amy@x.test" },
    { "postmaster under a catch-all", "postmaster", "mixed.test", RECIPIENT_ACCOUNT,
      "bob@Mixed.Test" },
    { "postmaster elsewhere", "postmaster", "remote.example", RECIPIENT_REMOTE, NULL },
    { "bare name", "amy", "", RECIPIENT_UNKNOWN, NULL },
};

static struct address address(const char *local, const char *domain)
{
    return (struct address){ .local = str_from_c(local), .domain = str_from_c(domain) };
}

static void check_target(const struct resolve_row *r, const struct recipient *got)
{
    char text[200] = "";
    bool is_account = got->kind == RECIPIENT_ACCOUNT || got->kind == RECIPIENT_LIST;
    struct str name = is_account ? got->account.name : got->target.local;
    struct str domain = is_account ? got->account.domain : got->target.domain;
    (void)snprintf(text, sizeof(text), "%.*s@%.*s", STR_ARG(name), STR_ARG(domain));
    assert_string_equal(text, r->leads_to);
}

static void resolves(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(resolve_rows); i++) {
        const struct resolve_row *r = &resolve_rows[i];
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct address to = address(r->local, r->domain);
        struct recipient got;
        struct err e;
        print_message("%s\n", r->name);
        assert_int_equal(users_resolve(&to, &a, &got, &e), RC_OK);
        assert_int_equal(got.kind, r->kind);
        if (r->leads_to != NULL)
            check_target(r, &got);
    }
}

static void account_has_all_members(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct address to = address("upperuser", "ALIAS.test");
    struct recipient got;
    assert_int_equal(users_resolve(&to, &a, &got, NULL), RC_OK);
    assert_string_equal(got.account.folder.p, "domains/x.test/elsewhere");
    assert_true(str_eq(got.account.password, STR("1d08040c09")));
    assert_int_equal(got.account.id, 2);
    assert_int_equal(got.account.type, ACCOUNT_USER);
    assert_false(got.via_alias);
    to = address("boss", "x.test");
    assert_int_equal(users_resolve(&to, &a, &got, NULL), RC_OK);
    assert_true(got.via_alias);
}

static void domains_are_local(void **state)
{
    (void)state;
    static const struct {
        const char *domain;
        bool local;
    } rows[] = {
        { "x.test", true },
        { "X.Test", true },
        { "alias.test", true },
        { "q.wild.test", true },
        { "wild.test", false },
        { "remote.example", false },
        { "nowhere.test", false },
        { NIHON ".test", true },
        { NIHON_A ".test", true },
        { "", false },
        { ".", false },
        { "custom.example", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].domain);
        assert_int_equal(users_domain_is_local(str_from_c(rows[i].domain)), rows[i].local);
    }
}

struct login_row {
    const char *login, *account; /* NULL: refused */
};

static const struct login_row login_rows[] = {
    { "amy@x.test", "amy@x.test" },
    { "AMY@X.TEST", "amy@x.test" },
    { "amy:x.test", "amy@x.test" },
    { "amy", "amy@x.test" },
    { "amy@alias.test", "amy@x.test" },
    { "amy@any.wild.test", "amy@x.test" },
    { "taro@" NIHON ".test", "taro@" NIHON ".test" },
    { "taro@" NIHON_A ".test", "taro@" NIHON ".test" },
    { "runs@x.test", "runs@x.test" },
    { "boss@x.test", NULL },
    { "list@x.test", NULL },
    { "amy+tag@x.test", NULL },
    { "nobody@x.test", NULL },
    { "bob", NULL },
    { "amy@remote.example", NULL },
    { "amy@", NULL },
    { "@x.test", NULL },
    { "", NULL },
    { "amy@x.test@mixed.test", NULL },
};

static void logins(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(login_rows); i++) {
        const struct login_row *r = &login_rows[i];
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct account got;
        struct str counted;
        struct err e;
        print_message("'%s'\n", r->login);
        enum rc rc = users_login(str_from_c(r->login), STR("x.test"), &a, &got, &e);
        assert_int_equal(rc, r->account == NULL ? RC_PERM : RC_OK);
        if (rc == RC_OK)
            assert_string_equal(
                arena_printf(&a, "%.*s@%.*s", STR_ARG(got.name), STR_ARG(got.domain)).p,
                r->account);
        bool known = users_login_name(str_from_c(r->login), STR("x.test"), &a, &counted);
        assert_int_equal(known, r->account != NULL);
        assert_true(str_eq(counted, str_from_c(known ? r->account : r->login)));
    }
}

static void senders(void **state)
{
    (void)state;
    static const struct {
        const char *local, *domain;
        bool may;
    } rows[] = {
        { "amy", "x.test", true },           { "Amy", "X.test", true },
        { "boss", "x.test", true },          { "amy", "alias.test", true },
        { "boss", "q.wild.test", true },     { "amy+tag", "x.test", true },
        { "support", "x.test", true },       { "amy.r", "remote.example", true },
        { "AMY.R", "Remote.Example", true }, { "postmaster", "x.test", true },
        { "bob", "mixed.test", false },      { "nobody", "x.test", false },
        { "upperuser", "x.test", false },    { "amy", "remote.example", false },
        { "list", "x.test", false },         { "away", "x.test", false },
        { "runs", "x.test", false },
    };
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account amy, runs;
    assert_int_equal(users_login(STR("amy@x.test"), STR(""), &a, &amy, NULL), RC_OK);
    assert_int_equal(users_login(STR("runs@x.test"), STR(""), &a, &runs, NULL), RC_OK);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct address from = address(rows[i].local, rows[i].domain);
        print_message("%s@%s\n", rows[i].local, rows[i].domain);
        assert_int_equal(users_may_send_as(&amy, &from, &a), rows[i].may);
    }
    struct address null = { .is_null = true };
    assert_true(users_may_send_as(&amy, &null, &a));
    /* An account keeps its own address although its mail runs a command. */
    struct address from = address("runs", "x.test");
    assert_true(users_may_send_as(&runs, &from, &a));
}

static void external_aliases(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct address ext = address("Amy.R", "REMOTE.example"), local;
    assert_true(users_external_alias(&ext, &a, &local));
    assert_true(str_eq(local.local, STR("amy")) && str_eq(local.domain, STR("x.test")));
    ext = address("amy", "remote.example");
    assert_false(users_external_alias(&ext, &a, &local));
    ext = (struct address){ .is_null = true };
    assert_false(users_external_alias(&ext, &a, &local));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolves),          cmocka_unit_test(account_has_all_members),
        cmocka_unit_test(domains_are_local), cmocka_unit_test(logins),
        cmocka_unit_test(senders),           cmocka_unit_test(external_aliases),
    };
    return cmocka_run_group_tests(tests, make_root, drop_root);
}
