/*
 * tls.c - certificates and keys. A pair lies in two files that must fit, so both are written to
 * one file first (hikyaku/tls/install), which is what counts until they are in place; a start
 * after a crash completes it. Keys of requests wait in hikyaku/tls/PLACE.key.
 */
#include "admin/admin_int.h"
#include "conf/options.h"
#include "mail/address.h"
#include "sys/certificate.h"
#include "sys/issue.h"
#include "sys/pair.h"

#define SELF_SIGNED_DAYS 3650u
#define NAMES_MOST 100u
#define PEM_MAX ((size_t)1 << 20)

static const char staging[] = "hikyaku/tls";
static const char install_path[] = "hikyaku/tls/install";

/* --- places ------------------------------------------------------------------------------- */

static bool is_own(struct str place)
{
    return str_eq(place, STR("server"));
}

/* The place as we write it: "server" or a host in lower case. */
static bool place_is_good(struct str given, struct arena *a, struct str *out)
{
    struct err e;
    *out = given;
    return is_own(given) || (given.n > 0 && str_find(given, '*') == SIZE_MAX &&
                             domain_parse(given, true, a, out, &e) == RC_OK &&
                             file_name_is_good(*out) && !is_own(*out));
}

static const char *path_of(struct str place, const char *name, struct arena *a)
{
    return is_own(place) ? name : arena_printf(a, "tls/%.*s/%s", STR_ARG(place), name).p;
}

static const char *waiting_path(struct str place, const char *end, struct arena *a)
{
    return arena_printf(a, "%s/%.*s.%s", staging, STR_ARG(place), end).p;
}

/* Roles that run as another user read keys by their group, when the server's key lets them. */
static mode_t key_mode(void)
{
    struct stat st;
    return io_stat("server.key", &st) == 0 ? (mode_t)(0600 | (st.st_mode & 040)) : 0600;
}

static enum admin_result bad(struct err *e)
{
    return e->rc == RC_PERM ? ADMIN_BAD_CERTIFICATE : ADMIN_CANT_WRITE;
}

/* --- a pair into its place ---------------------------------------------------------------- */

/* The text: the place, a line; the key; the certificates. */
static enum rc put_in_place(struct str text, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str place, checked;
    size_t certs = str_find_str(text, STR("-----BEGIN CERTIFICATE-----"));
    if (certs == SIZE_MAX || !str_cut(&text, '\n', &place) || place.n + 1 > certs ||
        !place_is_good(place, &a, &checked))
        return err_perm(e, "5.3.0", "%s isn't what was written there", install_path);
    certs -= place.n + 1;
    enum rc rc = RC_OK;
    if (!is_own(place))
        rc = folder_make(path_of(place, "", &a), 0750, e);
    const char *key_path = path_of(place, "server.key", &a);
    (void)io_chmod(key_path, key_mode()); /* the new one gets the old one's mode */
    if (rc == RC_OK)
        rc = file_replace(key_path, str_head(text, certs), key_mode(), e);
    if (rc == RC_OK)
        rc = file_replace(path_of(place, "server.cert", &a), str_skip(text, certs), 0644, e);
    return rc == RC_OK ? file_remove(install_path, e) : rc;
}

static enum rc install_pair(struct str place, struct str key, struct str cert, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, 4 * PEM_MAX);
    enum rc rc = folder_make(staging, 0700, e);
    if (rc == RC_OK)
        rc = buf_reserve(&text, place.n + key.n + cert.n + 2);
    if (rc == RC_OK) {
        buf_addf(&text, "%.*s\n%.*s%.*s", STR_ARG(place), STR_ARG(key), STR_ARG(cert));
        rc = file_replace(install_path, buf_str(&text), 0600, e);
    }
    if (rc == RC_OK)
        rc = put_in_place(buf_str(&text), e);
    mem_wipe(text.p, text.cap);
    if (rc == RC_OK)
        log_info(EV("certificate installed"), KS("place", place));
    return rc;
}

enum rc tls_mend(struct err *e)
{
    struct arena a = { .head = NULL };
    struct str text;
    if (!file_exists(install_path))
        return RC_OK;
    enum rc rc = file_read(install_path, 4 * PEM_MAX, &a, &text, NULL, e);
    if (rc == RC_OK)
        rc = put_in_place(text, e);
    arena_wipe(&a);
    return rc;
}

/* --- installing --------------------------------------------------------------------------- */

struct work {
    struct arena mem; /* holds keys: wiped */
    struct buf cert, key;
    struct str place;
};

static void work_init(struct work *w)
{
    *w = (struct work){ .place = STR("") };
    buf_init(&w->cert, PEM_MAX);
    buf_init(&w->key, PEM_MAX);
}

static void work_release(struct work *w)
{
    mem_wipe(w->key.p, w->key.cap);
    buf_release(&w->key);
    buf_release(&w->cert);
    arena_wipe(&w->mem);
}
#define AUTO_RELEASE_WORK __attribute__((cleanup(work_release)))

static struct str read_or_empty(const char *path, struct arena *a)
{
    struct str text;
    struct err e;
    return file_read(path, PEM_MAX, a, &text, NULL, &e) == RC_OK ? text : STR("");
}

/* With the key that came along or waits; else with the present one. */
static enum rc take(struct work *w, struct str pem, const struct pair_rules *rules,
                    bool *out_waited, struct err *e)
{
    struct str waits = read_or_empty(waiting_path(w->place, "key", &w->mem), &w->mem);
    struct str present = read_or_empty(path_of(w->place, "server.key", &w->mem), &w->mem);
    struct err first;
    *out_waited = waits.n > 0;
    enum rc rc = pair_take(pem, waits.n > 0 ? waits : present, rules, &w->cert, &w->key, e);
    if (rc != RC_PERM || waits.n == 0)
        return rc;
    first = *e;
    *out_waited = false;
    buf_reset(&w->cert);
    buf_reset(&w->key);
    rc = pair_take(pem, present, rules, &w->cert, &w->key, e);
    if (rc != RC_OK)
        *e = first;
    return rc;
}

static void forget_waiting(struct work *w)
{
    static const char *const ends[] = { "key", "csr" };
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (file_remove(waiting_path(w->place, ends[i], &w->mem), &e) != RC_OK)
            log_warn(EV("file can't be removed"), KE(&e));
}

enum admin_result admin_tls_install(struct str place, struct str pem, bool whole, struct err *e)
{
    struct work w AUTO_RELEASE_WORK;
    const struct pair_rules rules = {
        .trust = { .ca_file = file_exists("certs.pem") ? "certs.pem" : NULL }, .whole = whole
    };
    bool waited = false;
    work_init(&w);
    if (!place_is_good(place, &w.mem, &w.place))
        return ADMIN_BAD_NAME;
    if (pem.n > PEM_MAX) {
        (void)err_perm(e, "5.3.4", "it is too large");
        return ADMIN_BAD_CERTIFICATE;
    }
    if (take(&w, pem, &rules, &waited, e) != RC_OK)
        return bad(e);
    if (install_pair(w.place, buf_str(&w.key), buf_str(&w.cert), e) != RC_OK)
        return ADMIN_CANT_WRITE;
    if (waited)
        forget_waiting(&w);
    return ADMIN_OK;
}

/* --- making ------------------------------------------------------------------------------- */

/* The names, or what the place is called: hosts, "*." in front too, and addresses. */
static enum admin_result check_names(struct work *w, const struct str *names, size_t count,
                                     struct issue *out, struct err *e)
{
    struct str own = is_own(w->place) ? conf()->smtp_server_domain : w->place;
    struct str *list = arena_new_array(&w->mem, struct str, MAX(count, (size_t)1));
    if (count == 0 && is_own(w->place) && own.n == 0)
        own = conf()->root_domain;
    if (count == 0)
        names = &own;
    count = MAX(count, (size_t)1);
    for (size_t i = 0; i < count; i++) {
        struct ip ip;
        bool wild = str_starts(names[i], STR("*."));
        list[i] = names[i];
        if (ip_parse(names[i], &ip))
            continue;
        if (count > NAMES_MOST ||
            domain_parse(str_skip(names[i], wild ? 2 : 0), true, &w->mem, &list[i], e) != RC_OK)
            return ADMIN_BAD_NAME;
        if (wild)
            list[i] = arena_printf(&w->mem, "*.%.*s", STR_ARG(list[i]));
    }
    *out = (struct issue){ .kind = ISSUE_SERVER, .names = list, .name_count = count };
    return ADMIN_OK;
}

enum admin_result tls_make_pair(struct str place, const struct str *names, size_t count,
                                const struct issue *by, tls_note_fn *note, struct err *e)
{
    struct work w AUTO_RELEASE_WORK;
    struct issue what;
    work_init(&w);
    if (!place_is_good(place, &w.mem, &w.place))
        return ADMIN_BAD_NAME;
    enum admin_result result = check_names(&w, names, count, &what, e);
    if (result != ADMIN_OK)
        return result;
    what.ca_cert = by->ca_cert;
    what.ca_key = by->ca_key;
    what.days = by->days;
    enum rc rc = issue_key(&w.key, e);
    if (rc == RC_OK)
        rc = issue_certificate(&what, buf_str(&w.key), &w.cert, e);
    result = rc != RC_OK    ? bad(e)
             : note == NULL ? ADMIN_OK
                            : note(buf_str(&w.cert), w.place, e);
    if (result == ADMIN_OK &&
        install_pair(w.place, buf_str(&w.key), buf_str(&w.cert), e) != RC_OK)
        result = ADMIN_CANT_WRITE;
    return result;
}

enum admin_result admin_tls_self_signed(struct str place, const struct str *names, size_t count,
                                        struct err *e)
{
    const struct issue itself = { .days = SELF_SIGNED_DAYS };
    return tls_make_pair(place, names, count, &itself, NULL, e);
}

enum admin_result admin_tls_request(struct str place, const struct str *names, size_t count,
                                    struct arena *a, struct str *out_pem, struct err *e)
{
    struct work w AUTO_RELEASE_WORK;
    struct issue what;
    work_init(&w);
    if (!place_is_good(place, &w.mem, &w.place))
        return ADMIN_BAD_NAME;
    enum admin_result result = check_names(&w, names, count, &what, e);
    if (result != ADMIN_OK)
        return result;
    enum rc rc = issue_key(&w.key, e);
    if (rc == RC_OK)
        rc = issue_request(&what, buf_str(&w.key), &w.cert, e);
    if (rc == RC_OK)
        rc = folder_make(staging, 0700, e);
    if (rc == RC_OK)
        rc = file_replace(waiting_path(w.place, "key", &w.mem), buf_str(&w.key), 0600, e);
    if (rc == RC_OK)
        rc = file_replace(waiting_path(w.place, "csr", &w.mem), buf_str(&w.cert), 0600, e);
    if (rc != RC_OK)
        return ADMIN_CANT_WRITE;
    *out_pem = arena_str(a, buf_str(&w.cert));
    return ADMIN_OK;
}

struct str admin_tls_waiting(struct str place, struct arena *a)
{
    struct str good;
    return place_is_good(place, a, &good) ? read_or_empty(waiting_path(good, "csr", a), a)
                                          : STR("");
}

enum admin_result admin_tls_remove(struct str place, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str good;
    if (!place_is_good(place, &a, &good) || is_own(good))
        return ADMIN_BAD_NAME;
    const char *folder = arena_printf(&a, "tls/%.*s", STR_ARG(good)).p;
    if (!folder_exists(folder))
        return ADMIN_NO_CERTIFICATE;
    /* The certificate first: without it the folder means nothing. */
    enum rc rc = file_remove(path_of(good, "server.cert", &a), e);
    return rc == RC_OK && folder_remove(folder, e) == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
}

/* --- authorities -------------------------------------------------------------------------- */

enum admin_result admin_tls_trust(struct str pem, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str own, sum, rest, present = read_or_empty("certs.pem", &a);
    if (!certificate_first(pem, &a, &own, &sum)) {
        (void)err_perm(e, "5.7.0",
                       "it holds no certificate (PEM: -----BEGIN CERTIFICATE-----)");
        return ADMIN_BAD_CERTIFICATE;
    }
    if (certificate_cut(present, sum, &a, &rest))
        return ADMIN_EXISTS;
    const char *between = present.n > 0 && !str_ends(present, STR("\n")) ? "\n" : "";
    struct str all = arena_printf(&a, "%.*s%s%.*s", STR_ARG(present), between, STR_ARG(own));
    return file_replace("certs.pem", all, 0644, e) == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
}

/* A file of certs/ that holds nothing else. */
static enum admin_result drop_file(struct str fingerprint, struct arena *a, struct err *e)
{
    struct folder *f = NULL;
    struct str name, rest;
    unsigned char type = 0;
    enum admin_result result = ADMIN_NO_CERTIFICATE;
    if (!folder_exists("certs") || folder_open("certs", &f, e) != RC_OK)
        return ADMIN_NO_CERTIFICATE;
    while (result == ADMIN_NO_CERTIFICATE && folder_next(f, &name, &type)) {
        const char *path = arena_printf(a, "certs/%.*s", STR_ARG(name)).p;
        if (certificate_cut(read_or_empty(path, a), fingerprint, a, &rest))
            result = file_remove(path, e) == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
    }
    folder_close(&f);
    return result;
}

enum admin_result admin_tls_distrust(struct str fingerprint, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str rest, text = read_or_empty("certs.pem", &a);
    if (!certificate_cut(text, fingerprint, &a, &rest))
        return drop_file(fingerprint, &a, e);
    enum rc rc = str_trim(rest).n == 0 ? file_remove("certs.pem", e)
                                       : file_replace("certs.pem", rest, 0644, e);
    return rc == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
}
