/*
 * sasl.c - the server's side of AUTH. Called by the AUTH commands of SMTP and POP3.
 *
 * GNU gsasl speaks PLAIN, LOGIN and SCRAM-SHA-256; it asks for what it needs through one
 * callback (on_property). CRAM-MD5 is ours, because gsasl can't put our name into the
 * challenge. LOGIN's prompts are replaced by those that all clients know.
 *
 * INVARIANTS
 * 1. A login name is looked up once an exchange, and nothing that the client sees before the
 *    end depends on the result: an unknown name gets a salt that is always the same for it, and
 *    a check of a password that costs the same.
 * 2. An exchange ends with its first status other than SASL_CONTINUE.
 * 3. Everything secret lives in the exchange's arena, in its session of gsasl, or in a local
 *    that is wiped where it ends.
 *
 * RFC 4422, RFC 4616 (PLAIN), RFC 5802 and RFC 7677 (SCRAM), RFC 2195 (CRAM-MD5).
 */
#include "wire/sasl.h"
#include "sys/lock.h"
#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define LOGIN_MAX ((size_t)512) /* longer names are nobody's */
#define SECRET_BYTES 32
#define MD5_BYTES 16

enum phase {
    PHASE_START, /* nothing exchanged */
    PHASE_REPLY, /* the client answers a challenge */
    PHASE_LAST,  /* the server's last word is out: an empty line ends it */
    PHASE_DONE,
    PHASE_OVER,
};

typedef enum sasl_status step_fn(struct sasl *x, struct str input, struct str *out_reply);

enum mechanism_flag {
    CLIENT_FIRST = 1u << 0, /* the client speaks first */
    MAY_START = 1u << 1,    /* the server does, but clients send the first answer with AUTH */
};

struct mechanism {
    const char *name;
    step_fn *step;
    unsigned flags;
};

struct sasl {
    const struct mechanism *mechanism;
    struct sasl_realm realm;
    Gsasl_session *gsasl; /* NULL: ours alone */
    struct arena mem;
    enum phase phase;
    unsigned steps;
    const char *name; /* of the mechanism */
    struct str login, challenge, password, digest;
    struct sasl_identity identity;
    bool looked_up, known, lookup_failed, has_keys, asks;
};

/* What all exchanges share: set once, then only read. */
static struct {
    struct lock lock;
    bool ready;
    Gsasl *gsasl;
    uint8_t secret[SECRET_BYTES]; /* of this process, for the salts of unknown names */
    unsigned iterations;          /* of the SCRAM keys we make */
    size_t salt_bytes;
} shared = { .lock = LOCK_INIT(LOCK_LEAF) };

/* --- base64 ------------------------------------------------------------------------------ */

static bool decode(struct sasl *x, struct str line, struct str *out)
{
    char *p = NULL;
    size_t n = 0;
    if (line.n == 0) {
        *out = str_from("", 0);
        return true;
    }
    if (gsasl_base64_from(line.p, line.n, &p, &n) != GSASL_OK)
        return false;
    *out = arena_str(&x->mem, str_from(p, n));
    mem_wipe(p, n);
    gsasl_free(p);
    return true;
}

static struct str encode(struct sasl *x, struct str octets)
{
    /* Four characters for each three octets begun, and the NUL that OpenSSL adds. */
    unsigned char *p = arena_new(&x->mem, (octets.n + 2) / 3 * 4 + 1);
    int n = EVP_EncodeBlock(p, (const unsigned char *)octets.p, (int)octets.n);
    return str_from((const char *)p, (size_t)n);
}

/* --- who it is --------------------------------------------------------------------------- */

static void look_up(struct sasl *x, struct str login)
{
    if (x->looked_up)
        return;
    x->looked_up = true;
    x->login = arena_str(&x->mem, str_head(login, LOGIN_MAX));
    if (login.n == 0 || login.n > LOGIN_MAX || str_has_control(login))
        return;
    enum rc rc = x->realm.find(x->realm.ctx, x->login, &x->mem, &x->identity);
    x->known = rc == RC_OK;
    x->lookup_failed = rc != RC_OK && rc != RC_PERM;
    x->identity.login = x->login;
}

/* The same for methods that need the stored password: where a program decides there is none. */
static void look_up_stored(struct sasl *x, struct str login)
{
    look_up(x, login);
    x->known = x->known && !x->identity.external;
}

/* 32 octets that depend on the name, and can't be told from random ones outside. */
static void name_octets(const struct sasl *x, const char *use, uint8_t out[SECRET_BYTES])
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    unsigned n = 0;
    struct str text = arena_printf(&a, "%s %.*s", use, STR_ARG(x->login));
    char *folded = arena_c(&a, text);
    for (size_t i = 0; i < text.n; i++)
        folded[i] = ascii_lower(folded[i]);
    if (HMAC(EVP_sha256(), shared.secret, SECRET_BYTES, (const unsigned char *)folded, text.n,
             out, &n) == NULL)
        BUG("HMAC-SHA-256");
}

/* The stored form for what needs a reversible password: the account's own, or that of a line
 * of smtpauth.tab, or, for unknown names, one that nobody has. */
static struct str stored_form(struct sasl *x)
{
    struct str clear = x->identity.clear, stored = { "", 0 };
    uint8_t noise[SECRET_BYTES];
    if (x->known && x->identity.has_account)
        return x->identity.account.password;
    if (!x->known) {
        name_octets(x, "password", noise);
        clear = encode(x, str_from((const char *)noise, sizeof(noise)));
    }
    if (password_make(PASSWORD_XMCRYPT, clear, &x->mem, &stored, NULL) != RC_OK)
        stored = str_from("", 0);
    return stored;
}

static bool clear_is_right(struct sasl *x, struct str clear)
{
    const struct sasl_identity *id = &x->identity;
    if (x->known && id->has_account)
        return password_matches(id->account.password, clear);
    password_waste(x->realm.scheme, clear);
    return x->known && id->clear.n == clear.n &&
           CRYPTO_memcmp(id->clear.p, clear.p, clear.n) == 0;
}

/* The authorization identity must be nobody's or the login's own (RFC 4616 2). */
static bool may_act_as(const struct sasl *x, const char *authzid)
{
    struct str s = str_from_c(authzid);
    return s.n == 0 || str_ieq(s, x->login);
}

/* --- gsasl ------------------------------------------------------------------------------- */

static struct str property(Gsasl_session *gs, Gsasl_property which)
{
    return str_from_c(gsasl_property_fast(gs, which));
}

static void wipe_property(Gsasl_session *gs, Gsasl_property which)
{
    struct str s = property(gs, which);
    mem_wipe((void *)(uintptr_t)s.p, s.n);
    gsasl_property_free(gs, which);
}

/* PLAIN and LOGIN: name and password are there, are they right? */
static int validate_simple(struct sasl *x)
{
    struct str clear = property(x->gsasl, GSASL_PASSWORD);
    look_up(x, property(x->gsasl, GSASL_AUTHID));
    if (x->lookup_failed)
        return GSASL_AUTHENTICATION_ERROR;
    x->asks = x->known && x->identity.external;
    if (x->asks)
        x->password = arena_str(&x->mem, clear);
    bool right = x->asks || clear_is_right(x, clear);
    right = right && may_act_as(x, gsasl_property_fast(x->gsasl, GSASL_AUTHZID));
    return right ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

/* Keys that no password has, with the salt that this name always gets. */
static void fake_keys(struct sasl *x, struct scram_keys *out)
{
    uint8_t *salt = arena_new(&x->mem, MAX(shared.salt_bytes, (size_t)SECRET_BYTES));
    name_octets(x, "salt", salt);
    name_octets(x, "stored key", out->stored_key);
    name_octets(x, "server key", out->server_key);
    out->salt = str_from((const char *)salt, MIN(shared.salt_bytes, (size_t)SECRET_BYTES));
    out->iterations = shared.iterations;
}

static int set_base64(struct sasl *x, Gsasl_property which, struct str octets)
{
    return gsasl_property_set(x->gsasl, which, encode(x, octets).p);
}

/* SCRAM: salt, iterations and keys of the name that the client gave. */
static int give_keys(struct sasl *x)
{
    struct scram_keys keys = { 0 };
    char iterations[16];
    look_up_stored(x, property(x->gsasl, GSASL_AUTHID));
    if (x->lookup_failed || x->has_keys)
        return GSASL_AUTHENTICATION_ERROR;
    /* Both kinds of names pay for both kinds of keys. With XMCrypt those of real accounts are
     * computed here, so unknown names get theirs from a password too. */
    fake_keys(x, &keys);
    bool compute = x->known || x->realm.scheme == PASSWORD_XMCRYPT;
    bool found = compute && password_scram_keys(x->login, stored_form(x), &x->mem, &keys);
    x->known = x->known && found;
    x->has_keys = true;
    (void)snprintf(iterations, sizeof(iterations), "%u", keys.iterations);
    struct str stored_key = str_from((char *)keys.stored_key, sizeof(keys.stored_key));
    struct str server_key = str_from((char *)keys.server_key, sizeof(keys.server_key));
    int rc = gsasl_property_set(x->gsasl, GSASL_SCRAM_ITER, iterations);
    rc = rc == GSASL_OK ? set_base64(x, GSASL_SCRAM_SALT, keys.salt) : rc;
    rc = rc == GSASL_OK ? set_base64(x, GSASL_SCRAM_STOREDKEY, stored_key) : rc;
    rc = rc == GSASL_OK ? set_base64(x, GSASL_SCRAM_SERVERKEY, server_key) : rc;
    mem_wipe(&keys, sizeof(keys));
    return rc;
}

static int on_property(Gsasl *ctx, Gsasl_session *gs, Gsasl_property which)
{
    struct sasl *x = gs == NULL ? NULL : gsasl_session_hook_get(gs);
    (void)ctx;
    if (x == NULL)
        return GSASL_NO_CALLBACK;
    if (which == GSASL_VALIDATE_SIMPLE)
        return validate_simple(x);
    if (which == GSASL_SCRAM_ITER || which == GSASL_SCRAM_SALT ||
        which == GSASL_SCRAM_STOREDKEY || which == GSASL_SCRAM_SERVERKEY)
        return give_keys(x);
    return GSASL_NO_CALLBACK;
}

static enum sasl_status status_of(const struct sasl *x, int rc)
{
    static const struct {
        int rc;
        enum sasl_status status;
    } rows[] = {
        { GSASL_OK, SASL_DONE },
        { GSASL_NEEDS_MORE, SASL_CONTINUE },
        { GSASL_MECHANISM_PARSE_ERROR, SASL_BAD },
        { GSASL_MECHANISM_CALLED_TOO_MANY_TIMES, SASL_BAD },
        { GSASL_MALLOC_ERROR, SASL_TEMP },
    };
    if (x->lookup_failed)
        return SASL_TEMP;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].rc == rc)
            return rows[i].status;
    return SASL_FAILED;
}

/* One step of gsasl; *out is what the server says. */
static enum sasl_status gsasl_turn(struct sasl *x, struct str input, struct str *out)
{
    char *p = NULL;
    size_t n = 0;
    int rc = gsasl_step(x->gsasl, input.p, input.n, &p, &n);
    bool said = rc == GSASL_OK || rc == GSASL_NEEDS_MORE;
    *out = arena_str(&x->mem, said ? str_from(p, n) : str_from("", 0));
    if (said)
        gsasl_free(p);
    return status_of(x, rc);
}

/* --- mechanisms -------------------------------------------------------------------------- */

static enum sasl_status step_plain(struct sasl *x, struct str input, struct str *out_reply)
{
    /* gsasl would wait for more for ever. */
    return input.n == 0 ? SASL_BAD : gsasl_turn(x, input, out_reply);
}

static enum sasl_status step_login(struct sasl *x, struct str input, struct str *out_reply)
{
    if (x->steps > 0 && input.n == 0)
        return SASL_BAD;
    enum sasl_status status = gsasl_turn(x, input, out_reply);
    *out_reply = x->steps == 0 ? STR("Username:") : STR("Password:");
    return status;
}

static enum sasl_status step_scram(struct sasl *x, struct str input, struct str *out_reply)
{
    if (input.n == 0)
        return SASL_BAD;
    if (x->steps == 0 && input.p[0] == 'p')
        return SASL_FAILED; /* channel binding that isn't offered; gsasl would ignore it */
    enum sasl_status status = gsasl_turn(x, input, out_reply);
    bool good = x->known && may_act_as(x, gsasl_property_fast(x->gsasl, GSASL_AUTHZID));
    return status == SASL_DONE && !good ? SASL_FAILED : status;
}

/* "<random.time@host>" (RFC 2195 2). */
static enum sasl_status cram_challenge(struct sasl *x, struct str *out_reply)
{
    uint64_t noise = 0;
    if (RAND_bytes((unsigned char *)&noise, sizeof(noise)) != 1)
        return SASL_TEMP;
    x->challenge = arena_printf(&x->mem, "<%016llx.%lld@%.*s>", (unsigned long long)noise,
                                (long long)(clock_wall() / USEC_S), STR_ARG(x->realm.host));
    *out_reply = x->challenge;
    return SASL_CONTINUE;
}

/* Does the digest of 32 hexadecimal digits belong to challenge and password? */
static bool cram_is_right(struct str challenge, struct str clear, struct str digest)
{
    unsigned char md[MD5_BYTES];
    char want[MD5_BYTES * 2 + 1], got[MD5_BYTES * 2];
    unsigned n = 0;
    if (digest.n != sizeof(got) || clear.n > INT32_MAX)
        return false;
    if (HMAC(EVP_md5(), clear.p, (int)clear.n, (const unsigned char *)challenge.p, challenge.n,
             md, &n) == NULL)
        return false;
    for (size_t i = 0; i < MD5_BYTES; i++)
        (void)snprintf(want + i * 2, 3, "%02x", md[i]);
    for (size_t i = 0; i < sizeof(got); i++)
        got[i] = ascii_lower(digest.p[i]);
    return CRYPTO_memcmp(want, got, sizeof(got)) == 0;
}

static enum sasl_status step_cram(struct sasl *x, struct str input, struct str *out_reply)
{
    if (x->steps == 0)
        return cram_challenge(x, out_reply);
    size_t blank = str_rfind(input, ' ');
    if (blank == SIZE_MAX || blank == 0)
        return SASL_BAD;
    look_up_stored(x, str_head(input, blank));
    if (x->lookup_failed)
        return SASL_TEMP;
    struct str clear = { "", 0 };
    if (!password_clear(stored_form(x), &x->mem, &clear))
        x->known = false; /* an account without a reversible password */
    bool right = cram_is_right(x->challenge, clear, str_skip(input, blank + 1));
    return right && x->known ? SASL_DONE : SASL_FAILED;
}

/* A program's method: it is asked whether the answer is right. */
static enum sasl_status step_challenge(struct sasl *x, struct str input, struct str *out_reply)
{
    size_t blank = str_rfind(input, ' ');
    if (x->steps == 0) {
        enum sasl_status status = cram_challenge(x, out_reply);
        if (status == SASL_CONTINUE && x->realm.challenge.n > 0)
            x->challenge = *out_reply = arena_printf(
                &x->mem, "%.*s:%.*s", STR_ARG(x->realm.challenge), STR_ARG(x->challenge));
        return status;
    }
    if (blank == SIZE_MAX || blank == 0 || blank + 1 == input.n ||
        memchr(input.p, '\0', input.n) != NULL)
        return SASL_BAD;
    look_up(x, str_head(input, blank));
    x->digest = str_skip(input, blank + 1);
    x->asks = x->known;
    return x->lookup_failed ? SASL_TEMP : x->known ? SASL_DONE : SASL_FAILED;
}

static const struct mechanism challenge_mechanism = { "", step_challenge, 0 };

static const struct mechanism mechanisms[] = {
    { "SCRAM-SHA-256", step_scram, CLIENT_FIRST },
    { "CRAM-MD5", step_cram, 0 },
    { "PLAIN", step_plain, CLIENT_FIRST },
    { "LOGIN", step_login, MAY_START },
};

static const struct mechanism *find_mechanism(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
        if (str_ieq(name, str_from_c(mechanisms[i].name)))
            return &mechanisms[i];
    return NULL;
}

/* --- exchanges --------------------------------------------------------------------------- */

/* Salt and iterations as new SCRAM keys have them: those of unknown names must look the same.
 */
static enum rc learn_scram(unsigned *out_iterations, size_t *out_salt_bytes, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct scram_keys keys = { 0 };
    struct str stored = { "", 0 };
    enum rc rc = password_make(PASSWORD_SCRAM, STR("nobody"), &a, &stored, e);
    if (rc != RC_OK)
        return rc;
    if (!password_scram_keys(STR(""), stored, &a, &keys))
        BUG("SCRAM keys just made aren't SCRAM keys");
    *out_iterations = keys.iterations;
    *out_salt_bytes = keys.salt.n;
    return RC_OK;
}

static bool is_ready(void)
{
    AUTO_UNLOCK struct lock *held = lock_hold(&shared.lock);
    return held != NULL && shared.ready;
}

enum rc sasl_warm_up(struct err *e)
{
    unsigned iterations = 0;
    size_t salt_bytes = 0;
    if (is_ready())
        return RC_OK;
    enum rc rc = learn_scram(&iterations, &salt_bytes, e);
    if (rc != RC_OK)
        return rc;
    AUTO_UNLOCK struct lock *held = lock_hold(&shared.lock);
    if (held == NULL || shared.ready)
        return RC_OK;
    if (RAND_bytes(shared.secret, sizeof(shared.secret)) != 1)
        return err_temp(e, "4.3.0", "no random numbers");
    int init = gsasl_init(&shared.gsasl);
    if (init != GSASL_OK)
        return err_temp(e, "4.3.0", "gsasl: %s", gsasl_strerror(init));
    gsasl_callback_set(shared.gsasl, on_property);
    shared.iterations = iterations;
    shared.salt_bytes = salt_bytes;
    shared.ready = true;
    return RC_OK;
}

enum rc sasl_begin(struct str mechanism, const struct sasl_realm *realm, struct sasl **out,
                   struct err *e)
{
    const struct mechanism *m =
        realm->challenges ? &challenge_mechanism : find_mechanism(mechanism);
    if (m == NULL)
        return err_perm(e, "5.5.4", "unknown authentication mechanism");
    enum rc rc = sasl_warm_up(e);
    if (rc != RC_OK)
        return rc;
    struct sasl *x = mem_new(sizeof(*x));
    *x = (struct sasl){ .mechanism = m, .realm = *realm };
    x->name = realm->challenges ? arena_c(&x->mem, mechanism) : m->name;
    if (m->step != step_cram && m->step != step_challenge) {
        int start = gsasl_server_start(shared.gsasl, m->name, &x->gsasl);
        if (start != GSASL_OK) {
            sasl_free(&x);
            return err_temp(e, "4.3.0", "gsasl: %s", gsasl_strerror(start));
        }
        gsasl_session_hook_set(x->gsasl, x);
    }
    *out = x;
    return RC_OK;
}

/* Hands decoded input to the mechanism and encodes its reply. */
static enum sasl_status turn(struct sasl *x, struct str input, struct str *out_reply)
{
    struct str reply = { "", 0 };
    enum sasl_status status = x->mechanism->step(x, input, &reply);
    x->steps++;
    x->phase = PHASE_REPLY;
    if (status == SASL_DONE && reply.n > 0 && x->mechanism->step == step_scram) {
        x->phase = PHASE_LAST;
        status = SASL_CONTINUE;
    }
    if (status == SASL_DONE && x->asks)
        status = SASL_ASK;
    if (status == SASL_CONTINUE)
        *out_reply = encode(x, reply);
    return status;
}

/* The first step: AUTH's own line, with or without an initial response (p = NULL). */
static enum sasl_status first_turn(struct sasl *x, struct str line, struct str *out_reply)
{
    struct str input = { "", 0 };
    bool client_first = (x->mechanism->flags & CLIENT_FIRST) != 0;
    if (line.p == NULL && client_first) {
        x->phase = PHASE_REPLY;
        return SASL_CONTINUE; /* an empty challenge */
    }
    if (line.p == NULL)
        return turn(x, input, out_reply);
    if (!client_first && (x->mechanism->flags & MAY_START) == 0)
        return SASL_BAD; /* RFC 4954 4 */
    if (!str_eq(line, STR("=")) && (line.n == 0 || !decode(x, line, &input)))
        return SASL_BAD;
    if (!client_first) { /* LOGIN: the prompt for the name is already answered */
        enum sasl_status status = turn(x, str_from("", 0), out_reply);
        if (status != SASL_CONTINUE)
            return status;
    }
    return turn(x, input, out_reply);
}

static enum sasl_status next_turn(struct sasl *x, struct str line, struct str *out_reply)
{
    struct str input = { "", 0 };
    if (str_eq(line, STR("*")))
        return SASL_ABORTED;
    if (x->phase == PHASE_LAST)
        return line.n == 0 ? SASL_DONE : SASL_BAD;
    if (x->phase != PHASE_REPLY || !decode(x, line, &input))
        return SASL_BAD;
    return turn(x, input, out_reply);
}

enum sasl_status sasl_step(struct sasl *x, struct str line, struct str *out_reply)
{
    *out_reply = str_from("", 0);
    enum sasl_status status = SASL_TOO_LONG;
    if (line.n <= SASL_LINE_MAX)
        status = x->phase == PHASE_START ? first_turn(x, line, out_reply)
                                         : next_turn(x, line, out_reply);
    if (status != SASL_CONTINUE)
        x->phase = status == SASL_DONE ? PHASE_DONE : PHASE_OVER;
    return status;
}

const struct sasl_identity *sasl_identity_asked(const struct sasl *x)
{
    return &x->identity;
}

struct str sasl_password(const struct sasl *x)
{
    return x->password;
}

struct str sasl_challenge(const struct sasl *x)
{
    return x->challenge;
}

struct str sasl_digest(const struct sasl *x)
{
    return x->digest;
}

void sasl_answered(struct sasl *x, bool yes)
{
    x->phase = yes && x->asks ? PHASE_DONE : PHASE_OVER;
}

const struct sasl_identity *sasl_identity(const struct sasl *x)
{
    return x->phase == PHASE_DONE ? &x->identity : NULL;
}

struct str sasl_login(const struct sasl *x)
{
    return x->login;
}

const char *sasl_mechanism(const struct sasl *x)
{
    return x->name;
}

void sasl_free(struct sasl **x)
{
    struct sasl *old = *x;
    if (old == NULL)
        return;
    if (old->gsasl != NULL) {
        wipe_property(old->gsasl, GSASL_PASSWORD);
        wipe_property(old->gsasl, GSASL_SCRAM_STOREDKEY);
        wipe_property(old->gsasl, GSASL_SCRAM_SERVERKEY);
        gsasl_finish(old->gsasl);
    }
    arena_wipe(&old->mem);
    mem_wipe(old, sizeof(*old));
    mem_free(x);
}
