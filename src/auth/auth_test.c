/* auth_test.c - which program decides: tables, their lines, those that can't tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "users/test_root.h"

static void find(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text;
    } files[] = {
        { "a.test",
          "\"userauth\"\t\"/bin/a\"\n\"userdel\"\t\"/bin/b\"\n\"userdel\"\t\"/bin/c\"\n" },
        { "b.test", "\"useradd\"\t\"/bin/a\"\n" },
        { "bad.test", "\"userauth\"\n\"useradd\"\t\"/bin/a\"\n" },
        { "odd.test", "\"userauth\n" },
        { "lower.test", "\"userauth\"\t\"/bin/a\"\n" },
        { "", "\"userauth\"\t\"/bin/all\"\n" },
    };
    static const struct {
        const char *domain;
        enum userauth_action action;
        enum rc want;
        const char *table;
        unsigned line;
    } rows[] = {
        { "a.test", USERAUTH_LOGIN, RC_OK, "userauth/pop3/a.test.tab", 1 },
        { "a.test", USERAUTH_DELETE, RC_OK, "userauth/pop3/a.test.tab", 2 },
        { "a.test", USERAUTH_ADD, RC_GONE, NULL, 0 },
        { "b.test", USERAUTH_LOGIN, RC_GONE, NULL, 0 },
        { "b.test", USERAUTH_ADD, RC_OK, "userauth/pop3/b.test.tab", 1 },
        { "bad.test", USERAUTH_LOGIN, RC_TEMP, NULL, 0 },
        { "bad.test", USERAUTH_ADD, RC_OK, "userauth/pop3/bad.test.tab", 2 },
        { "odd.test", USERAUTH_LOGIN, RC_TEMP, NULL, 0 },
        { "Lower.Test", USERAUTH_LOGIN, RC_OK, "userauth/pop3/lower.test.tab", 1 },
        { "c.test", USERAUTH_LOGIN, RC_OK, "userauth/pop3/.tab", 1 },
        { "../pop3/a.test", USERAUTH_LOGIN, RC_OK, "userauth/pop3/.tab", 1 },
        { "", USERAUTH_LOGIN, RC_OK, "userauth/pop3/.tab", 1 },
        { "c.test", USERAUTH_DROP, RC_GONE, NULL, 0 },
    };
    assert_false(userauth_is_used());
    root_enter();
    struct err e;
    root_folder("userauth/pop3");
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        root_put(arena_printf(&a, "userauth/pop3/%s.tab", files[i].file).p, files[i].text);
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct auth_program program;
        print_message("  %s %d\n", rows[i].domain, rows[i].action);
        assert_int_equal(
            userauth_find(str_from_c(rows[i].domain), rows[i].action, &program, &e),
            rows[i].want);
        if (rows[i].want != RC_OK)
            continue;
        assert_string_equal(program.table, rows[i].table);
        assert_int_equal(program.line.line, rows[i].line);
        assert_true(program.line.is_login);
    }
    root_leave();
}

static bool add_name(void *ctx, struct str name)
{
    buf_addf(ctx, "%.*s ", STR_ARG(name));
    return true;
}

static void methods(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf names AUTO_RELEASE_BUF;
    struct extauth_method m;
    buf_init(&names, 200);
    root_enter();
    root_put("smtpextauth.tab", "\"plain\"\t\"/a\"\t\"@@SECRT\"\n\"X Y\"\t\"/a\"\n"
                                "\"RSA-AUTH\"\t\"base\"\t\"/b\"\t\"$(SECRT)\"\n"
                                "\"CRAM-MD5\"\t\"/c\"\n\"PLAIN\"\t\"/d\"\n");
    extauth_init();
    assert_true(extauth_is_used());
    assert_true(extauth_each(add_name, &names));
    assert_true(str_eq(buf_str(&names), STR("PLAIN RSA-AUTH CRAM-MD5 ")));
    assert_false(extauth_find(STR("LOGIN"), &a, &m));
    assert_true(extauth_find(STR("Plain"), &a, &m));
    assert_true(m.shows_password && !m.wants_secrets && m.challenge.n == 0);
    assert_int_equal(m.program.line.line, 1);
    assert_true(extauth_find(STR("rsa-auth"), &a, &m));
    assert_true(!m.shows_password && m.wants_secrets && str_eq(m.challenge, STR("base")));
    assert_true(extauth_find(STR("CRAM-MD5"), &a, &m));
    assert_false(m.wants_secrets);
    root_leave();
}

static void rfile(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *perms; /* NULL: none are told */
    } rows[] = {
        { "", NULL },
        { "Perms=MR", "MR" },
        { "PERMS = MRZ \r\nX=1\r\n", "MRZ" },
        { "Perms=\"MR\"\n", "MR" },
        { "Perms=\"\n", "\"" },
        { "Perms=\n", "" },
        { "Perms\n", NULL },
        { "=MR\n", NULL },
        { "XPerms=MR\n", NULL },
        { "Perms=MR\nPerms=M\n", "M" },
        { "\n\n# Perms=MR\n", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rfile r;
        rfile_parse(str_from_c(rows[i].text), &r);
        if (r.has_perms != (rows[i].perms != NULL) ||
            (r.has_perms && !str_eq(r.perms, str_from_c(rows[i].perms))))
            fail_msg("%s", rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(find), cmocka_unit_test(methods),
                                        cmocka_unit_test(rfile) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
