/* options_test.c - server.tab, user.tab and the command line: every row, and what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/tables.h"
#include <ftw.h>
#include <sys/wait.h>

static char root[] = "/tmp/hikyaku-options-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    struct err e;
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    if (mkdtemp(root) == NULL || chdir(root) != 0)
        return -1;
    return folder_make("hikyaku", 0700, &e) == RC_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return chdir("/") != 0 || nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0;
}

static const struct options *load(const char *server_tab)
{
    struct err e = { .text = "" };
    assert_int_equal(file_replace("server.tab", str_from_c(server_tab), 0600, &e), RC_OK);
    if (options_load(&e) != RC_OK)
        fail_msg("%s", e.text);
    return conf();
}

static void each_row_has_a_good_default(void **state)
{
    (void)state;
    size_t count = 0;
    const struct option_row *rows = options_rows(&count);
    assert_true(count > 50);
    for (size_t i = 0; i < count; i++) {
        struct err e = { .text = "" };
        const char *defaults[] = { rows[i].xmail, rows[i].fresh };
        assert_ptr_equal(options_row(str_from_c(rows[i].name)), &rows[i]);
        for (size_t k = 0; k < 2; k++)
            if (defaults[k] != NULL &&
                options_check_value(&rows[i], str_from_c(defaults[k]), &e) != RC_OK)
                fail_msg("%s: %s", rows[i].name, e.text);
        assert_true(strlen(rows[i].en) > 10 && strlen(rows[i].ja) > 10);
    }
}

/* The origin is settled when a process first reads it: each in a process of its own. */
static int load_in_child(const char *marker)
{
    int status = 0;
    struct err e;
    pid_t pid = fork();
    if (pid == 0) {
        if (file_replace("hikyaku/marker", str_from_c(marker), 0600, &e) != RC_OK)
            _exit(99);
        const struct options *o = load("\"RootDomain\"\t\"x.test\"\n");
        _exit((int)o->max_mta_ops);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)io_unlink("hikyaku/marker");
    return WEXITSTATUS(status);
}

static void origin_decides_the_defaults(void **state)
{
    (void)state;
    assert_int_equal(load_in_child("origin taken-over\n"), 16);
    assert_int_equal(load_in_child("nonsense"), 16);
    assert_int_equal(load_in_child("origin new\n"), 100);
    const struct options *o = load("\"RootDomain\"\t\"x.test\"\n");
    assert_int_equal(o->origin, CONF_TAKEN_OVER);
    assert_int_equal(o->smtp_max_errors, 0);
    assert_false(o->password_scheme_set);
}

static void bad_values_keep_the_default(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        bool good;
    } rows[] = {
        { "MaxMTAOps", "20", true },
        { "MaxMTAOps", "0", false },
        { "MaxMTAOps", "-1", false },
        { "MaxMTAOps", "20x", false },
        { "MaxMTAOps", "", false },
        { "AllowNullSender", "1", true },
        { "AllowNullSender", "2", false },
        { "AllowNullSender", "yes", false },
        { "MaxMessageSize", "5000", true },
        { "MaxMessageSize", "99999999999999999999", false },
        { "PasswordScheme", "scram", true },
        { "PasswordScheme", "rot13", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e;
        const struct option_row *row = options_row(str_from_c(rows[i].name));
        bool good = options_check_value(row, str_from_c(rows[i].value), &e) == RC_OK;
        if (good != rows[i].good)
            fail_msg("%s = \"%s\" is %s", rows[i].name, rows[i].value,
                     good ? "taken" : "refused");
    }
    assert_int_equal(load("\"MaxMTAOps\"\t\"many\"\n")->max_mta_ops, 16);
}

static void unknown_and_misspelt_names(void **state)
{
    (void)state;
    assert_null(options_row(STR("NoSuchThing")));
    assert_non_null(options_row(STR("SmtpMsgIPBandMaps")));
    assert_ptr_equal(options_row(STR("SmtpMsgIPBanSpammres")),
                     options_row(STR("SmtpMsgIPBanSpammers")));
    (void)load("\"NoSuchThing\"\t\"1\"\n\"broken\n\"MaxMTAOps\"\t\"20\"\n");
    assert_int_equal(conf()->max_mta_ops, 20);
}

static void listeners_flags(void **state)
{
    (void)state;
    struct ip one, two;
    const struct options *o = load("\"SmtpConfig\"\t\"A\"\n\"SmtpConfig-192.0.2.1\"\t\"B\"\n"
                                   "\"SmtpConfig-192.0.2.1,587\"\t\"C\"\n");
    assert_true(ip_parse(STR("192.0.2.1"), &one) && ip_parse(STR("192.0.2.2"), &two));
    assert_true(str_eq(options_smtp_flags(o, &one, 587), STR("C")));
    assert_true(str_eq(options_smtp_flags(o, &one, 25), STR("B")));
    assert_true(str_eq(options_smtp_flags(o, &two, 587), STR("A")));
}

static void binds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int count; /* -1: refused */
        uint16_t port;
    } rows[] = {
        { "127.0.0.1:2525", 1, 2525 },      { "127.0.0.1", 1, 0 },
        { "[::1]:2525", 1, 2525 },          { "127.0.0.1:0", -1, 0 },
        { "127.0.0.1:70000", -1, 0 },       { "host.example:25", -1, 0 },
        { "127.0.0.1:25,[::1]:25", 2, 25 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct service_options s = { .name = "smtp" };
        struct err e = { .text = "" };
        enum rc rc = options_parse_binds(str_from_c(rows[i].text), &s, &e);
        if ((rc == RC_OK) != (rows[i].count >= 0) ||
            (rc == RC_OK &&
             (s.bind_count != (size_t)rows[i].count || s.binds[0].port != rows[i].port)))
            fail_msg("%s: %s, %zu binds", rows[i].text, rc_name(rc), s.bind_count);
    }
}

static void user_variables(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    struct user_options u;
    struct err e;
    assert_int_equal(tab_read_str("user.tab",
                                  STR("\"maxmbsize\"\t\"500\"\n\"PopEnable\"\t\"0\"\n"
                                      "\"MaxMessageSize\"\t\"x\"\n\"Own\"\t\"1\"\n"),
                                  &a, &tab, &e),
                     RC_OK);
    user_options_parse(&tab, &u);
    assert_int_equal(u.max_mb_size, 500);
    assert_false(u.pop_enable);
    assert_true(u.receive_enable);
    assert_false(u.max_message_size_set);
    assert_int_equal(user_options_check(STR("MaxMBSize"), STR("12"), &e), RC_OK);
    assert_int_equal(user_options_check(STR("MaxMBSize"), STR("-1"), &e), RC_PERM);
    assert_int_equal(user_options_check(STR("Nonsense"), STR("1"), &e), RC_PERM);
}

/* Each line of words by itself: the words taken stay in force. */
static void command_line(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *words[6];
        bool good;
    } rows[] = {
        { "a port", { "-Sp", "2525" }, true },
        { "a place", { "-SI", "127.0.0.1:2526" }, true },
        { "off", { "-F-" }, true },
        { "debug", { "-Md" }, true },
        { "no value", { "-Sp" }, false },
        { "no such switch", { "-Zz" }, false },
        { "not a port", { "-Sp", "99999" }, false },
        { "not a word", { "serve" }, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = { .text = "" };
        char *words[6] = { NULL };
        int count = 0;
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        for (; count < 6 && rows[i].words[count] != NULL; count++)
            words[count] = arena_c(&a, str_from_c(rows[i].words[count]));
        if ((options_command_line(count, words, &e) == RC_OK) != rows[i].good)
            fail_msg("%s: %s", rows[i].name, e.text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_has_a_good_default),
        cmocka_unit_test(origin_decides_the_defaults),
        cmocka_unit_test(bad_values_keep_the_default),
        cmocka_unit_test(unknown_and_misspelt_names),
        cmocka_unit_test(listeners_flags),
        cmocka_unit_test(binds),
        cmocka_unit_test(user_variables),
        cmocka_unit_test(command_line),
    };
    return cmocka_run_group_tests_name("options", tests, setup, teardown);
}
