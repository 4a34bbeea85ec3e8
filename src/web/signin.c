/*
 * signin.c - administrators and their sign-ins. Administrators are lines of webadmins.tab; a
 * sign-in is known by a random cookie, kept in memory as a hash only, and ends after WebIdleEnd
 * without a request, after WebSignInEnd, or with the role.
 */
#include "conf/options.h"
#include "conf/tab.h"
#include "sys/lock.h"
#include "users/guard.h"
#include "users/users.h"
#include "web/admins.h"
#include "web/secret.h"
#include "web/totp.h"
#include <openssl/crypto.h>

#define SIGN_INS_MAX 500u
#define TOKEN_OCTETS 32u
#define CONFIRMED_FOR (600 * USEC_S)

struct sign_in {
    bool used;
    uint64_t id;
    char key[SECRET_HASH_CHARS + 1]; /* of the cookie's value */
    char name[ADMIN_NAME_MAX + 1];
    char client[IP_TEXT_BYTES];
    char agent[120];
    usec_t began, seen, confirmed; /* clock_mono */
    usec_t began_wall;
    char pending[TOTP_SECRET_CHARS + 1]; /* a second factor that isn't proven yet */
};

static struct lock signins_lock = LOCK_INIT(LOCK_LEAF);
static struct sign_in *signins;
static uint64_t last_id;

void signins_init(void)
{
    signins = mem_new(SIGN_INS_MAX * sizeof(*signins));
}

void signins_free(void)
{
    mem_free(&signins);
}

static bool is_over(const struct sign_in *s, usec_t now)
{
    return s->used &&
           (now - s->seen > conf()->web_idle_end || now - s->began > conf()->web_sign_in_end);
}

void signins_tick(void)
{
    usec_t now = clock_mono();
    lock_take(&signins_lock);
    for (size_t i = 0; i < SIGN_INS_MAX; i++)
        if (is_over(&signins[i], now))
            signins[i].used = false;
    lock_drop(&signins_lock);
}

/* --- cookies ------------------------------------------------------------------------------ */

static const char *cookie_name(const struct web *w)
{
    return w->secure ? "__Host-hikyaku" : "hikyaku";
}

/* value empty: takes the cookie away. */
static void set_cookie(struct web *w, struct str value)
{
    struct str text = arena_printf(web_mem(w), "%s=%.*s; Path=/; HttpOnly; SameSite=Strict%s%s",
                                   cookie_name(w), STR_ARG(value), w->secure ? "; Secure" : "",
                                   value.n == 0 ? "; Max-Age=0" : "");
    http_add_field(&w->h.response, "Set-Cookie", text);
}

/* The sign-in of the cookie; with the lock held. */
static struct sign_in *find(const char *key, usec_t now)
{
    for (size_t i = 0; i < SIGN_INS_MAX; i++)
        if (signins[i].used && !is_over(&signins[i], now) &&
            CRYPTO_memcmp(signins[i].key, key, SECRET_HASH_CHARS) == 0)
            return &signins[i];
    return NULL;
}

static bool key_of(struct web *w, char key[SECRET_HASH_CHARS + 1])
{
    struct str cookie = http_cookie(&w->h.request, cookie_name(w));
    if (cookie.n != (size_t)2 * TOKEN_OCTETS)
        return false;
    secret_hash(cookie, key);
    return true;
}

bool web_is_same_origin(const struct web *w)
{
    const struct http_request *r = &w->h.request;
    struct str origin = http_field(r, "Origin"), host = http_field(r, "Host");
    struct str site = http_field(r, "Sec-Fetch-Site");
    if (http_field(r, "X-Hikyaku").p == NULL)
        return false;
    if (site.p != NULL && !str_eq(site, STR("same-origin")))
        return false;
    if (origin.p == NULL)
        return true;
    size_t at = str_find_str(origin, STR("://"));
    return at != SIZE_MAX && str_ieq(str_skip(origin, at + 3), host);
}

/* --- who asks ----------------------------------------------------------------------------- */

static void identify_by_cookie(struct web *w)
{
    struct arena *a = web_mem(w);
    struct admin admin;
    struct str name = STR("");
    usec_t began = 0;
    char key[SECRET_HASH_CHARS + 1];
    usec_t now = clock_mono();
    if (!key_of(w, key))
        return;
    lock_take(&signins_lock);
    struct sign_in *s = find(key, now);
    if (s != NULL) {
        s->seen = now;
        began = s->began_wall;
        name = arena_str(a, str_from_c(s->name));
        w->who.sign_in = s->id;
        w->who.confirmed = now - s->confirmed < CONFIRMED_FOR;
    }
    lock_drop(&signins_lock);
    /* A removed administrator is out at once; a changed right counts at once. */
    if (s == NULL || !admin_find(name, a, &admin) || admin_refusal(w, &admin, began) != NULL) {
        w->who.sign_in = 0;
        return;
    }
    w->who.name = admin.name;
    w->who.right = admin.right;
    w->who.delegate = admin.delegate;
}

void web_identify(struct web *w)
{
    if (!token_identify(w))
        identify_by_cookie(w);
}

bool web_is_signed_in(struct web *w)
{
    struct admin admin;
    bool found = false;
    usec_t now = clock_mono();
    if (w->who.by_token)
        return token_is_valid(w);
    lock_take(&signins_lock);
    for (size_t i = 0; i < SIGN_INS_MAX && !found; i++)
        found =
            signins[i].used && signins[i].id == w->who.sign_in && !is_over(&signins[i], now);
    lock_drop(&signins_lock);
    return found && admin_find(w->who.name, web_mem(w), &admin) &&
           admin_refusal(w, &admin, 0) == NULL;
}

bool web_is_confirmed(struct web *w)
{
    if (w->who.by_token || w->who.confirmed)
        return true;
    web_fail(w, 403, "confirm", "give your password once more for this");
    return false;
}

/* --- signing in --------------------------------------------------------------------------- */

static void copy_text(char *to, size_t room, struct str from)
{
    size_t n = MIN(from.n, room - 1);
    memcpy(to, from.p == NULL ? "" : from.p, n);
    to[n] = '\0';
}

/* A place in the table: a free one, else that unused longest. */
static struct sign_in *place(usec_t now)
{
    struct sign_in *best = &signins[0];
    for (size_t i = 0; i < SIGN_INS_MAX; i++) {
        if (!signins[i].used || is_over(&signins[i], now))
            return &signins[i];
        if (signins[i].seen < best->seen)
            best = &signins[i];
    }
    return best;
}

static void begin(struct web *w, const struct admin *admin)
{
    struct str token = secret_hex(TOKEN_OCTETS, web_mem(w));
    usec_t now = clock_mono();
    struct sign_in fresh = {
        .used = true, .began = now, .seen = now, .confirmed = now, .began_wall = clock_wall()
    };
    copy_text(fresh.name, sizeof(fresh.name), admin->name);
    copy_text(fresh.agent, sizeof(fresh.agent), http_field(&w->h.request, "User-Agent"));
    (void)ip_print(&w->client, fresh.client);
    secret_hash(token, fresh.key);
    lock_take(&signins_lock);
    fresh.id = ++last_id;
    *place(now) = fresh;
    lock_drop(&signins_lock);
    set_cookie(w, token);
    w->who = (struct identity){ .name = admin->name,
                                .right = admin->right,
                                .delegate = admin->delegate,
                                .confirmed = true,
                                .sign_in = fresh.id };
}

void web_note(struct web *w, const char *act, struct str object)
{
    struct control_answer answer;
    struct err e;
    const struct str words[] = { STR("audit"), str_from_c(act), object };
    if (link_ask(w, words, object.n > 0 ? 3 : 2, STR(""), &answer, &e) != RC_OK)
        log_warn(EV("act not recorded"), KV("act", act), KE(&e));
    buf_release(&answer.lines);
}

bool web_record(struct web *w, const char *act, struct str object)
{
    struct control_answer answer;
    if (!web_control(w, WEB_WORDS(STR("audit"), str_from_c(act), object), STR(""), &answer))
        return false;
    buf_release(&answer.lines);
    return true;
}

/* False (answered): too many bad ones lately. */
static bool may_try(struct web *w, struct str login)
{
    usec_t wait = guard_delay(&w->client, login, clock_mono());
    if (wait == 0)
        return true;
    unsigned s = wait == USEC_FOREVER ? 30 : (unsigned)(wait / USEC_S) + 1;
    http_add_field(&w->h.response, "Retry-After", arena_printf(web_mem(w), "%u", s));
    web_fail(w, 429, "wait", "too many wrong passwords; try again in %u seconds", s);
    return false;
}

static void log_try(struct web *w, struct str name, bool good)
{
    char ip[IP_TEXT_BYTES];
    metric_add(good ? METRIC_login_good_web : METRIC_login_bad_web, 1);
    log_write(good ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
              LOG_LIST(EV(good ? "login" : "login failed"), KS("session", session_id(&w->h.s)),
                       KV("client", ip_print(&w->client, ip)), KS("login", name)));
}

/* Checks name, password and, when `code` isn't NULL, the second factor, under the guard of all
 * services; false (answered): not now, or not right. */
static bool check(struct web *w, struct str name, struct str password, const struct str *code,
                  struct admin *admin)
{
    struct str login = arena_printf(web_mem(w), "web:%.*s", STR_ARG(name));
    bool trouble = false;
    if (!may_try(w, login))
        return false;
    bool known = admin_find(name, web_mem(w), admin);
    if (!known)
        password_waste(PASSWORD_YESCRYPT, password);
    bool good = known && password_matches(admin->password, password);
    if (good && code != NULL && admin->secret.n > 0) {
        if (code->n == 0) {
            web_fail(w, 401, "second-factor", "the code of the second factor is needed");
            return false;
        }
        good = admin_second_factor(w, admin, *code, &trouble);
    }
    if (trouble)
        return false;
    log_try(w, name, good);
    if (good) {
        guard_good(&w->client, login);
        return true;
    }
    (void)guard_bad(&w->client, login, known, conf()->login_delay, clock_mono());
    web_note(w, "sign-in-refused", str_head(name, ADMIN_NAME_MAX));
    web_fail(w, 401, "wrong", "the name, the password or the code is wrong");
    return false;
}

static json_t *session_json(const struct web *w)
{
    return json_pack("{s:o, s:s, s:b, s:s}", "name", web_str(w->who.name), "right",
                     w->who.delegate != NULL ? DELEGATE_RIGHT : admin_right_name(w->who.right),
                     "confirmed", (int)w->who.confirmed, "version", HIKYAKU_VERSION);
}

void api_sign_in(struct web *w)
{
    struct admin admin;
    struct str name, password, code;
    if (!web_member(w, "name", &name) || !web_member(w, "password", &password) ||
        !web_member_or_empty(w, "code", &code) || !check(w, name, password, &code, &admin))
        return;
    const char *refusal = admin_refusal(w, &admin, 0);
    if (refusal != NULL) {
        web_note(w, "sign-in-refused", admin.name);
        web_fail(w, 403, refusal, "this account may not sign in now, or not from here");
        return;
    }
    begin(w, &admin);
    web_note(w, "sign-in", STR(""));
    web_json(w, 200, session_json(w));
}

void api_session(struct web *w)
{
    web_json(w, 200, session_json(w));
}

void api_sign_out(struct web *w)
{
    lock_take(&signins_lock);
    for (size_t i = 0; i < SIGN_INS_MAX; i++)
        if (signins[i].used && signins[i].id == w->who.sign_in)
            signins[i].used = false;
    lock_drop(&signins_lock);
    web_note(w, "sign-out", STR(""));
    set_cookie(w, STR(""));
    w->h.response.status = 204;
}

void api_confirm(struct web *w)
{
    struct admin admin;
    struct str password;
    if (!web_member(w, "password", &password) || !check(w, w->who.name, password, NULL, &admin))
        return;
    lock_take(&signins_lock);
    for (size_t i = 0; i < SIGN_INS_MAX; i++)
        if (signins[i].used && signins[i].id == w->who.sign_in)
            signins[i].confirmed = clock_mono();
    lock_drop(&signins_lock);
    w->h.response.status = 204;
}

/* --- what others ask of them -------------------------------------------------------------- */

void signins_end_of(struct str name, uint64_t but)
{
    lock_take(&signins_lock);
    for (size_t i = 0; i < SIGN_INS_MAX; i++)
        if (signins[i].id != but && str_ieq(str_from_c(signins[i].name), name))
            signins[i].used = false;
    lock_drop(&signins_lock);
}

void signins_set_pending(uint64_t id, struct str secret)
{
    lock_take(&signins_lock);
    for (size_t i = 0; i < SIGN_INS_MAX; i++)
        if (signins[i].used && signins[i].id == id)
            copy_text(signins[i].pending, sizeof(signins[i].pending), secret);
    lock_drop(&signins_lock);
}

struct str signins_pending(uint64_t id, struct arena *a)
{
    struct str secret = STR("");
    lock_take(&signins_lock);
    for (size_t i = 0; i < SIGN_INS_MAX; i++)
        if (signins[i].used && signins[i].id == id)
            secret = arena_str(a, str_from_c(signins[i].pending));
    lock_drop(&signins_lock);
    return secret;
}

/* --- lists of them ------------------------------------------------------------------------ */

void api_sign_ins(struct web *w)
{
    json_t *list = json_array();
    usec_t now = clock_mono();
    lock_take(&signins_lock);
    for (size_t i = 0; i < SIGN_INS_MAX; i++) {
        const struct sign_in *s = &signins[i];
        bool own = s->used && str_ieq(str_from_c(s->name), w->who.name);
        if (!s->used || is_over(s, now) || (!own && w->who.right < RIGHT_OWNER))
            continue;
        (void)json_array_append_new(
            list, json_pack("{s:I, s:o, s:s, s:o, s:I, s:I, s:b}", "id", (json_int_t)s->id,
                            "name", web_str(str_from_c(s->name)), "client", s->client, "agent",
                            web_str(str_from_c(s->agent)), "began",
                            (json_int_t)(s->began_wall / USEC_S), "idle",
                            (json_int_t)((now - s->seen) / USEC_S), "own",
                            (int)(s->id == w->who.sign_in)));
    }
    lock_drop(&signins_lock);
    web_json(w, 200, list);
}

/* One, or all of one's own but this ("others"). */
void api_sign_in_end(struct web *w)
{
    uint64_t id = 0;
    bool others = str_eq(w->params[0], STR("others")), found = others;
    if (!others && !str_to_u64(w->params[0], &id)) {
        web_fail(w, 404, "unknown", "there is no such sign-in");
        return;
    }
    lock_take(&signins_lock);
    for (size_t i = 0; i < SIGN_INS_MAX; i++) {
        struct sign_in *s = &signins[i];
        bool own = s->used && str_ieq(str_from_c(s->name), w->who.name);
        bool meant = others ? own && s->id != w->who.sign_in
                            : s->id == id && (own || w->who.right >= RIGHT_OWNER);
        if (s->used && meant) {
            s->used = false;
            found = true;
        }
    }
    lock_drop(&signins_lock);
    if (found)
        w->h.response.status = 204;
    else
        web_fail(w, 404, "unknown", "there is no such sign-in");
}
