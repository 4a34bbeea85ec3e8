/*
 * authority.c - an authority of our own in hikyaku/authority/: key, cert, issued.tab, crl. What
 * is issued is noted before it is given out; crl is made from issued.tab, and made anew at each
 * start.
 */
#include "sys/authority.h"
#include "admin/admin_int.h"
#include "mail/address.h"
#include "sys/certificate.h"
#include "sys/issue.h"
#include "sys/tls.h"

#define AUTHORITY_DAYS 3650u
#define SERVER_DAYS 800u /* phones take no more than 825 */
#define CLIENT_DAYS_MAX 3650u
#define PASSWORD_LEAST 12u
#define NAME_MAX_OCTETS 64u
#define ISSUED_MAX ((size_t)16 << 20)
#define PEM_MAX ((size_t)65536)
#define COLUMNS 6u

static const char folder[] = "hikyaku/authority";
static const char key_path[] = "hikyaku/authority/key";
static const char issued_path[] = "hikyaku/authority/issued.tab";

/* --- what there is ------------------------------------------------------------------------ */

/* Certificate and key; a holds a secret: wipe it. */
static enum admin_result load(struct arena *a, struct issue *out, struct err *e)
{
    *out = (struct issue){ .days = SERVER_DAYS };
    if (!file_exists(OWN_AUTHORITY_CERT))
        return ADMIN_NO_AUTHORITY;
    enum rc rc = file_read(OWN_AUTHORITY_CERT, PEM_MAX, a, &out->ca_cert, NULL, e);
    if (rc == RC_OK)
        rc = file_read(key_path, PEM_MAX, a, &out->ca_key, NULL, e);
    return rc == RC_OK ? ADMIN_OK : ADMIN_CANT_OPEN;
}

static int64_t number(struct str text)
{
    uint64_t n = 0;
    return str_to_u64(text, &n) ? (int64_t)MIN(n, (uint64_t)INT64_MAX) : 0;
}

/* With room for `more`. */
static enum rc read_issued(struct arena *a, size_t more, struct admin_issued **out,
                           size_t *out_count, struct err *e)
{
    struct tab tab = { .row_count = 0 };
    struct str text;
    enum rc rc = RC_OK;
    if (file_exists(issued_path)) {
        rc = file_read(issued_path, ISSUED_MAX, a, &text, NULL, e);
        if (rc == RC_OK)
            rc = tab_read_str(issued_path, text, a, &tab, e);
    }
    if (rc != RC_OK)
        return rc;
    struct admin_issued *list = arena_new_array(a, struct admin_issued, tab.row_count + more);
    for (size_t i = 0; i < tab.row_count; i++) {
        const struct tab_row *row = &tab.rows[i];
        list[i] = (struct admin_issued){ tab_value(row, 0),         tab_value(row, 1),
                                         tab_value(row, 2),         number(tab_value(row, 3)),
                                         number(tab_value(row, 4)), number(tab_value(row, 5)) };
    }
    *out = list;
    *out_count = tab.row_count;
    return RC_OK;
}

static enum rc write_issued(const struct admin_issued *list, size_t count, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct buf text AUTO_RELEASE_BUF;
    enum rc rc = RC_OK;
    buf_init(&text, ISSUED_MAX);
    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        const struct admin_issued *x = &list[i];
        const struct str row[COLUMNS] = { x->serial,
                                          x->kind,
                                          x->name,
                                          arena_printf(&a, "%" PRId64, x->begun),
                                          arena_printf(&a, "%" PRId64, x->ends),
                                          arena_printf(&a, "%" PRId64, x->revoked) };
        rc = tab_print_row(&text, row, COLUMNS, "\n", e);
    }
    return rc == RC_OK ? file_replace(issued_path, buf_str(&text), 0600, e) : rc;
}

/* crl, as issued.tab says. */
static enum rc write_revoked(const struct issue *by, const struct admin_issued *list,
                             size_t count, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct buf pem AUTO_RELEASE_BUF;
    struct authority_revoked *gone = arena_new_array(&a, struct authority_revoked, count + 1);
    size_t n = 0;
    buf_init(&pem, ISSUED_MAX);
    for (size_t i = 0; i < count; i++)
        if (list[i].revoked > 0)
            gone[n++] = (struct authority_revoked){ list[i].serial, list[i].revoked };
    enum rc rc =
        authority_revocations(by->ca_cert, by->ca_key, gone, n, AUTHORITY_DAYS, &pem, e);
    return rc == RC_OK ? file_replace(OWN_AUTHORITY_CRL, buf_str(&pem), 0644, e) : rc;
}

enum rc authority_mend(struct err *e)
{
    struct arena a = { .head = NULL };
    struct issue by;
    struct admin_issued *list = NULL;
    size_t count = 0;
    enum admin_result result = load(&a, &by, e);
    enum rc rc = result == ADMIN_OK ? read_issued(&a, 0, &list, &count, e) : RC_OK;
    if (result == ADMIN_OK && rc == RC_OK)
        rc = write_revoked(&by, list, count, e);
    arena_wipe(&a);
    return result == ADMIN_CANT_OPEN ? RC_TEMP : rc;
}

/* --- making ------------------------------------------------------------------------------- */

static struct admin_issued note_of(const struct certificate *c, struct str kind,
                                   struct str name)
{
    return (struct admin_issued){ c->serial, kind, name, c->begins, c->ends, 0 };
}

/* One more line of issued.tab, for the certificate. */
static enum admin_result note(struct str pem, struct str kind, struct str name, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct certificate *c = arena_new(&a, sizeof(*c));
    struct admin_issued *list = NULL;
    size_t count = 0;
    if (!certificate_read_text(pem, &a, c))
        return ADMIN_BAD_CERTIFICATE;
    if (read_issued(&a, 1, &list, &count, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    list[count] = note_of(c, kind, name);
    return write_issued(list, count + 1, e) == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
}

static bool is_good_name(struct str name)
{
    return name.n > 0 && name.n <= NAME_MAX_OCTETS && str_is_utf8(name) &&
           !str_has_control(name);
}

/* Domains that an authority may sign for, as certificates have them, in a. */
static enum admin_result parse_domains(const struct str *domains, size_t count, struct arena *a,
                                       struct issue *out, struct err *e)
{
    struct str *list = arena_new_array(a, struct str, count + 1);
    if (count > CERTIFICATE_NAMES_MAX)
        return ADMIN_BAD_PARAMETER;
    for (size_t i = 0; i < count; i++)
        if (domain_parse(domains[i], true, a, &list[i], e) != RC_OK)
            return ADMIN_BAD_NAME;
    out->permitted = list;
    out->permitted_count = count;
    return ADMIN_OK;
}

/* Key before certificate: without that there is no authority. */
enum admin_result admin_authority_make(struct str name, const struct str *domains, size_t count,
                                       struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct buf key AUTO_RELEASE_BUF, cert AUTO_RELEASE_BUF;
    struct issue what = { .kind = ISSUE_AUTHORITY,
                          .common_name = name,
                          .days = AUTHORITY_DAYS };
    buf_init(&key, PEM_MAX);
    buf_init(&cert, PEM_MAX);
    if (!is_good_name(name))
        return ADMIN_BAD_NAME;
    if (file_exists(OWN_AUTHORITY_CERT))
        return ADMIN_EXISTS;
    enum admin_result result = parse_domains(domains, count, &a, &what, e);
    if (result != ADMIN_OK)
        return result;
    enum rc rc = folder_make(folder, 0750, e);
    if (rc == RC_OK)
        rc = issue_key(&key, e);
    if (rc == RC_OK)
        rc = issue_certificate(&what, buf_str(&key), &cert, e);
    if (rc == RC_OK)
        rc = file_remove(issued_path, e);
    if (rc == RC_OK)
        rc = file_replace(key_path, buf_str(&key), 0600, e);
    if (rc == RC_OK)
        rc = file_replace(OWN_AUTHORITY_CERT, buf_str(&cert), 0644, e);
    mem_wipe(key.p, key.cap);
    if (rc == RC_OK)
        rc = authority_mend(e);
    if (rc != RC_OK)
        return ADMIN_CANT_WRITE;
    log_info(EV("authority made"), KS("name", name), KU("domains", count));
    return ADMIN_OK;
}

enum admin_result admin_authority_list(struct arena *a, struct admin_issued **out,
                                       size_t *out_count, struct err *e)
{
    struct certificate *c = arena_new(a, sizeof(*c));
    struct admin_issued *list = NULL;
    size_t count = 0;
    if (!file_exists(OWN_AUTHORITY_CERT))
        return ADMIN_NO_AUTHORITY;
    if (certificate_read(OWN_AUTHORITY_CERT, STR(""), a, c, e) != RC_OK ||
        read_issued(a, 1, &list, &count, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    memmove(list + 1, list, count * sizeof(*list));
    list[0] = note_of(c, STR("authority"), c->subject);
    *out = list;
    *out_count = count + 1;
    return ADMIN_OK;
}

/* Key and certificate, noted, in the file for the client's software. */
static enum admin_result issue_client(const struct issue *what, struct str password,
                                      struct buf *key, struct buf *cert, struct arena *a,
                                      struct str *out, struct err *e)
{
    struct buf file AUTO_RELEASE_BUF;
    buf_init(&file, PEM_MAX);
    enum rc rc = issue_key(key, e);
    if (rc == RC_OK)
        rc = issue_certificate(what, buf_str(key), cert, e);
    if (rc == RC_OK)
        rc = authority_bundle(buf_str(key), buf_str(cert), what->ca_cert, what->names[0],
                              password, &file, e);
    if (rc != RC_OK)
        return ADMIN_BAD_CERTIFICATE;
    enum admin_result result = note(buf_str(cert), STR("client"), what->names[0], e);
    *out = arena_str(a, buf_str(&file));
    mem_wipe(file.p, file.cap);
    return result;
}

enum admin_result admin_authority_issue(struct str address, struct str password, unsigned days,
                                        struct arena *a, struct str *out, struct err *e)
{
    struct arena mem = { .head = NULL };
    struct buf key AUTO_RELEASE_BUF, cert AUTO_RELEASE_BUF;
    struct issue what;
    struct address parsed;
    buf_init(&key, PEM_MAX);
    buf_init(&cert, PEM_MAX);
    enum admin_result result = load(&mem, &what, e);
    if (result == ADMIN_OK && (address_parse(address, 0, &mem, &parsed, e) != RC_OK ||
                               !value_is_good(address) || str_find(address, ',') != SIZE_MAX))
        result = ADMIN_BAD_NAME;
    if (result == ADMIN_OK && (password.n < PASSWORD_LEAST || str_has_control(password) ||
                               days == 0 || days > CLIENT_DAYS_MAX))
        result = ADMIN_BAD_PARAMETER;
    what.kind = ISSUE_CLIENT;
    what.names = &address;
    what.name_count = 1;
    what.days = days;
    if (result == ADMIN_OK)
        result = issue_client(&what, password, &key, &cert, a, out, e);
    mem_wipe(key.p, key.cap);
    arena_wipe(&mem);
    if (result == ADMIN_OK)
        log_info(EV("certificate issued"), KS("client", address));
    return result;
}

static enum admin_result note_server(struct str pem, struct str place, struct err *e)
{
    return note(pem, STR("server"), place, e);
}

enum admin_result admin_authority_sign(struct str place, const struct str *names, size_t count,
                                       struct err *e)
{
    struct arena a = { .head = NULL };
    struct issue by;
    enum admin_result result = load(&a, &by, e);
    if (result == ADMIN_OK)
        result = tls_make_pair(place, names, count, &by, note_server, e);
    arena_wipe(&a);
    return result;
}

enum admin_result admin_authority_revoke(struct str serial, struct err *e)
{
    struct arena a = { .head = NULL };
    struct issue by;
    struct admin_issued *list = NULL;
    size_t count = 0, i = 0;
    enum admin_result result = load(&a, &by, e);
    if (result == ADMIN_OK && read_issued(&a, 0, &list, &count, e) != RC_OK)
        result = ADMIN_CANT_OPEN;
    while (i < count && !str_ieq(list[i].serial, serial))
        i++;
    if (result == ADMIN_OK && i == count)
        result = ADMIN_NO_CERTIFICATE;
    if (result == ADMIN_OK && list[i].revoked == 0) {
        list[i].revoked = clock_wall() / USEC_S;
        if (write_issued(list, count, e) != RC_OK ||
            write_revoked(&by, list, count, e) != RC_OK)
            result = ADMIN_CANT_WRITE;
        else
            log_info(EV("certificate revoked"), KS("serial", list[i].serial),
                     KS("name", list[i].name));
    }
    arena_wipe(&a);
    return result;
}
