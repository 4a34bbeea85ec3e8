/* gates_test.c - decisions, against a MailRoot in a scratch folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gates/gates_int.h"
#include "sys/file.h"
#include "sys/lock.h"
#include "users/test_root.h"

static const char spammers[] = "\"192.0.2.0\"\t\"255.255.255.0\"\n"
                               "\"192.0.2.7\"\t\"255.255.255.255\"\t\"code=0\"\n"
                               "\"198.51.100.0/25\"\t\"code=0\"\n"
                               "\"198.51.100.128/25\"\t\"code=-20\"\n"
                               "\"203.0.113.1\"\t\"255.255.255.255\"\t\"code=many\"\n"
                               "\"203.0.113.2\"\t\"255.255.255.255\"\t\"lines=2\"\n"
                               "\"203.0.113.3\"\n"
                               "\"2001:db8::/32\"\t\"code=2\"\n"
                               "\"203.0.113.4/32\"\t\"code=-4000\"\n"
                               "\"nonsense\"\t\"255.0.0.0\"\n";

static const char ipprop[] =
    "\"10.0.0.0/8\"\t\"WhiteList=1\"\n"
    "\"192.0.2.9\"\t\"255.255.255.255\"\t\"whitelist=1\"\t\"EaseTLS=1\"\n"
    "\"192.0.2.10/32\"\t\"NoAuth=1,EnableVRFY=1\"\t\"EnableETRN=1\"\n"
    "\"192.0.2.11/32\"\t\"SenderDomainCheck=0\"\t\"WhiteList=0\"\n"
    "\"192.0.2.12/32\"\t\"Whitelisted=1\"\n"
    "\"192.0.2.13/32\"\t\"WhiteList=yes\"\n"
    "\"2001:db8:1::/48\"\t\"WhiteList=1\"\n";

static const char senders[] = "\"*@rude.test\"\n"
                              "\"boss@far.test\"\n"
                              "\"*@*.rude.test\"\n"
                              "\"win?ner*@*\"\n"
                              "\"Boss@Far.test\"\n";

static struct ip ip_of(const char *text)
{
    struct ip ip;
    if (!ip_parse(str_from_c(text), &ip))
        fail_msg("%s", text);
    return ip;
}

static void settings(const char *more)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e;
    const char *text =
        arena_printf(&a, "\"RootDomain\"\t\"x.test\"\n\"LogLevel\"\t\"error\"\n%s", more).p;
    assert_int_equal(file_replace("server.tab", str_from_c(text), 0600, &e), RC_OK);
    assert_int_equal(options_load(&e), RC_OK);
}

static void spammers_by_address(void **state)
{
    (void)state;
    static const struct {
        const char *client;
        enum rc rc;
        int64_t code;
        unsigned line;
    } cases[] = {
        { "192.0.2.7", RC_OK, 1, 1 },       { "192.0.3.7", RC_PERM, 0, 0 },
        { "198.51.100.1", RC_OK, 0, 3 },    { "198.51.100.200", RC_OK, -20, 4 },
        { "203.0.113.1", RC_PERM, 0, 0 },   { "203.0.113.2", RC_PERM, 0, 0 },
        { "203.0.113.3", RC_OK, 1, 7 },     { "2001:db8:9::1", RC_OK, 2, 8 },
        { "203.0.113.4", RC_OK, -4000, 9 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ip client = ip_of(cases[i].client);
        int64_t code = 99;
        unsigned line = 99;
        print_message("%s\n", cases[i].client);
        assert_int_equal(gate_spammers_find(&client, &code, &line), cases[i].rc);
        if (cases[i].rc != RC_OK)
            continue;
        assert_int_equal(code, cases[i].code);
        assert_int_equal(line, cases[i].line);
    }
}

static void properties_by_address(void **state)
{
    (void)state;
    static const struct {
        const char *client, *want;
        unsigned line;
    } cases[] = {
        { "10.1.1.1", "WhiteList=1", 1 },
        { "192.0.2.9", "WhiteList=1 EaseTLS=1", 2 },
        { "192.0.2.10", "NoAuth=1 EnableVRFY=1 EnableETRN=1", 3 },
        { "192.0.2.11", "SenderDomainCheck=0", 4 },
        { "192.0.2.12", "", 0 },
        { "192.0.2.13", "", 0 },
        { "192.0.2.14", "", 0 },
        { "2001:db8:1::1", "WhiteList=1", 7 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct ip client = ip_of(cases[i].client);
        unsigned line = 99;
        print_message("%s\n", cases[i].client);
        struct str got = gate_properties_print(gate_ipprop_find(&client, &line), &a);
        assert_string_equal(arena_c(&a, got), cases[i].want);
        assert_int_equal(line, cases[i].line);
    }
}

static void senders_by_pattern(void **state)
{
    (void)state;
    static const struct {
        const char *sender;
        unsigned line;
    } cases[] = {
        { "a@rude.test", 1 },        { "A@RUDE.test", 1 },       { "boss@far.test", 2 },
        { "bossy@far.test", 0 },     { "a@sub.rude.test", 3 },   { "win1ners@any.test", 4 },
        { "win1ners@rude.test", 1 }, { "boss@far.test.com", 0 }, { "rude.test@far.test", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned line = 0;
        print_message("%s\n", cases[i].sender);
        enum rc rc = gate_spam_address_find(str_from_c(cases[i].sender), &line);
        assert_int_equal(rc, cases[i].line > 0 ? RC_OK : RC_PERM);
        assert_int_equal(line, cases[i].line);
    }
}

/* One client through a stage: what refused it, and what was noted. */
struct walk {
    const char *name, *client, *settings, *from;
    enum gate_stage stage;
    bool submission, tls, login;
    unsigned rights;
    enum gate_action want;
    const char *id, *code; /* GATE_REFUSE */
    unsigned delay_s;
    const char *auth;
};

static const struct walk walks[] = {
    { .name = "nobody knows it", .client = "127.0.0.9" },
    { .name = "ipmap", .client = "10.9.0.1", .id = NULL }, /* white list */
    { .name = "ipmap refuses",
      .client = "172.16.0.1",
      .want = GATE_REFUSE,
      .id = "smtp.ipmap.tab:1",
      .code = "554" },
    { .name = "ipmap slows",
      .client = "172.16.0.1",
      .settings = "\"SMTP-IpMapDropCode\"\t\"-7\"\n",
      .delay_s = 7 },
    { .name = "ipmap wants a login",
      .client = "172.16.0.1",
      .settings = "\"SMTP-IpMapDropCode\"\t\"0\"\n",
      .auth = "smtp.ipmap.tab" },
    { .name = "spammer",
      .client = "192.0.2.1",
      .want = GATE_REFUSE,
      .id = "spammers.tab:1",
      .code = "554" },
    { .name = "white spammer", .client = "192.0.2.9" },
    { .name = "slow spammer", .client = "198.51.100.200", .delay_s = 20 },
    { .name = "delays have an end", .client = "203.0.113.4", .delay_s = 300 },
    { .name = "spammer who may log in", .client = "198.51.100.1", .auth = "spammers.tab" },
    { .name = "and must",
      .client = "198.51.100.1",
      .stage = GATE_MAIL,
      .want = GATE_REFUSE,
      .id = "spammers.tab:3",
      .code = "530 5.7.0" },
    { .name = "and did",
      .client = "198.51.100.1",
      .stage = GATE_MAIL,
      .login = true,
      .rights = RIGHT_MAIL },
    { .name = "submission",
      .client = "127.0.0.9",
      .stage = GATE_MAIL,
      .submission = true,
      .want = GATE_REFUSE,
      .id = "SmtpConfig",
      .code = "530 5.7.0" },
    { .name = "NoAuth", .client = "192.0.2.10", .stage = GATE_MAIL, .submission = true },
    { .name = "MailAuth",
      .client = "127.0.0.9",
      .stage = GATE_MAIL,
      .settings = "\"SmtpConfig\"\t\"mail-auth\"\n",
      .want = GATE_REFUSE,
      .id = "SmtpConfig",
      .code = "530 5.7.0" },
    { .name = "WantTLS",
      .client = "127.0.0.9",
      .stage = GATE_MAIL,
      .settings = "\"SmtpConfig\"\t\"WantTLS\"\n",
      .want = GATE_REFUSE,
      .id = "SmtpConfig",
      .code = "530 5.7.0" },
    { .name = "WantTLS, TLS",
      .client = "127.0.0.9",
      .stage = GATE_MAIL,
      .settings = "\"SmtpConfig\"\t\"WantTLS\"\n",
      .tls = true },
    { .name = "WantTLS, EaseTLS",
      .client = "192.0.2.9",
      .stage = GATE_MAIL,
      .settings = "\"SmtpConfig\"\t\"WantTLS\"\n" },
    { .name = "WantTLS, right S",
      .client = "127.0.0.9",
      .stage = GATE_MAIL,
      .settings = "\"SmtpConfig\"\t\"WantTLS\"\n",
      .login = true,
      .rights = RIGHT_MAIL | RIGHT_NO_TLS },
    { .name = "no right M",
      .client = "127.0.0.9",
      .stage = GATE_MAIL,
      .login = true,
      .want = GATE_REFUSE,
      .id = "SmtpPerms",
      .code = "550 5.7.1" },
    { .name = "spam address",
      .client = "127.0.0.9",
      .stage = GATE_MAIL,
      .from = "a@rude.test",
      .want = GATE_REFUSE,
      .id = "spam-address.tab:1",
      .code = "550 5.7.1" },
    { .name = "spam address, white",
      .client = "10.0.0.1",
      .stage = GATE_MAIL,
      .from = "a@rude.test" },
    { .name = "null sender",
      .client = "127.0.0.9",
      .stage = GATE_MAIL,
      .from = "",
      .settings = "\"AllowNullSender\"\t\"0\"\n",
      .want = GATE_REFUSE,
      .id = "AllowNullSender",
      .code = "550 5.7.1" },
    { .name = "relaying",
      .client = "127.0.0.9",
      .stage = GATE_RCPT,
      .want = GATE_REFUSE,
      .id = "smtprelay.tab",
      .code = "550 5.7.1" },
    { .name = "relaying allowed", .client = "127.0.0.8", .stage = GATE_RCPT },
    { .name = "relaying, login",
      .client = "127.0.0.9",
      .stage = GATE_RCPT,
      .login = true,
      .rights = RIGHT_RELAY },
    { .name = "relaying, login without right",
      .client = "127.0.0.8",
      .stage = GATE_RCPT,
      .login = true,
      .want = GATE_REFUSE,
      .id = "SmtpPerms",
      .code = "550 5.7.1" },
};

static void walk(const struct walk *w)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct gate_memory memory = { .properties = 0 };
    struct gate_decision d;
    struct address from = { .is_null = true };
    struct err e;
    const char *sender = w->from == NULL ? "a@far.test" : w->from;
    const struct recipient recipient = { .kind = RECIPIENT_REMOTE };
    settings(w->settings == NULL ? "" : w->settings);
    if (sender[0] != '\0')
        assert_int_equal(address_parse(str_from_c(sender), ADDRESS_STRICT, &a, &from, &e),
                         RC_OK);
    struct gate_subject s = {
        .memory = &memory,
        .tmp = &a,
        .client = ip_of(w->client),
        .server_port = 25,
        .is_submission = w->submission,
        .has_tls = w->tls,
        .auth_offered = true,
        .has_login = w->login,
        .rights = w->rights,
        .recipient = &recipient,
    };
    s.server = ip_of("127.0.0.1");
    enum gate_action got = gates_run(GATE_CONNECT, &s, NULL, NULL, &d);
    s.from = &from;
    if (w->stage >= GATE_MAIL)
        got = gates_run(GATE_MAIL, &s, NULL, NULL, &d);
    if (w->stage == GATE_RCPT)
        got = gates_run(GATE_RCPT, &s, NULL, NULL, &d);
    assert_int_equal(got, w->want);
    if (w->want == GATE_REFUSE) {
        assert_string_equal(arena_c(&a, gate_decision_id(&d, &a)), w->id);
        assert_string_equal(d.code, w->code);
    }
    if (w->stage == GATE_CONNECT) {
        assert_int_equal(memory.delay_s, w->delay_s);
        assert_string_equal(memory.auth_source == NULL ? "" : memory.auth_source,
                            w->auth == NULL ? "" : w->auth);
    }
}

static void whole_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(walks); i++) {
        print_message("%s\n", walks[i].name);
        walk(&walks[i]);
    }
}

#define V6 "1.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"

static void what_is_asked(void **state)
{
    (void)state;
    static const struct {
        const char *client, *settings, *names; /* blanks between */
    } asked[] = {
        /* a name's properties are always asked for: there is a table */
        { "192.0.2.7", "", "7.2.0.192.in-addr.arpa" },
        { "192.0.2.7", "\"CustMapsList\"\t\"a.test:1, b.test.:-5,:3,c.test\"\n",
          "7.2.0.192.in-addr.arpa 7.2.0.192.a.test 7.2.0.192.b.test 7.2.0.192.c.test" },
        { "2001:db8::a1", "\"CustMapsList\"\t\"a.test:1\"\n", V6 ".ip6.arpa " V6 ".a.test" },
        { "10.0.0.1", "\"CustMapsList\"\t\"a.test:1\"\n", "1.0.0.10.in-addr.arpa" }
    };
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct gate_memory memory = { 0 };
        struct gate_wish wishes[GATE_WISHES_MAX];
        struct str names = STR("");
        settings(asked[i].settings);
        struct gate_subject s = { .memory = &memory,
                                  .tmp = &a,
                                  .client = ip_of(asked[i].client) };
        size_t n = gates_want(GATE_CONNECT, &s, wishes);
        for (size_t k = 0; k < n; k++)
            names = arena_printf(&a, "%.*s%s%.*s", STR_ARG(names), k > 0 ? " " : "",
                                 STR_ARG(wishes[k].name));
        assert_string_equal(arena_c(&a, names), asked[i].names);
    }
}

static void what_answers_lead_to(void **state)
{
    (void)state;
    static const struct {
        unsigned listed;
        enum gate_action want;
        unsigned delay_s;
    } rows[] = { { 0, GATE_PASS, 0 },  { 1, GATE_SLOW, 5 }, { 2, GATE_SLOW, 9 },
                 { 3, GATE_SLOW, 9 },  { 7, GATE_AUTH, 0 }, { 15, GATE_REFUSE, 0 },
                 { 9, GATE_REFUSE, 0 } };
    settings("\"CustMapsList\"\t\"a.test:-5,b.test:-9,c.test:0,d.test:1\"\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct gate_memory memory = { 0 };
        struct gate_subject s = { .memory = &memory, .tmp = &a };
        struct gate_decision d = { .gate = gates_rows(&(size_t){ 0 }),
                                   .source = "CustMapsList" };
        for (unsigned k = 0; k < 4; k++) {
            const struct gate_wish w = { .question = GATE_ASK_LISTED, .list = k };
            gates_learn(&memory, &w, (rows[i].listed >> k & 1u) != 0 ? GATE_YES : GATE_NO,
                        STR(""));
        }
        assert_int_equal(gate_maps(&s, &d), rows[i].want);
        assert_int_equal(d.delay_s, rows[i].delay_s);
    }
    struct gate_memory memory = { 0 };
    const struct gate_wish w = { .question = GATE_ASK_REVERSE };
    gates_learn(&memory, &w, GATE_YES, STR("mx.friend.test"));
    assert_int_equal(memory.name_line, 0); /* it doesn't lead back */
    gates_learn(&memory, &w, GATE_CONFIRMED, STR("MX.friend.test"));
    assert_int_equal(memory.name_line, 1);
    assert_int_equal(memory.name_properties, PROPERTY_NO_AUTH);
    gates_learn(&memory, &w, GATE_CONFIRMED, STR("a.b.friend.test"));
    assert_int_equal(memory.name_line, 2);
    gates_learn(&memory, &w, GATE_CONFIRMED, STR("unfriend.test"));
    assert_int_equal(memory.name_line, 0);
}

/* refuse.tab of an account: looked at anew when it changes; most have none. */
static void refused_senders(void **state)
{
    (void)state;
    static const struct {
        const char *table, *local; /* NULL: the null sender */
        enum recipient_kind kind;
        enum gate_action want;
        unsigned line;
    } rows[] = {
        { NULL, "rude", RECIPIENT_ACCOUNT, GATE_PASS, 0 },
        { "\"else@far.test\"\n\"*@far.test\"\n", "rude", RECIPIENT_ACCOUNT, GATE_REFUSE, 2 },
        { "\"else@far.test\"\n\"*@far.test\"\n", "Else", RECIPIENT_LIST, GATE_REFUSE, 1 },
        { "\"else@far.test\"\n\"*@far.test\"\n", NULL, RECIPIENT_ACCOUNT, GATE_PASS, 0 },
        { "\"else@far.test\"\n\"*@far.test\"\n", "rude", RECIPIENT_REMOTE, GATE_PASS, 0 },
        { "\"ru?e@*\"\n", "rude", RECIPIENT_ACCOUNT, GATE_REFUSE, 1 },
        { "\"r@*\"\n", "rude", RECIPIENT_ACCOUNT, GATE_PASS, 0 },
        { NULL, "rude", RECIPIENT_ACCOUNT, GATE_PASS, 0 },
    };
    root_folder("domains/x.test/amy");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct gate_memory memory = { 0 };
        struct gate_decision d;
        struct err e;
        const struct address from = { .local = str_from_c(rows[i].local),
                                      .domain = STR("far.test"),
                                      .is_null = rows[i].local == NULL };
        const struct recipient to = { .kind = rows[i].kind,
                                      .account = { .folder = STR("domains/x.test/amy") } };
        struct gate_subject s = { .memory = &memory,
                                  .tmp = &a,
                                  .from = &from,
                                  .recipient = &to,
                                  .has_login = true,
                                  .rights = RIGHT_RELAY };
        if (rows[i].table == NULL)
            assert_int_equal(file_remove("domains/x.test/amy/refuse.tab", &e), RC_OK);
        else
            root_put("domains/x.test/amy/refuse.tab", rows[i].table);
        for (unsigned again = 0; again < 2; again++) {
            enum gate_action got = gates_run(GATE_RCPT, &s, NULL, NULL, &d);
            if (got != rows[i].want || (got == GATE_REFUSE && d.line != rows[i].line))
                fail_msg("row %zu: %d", i, (int)got);
        }
    }
}

/* Printed, not judged: what the gates cost a connection with a long table. */
static void long_table(void **state)
{
    (void)state;
    struct buf text AUTO_RELEASE_BUF;
    struct arena tmp AUTO_RELEASE_ARENA = { 0 };
    const unsigned lines = 100000, times = 100000;
    buf_init(&text, (size_t)8 << 20);
    for (unsigned i = 0; i < lines; i++)
        buf_addf(&text, "\"11.%u.%u.%u\"\t\"255.255.255.255\"\n", i >> 16, i >> 8 & 255,
                 i & 255);
    struct err e;
    assert_int_equal(file_replace("spammers.tab", buf_str(&text), 0600, &e), RC_OK);
    struct ip client = ip_of("11.1.134.159");
    int64_t code = 0;
    unsigned line = 0;
    for (usec_t end = clock_mono() + 60 * USEC_S;
         gate_spammers_find(&client, &code, &line) != RC_OK && clock_mono() < end;)
        thread_pause(10 * USEC_MS);
    assert_int_equal(line, lines);
    client = ip_of("127.0.0.9");
    usec_t began = clock_mono();
    for (unsigned i = 0; i < times; i++) {
        struct gate_memory memory = { 0 };
        struct gate_decision d;
        struct gate_subject s = { .memory = &memory, .tmp = &tmp, .client = client };
        s.client.b[14] = (uint8_t)i;
        assert_int_equal(gates_run(GATE_CONNECT, &s, NULL, NULL, &d), GATE_PASS);
        arena_reset(&tmp);
    }
    print_message("%u lines: %.2f us a connection\n", lines,
                  (double)(clock_mono() - began) / times);
}

static int make_root(void **state)
{
    (void)state;
    root_enter();
    root_put("spammers.tab", spammers);
    root_put("smtp.ipprop.tab", ipprop);
    root_put("spam-address.tab", senders);
    root_put("smtp.hnprop.tab", "\"mx.friend.test\"\t\"NoAuth=1\"\n"
                                "\".friend.test\"\t\"EaseTLS=1\"\n");
    root_put("smtp.ipmap.tab", "\"172.16.0.0\"\t\"255.240.0.0\"\t\"DENY\"\t1\n\"10.0.0."
                               "0\"\t\"255.0.0.0\"\t\"DENY\"\t1\n");
    root_put("smtprelay.tab", "\"127.0.0.8\"\t\"255.255.255.255\"\n");
    root_put("domains.tab", "\"x.test\"\n");
    root_put("mailusers.tab", "");
    settings("");
    (void)root_index();
    gates_init();
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    root_leave();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spammers_by_address), cmocka_unit_test(properties_by_address),
        cmocka_unit_test(senders_by_pattern),  cmocka_unit_test(whole_ways),
        cmocka_unit_test(what_is_asked),       cmocka_unit_test(what_answers_lead_to),
        cmocka_unit_test(refused_senders),     cmocka_unit_test(long_table),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
