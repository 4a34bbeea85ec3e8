/*
 * options_cmdline.c - XMail's command line: the words given, then those of MAIL_CMD_LINE. They
 * are checked at once and applied to every snapshot, after server.tab: the command line wins.
 */
#include "conf/options_int.h"

#define WORDS_MAX 512

static struct arena words_mem;
static const char *words[WORDS_MAX];
static size_t word_count;

static bool ok(struct err *e, enum rc rc, const char *name, struct str value)
{
    if (rc == RC_OK)
        return true;
    (void)err_perm(e, "5.3.0", "switch %s: \"%.*s\" is not a value for it", name,
                   STR_ARG(value));
    return false;
}

static enum rc number(struct str value, int64_t least, int64_t most, int64_t *out)
{
    return str_to_i64(value, out) && *out >= least && *out <= most ? RC_OK : RC_PERM;
}

/* --- switches of one service ------------------------------------------------------------- */

static struct service_options *service_of(struct options *o, char letter)
{
#define SERVICE(l, member, name, port, listen, en)                                             \
    if (letter == (l))                                                                         \
        return &o->member;
#include "conf/switches.def"
#undef SERVICE
    return NULL;
}

/* What a facet needs, or -1 for a letter that is none. */
static int facet_takes(char letter)
{
#define FACET(l, name, takes, en)                                                              \
    if (letter == (l))                                                                         \
        return takes;
#include "conf/switches.def"
#undef FACET
    return -1;
}

static enum rc apply_facet(struct service_options *s, char facet, struct str value)
{
    int64_t n = 0;
    switch (facet) {
    case '-':
        s->off = true;
        return RC_OK;
    case '6':
        s->ipv6 = true;
        return RC_OK;
    case 'l':
        s->log = true;
        return RC_OK;
    case 'p':
        if (number(value, 1, 65535, &n) != RC_OK)
            return RC_PERM;
        s->port = (uint16_t)n;
        return RC_OK;
    case 't':
        if (number(value, 1, 864000, &n) != RC_OK)
            return RC_PERM;
        s->timeout_s = (unsigned)n;
        return RC_OK;
    case 'X':
        if (number(value, 1, 1000000, &n) != RC_OK)
            return RC_PERM;
        s->max_sessions = (unsigned)n;
        return RC_OK;
    default:
        return options_parse_binds(value, s, NULL);
    }
}

/* --- the other switches ------------------------------------------------------------------ */

enum handler {
    H_mailroot,
    H_foreground,
    H_maildir,
    H_mailbox,
    H_ipv4_only,
    H_ipv4_first,
    H_ipv6_only,
    H_ipv6_first,
    H_pop3_delay,
    H_pop3_hang_up,
    H_max_recipients,
    H_pop3_relay_time,
    H_log_rotate,
    H_delivery_log,
    H_filter_log,
    H_filter_time,
    H_lmail_off,
    H_lmail_log,
    H_lmail_time,
    H_relay_threads,
    H_fetch_off,
    H_fetch_log,
    H_fetch_interval,
    H_fetch_threads,
    H_fetch_timeout,
    H_retry_time,
    H_retry_ratio,
    H_retry_max,
    H_ignored,
};

static const struct {
    const char *name;
    int takes;
    enum handler handler;
} switches[] = {
#define SWITCH(name, takes, handler, en) { name, takes, H_##handler },
#include "conf/switches.def"
#undef SWITCH
};

/* Before one of -Qt, -Qi, -Qr: the others have XMail's defaults. */
static void use_xmail_retries(struct options *o)
{
    if (o->xmail_retries)
        return;
    o->xmail_retries = true;
    o->xmail_retry_s = 480;
    o->xmail_retry_ratio = 16;
    o->xmail_retry_max = 32;
}

/* Switches whose value is a number: its range, and where it goes, in units of `scale`. */
static enum rc apply_number(struct options *o, enum handler handler, struct str value)
{
    const struct {
        enum handler handler;
        int64_t low, high, scale, *to;
    } rows[] = {
        { H_pop3_delay, 0, 3600, USEC_S, &o->pop3_bad_login_delay },
        { H_max_recipients, 1, 100000, 1, &o->max_recipients },
        { H_pop3_relay_time, 1, 86400, USEC_S, &o->pop3_relay_time },
        { H_log_rotate, 1, 87600, 1, &o->log_rotate_hours },
        { H_relay_threads, 1, 2000, 1, &o->relay_threads },
        { H_retry_time, 1, 1000000, 1, &o->xmail_retry_s },
        { H_retry_ratio, 0, 1000000, 1, &o->xmail_retry_ratio },
        { H_retry_max, 1, 1000000, 1, &o->xmail_retry_max },
        { H_lmail_time, 1, 86400, 1, &o->lmail_s },
        { H_filter_time, 1, 86400, USEC_S, &o->filter_timeout },
        { H_fetch_interval, 0, 864000, USEC_S, &o->fetch_interval },
        { H_fetch_threads, 1, 200, 1, &o->fetch_threads },
        { H_fetch_timeout, 1, 3600, USEC_S, &o->fetch_timeout },
    };
    int64_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].handler != handler)
            continue;
        if (number(value, rows[i].low, rows[i].high, &n) != RC_OK)
            return RC_PERM;
        *rows[i].to = n * rows[i].scale;
        return RC_OK;
    }
    BUG("switch with a number");
}

/* Switches that are said or not. False: it isn't one. */
static bool apply_flag(struct options *o, enum handler handler)
{
    const struct {
        enum handler handler;
        bool *to;
    } rows[] = {
        { H_foreground, &o->debug },          { H_pop3_hang_up, &o->pop3_hang_up },
        { H_lmail_off, &o->lmail_off },       { H_lmail_log, &o->lmail_log },
        { H_delivery_log, &o->delivery_log }, { H_filter_log, &o->filter_log },
        { H_fetch_off, &o->fetch_off },       { H_fetch_log, &o->fetch_log },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].handler == handler) {
            *rows[i].to = true;
            return true;
        }
    return false;
}

static enum rc apply_switch(struct options *o, enum handler handler, struct str value)
{
    if (handler == H_mailroot)
        return value.n > 0 ? RC_OK : RC_PERM;
    if (handler == H_ignored || apply_flag(o, handler))
        return RC_OK;
    if (handler == H_maildir || handler == H_mailbox) {
        o->store_maildir = handler == H_maildir;
    } else if (handler == H_ipv4_only) {
        o->families = FAMILIES_IPV4;
    } else if (handler == H_ipv6_only) {
        o->families = FAMILIES_IPV6;
    } else if (handler == H_ipv4_first || handler == H_ipv6_first) {
        o->ipv6_first = handler == H_ipv6_first;
        o->families = FAMILIES_BOTH;
    } else {
        if (handler == H_retry_time || handler == H_retry_ratio || handler == H_retry_max)
            use_xmail_retries(o);
        return apply_number(o, handler, value);
    }
    return RC_OK;
}

/* --- walking the words ------------------------------------------------------------------- */

/* One switch and its value, applied to o. *at moves behind them. */
static bool take_switch(struct options *o, size_t *at, struct err *e)
{
    const char *name = words[(*at)++];
    struct str value = STR("");
    int takes = -1;
    size_t i = 0;
    while (i < ARRAY_LEN(switches) && strcmp(switches[i].name, name) != 0)
        i++;
    struct service_options *service = NULL;
    if (i < ARRAY_LEN(switches)) {
        takes = switches[i].takes;
    } else if (strlen(name) == 3 && name[0] == '-') {
        service = service_of(o, name[1]);
        takes = service == NULL ? -1 : facet_takes(name[2]);
    }
    if (takes < 0) {
        (void)err_perm(e, "5.3.0", "unknown switch %s", name);
        return false;
    }
    if (takes == 1 && *at == word_count) {
        (void)err_perm(e, "5.3.0", "switch %s needs a value", name);
        return false;
    }
    if (takes == 1)
        value = str_from_c(words[(*at)++]);
    if (service != NULL && name[2] == 'I' && service->bind_count > 0 && !service->off)
        return ok(e, apply_facet(service, name[2], value), name, value);
    return ok(e,
              service != NULL ? apply_facet(service, name[2], value)
                              : apply_switch(o, switches[i].handler, value),
              name, value);
}

/* A service's addresses on the command line replace those of server.tab, and so does its port.
 */
static void forget_binds(struct options *o)
{
    for (size_t i = 0; i + 1 < word_count; i++) {
        struct service_options *s = strlen(words[i]) == 3 && words[i][0] == '-' &&
                                            (words[i][2] == 'I' || words[i][2] == 'p')
                                        ? service_of(o, words[i][1])
                                        : NULL;
        if (s == NULL)
            continue;
        s->off = false;
        if (words[i][2] == 'I')
            s->bind_count = 0;
        for (size_t k = 0; k < s->bind_count; k++)
            s->binds[k].port = 0;
    }
}

void cmdline_apply(struct options *o)
{
    forget_binds(o);
    for (size_t at = 0; at < word_count;)
        if (!take_switch(o, &at, NULL))
            return; /* options_command_line has refused it */
}

static enum rc add_word(struct str word, struct err *e)
{
    if (word_count == WORDS_MAX)
        return err_perm(e, "5.3.0", "more than %d words on the command line", WORDS_MAX);
    words[word_count++] = arena_c(&words_mem, word);
    return RC_OK;
}

/* MAIL_CMD_LINE: words parted by blanks; quotes hold a word together. */
static enum rc add_environment(struct err *e)
{
    const char *text = getenv("MAIL_CMD_LINE");
    struct str rest = str_from_c(text);
    while (rest.n > 0) {
        rest = str_trim(rest);
        if (rest.n == 0)
            break;
        bool quoted = rest.p[0] == '"';
        if (quoted)
            rest = str_skip(rest, 1);
        size_t end = 0;
        while (end < rest.n && (quoted ? rest.p[end] != '"' : !ascii_is_space(rest.p[end])))
            end++;
        if (quoted && end == rest.n)
            return err_perm(e, "5.3.0", "MAIL_CMD_LINE has a quote without an end");
        enum rc rc = add_word(str_head(rest, end), e);
        if (rc != RC_OK)
            return rc;
        rest = str_skip(rest, quoted ? end + 1 : end);
    }
    return RC_OK;
}

enum rc options_command_line(int argc, char **argv, struct err *e)
{
    arena_reset(&words_mem);
    word_count = 0;
    enum rc rc = RC_OK;
    for (int i = 0; i < argc && rc == RC_OK; i++)
        rc = add_word(str_from_c(argv[i]), e);
    if (rc == RC_OK)
        rc = add_environment(e);
    struct options *scratch = mem_new(sizeof(*scratch));
    for (size_t at = 0; at < word_count && rc == RC_OK;)
        if (!take_switch(scratch, &at, e))
            rc = RC_PERM;
    mem_free(&scratch);
    if (rc != RC_OK)
        word_count = 0;
    return rc;
}

size_t options_command_words(const char *const **out_words)
{
    *out_words = words;
    return word_count;
}

const char *options_mailroot(void)
{
    const char *given = getenv("MAIL_ROOT");
    for (size_t i = 0; i + 1 < word_count; i++)
        if (strcmp(words[i], "-Ms") == 0)
            given = words[i + 1];
    return given != NULL && given[0] != '\0' ? given : "/var/MailRoot";
}
