/*
 * login.c - the greeting and the first line: "user" "password", "user" "#md5 of challenge and
 * password", or #!TLS. A bad login is answered after the delay that it and those before earned,
 * and the connection closes. What was sent is never logged.
 */
#include "conf/logfiles.h"
#include "control/control_int.h"
#include "mail/date.h"
#include "users/guard.h"
#include <openssl/evp.h>

#define ACCOUNTS "ctrlaccounts.tab"

/* A login line that has been checked and waits for its time. */
struct login {
    struct str user;
    bool good;
};

void ctrl_greet(struct ctrl *c)
{
    struct session *s = &c->s;
    char ip[IP_TEXT_BYTES];
    c->challenge = arena_printf(&s->mem, "<%" PRId64 ".%" PRIu64 "@%s>", clock_wall() / USEC_S,
                                s->number, ip_print(&s->local_ip, ip));
    char date[DATE_TEXT_BYTES];
    session_reply(s, "+00000 %.*s XMail 1.27 (Hikyaku %s) CTRL Server; %s",
                  STR_ARG(c->challenge), HIKYAKU_VERSION, date_print(clock_wall(), date));
}

static bool md5_matches(struct str challenge, struct str password, struct str hex)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[16];
    char text[33];
    unsigned n = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, challenge.p, challenge.n) == 1 &&
              EVP_DigestUpdate(ctx, password.p, password.n) == 1 &&
              EVP_DigestFinal_ex(ctx, sum, &n) == 1 && n == sizeof(sum);
    EVP_MD_CTX_free(ctx);
    if (!ok || hex.n != 32)
        return false;
    unsigned differ = 0;
    for (size_t i = 0; i < sizeof(sum); i++) {
        text[2 * i] = digits[sum[i] >> 4];
        text[2 * i + 1] = digits[sum[i] & 15];
    }
    for (size_t i = 0; i < 32; i++)
        differ |= (unsigned)(text[i] ^ ascii_lower(hex.p[i]));
    return differ == 0;
}

/* The stored password of the account; empty: there is none. */
static struct str stored_for(struct str user, struct arena *a)
{
    struct tab tab;
    struct err e;
    if (tab_read(ACCOUNTS, a, &tab, &e) != RC_OK) {
        log_error(EV("control accounts can't be read"), KE(&e));
        return STR("");
    }
    for (size_t i = 0; i < tab.row_count; i++)
        if (tab.rows[i].count >= 2 && str_ieq(tab.rows[i].values[0], user))
            return tab.rows[i].values[1];
    return STR("");
}

/* stored: stored_for's, empty: nobody has the name. */
static bool check(struct ctrl *c, struct str user, struct str stored, struct str secret)
{
    struct arena *a = &c->line_mem;
    struct str clear;
    bool md5 = secret.n == 33 && secret.p[0] == '#';
    if (stored.n == 0) {
        password_waste(PASSWORD_XMCRYPT, secret);
        return false;
    }
    if (md5 && password_clear(stored, a, &clear) && clear.n > 0 &&
        md5_matches(c->challenge, clear, str_skip(secret, 1))) {
        users_weak_login(user, "CTRL-MD5");
        return true;
    }
    return secret.n > 0 && password_matches(stored, secret);
}

/* A line of XMail's ctrl log. */
static void record(const struct session *s, struct str user, const char *what)
{
    char client[IP_TEXT_BYTES], time[CLOCK_TEXT_BYTES];
    const struct str values[] = {
        str_from_c(ip_print(&s->client_ip, client)),
        user,
        STR(""), /* XMail has the password here; ours never does */
        str_from_c(clock_print(clock_wall(), time)),
        str_from_c(what),
    };
    logfile_add(LOGFILE_CTRL, values, ARRAY_LEN(values));
}

/* Answers a login whose time has come. */
static enum step settle(struct session *s)
{
    struct ctrl *c = ctrl_of(s);
    struct login *login = c->login;
    char client[IP_TEXT_BYTES];
    c->login = NULL;
    metric_add(login->good ? METRIC_login_good_ctrl : METRIC_login_bad_ctrl, 1);
    log_write(login->good ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
              LOG_LIST(EV(login->good ? "login" : "login failed"), KS("session", session_id(s)),
                       KV("client", ip_print(&s->client_ip, client)),
                       KS("login", login->user)));
    record(s, login->user, login->good ? "AUTH" : "FAIL");
    if (!login->good) {
        ctrl_reply(c, ADMIN_BAD_LOGIN, NULL);
        return STEP_CLOSE;
    }
    c->user = login->user;
    session_enter(s, 1);
    ctrl_reply(c, ADMIN_OK, NULL);
    return ctrl_next(s);
}

/* Refuses unchecked, or checks and delays the answer as the guard says. */
static enum step try_login(struct session *s, struct str user, struct str secret)
{
    struct ctrl *c = ctrl_of(s);
    struct str name = arena_printf(&s->mem, "ctrl:%.*s", STR_ARG(user));
    usec_t now = clock_mono();
    usec_t wait = guard_delay(&s->client_ip, name, now);
    struct login *login = arena_new(&s->mem, sizeof(*login));
    login->user = arena_str(&s->mem, user);
    struct str stored = stored_for(user, &c->line_mem);
    login->good = wait != USEC_FOREVER && check(c, user, stored, secret);
    c->login = login;
    if (login->good) {
        guard_good(&s->client_ip, name);
    } else {
        usec_t more = guard_bad(&s->client_ip, name, stored.n > 0, conf()->login_delay, now);
        wait = wait == USEC_FOREVER ? more : MAX(wait, more);
    }
    s->more = settle;
    s->wake_at = now + wait;
    return wait == 0 ? settle(s) : STEP_DELAY;
}

static enum step begin_tls(struct session *s)
{
    struct ctrl *c = ctrl_of(s);
    if (stream_is_tls(&s->st)) {
        ctrl_reply(c, ADMIN_BAD_LOGIN_LINE, NULL);
        return STEP_CLOSE;
    }
    if (!engine_has_tls(s->engine) || !conf()->enable_ctrl_tls) {
        ctrl_reply(c, ADMIN_TLS_OFF, NULL);
        return STEP_CLOSE;
    }
    ctrl_reply(c, ADMIN_OK, NULL);
    s->more = ctrl_next;
    return STEP_TLS;
}

enum step ctrl_login(struct session *s, struct str line)
{
    struct ctrl *c = ctrl_of(s);
    struct str values[3];
    size_t count = 0;
    if (str_eq(str_trim(line), STR("#!TLS")))
        return begin_tls(s);
    if (tab_parse_line(line, &c->line_mem, values, ARRAY_LEN(values), &count, NULL) != RC_OK ||
        count != 2) {
        ctrl_reply(c, ADMIN_BAD_LOGIN_LINE, NULL);
        return STEP_CLOSE;
    }
    record(s, values[0], "REQ");
    enum step step = try_login(s, values[0], values[1]);
    arena_wipe(&c->line_mem);
    return step;
}
