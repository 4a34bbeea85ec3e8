/*
 * home.c - orders in the control role: when, for which names, and what becomes of them. One at
 * a time. What is known is kept in hikyaku/acme/state, for the pages and the next start; the
 * account's key in hikyaku/acme/account.key. The key of the new certificate is in memory until
 * the certificate is here: what a crash takes is ordered again.
 */
#include "acme/acme.h"
#include "acme/jose.h"
#include "acme/proofs.h"
#include "conf/options.h"
#include "mail/address.h"
#include "sys/certificate.h"
#include "sys/issue.h"
#include <jansson.h>
#include <openssl/rand.h>

#define FOLDER "hikyaku/acme"
#define KEY_FILE "hikyaku/acme/account.key"
#define FILE_MOST ((size_t)65536)
#define ORDER_TIME (1300 * USEC_S) /* relay gives up before */
#define LOOK_EVERY (60 * USEC_S)
#define FIRST_WAIT_S 600
#define LONGEST_WAIT_S 86400

static struct {
    const struct acme_home_hooks *hooks;
    usec_t look_at;
    /* Kept in the state file. */
    int64_t tried, got, next; /* seconds since 1970 */
    uint64_t fails;
    char why[260];
    /* The order under way; number 0: none. */
    uint64_t number, last_number;
    usec_t until;
    uint32_t relay;
    const char *phase; /* "ordering", "proving", "installing" */
    const char *challenge;
    struct arena mem;
    struct str *names;
    size_t name_count;
    struct buf key;
    /* Programs for the DNS: which proof, and whether they are put up or taken down. */
    struct proof *proofs;
    size_t proof_count, at;
    bool adding;
} home;

/* --- state -------------------------------------------------------------------------------- */

static void save(void)
{
    struct err e;
    json_t *names = json_array();
    for (size_t i = 0; i < home.name_count; i++)
        (void)json_array_append_new(names, json_stringn(home.names[i].p, home.names[i].n));
    json_t *o =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:o}", "phase",
                  home.number == 0 ? "idle" : home.phase, "tried", (json_int_t)home.tried,
                  "got", (json_int_t)home.got, "next", (json_int_t)home.next, "fails",
                  (json_int_t)home.fails, "why", home.why, "names", names);
    char *text = json_dumps(o, JSON_COMPACT);
    enum rc rc = folder_make(FOLDER, 0755, &e);
    if (rc == RC_OK && text != NULL)
        rc = file_replace(ACME_STATE_FILE, str_from_c(text), 0644, &e);
    if (rc != RC_OK || text == NULL)
        log_warn(EV("state of certificates not kept"), KE(&e));
    free(text);
    json_decref(o);
}

static int64_t number_of(const json_t *o, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(o, name));
}

static void recall(void)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str text;
    struct err e;
    if (file_read(ACME_STATE_FILE, FILE_MOST, &a, &text, NULL, &e) != RC_OK)
        return;
    json_t *o = json_loadb(text.p, text.n, 0, NULL);
    const char *why = json_string_value(json_object_get(o, "why"));
    home.tried = number_of(o, "tried");
    home.got = number_of(o, "got");
    home.next = number_of(o, "next");
    home.fails = (uint64_t)MAX(number_of(o, "fails"), (int64_t)0);
    (void)snprintf(home.why, sizeof(home.why), "%s", why == NULL ? "" : why);
    bool cut_off = o != NULL && strcmp(json_string_value(json_object_get(o, "phase")) == NULL
                                           ? "idle"
                                           : json_string_value(json_object_get(o, "phase")),
                                       "idle") != 0;
    json_decref(o);
    proofs_clear();
    if (cut_off)
        save();
}

void acme_home_init(const struct acme_home_hooks *hooks)
{
    home.hooks = hooks;
    buf_init(&home.key, FILE_MOST);
    recall();
}

/* --- the end of an order ------------------------------------------------------------------ */

static void forget(void)
{
    home.number = 0;
    mem_wipe(home.key.p, home.key.cap);
    buf_release(&home.key);
    buf_init(&home.key, FILE_MOST);
    arena_wipe(&home.mem);
    home.names = NULL;
    home.name_count = home.proof_count = 0;
    save();
}

/* Up to a quarter more or less, so that servers don't come at the same time. */
static int64_t blur(int64_t s)
{
    unsigned char octet = 128;
    (void)!RAND_bytes(&octet, 1);
    return s + s * ((int64_t)octet - 128) / 512;
}

static void run_next(void);

/* Takes down what was put up; programs for the DNS have their turn before the order is over. */
static void take_down(void)
{
    proofs_clear();
    if (home.proof_count == 0 || strcmp(home.challenge, "dns-01") != 0) {
        forget();
        return;
    }
    home.adding = false;
    home.at = 0;
    home.phase = "clearing";
    home.until = clock_mono() + ORDER_TIME;
    save();
    run_next();
}

static void fail(struct str why)
{
    int64_t wait = FIRST_WAIT_S << MIN(home.fails, (uint64_t)8);
    home.fails++;
    home.next = clock_wall() / USEC_S + blur(MIN(wait, (int64_t)LONGEST_WAIT_S));
    (void)snprintf(home.why, sizeof(home.why), "%.*s", STR_ARG(str_head(why, 250)));
    log_error(EV("no certificate from the authority"), KV("reason", home.why),
              KU("fails", home.fails));
    take_down();
}

/* --- an order ----------------------------------------------------------------------------- */

static enum admin_result settle_names(struct err *e)
{
    struct str rest = conf()->acme_names, word;
    home.names = arena_new_array(&home.mem, struct str, ACME_NAMES_MAX);
    while (rest.n > 0 && str_cut(&rest, ' ', &word)) {
        bool wild = str_starts(word, STR("*."));
        struct str *name = &home.names[home.name_count];
        if (word.n == 0)
            continue;
        if (home.name_count == ACME_NAMES_MAX ||
            domain_parse(str_skip(word, wild ? 2 : 0), true, &home.mem, name, e) != RC_OK) {
            (void)err_perm(e, "5.3.5", "AcmeNames: %.*s can't be ordered", STR_ARG(word));
            return ADMIN_BAD_PARAMETER;
        }
        if (wild)
            *name = arena_printf(&home.mem, "*.%.*s", STR_ARG(*name));
        home.name_count++;
    }
    if (home.name_count > 0)
        return ADMIN_OK;
    (void)err_perm(e, "5.3.5", "AcmeNames names nothing");
    return ADMIN_BAD_PARAMETER;
}

static enum admin_result check_settings(struct err *e)
{
    static const char *const kinds[] = { "http-01", "tls-alpn-01", "dns-01" };
    struct hook_url url;
    home.challenge = NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_ieq(conf()->acme_challenge, str_from_c(kinds[i])))
            home.challenge = kinds[i];
    const char *why = NULL;
    if (!conf()->acme_agree)
        why = "AcmeAgree isn't set: the authority's terms must be agreed to";
    else if (home.challenge == NULL)
        why = "AcmeChallenge must be http-01, tls-alpn-01 or dns-01";
    else if (hook_url_parse(conf()->acme_directory, &url) != NULL || !url.tls)
        why = "AcmeDirectory must be a URL of https";
    if (why == NULL)
        return settle_names(e);
    (void)err_perm(e, "5.3.5", "%s", why);
    return ADMIN_BAD_PARAMETER;
}

/* The account's key, made at the first order. */
static enum rc account_key(struct str *out, struct err *e)
{
    struct buf key AUTO_RELEASE_BUF;
    buf_init(&key, FILE_MOST);
    enum rc rc = file_read(KEY_FILE, FILE_MOST, &home.mem, out, NULL, e);
    if (rc == RC_OK || e->sys != ENOENT)
        return rc;
    rc = folder_make(FOLDER, 0755, e);
    if (rc == RC_OK)
        rc = issue_key(&key, e);
    if (rc == RC_OK)
        rc = file_replace(KEY_FILE, buf_str(&key), 0600, e);
    if (rc == RC_OK)
        *out = arena_str(&home.mem, buf_str(&key));
    mem_wipe(key.p, key.cap);
    return rc;
}

/* acmekeys.tab: "directory" "key id" "secret". */
static void add_external(json_t *job)
{
    struct tab tab;
    struct err e;
    if (tab_read("acmekeys.tab", &home.mem, &tab, &e) != RC_OK)
        return;
    for (size_t i = 0; i < tab.row_count; i++) {
        const struct tab_row *row = &tab.rows[i];
        struct str id = tab_value(row, 1), secret = tab_value(row, 2);
        if (!str_eq(tab_value(row, 0), conf()->acme_directory))
            continue;
        (void)json_object_set_new(job, "eab_id", json_stringn(id.p, id.n));
        (void)json_object_set_new(job, "eab_key", json_stringn(secret.p, secret.n));
    }
}

/* The new key, and what relay needs to know. */
static enum rc make_job(struct str *out, struct err *e)
{
    const struct issue what = { .kind = ISSUE_SERVER,
                                .names = home.names,
                                .name_count = home.name_count };
    struct buf request AUTO_RELEASE_BUF;
    struct str account;
    buf_init(&request, FILE_MOST);
    enum rc rc = account_key(&account, e);
    if (rc == RC_OK)
        rc = issue_key(&home.key, e);
    if (rc == RC_OK)
        rc = issue_request(&what, buf_str(&home.key), &request, e);
    if (rc != RC_OK)
        return rc;
    struct str csr = jose_from_pem(buf_str(&request), &home.mem);
    struct str directory = conf()->acme_directory, contact = conf()->acme_contact;
    json_t *names = json_array();
    for (size_t i = 0; i < home.name_count; i++)
        (void)json_array_append_new(names, json_stringn(home.names[i].p, home.names[i].n));
    json_t *job = json_pack("{s:s#, s:s#, s:s, s:s#, s:s#, s:o}", "directory", directory.p,
                            (int)directory.n, "contact", contact.n > 0 ? contact.p : "",
                            (int)contact.n, "challenge", home.challenge, "csr", csr.p,
                            (int)csr.n, "key", account.p, (int)account.n, "names", names);
    add_external(job);
    char *text = json_dumps(job, JSON_COMPACT);
    json_decref(job);
    if (text == NULL)
        return err_temp(e, "4.3.0", "no memory for an order");
    *out = arena_str(&home.mem, str_from_c(text));
    mem_wipe(text, strlen(text));
    free(text);
    return RC_OK;
}

static enum admin_result start(struct err *e)
{
    struct str job;
    enum admin_result result = check_settings(e);
    home.tried = clock_wall() / USEC_S;
    home.number = ++home.last_number;
    home.phase = "ordering";
    home.until = clock_mono() + ORDER_TIME;
    home.relay = home.hooks->relay();
    if (result != ADMIN_OK) {
        fail(str_from_c(e->text));
        return result;
    }
    if (make_job(&job, e) != RC_OK) {
        fail(str_from_c(e->text));
        return ADMIN_CANT_WRITE;
    }
    save();
    log_info(EV("certificate ordered"), KS("directory", conf()->acme_directory),
             KU("names", home.name_count));
    if (!home.hooks->order(home.number, job)) {
        (void)err_temp(e, "4.3.0", "the relay role doesn't take the order");
        fail(str_from_c(e->text));
        return ADMIN_BUSY;
    }
    return ADMIN_OK;
}

enum admin_result acme_home_now(struct err *e)
{
    if (home.number != 0) {
        (void)err_temp(e, "4.3.0", "a certificate is being ordered already");
        return ADMIN_BUSY;
    }
    return start(e);
}

/* --- when --------------------------------------------------------------------------------- */

/* When the present certificate is to be renewed; 0: now. A third of its time before its end, or
 * a little earlier: each server at a moment of its own. */
static int64_t renew_at(void)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct certificate *c = arena_new(&a, sizeof(*c));
    struct str rest = conf()->acme_names, word;
    struct err e;
    if (certificate_read("server.cert", STR(""), &a, c, &e) != RC_OK || c->self_signed)
        return 0;
    while (rest.n > 0 && str_cut(&rest, ' ', &word)) {
        size_t i = 0;
        while (word.n > 0 && i < c->name_count && !str_ieq(word, c->names[i]))
            i++;
        if (word.n > 0 && i == c->name_count)
            return 0;
    }
    int64_t life = c->ends - c->begins;
    return c->ends - life / 3 -
           (int64_t)(hash_text(c->fingerprint, true, 0) % 64) * life / 1280;
}

void acme_home_tick(void)
{
    usec_t now = clock_mono();
    struct err e = { .text = "" };
    if (home.number != 0) {
        bool waits = strcmp(home.phase, "ordering") == 0;
        if (now >= home.until)
            waits ? fail(STR("it took too long")) : forget();
        else if (waits && home.hooks->relay() != home.relay)
            fail(STR("the relay role ended"));
        return;
    }
    if (now < home.look_at || conf()->acme_names.n == 0 || !conf()->acme_agree)
        return;
    home.look_at = now + LOOK_EVERY;
    int64_t wall = clock_wall() / USEC_S;
    if (wall >= home.next && wall >= renew_at())
        (void)start(&e);
}

/* --- proofs ------------------------------------------------------------------------------- */

/* The next program for the DNS. */
static void run_next(void)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct buf macros AUTO_RELEASE_BUF;
    struct program_line line;
    struct err e = { .text = "" };
    buf_init(&macros, MACROS_MAX);
    enum rc rc = proofs_dns_line(&a, &line, &e);
    if (rc == RC_OK)
        rc = proofs_dns_macros(&home.proofs[home.at], home.adding, &macros);
    if (rc == RC_OK && home.hooks->run(home.number, &line, buf_str(&macros)))
        return;
    if (home.adding)
        (void)home.hooks->proved(home.number, e.text[0] != '\0'
                                                  ? str_from_c(e.text)
                                                  : STR("the runner role takes nothing"));
    else
        forget();
}

void acme_home_ran(uint64_t number, uint64_t code, struct str text)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    if (number != home.number || home.proof_count == 0)
        return;
    if (code != 0 && home.adding) {
        (void)home.hooks->proved(
            number, arena_printf(&a, "the program of acmedns.tab ended with %" PRIu64 "%s%.*s",
                                 code, text.n > 0 ? ": " : "", STR_ARG(text)));
        return;
    }
    if (++home.at < home.proof_count)
        run_next();
    else if (home.adding)
        (void)home.hooks->proved(number, STR(""));
    else
        forget();
}

void acme_home_prove(uint64_t number, struct str proofs)
{
    struct err e = { .text = "" };
    if (number != home.number)
        return;
    const char *why = proofs_read(proofs, home.names, home.name_count, &home.mem, &home.proofs,
                                  &home.proof_count);
    home.at = 0;
    home.adding = true;
    if (why != NULL) {
        home.proof_count = 0;
        (void)home.hooks->proved(number, str_from_c(why));
    } else if (strcmp(home.challenge, "dns-01") == 0) {
        run_next();
    } else {
        enum rc rc = proofs_put(home.challenge, home.proofs, home.proof_count, &e);
        (void)home.hooks->proved(number, rc == RC_OK ? STR("") : str_from_c(e.text));
    }
}

/* --- the certificate ---------------------------------------------------------------------- */

void acme_home_done(uint64_t number, enum rc rc, struct str text, struct str chain)
{
    struct err e = { .text = "" };
    if (number != home.number || strcmp(home.phase, "ordering") != 0)
        return;
    if (rc != RC_OK) {
        fail(text);
        return;
    }
    struct str both =
        arena_printf(&home.mem, "%.*s\n%.*s", STR_ARG(chain), STR_ARG(buf_str(&home.key)));
    if (admin_tls_install(STR("server"), both, false, &e) != ADMIN_OK) {
        fail(arena_printf(&home.mem, "the authority's certificate can't be used: %s", e.text));
        return;
    }
    home.got = clock_wall() / USEC_S;
    home.fails = 0;
    home.next = 0;
    home.why[0] = '\0';
    log_info(EV("certificate from the authority"), KU("names", home.name_count));
    take_down();
}
