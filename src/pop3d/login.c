/*
 * login.c - logging in, whatever the command: delays that bad logins earned, the look-up, the
 * check, then opening the mailbox. An unknown user costs the same time and gets the same answer
 * as a wrong password.
 */
#include "conf/logfiles.h"
#include "pop3d/pop3d_int.h"

#define LOGIN_LONGEST ((size_t)1024)

/* A login that waits for its time. Lives in s->mem; the secret is wiped when it's settled. */
struct login {
    struct str name, secret;
    struct str counted; /* whom its tries count for */
    bool known;         /* counted is an account */
    login_check_fn *check;
    bool checked; /* SASL has done the check */
    bool good;
    bool asks;                   /* a program decides */
    bool unknown;                /* nobody has the name */
    struct auth_program program; /* asks */
    struct auth_question question;
    struct account account; /* good, or asks */
};

static pop3_login_seen_fn *login_seen;

enum rc pop3d_init(pop3_login_seen_fn *seen, struct err *e)
{
    login_seen = seen;
    return sasl_warm_up(e);
}

bool login_is_protected(const struct session *s)
{
    return stream_is_tls(&s->st) || ip_is_loopback(&s->client_ip);
}

struct sasl_offer login_offer(const struct session *s)
{
    const struct options *o = conf();
    return (struct sasl_offer){
        .has_tls = login_is_protected(s),
        .has_scheme = o->password_scheme_set,
        .scheme = o->password_scheme,
        .plain_listed = userauth_is_used(),
        .without_tls = o->smtp_no_tls_auths,
    };
}

struct str login_stamp(struct session *s)
{
    const struct options *o = conf();
    struct auth_program everybodys;
    struct err e;
    if (o->password_scheme_set && o->password_scheme != PASSWORD_XMCRYPT)
        return STR("");
    if (userauth_find(STR(""), USERAUTH_LOGIN, &everybodys, &e) != RC_GONE)
        return STR("");
    struct str host = o->smtp_server_domain.n > 0 ? o->smtp_server_domain : o->root_domain;
    return arena_printf(&s->tmp, "<%" PRIx64 ".%" PRIu64 "@%.*s>", s->number,
                        pop3(s)->stamp_time, STR_ARG(host));
}

struct str login_default_domain(void)
{
    const struct options *o = conf();
    return o->pop3_domain.n > 0 ? o->pop3_domain : o->root_domain;
}

void login_forget(struct session *s)
{
    struct pop3_session *p = pop3(s);
    if (p->login != NULL)
        auth_forget(&p->login->question);
    if (p->login != NULL && p->login->secret.n > 0) {
        void *secret = NULL;
        memcpy(&secret, &p->login->secret.p, sizeof(secret));
        mem_wipe(secret, p->login->secret.n);
    }
    p->login = NULL;
    p->user = (struct str){ NULL, 0 };
    arena_release(&s->mem);
}

/* A line of XMail's pop3 log; a login's has two more columns (specification 6, item 31). */
static void record(struct session *s, struct str user, const char *status, struct mailbox *m)
{
    char client[IP_TEXT_BYTES], time[CLOCK_TEXT_BYTES];
    if (!logfile_is_on(LOGFILE_POP3))
        return;
    uint64_t octets = 0;
    for (size_t i = 0; m != NULL && i < mailbox_count(m); i++)
        octets += mailbox_message(m, i)->wire_octets;
    const struct options *o = conf();
    struct str host = o->smtp_server_domain.n > 0 ? o->smtp_server_domain : o->root_domain;
    struct str values[] = {
        host,
        login_default_domain(),
        str_from_c(ip_print(&s->client_ip, client)),
        str_from_c(clock_print(clock_wall(), time)),
        user,
        STR(""), /* XMail has the password here; ours never does */
        str_from_c(status),
        m == NULL ? STR("") : arena_printf(&s->tmp, "%zu", mailbox_count(m)),
        arena_printf(&s->tmp, "%" PRIu64, octets),
    };
    logfile_add(LOGFILE_POP3, values, ARRAY_LEN(values) - (m == NULL ? 2 : 0));
}

static enum step answer_bad(struct session *s)
{
    login_forget(s);
    session_refuse(s, "-ERR [AUTH] wrong user name or password");
    return conf()->pop3_hang_up ? STEP_CLOSE : STEP_NEXT;
}

/* The mailbox of the account that has logged in, and the TRANSACTION state. */
static enum step open_mailbox(struct session *s, const struct account *account)
{
    struct pop3_session *p = pop3(s);
    struct user_options options;
    struct err e;
    enum rc rc = users_options(account, &s->tmp, &options, &e);
    if (rc == RC_OK && !options.pop_enable) {
        session_refuse(s, "-ERR [SYS/PERM] POP3 is not enabled for this account");
        return STEP_NEXT;
    }
    if (rc == RC_OK)
        rc = mailbox_open(account, options.pop3_scan_cur, &p->mailbox, &e);
    if (rc != RC_OK) {
        bool in_use = strcmp(e.dsn, "4.2.0") == 0;
        log_info(EV("mailbox not opened"), KS("session", session_id(s)),
                 KS("user", account->name), KS("domain", account->domain), KE(&e));
        session_refuse(s, in_use ? "-ERR [IN-USE] another session has this mailbox open"
                                 : "-ERR [SYS/TEMP] mailbox can't be opened now");
        return STEP_NEXT;
    }
    session_enter(s, POP3_TRANSACTION);
    metric_add(METRIC_login_good_pop3, 1);
    record(s, account->name, "LOGIN", p->mailbox);
    if (login_seen != NULL)
        login_seen(account, &s->client_ip);
    log_info(EV("login"), KS("session", session_id(s)), KS("user", account->name),
             KS("domain", account->domain), KU("messages", mailbox_count(p->mailbox)),
             KV("client", ip_print(&s->client_ip, (char[IP_TEXT_BYTES]){ 0 })));
    session_reply(s, "+OK %zu messages", mailbox_count(p->mailbox));
    return STEP_NEXT;
}

/* A right password: may this account come in from here? */
static enum step let_in(struct session *s, const struct account *account)
{
    unsigned line = 0;
    struct str table = arena_printf(&s->tmp, "%.*s/pop3.ipmap.tab", STR_ARG(account->folder));
    if (!access_is_allowed(table.p, &s->client_ip, &line)) {
        log_info(EV("login refused"), KS("session", session_id(s)), KS("user", account->name),
                 KS("table", table), KU("line", line));
        return answer_bad(s);
    }
    struct limit_held held;
    struct str who =
        arena_printf(&s->tmp, "%.*s@%.*s", STR_ARG(account->name), STR_ARG(account->domain));
    if (limits_find_account(who, LIMIT_CONNECTIONS, &held) && held.action == LIMIT_REFUSE) {
        log_info(EV("login refused"), KS("session", session_id(s)), KS("user", who),
                 KV("table", "limits.tab"), KU("line", held.line));
        login_forget(s);
        session_refuse(s, "-ERR [LOGIN-DELAY] too many logins lately");
        return STEP_NEXT;
    }
    limits_count_account(who, LIMIT_CONNECTIONS);
    guard_good(&s->client_ip, pop3(s)->login->counted);
    enum step step = open_mailbox(s, account);
    login_forget(s);
    return step;
}

bool login_check_password(struct session *s, struct str stored, struct str secret)
{
    (void)s;
    return password_matches(stored, secret);
}

enum rc login_program(const struct account *account, struct auth_program *out)
{
    struct err e;
    enum rc rc = userauth_find(account->domain, USERAUTH_LOGIN, out, &e);
    if (rc == RC_TEMP)
        log_warn(EV("login can't be decided"), KS("domain", account->domain), KE(&e));
    return rc;
}

/* Finds the user and checks the secret, unless a program does. RC_TEMP: tables can't tell now.
 */
static enum rc check_now(struct session *s, struct login *l)
{
    struct err e;
    if (l->checked)
        return RC_OK;
    enum rc rc = users_login(l->name, login_default_domain(), &s->mem, &l->account, &e);
    l->unknown = rc == RC_PERM;
    if (rc == RC_PERM)
        password_waste(conf()->password_scheme, l->secret);
    if (rc != RC_OK)
        return rc == RC_PERM ? RC_OK : rc;
    rc = login_program(&l->account, &l->program);
    if (rc == RC_OK)
        l->asks = l->check == login_check_password;
    else if (rc == RC_GONE)
        l->good = l->check(s, l->account.password, l->secret);
    return rc == RC_GONE ? RC_OK : rc;
}

static enum step cant_tell(struct session *s)
{
    login_forget(s);
    session_refuse(s, "-ERR [SYS/TEMP] users can't be looked up now");
    return STEP_NEXT;
}

static enum step verdict(struct session *s);

static enum step program_answered(struct session *s)
{
    struct login *l = pop3(s)->login;
    enum step wait = STEP_NEXT;
    enum auth_answer answer = auth_answer(s, &l->question, &wait);
    if (answer == AUTH_WAIT)
        return wait;
    l->good = answer == AUTH_YES;
    return answer == AUTH_UNKNOWN ? cant_tell(s) : verdict(s);
}

static enum step settle(struct session *s)
{
    struct login *l = pop3(s)->login;
    if (check_now(s, l) != RC_OK)
        return cant_tell(s);
    if (l->asks)
        return userauth_ask(s, &l->program, &l->account, l->secret, &l->question,
                            program_answered);
    if (l->unknown && userauth_would_decide(l->name, login_default_domain()))
        return auth_pretend(s, &l->question, program_answered);
    return verdict(s);
}

/* The secret has been checked. */
static enum step verdict(struct session *s)
{
    struct login *l = pop3(s)->login;
    if (l->good)
        return let_in(s, &l->account);
    usec_t delay = guard_bad(&s->client_ip, l->counted, l->known, conf()->pop3_bad_login_delay,
                             clock_mono());
    metric_add(METRIC_login_bad_pop3, 1);
    log_info(EV("login failed"), KS("session", session_id(s)),
             KV("client", ip_print(&s->client_ip, (char[IP_TEXT_BYTES]){ 0 })),
             KS("login", l->name));
    record(s, l->name, "ELOGIN", NULL);
    s->more = answer_bad;
    s->wake_at = clock_mono() + delay;
    return STEP_DELAY;
}

struct str login_name(struct session *s)
{
    return pop3(s)->login->name;
}

/* Settles the login when earlier bad ones allow it; never when there were too many. */
static enum step begin(struct session *s, struct login *l)
{
    l->known = users_login_name(l->name, login_default_domain(), &s->mem, &l->counted);
    usec_t wait = guard_delay(&s->client_ip, l->counted, clock_mono());
    pop3(s)->login = l;
    if (wait == USEC_FOREVER) {
        metric_add(METRIC_login_bad_pop3, 1);
        log_info(EV("login failed"), KS("session", session_id(s)),
                 KV("client", ip_print(&s->client_ip, (char[IP_TEXT_BYTES]){ 0 })),
                 KS("login", l->name), KV("reason", "too many bad logins"));
        record(s, l->name, "ELOGIN", NULL);
        s->more = answer_bad;
        s->wake_at = clock_mono() + conf()->pop3_bad_login_delay;
        return STEP_DELAY;
    }
    if (wait == 0)
        return settle(s);
    s->more = settle;
    s->wake_at = clock_mono() + wait;
    return STEP_DELAY;
}

enum step login_try(struct session *s, struct str name, struct str secret,
                    login_check_fn *check)
{
    if (name.n > LOGIN_LONGEST || secret.n > LOGIN_LONGEST || str_has_control(name)) {
        session_refuse(s, "-ERR [AUTH] wrong user name or password");
        return STEP_NEXT;
    }
    struct login *l = arena_new(&s->mem, sizeof(*l));
    l->name = arena_str(&s->mem, name);
    l->secret = arena_str(&s->mem, secret);
    l->check = check;
    return begin(s, l);
}

enum step login_settle(struct session *s, struct str name, const struct account *account)
{
    struct login *l = arena_new(&s->mem, sizeof(*l));
    l->name = arena_str(&s->mem, name);
    l->checked = true;
    l->good = account != NULL;
    l->unknown = account == NULL;
    if (account != NULL) {
        l->account = *account;
        l->account.domain = arena_str(&s->mem, account->domain);
        l->account.name = arena_str(&s->mem, account->name);
        l->account.password = STR("");
        l->account.folder = arena_str(&s->mem, account->folder);
    }
    return begin(s, l);
}
