/*
 * signin.c - administrators and their sign-ins. Administrators are lines of webadmins.tab; a
 * sign-in is known by a random cookie, kept in memory as a hash only, and ends after an hour
 * without a request, after twelve hours, or with the role.
 */
#include "conf/options.h"
#include "conf/tab.h"
#include "sys/lock.h"
#include "users/guard.h"
#include "users/users.h"
#include "web/admins.h"
#include <openssl/evp.h>
#include <sys/random.h>

#define SIGN_INS_MAX 500u
#define TOKEN_OCTETS 32u
#define IDLE_END (3600 * USEC_S)
#define ABSOLUTE_END (12 * 3600 * USEC_S)
#define CONFIRMED_FOR (600 * USEC_S)

struct sign_in {
    bool used;
    uint64_t id;
    uint8_t key[32]; /* SHA-256 of the cookie's value */
    char name[ADMIN_NAME_MAX + 1];
    char client[IP_TEXT_BYTES];
    char agent[120];
    usec_t began, seen, confirmed; /* clock_mono */
    usec_t began_wall;
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
    return s->used && (now - s->seen > IDLE_END || now - s->began > ABSOLUTE_END);
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

static bool hash_of(struct str text, uint8_t out[32])
{
    unsigned n = 0;
    return EVP_Digest(text.p, text.n, out, &n, EVP_sha256(), NULL) == 1 && n == 32;
}

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

static struct str fresh_token(struct arena *a)
{
    uint8_t octets[TOKEN_OCTETS];
    char *text = arena_new(a, 2 * TOKEN_OCTETS + 1);
    size_t have = 0;
    while (have < sizeof(octets)) {
        ssize_t n = getrandom(octets + have, sizeof(octets) - have, 0);
        have += n > 0 ? (size_t)n : 0;
    }
    for (size_t i = 0; i < TOKEN_OCTETS; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", octets[i]);
    mem_wipe(octets, sizeof(octets));
    return str_from(text, 2 * TOKEN_OCTETS);
}

/* The sign-in of the cookie; with the lock held. */
static struct sign_in *find(const uint8_t key[32], usec_t now)
{
    for (size_t i = 0; i < SIGN_INS_MAX; i++)
        if (signins[i].used && !is_over(&signins[i], now) &&
            memcmp(signins[i].key, key, 32) == 0)
            return &signins[i];
    return NULL;
}

static bool key_of(struct web *w, uint8_t key[32])
{
    struct str cookie = http_cookie(&w->h.request, cookie_name(w));
    return cookie.n == (size_t)2 * TOKEN_OCTETS && hash_of(cookie, key);
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
    uint8_t key[32];
    usec_t now = clock_mono();
    if (!key_of(w, key))
        return;
    lock_take(&signins_lock);
    struct sign_in *s = find(key, now);
    if (s != NULL) {
        s->seen = now;
        name = arena_str(a, str_from_c(s->name));
        w->who.sign_in = s->id;
        w->who.confirmed = now - s->confirmed < CONFIRMED_FOR;
    }
    lock_drop(&signins_lock);
    /* A removed administrator is out at once; a changed right counts at once. */
    if (s == NULL || !admin_find(name, a, &admin)) {
        w->who.sign_in = 0;
        return;
    }
    w->who.name = admin.name;
    w->who.right = admin.right;
}

void web_identify(struct web *w)
{
    identify_by_cookie(w);
}

bool web_is_signed_in(struct web *w)
{
    struct admin admin;
    bool found = false;
    usec_t now = clock_mono();
    lock_take(&signins_lock);
    for (size_t i = 0; i < SIGN_INS_MAX && !found; i++)
        found =
            signins[i].used && signins[i].id == w->who.sign_in && !is_over(&signins[i], now);
    lock_drop(&signins_lock);
    return found && admin_find(w->who.name, web_mem(w), &admin);
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
    struct str token = fresh_token(web_mem(w));
    usec_t now = clock_mono();
    struct sign_in fresh = {
        .used = true, .began = now, .seen = now, .confirmed = now, .began_wall = clock_wall()
    };
    copy_text(fresh.name, sizeof(fresh.name), admin->name);
    copy_text(fresh.agent, sizeof(fresh.agent), http_field(&w->h.request, "User-Agent"));
    (void)ip_print(&w->client, fresh.client);
    if (!hash_of(token, fresh.key)) {
        web_fail(w, 503, "failed", "no sign-in could be made");
        return;
    }
    lock_take(&signins_lock);
    fresh.id = ++last_id;
    *place(now) = fresh;
    lock_drop(&signins_lock);
    set_cookie(w, token);
    w->who = (struct identity){
        .name = admin->name, .right = admin->right, .confirmed = true, .sign_in = fresh.id
    };
}

/* Checks name and password under the guard of all services; false (answered): not now, or not
 * right. */
static bool check(struct web *w, struct str name, struct str password, struct admin *admin)
{
    struct str login = arena_printf(web_mem(w), "web:%.*s", STR_ARG(name));
    usec_t now = clock_mono(), wait = guard_delay(&w->client, login, now);
    char ip[IP_TEXT_BYTES];
    if (wait > 0) {
        unsigned s = wait == USEC_FOREVER ? 30 : (unsigned)(wait / USEC_S) + 1;
        http_add_field(&w->h.response, "Retry-After", arena_printf(web_mem(w), "%u", s));
        web_fail(w, 429, "wait", "too many wrong passwords; try again in %u seconds", s);
        return false;
    }
    bool known = admin_find(name, web_mem(w), admin);
    if (!known)
        password_waste(PASSWORD_YESCRYPT, password);
    bool good = known && password_matches(admin->password, password);
    metric_add(good ? METRIC_login_good_web : METRIC_login_bad_web, 1);
    log_write(good ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
              LOG_LIST(EV(good ? "login" : "login failed"), KS("session", session_id(&w->h.s)),
                       KV("client", ip_print(&w->client, ip)), KS("login", name)));
    if (good)
        return true;
    (void)guard_bad(&w->client, login, conf()->login_delay, now);
    web_fail(w, 401, "wrong", "the name or the password is wrong");
    return false;
}

static json_t *session_json(const struct web *w)
{
    return json_pack("{s:o, s:s, s:b, s:s}", "name", web_str(w->who.name), "right",
                     admin_right_name(w->who.right), "confirmed", (int)w->who.confirmed,
                     "version", HIKYAKU_VERSION);
}

void api_sign_in(struct web *w)
{
    struct admin admin;
    struct str name, password;
    if (!web_member(w, "name", &name) || !web_member(w, "password", &password) ||
        !check(w, name, password, &admin))
        return;
    guard_good(&w->client, arena_printf(web_mem(w), "web:%.*s", STR_ARG(name)));
    begin(w, &admin);
    if (w->who.sign_in != 0)
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
    set_cookie(w, STR(""));
    w->h.response.status = 204;
}

void api_confirm(struct web *w)
{
    struct admin admin;
    struct str password;
    if (!web_member(w, "password", &password) || !check(w, w->who.name, password, &admin))
        return;
    lock_take(&signins_lock);
    for (size_t i = 0; i < SIGN_INS_MAX; i++)
        if (signins[i].used && signins[i].id == w->who.sign_in)
            signins[i].confirmed = clock_mono();
    lock_drop(&signins_lock);
    w->h.response.status = 204;
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
