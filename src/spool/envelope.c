/*
 * envelope.c - the first lines of a queue entry, as text that a person can read:
 *     hikyaku-entry 1
 *     size 00000000000000001234 wire 00000000000000001260
 *     id 65f2c81a3b2c100a3f
 *     received 1764000000000000
 *     client [192.0.2.1]:4321     server [192.0.2.2]:25     helo name     auth login
 *     flags utf8 8bit full envid [part-of part-number approval [part-step via steps]]
 *     from reverse-path
 *     to address-as-given resolved-address [notify orcpt]     (one line a recipient)
 *     <blank line>
 * Octets that would end a word are written as %XX. The size line has a fixed length, so that it
 * can be filled in when the message has been received.
 */
#include "spool/spool_int.h"

#define MAGIC "hikyaku-entry 1\n"

static enum rc add_word(struct buf *out, struct str word)
{
    enum rc rc = RC_OK;
    if (word.n == 0)
        return buf_add_char(out, '-');
    for (size_t i = 0; i < word.n && rc == RC_OK; i++) {
        unsigned char c = (unsigned char)word.p[i];
        bool plain = c > 0x20 && c != '%' && c != 0x7f && !(c == '-' && word.n == 1);
        rc = plain ? buf_add_char(out, (char)c) : buf_printf(out, "%%%02X", c);
    }
    return rc;
}

static enum rc add_line(struct buf *out, const char *key, struct str a, struct str b)
{
    enum rc rc = buf_printf(out, "%s ", key);
    if (rc == RC_OK)
        rc = add_word(out, a);
    if (rc == RC_OK && b.p != NULL)
        rc = buf_add_char(out, ' ');
    if (rc == RC_OK && b.p != NULL)
        rc = add_word(out, b);
    return rc == RC_OK ? buf_add_char(out, '\n') : rc;
}

static const struct str no_word = { NULL, 0 };
static const char *const ret_names[] = { "-", "hdrs", "full" };

/* "<local@domain>" so that the null path is a word of its own. */
static struct str path_text(const struct address *address, struct arena *a)
{
    return arena_printf(a, "<%.*s>", STR_ARG(address_print(address, a)));
}

/* "to given resolved"; behind it what RFC 3461 says of it, where there is something. */
static enum rc add_recipient(struct buf *out, const struct envelope_recipient *r)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    enum rc rc = buf_add_str(out, STR("to "));
    if (rc == RC_OK)
        rc = add_word(out, path_text(&r->address, &mem));
    if (rc == RC_OK)
        rc = buf_add_char(out, ' ');
    if (rc == RC_OK)
        rc = add_word(out, path_text(&r->resolved, &mem));
    if (rc == RC_OK && (r->notify != 0 || r->orcpt.n > 0)) {
        rc = buf_printf(out, " %x ", r->notify);
        if (rc == RC_OK)
            rc = add_word(out, r->orcpt);
    }
    return rc == RC_OK ? buf_add_char(out, '\n') : rc;
}

static enum rc add_processed(struct buf *out, const struct envelope *env)
{
    enum rc rc = buf_printf(out, " %016" PRIx64 " ", env->part_step);
    if (rc == RC_OK)
        rc = add_word(out, env->via);
    if (rc == RC_OK)
        rc = buf_add_char(out, ' ');
    if (rc == RC_OK)
        rc = add_word(out, env->steps);
    if (rc == RC_OK && env->goes_along != ALONG_NOT)
        rc = buf_add_str(out, env->goes_along == ALONG_COPY ? STR(" copy") : STR(" letter"));
    return rc;
}

struct str envelope_size_text(uint64_t octets, uint64_t wire_octets, struct arena *a)
{
    return arena_printf(a, "size %020" PRIu64 " wire %020" PRIu64 "\n", octets, wire_octets);
}

size_t envelope_size_line(struct str printed)
{
    return str_find(printed, '\n') + 1;
}

enum rc envelope_print(const struct envelope *env, struct str id, uint64_t octets,
                       uint64_t wire_octets, struct buf *out)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str size = envelope_size_text(octets, wire_octets, &mem);
    struct str time = arena_printf(&mem, "%" PRId64, env->received_at);
    enum rc rc = buf_add_str(out, STR(MAGIC));
    if (rc == RC_OK)
        rc = buf_add_str(out, size);
    const struct {
        const char *key;
        struct str value;
    } lines[] = {
        { "id", id },
        { "received", time },
        { "client", env->client },
        { "server", env->server },
        { "helo", env->helo },
        { "auth", env->auth_user },
    };
    for (size_t i = 0; i < ARRAY_LEN(lines) && rc == RC_OK; i++)
        rc = add_line(out, lines[i].key, lines[i].value, no_word);
    if (rc == RC_OK)
        rc = buf_printf(out, "flags %s %s %s ", env->smtputf8 ? "utf8" : "-",
                        env->body_8bit ? "8bit" : "-", ret_names[env->ret]);
    if (rc == RC_OK)
        rc = add_word(out, env->envid);
    if (rc == RC_OK && env->part_of.n > 0)
        rc = buf_printf(out, " %.*s %zu ", STR_ARG(env->part_of), env->part_number);
    if (rc == RC_OK && env->part_of.n > 0)
        rc = add_word(out, env->approval);
    if (rc == RC_OK && env->is_processed)
        rc = add_processed(out, env);
    if (rc == RC_OK)
        rc = buf_add_char(out, '\n');
    if (rc == RC_OK)
        rc = add_line(out, "from", path_text(&env->reverse_path, &mem), no_word);
    for (size_t i = 0; i < env->recipient_count && rc == RC_OK; i++)
        rc = add_recipient(out, &env->recipients[i]);
    return rc == RC_OK ? buf_add_char(out, '\n') : rc;
}

static int hex_digit(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes add_word. */
static struct str word_value(struct str word, struct arena *a)
{
    if (str_eq(word, STR("-")))
        return STR("");
    char *p = arena_new(a, word.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < word.n; i++) {
        bool coded = word.p[i] == '%' && i + 2 < word.n && hex_digit(word.p[i + 1]) >= 0 &&
                     hex_digit(word.p[i + 2]) >= 0;
        p[n++] = coded ? (char)(hex_digit(word.p[i + 1]) * 16 + hex_digit(word.p[i + 2]))
                       : word.p[i];
        i += coded ? 2 : 0;
    }
    return str_from(p, n);
}

static bool parse_path(struct str word, struct arena *a, struct address *out)
{
    struct str rest;
    struct err e;
    unsigned rules = ADDRESS_LOOSE_DOTS | ADDRESS_QUOTED | ADDRESS_UTF8;
    return address_parse_path(word_value(word, a), rules, a, out, &rest, &e) == RC_OK &&
           rest.n == 0;
}

static bool parse_time(struct str word, struct envelope *env)
{
    int64_t t = 0;
    bool ok = str_to_i64(word, &t);
    env->received_at = t;
    return ok;
}

static bool parse_hex(struct str word, uint64_t *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < word.n; i++) {
        int digit = hex_digit(ascii_upper(word.p[i]));
        if (digit < 0)
            return false;
        n = n << 4 | (uint64_t)digit;
    }
    *out = n;
    return word.n > 0 && word.n <= 16;
}

static bool parse_processed(struct str rest, struct arena *a, struct envelope *env)
{
    struct str step, via = STR("-"), steps = STR("-"), along = STR("");
    if (rest.p == NULL || !str_cut(&rest, ' ', &step))
        return true;
    (void)str_cut(&rest, ' ', &via);
    (void)str_cut(&rest, ' ', &steps);
    (void)str_cut(&rest, ' ', &along);
    env->is_processed = true;
    env->goes_along = str_eq(along, STR("copy"))     ? ALONG_COPY
                      : str_eq(along, STR("letter")) ? ALONG_LETTER
                                                     : ALONG_NOT;
    env->via = word_value(via, a);
    env->steps = word_value(steps, a);
    return parse_hex(step, &env->part_step);
}

static bool parse_part(struct str rest, struct arena *a, struct envelope *env)
{
    struct str number, approval = STR("-");
    uint64_t n = 0;
    if (!str_cut(&rest, ' ', &env->part_of)) {
        env->part_of = STR("");
        return true;
    }
    if (!spool_id_is_valid(env->part_of) || !str_cut(&rest, ' ', &number) ||
        !str_to_u64(number, &n))
        return false;
    (void)str_cut(&rest, ' ', &approval);
    env->approval = word_value(approval, a);
    env->part_number = (size_t)n;
    return parse_processed(rest, a, env);
}

/* What isn't there (entries of earlier versions) is as if it weren't given. */
static bool parse_flags(struct str word, struct str rest, struct arena *a, struct envelope *env)
{
    struct str second = STR("-"), ret = STR("-"), envid = STR("-");
    env->smtputf8 = str_eq(word, STR("utf8"));
    (void)str_cut(&rest, ' ', &second);
    (void)str_cut(&rest, ' ', &ret);
    (void)str_cut(&rest, ' ', &envid);
    env->body_8bit = str_eq(second, STR("8bit"));
    for (size_t i = 0; i < ARRAY_LEN(ret_names); i++)
        if (str_eq(ret, str_from_c(ret_names[i])))
            env->ret = (enum dsn_return)i;
    env->envid = word_value(envid, a);
    env->approval = env->via = env->steps = STR("");
    return parse_part(rest, a, env);
}

static bool parse_recipient(struct str word, struct str rest, struct arena *a,
                            struct envelope_recipient *r)
{
    struct str resolved = { "", 0 }, notify = STR("0"), orcpt = STR("-");
    uint64_t bits = 0;
    if (!str_cut(&rest, ' ', &resolved))
        return false;
    (void)str_cut(&rest, ' ', &notify);
    (void)str_cut(&rest, ' ', &orcpt);
    bool one_digit = notify.n == 1 && hex_digit(ascii_upper(notify.p[0])) >= 0;
    bits = one_digit ? (uint64_t)hex_digit(ascii_upper(notify.p[0])) : 0;
    r->notify = (unsigned)bits;
    r->orcpt = word_value(orcpt, a);
    return one_digit && parse_path(word, a, &r->address) &&
           parse_path(resolved, a, &r->resolved);
}

/* Line i behind the size line. False: it isn't what we write, in that order. */
static bool parse_line(size_t i, struct str line, struct arena *a, struct spool_entry *out)
{
    static const char *const order[] = { "id",   "received", "client", "server",
                                         "helo", "auth",     "flags",  "from" };
    struct envelope *env = &out->env;
    struct str key = { "", 0 }, word = { "", 0 }, rest = line;
    if (!str_cut(&rest, ' ', &key) || !str_cut(&rest, ' ', &word) ||
        !str_eq(key, str_from_c(i < ARRAY_LEN(order) ? order[i] : "to")))
        return false;
    if (str_eq(key, STR("id")))
        return str_eq(word_value(word, a), out->id);
    if (str_eq(key, STR("received")))
        return parse_time(word, env);
    if (str_eq(key, STR("from")))
        return parse_path(word, a, &env->reverse_path);
    if (str_eq(key, STR("flags")))
        return parse_flags(word, rest, a, env);
    if (str_eq(key, STR("to")))
        return parse_recipient(word, rest, a, &env->recipients[env->recipient_count++]);
    struct str value = word_value(word, a);
    if (str_eq(key, STR("client")))
        env->client = value;
    else if (str_eq(key, STR("server")))
        env->server = value;
    else if (str_eq(key, STR("helo")))
        env->helo = value;
    else if (str_eq(key, STR("auth")))
        env->auth_user = value;
    else
        return false;
    return true;
}

static bool parse_size(struct str line, struct spool_entry *out)
{
    struct str sizes = str_skip(line, 5), octets = { "", 0 };
    size_t wire = str_find_str(sizes, STR(" wire "));
    if (!str_starts(line, STR("size ")) || wire == SIZE_MAX)
        return false;
    octets = str_head(sizes, wire);
    return str_to_u64(octets, &out->message_octets) &&
           str_to_u64(str_skip(sizes, wire + 6), &out->wire_octets);
}

/* What was done before the entry was made; words that aren't hex are nothing of ours. */
static void take_steps(struct spool_entry *out)
{
    struct str rest = out->env.steps, word;
    uint64_t step = 0;
    while (rest.n > 0 && str_cut(&rest, ',', &word))
        if (parse_hex(word, &step))
            journal_add_step(out, 0, step);
}

enum rc envelope_parse(struct str text, struct arena *a, struct spool_entry *out,
                       size_t *out_header_n, struct err *e)
{
    size_t end = str_find_str(text, STR("\n\n"));
    if (!str_starts(text, STR(MAGIC)) || end == SIZE_MAX)
        return err_perm(e, "5.3.0", "not a queue entry, or cut short");
    struct str rest = str_head(str_skip(text, sizeof(MAGIC) - 1), end - (sizeof(MAGIC) - 1)),
               line = { "", 0 };
    size_t lines = 0;
    for (size_t i = 0; i < rest.n; i++)
        lines += rest.p[i] == '\n';
    out->env.recipients = arena_new_array(a, struct envelope_recipient, lines + 1);
    if (!str_cut(&rest, '\n', &line) || !parse_size(line, out))
        return err_perm(e, "5.3.0", "damaged size line");
    for (size_t i = 0; str_cut(&rest, '\n', &line); i++)
        if (!parse_line(i, line, a, out))
            return err_perm(e, "5.3.0", "damaged line %zu", i + 3);
    if (out->env.recipient_count == 0)
        return err_perm(e, "5.3.0", "no recipients");
    out->states = arena_new_array(a, enum delivery_state, out->env.recipient_count);
    out->reasons = arena_new_array(a, struct str, out->env.recipient_count);
    out->steps = arena_new_array(a, struct spool_step *, out->env.recipient_count);
    out->mem = a;
    out->via = str_eq(out->env.via, STR(SPOOL_VIA_DOMAIN)) ? STR("") : out->env.via;
    take_steps(out);
    *out_header_n = end + 2;
    return RC_OK;
}
