/*
 * options.c - server.tab into struct options. A snapshot is built from the defaults (XMail's or
 * the safe ones, by the MailRoot's origin), then server.tab, then the command line; it's
 * published whole, so a reader never sees half a change. Old snapshots are kept: a few hundred
 * bytes for each time an administrator saves the file.
 */
#include "conf/marker.h"
#include "conf/options_int.h"
#include "sys/file.h"
#include <stdatomic.h>

#define TABLE "server.tab"
#define LOOK_EVERY (200 * USEC_MS)

static const struct option_row rows[] = {
#define OPT(member, table_name, knd, xm, fr, lo, hi, whn, stat, grp, english, japanese)        \
    { .name = table_name,                                                                      \
      .kind = OPTION_##knd,                                                                    \
      .xmail = xm,                                                                             \
      .fresh = fr,                                                                             \
      .least = lo,                                                                             \
      .most = hi,                                                                              \
      .when = OPTION_##whn,                                                                    \
      .state = OPTION_##stat,                                                                  \
      .group = #grp,                                                                           \
      .en = english,                                                                           \
      .ja = japanese,                                                                          \
      .offset = offsetof(struct options, member) },
#include "conf/options.def"
#undef OPT
};

/* Spellings met in the wild. */
static const struct {
    const char *wrong, *right;
} misspelt[] = {
    { "SmtpMsgIPBandMaps", "SmtpMsgIPBanMaps" },
    { "SmtpMsgIPBanSpammres", "SmtpMsgIPBanSpammers" },
};

static const char *const schemes[] = { "xmcrypt", "scram", "yescrypt" };

static struct options *_Atomic current;
static struct file_id current_id;
static usec_t look_at;

const struct options *conf(void)
{
    return atomic_load_explicit(&current, memory_order_acquire);
}

const struct option_row *options_rows(size_t *out_count)
{
    *out_count = ARRAY_LEN(rows);
    return rows;
}

const struct option_row *options_row(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(misspelt); i++)
        if (str_ieq(name, str_from_c(misspelt[i].wrong)))
            name = str_from_c(misspelt[i].right);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_ieq(name, str_from_c(rows[i].name)))
            return &rows[i];
    return NULL;
}

/* --- values ------------------------------------------------------------------------------ */

/* A parsed value, before it's known to be wanted. */
struct value {
    bool b;
    int64_t i;
    uint64_t kb;
    usec_t t;
    struct str text;
    enum password_scheme scheme;
};

static enum rc parse_number(const struct option_row *row, struct str text, int64_t *out,
                            struct err *e)
{
    if (!str_to_i64(text, out))
        return err_perm(e, "5.3.0", "\"%.*s\" is not a number", STR_ARG(text));
    if (*out < row->least || *out > row->most)
        return err_perm(e, "5.3.0", "%" PRId64 " is not between %" PRId64 " and %" PRId64, *out,
                        row->least, row->most);
    return RC_OK;
}

static enum rc parse_scheme(struct str text, enum password_scheme *out, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (str_ieq(text, str_from_c(schemes[i]))) {
            *out = (enum password_scheme)i;
            return RC_OK;
        }
    }
    return err_perm(e, "5.3.0", "must be scram, yescrypt or xmcrypt");
}

static enum rc parse_value(const struct option_row *row, struct str text, struct value *v,
                           struct err *e)
{
    struct str number = str_trim(text);
    switch (row->kind) {
    case OPTION_BOOL:
        v->b = str_eq(number, STR("1"));
        if (!v->b && !str_eq(number, STR("0")))
            return err_perm(e, "5.3.0", "must be 0 or 1");
        return RC_OK;
    case OPTION_INT:
        return parse_number(row, number, &v->i, e);
    case OPTION_SECONDS:
        if (parse_number(row, number, &v->i, e) != RC_OK)
            return RC_PERM;
        v->t = v->i * USEC_S;
        return RC_OK;
    case OPTION_KB:
        if (!str_to_u64(number, &v->kb) || v->kb > UINT64_MAX / 1024)
            return err_perm(e, "5.3.0", "\"%.*s\" is not a number of kilobytes", STR_ARG(text));
        return RC_OK;
    case OPTION_TEXT:
        v->text = text;
        return RC_OK;
    case OPTION_LISTEN:
        v->text = text;
        return str_ieq(text, STR("off")) || text.n == 0
                   ? RC_OK
                   : options_parse_binds(text, &(struct service_options){ .name = "" }, e);
    case OPTION_SCHEME:
        return parse_scheme(number, &v->scheme, e);
    }
    BUG("option kind");
}

enum rc options_check_value(const struct option_row *row, struct str text, struct err *e)
{
    struct value v = { .b = false };
    return parse_value(row, text, &v, e);
}

static void *member(struct options *o, const struct option_row *row)
{
    return (char *)o + row->offset;
}

static void store_value(struct options *o, const struct option_row *row, const struct value *v)
{
    void *m = member(o, row);
    switch (row->kind) {
    case OPTION_BOOL:
        *(bool *)m = v->b;
        break;
    case OPTION_INT:
        *(int64_t *)m = v->i;
        break;
    case OPTION_SECONDS:
        *(usec_t *)m = v->t;
        break;
    case OPTION_KB:
        *(uint64_t *)m = v->kb;
        break;
    case OPTION_TEXT:
    case OPTION_LISTEN:
        *(struct str *)m = arena_str(&o->mem, v->text);
        break;
    case OPTION_SCHEME:
        *(enum password_scheme *)m = v->scheme;
        if (m == (void *)&o->password_scheme)
            o->password_scheme_set = true;
        break;
    }
}

static void set_default(struct options *o, const struct option_row *row)
{
    const char *text = o->origin == CONF_NEW ? row->fresh : row->xmail;
    struct value v = { .b = false };
    if (text != NULL && parse_value(row, str_from_c(text), &v, NULL) == RC_OK)
        store_value(o, row, &v);
}

/* --- server.tab -------------------------------------------------------------------------- */

static void report(unsigned line, struct str name, const char *reason)
{
    log_warn(EV("setting not used"), KV("file", TABLE), KU("line", line), KS("variable", name),
             KV("reason", reason));
}

/* "SmtpConfig-IP[,PORT]": kept for options_smtp_flags. */
static void add_listener_flags(struct options *o, struct str where, struct str flags)
{
    struct str ip = { "", 0 };
    (void)str_cut(&where, ',', &ip);
    struct listener_flags *grown =
        arena_new_array(&o->mem, struct listener_flags, o->listener_flag_count + 1);
    if (o->listener_flag_count > 0)
        memcpy(grown, o->listener_flags, o->listener_flag_count * sizeof(*grown));
    grown[o->listener_flag_count++] = (struct listener_flags){
        .ip = arena_str(&o->mem, ip),
        .port = where.p == NULL ? STR("") : arena_str(&o->mem, where),
        .flags = arena_str(&o->mem, flags),
    };
    o->listener_flags = grown;
}

static void apply_row(struct options *o, const struct tab_row *line)
{
    struct err e;
    struct value v = { .b = false };
    struct str name = tab_value(line, 0), text = tab_value(line, 1);
    if (line->count != 2) {
        report(line->line, name, "a line is \"variable\" and \"value\"");
        return;
    }
    if (str_istarts(name, STR("SmtpConfig-"))) {
        add_listener_flags(o, str_skip(name, sizeof("SmtpConfig-") - 1), text);
        return;
    }
    const struct option_row *row = options_row(name);
    if (row == NULL)
        return; /* another program's; `check` names it */
    if (parse_value(row, text, &v, &e) != RC_OK)
        report(line->line, name, e.text);
    else
        store_value(o, row, &v);
}

static void service_defaults(struct options *o)
{
#define SERVICE(letter, member, service, number, listen, en)                                   \
    o->member.name = service;                                                                  \
    o->member.port = number;
#include "conf/switches.def"
#undef SERVICE
}

enum rc options_parse_binds(struct str text, struct service_options *s, struct err *e)
{
    struct str rest = text, word;
    while (str_cut(&rest, ',', &word)) {
        word = str_trim(word);
        uint64_t port = 0;
        struct str address = word;
        size_t colon = str_rfind(word, ':');
        bool bare_v6 = colon != SIZE_MAX && word.p[0] != '[' && str_find(word, ':') != colon;
        if (colon != SIZE_MAX && !bare_v6 && !str_ends(word, STR("]"))) {
            address = str_head(word, colon);
            if (!str_to_u64(str_skip(word, colon + 1), &port) || port == 0 || port > 65535)
                return err_perm(e, "5.3.0", "bad port in \"%.*s\"", STR_ARG(word));
        }
        struct service_bind bind = { .port = (uint16_t)port };
        if (!ip_parse(address, &bind.ip))
            return err_perm(e, "5.3.0", "\"%.*s\" is not ip, ip:port or [ip6]:port",
                            STR_ARG(word));
        if (s->bind_count == SERVICE_BINDS_MAX)
            return err_perm(e, "5.3.0", "more than %d addresses", SERVICE_BINDS_MAX);
        s->binds[s->bind_count++] = bind;
    }
    return RC_OK;
}

/* A Listen- variable into its service. */
static void apply_listen(struct service_options *s, struct str text)
{
    if (text.p == NULL || text.n == 0)
        return;
    if (str_ieq(text, STR("off"))) {
        s->off = true;
        return;
    }
    struct service_options fresh = *s;
    fresh.bind_count = 0;
    if (options_parse_binds(text, &fresh, NULL) == RC_OK) /* a bad one isn't stored at all */
        *s = fresh;
}

/* Addresses without a port get the service's, which a later switch may have set. */
static void fill_ports(struct options *o)
{
    struct service_options *services[] = {
#define SERVICE(letter, member, service, number, listen, en) &o->member,
#include "conf/switches.def"
#undef SERVICE
    };
    for (size_t i = 0; i < ARRAY_LEN(services); i++)
        for (size_t k = 0; k < services[i]->bind_count; k++)
            if (services[i]->binds[k].port == 0)
                services[i]->binds[k].port = services[i]->port;
}

static void apply_listens(struct options *o)
{
#define SERVICE(letter, member, service, number, listen, en)                                   \
    apply_listen(&o->member, o->listen);
#include "conf/switches.def"
#undef SERVICE
}

enum conf_origin conf_origin_read(void)
{
    struct marker marker;
    (void)!marker_read(&marker, NULL); /* what is there counts; the start refused a newer one */
    return marker.origin;
}

static enum log_level level_of(struct str text)
{
    if (str_ieq(text, STR("debug")))
        return LOG_LEVEL_DEBUG;
    if (str_ieq(text, STR("warning")))
        return LOG_LEVEL_WARN;
    return str_ieq(text, STR("error")) ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO;
}

/* A whole snapshot from a table as read. */
static struct options *build(const struct tab *tab)
{
    struct options *o = mem_new(sizeof(*o));
    o->origin = conf_origin_read();
    o->store_maildir = true;
    o->lmail_s = 2;
    o->families = o->origin == CONF_NEW ? FAMILIES_BOTH : FAMILIES_IPV4;
    service_defaults(o);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        set_default(o, &rows[i]);
    for (size_t i = 0; i < tab->problem_count; i++)
        report(tab->problems[i].line, STR("-"), tab->problems[i].text.p);
    for (size_t i = 0; i < tab->row_count; i++)
        apply_row(o, &tab->rows[i]);
    o->pop3_bad_login_delay = o->login_delay;
    apply_listens(o);
    cmdline_apply(o);
    fill_ports(o);
    if (!o->password_scheme_set)
        o->password_scheme = PASSWORD_XMCRYPT;
    log_set_format(str_ieq(o->log_format, STR("json")) ? LOG_JSON : LOG_TEXT);
    log_set_level(o->debug ? LOG_LEVEL_DEBUG : level_of(o->log_level));
    return o;
}

/* RESTART settings keep their values while the process lives. */
static void keep_restart_values(struct options *o, const struct options *before)
{
    static const size_t sizes[] = {
        [OPTION_BOOL] = sizeof(bool),
        [OPTION_INT] = sizeof(int64_t),
        [OPTION_KB] = sizeof(uint64_t),
        [OPTION_SECONDS] = sizeof(usec_t),
        [OPTION_TEXT] = sizeof(struct str),
        [OPTION_LISTEN] = sizeof(struct str),
        [OPTION_SCHEME] = sizeof(enum password_scheme),
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *old = (const char *)before + rows[i].offset;
        if (rows[i].when != OPTION_RESTART)
            continue;
        bool same = rows[i].kind == OPTION_TEXT || rows[i].kind == OPTION_LISTEN
                        ? str_eq(*(const struct str *)(const void *)old,
                                 *(struct str *)member(o, &rows[i]))
                        : memcmp(member(o, &rows[i]), old, sizes[rows[i].kind]) == 0;
        if (!same)
            log_warn(EV("setting takes effect at the next start"),
                     KV("variable", rows[i].name));
        memcpy(member(o, &rows[i]), old, sizes[rows[i].kind]);
    }
    o->origin = before->origin;
}

static enum rc load(struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    enum rc rc = tab_read(TABLE, &mem, &tab, e);
    if (rc != RC_OK)
        return rc;
    struct options *o = build(&tab), *before = current;
    if (before != NULL)
        keep_restart_values(o, before);
    o->older = before;
    current_id = tab.id;
    atomic_store_explicit(&current, o, memory_order_release);
    return RC_OK;
}

enum rc options_load(struct err *e)
{
    look_at = clock_mono() + LOOK_EVERY;
    return load(e);
}

bool options_refresh(void)
{
    struct err e;
    struct file_id now;
    if (clock_mono() < look_at)
        return false;
    look_at = clock_mono() + LOOK_EVERY;
    if (file_id_get(TABLE, &now, &e) != RC_OK || now.ino == 0 || file_id_eq(&now, &current_id))
        return false;
    if (clock_wall() - now.mtime_ns / 1000 < LOOK_EVERY && clock_wall() >= now.mtime_ns / 1000)
        return false;
    if (load(&e) != RC_OK) {
        log_error(EV("settings can't be read"), KE(&e));
        return false;
    }
    log_info(EV("settings read again"));
    return true;
}

struct str options_smtp_flags(const struct options *o, const struct ip *ip, uint16_t port)
{
    struct str best = o->smtp_config;
    size_t best_rank = 0;
    for (size_t i = 0; i < o->listener_flag_count; i++) {
        const struct listener_flags *f = &o->listener_flags[i];
        struct ip of;
        uint64_t number = 0;
        bool with_port = f->port.n > 0;
        if (!ip_parse(f->ip, &of) || !ip_eq(&of, ip))
            continue;
        if (with_port && (!str_to_u64(f->port, &number) || number != port))
            continue;
        if ((with_port ? 2u : 1u) > best_rank) {
            best_rank = with_port ? 2 : 1;
            best = f->flags;
        }
    }
    return best.p == NULL ? STR("") : best;
}

struct str options_server_name(void)
{
    const struct options *o = conf();
    return o->smtp_server_domain.n > 0 ? o->smtp_server_domain : o->root_domain;
}

bool options_report_in_japanese(struct str domain)
{
    struct str rest = conf()->report_language, word;
    bool japanese = false, by_domain = false;
    while (rest.n > 0 && str_cut(&rest, ',', &word)) {
        struct str of = str_trim(word), language = { "", 0 };
        (void)str_cut(&of, ':', &language);
        bool ja = str_ieq(str_trim(language), STR("ja"));
        if (of.p == NULL && !by_domain)
            japanese = ja;
        else if (of.p != NULL && str_ieq(str_trim(of), domain)) {
            japanese = ja;
            by_domain = true;
        }
    }
    return japanese;
}

/* --- certificates ------------------------------------------------------------------------ */

/* path, if it is wanted and there. */
static const char *trusted(bool wanted, const char *path, struct file_id *out)
{
    struct err e;
    *out = (struct file_id){ .ino = 0 };
    return wanted && file_id_get(path, out, &e) == RC_OK && out->ino != 0 ? path : NULL;
}

struct tls_trust options_tls_trust(const struct options *o)
{
    struct tls_trust t = { .depth = (unsigned)o->ssl_max_certs_depth };
    t.ca_file = trusted(o->ssl_use_certs_file, "certs.pem", &t.file);
    t.ca_folder = trusted(o->ssl_use_certs_dir, "certs", &t.folder);
    t.own_crl = trusted(true, OWN_AUTHORITY_CRL, &t.crl);
    t.own_ca = t.own_crl == NULL ? NULL : OWN_AUTHORITY_CERT;
    return t;
}

bool tls_trust_eq(const struct tls_trust *x, const struct tls_trust *y)
{
    return file_id_eq(&x->file, &y->file) && file_id_eq(&x->folder, &y->folder) &&
           file_id_eq(&x->crl, &y->crl) && x->depth == y->depth;
}
