/*
 * tag.c - ListTag in front of Subject, once: a tag of this list that is there already, with
 * whatever number, goes first. A subject without one keeps its octets, whatever they mean.
 * Pure.
 */
#include "lists/lists_int.h"
#include "mail/encoded.h"
#include "mail/header.h"

#define GROUP_MAX 100u /* octets of "[another list]" */

/* --- the tag ----------------------------------------------------------------------------- */

/* The place of a number, %d, %5d or %05d, at the start of the tag: its octets; 0: none. */
static size_t place(struct str tag, unsigned *out_width, bool *out_zeros)
{
    size_t n = 1;
    unsigned width = 0;
    if (!str_starts(tag, STR("%")))
        return 0;
    *out_zeros = tag.n > 1 && tag.p[1] == '0';
    for (; n < tag.n && n < 4 && ascii_is_digit(tag.p[n]); n++)
        width = width * 10 + (unsigned)(tag.p[n] - '0');
    *out_width = MIN(width, 20u);
    return n < tag.n && tag.p[n] == 'd' ? n + 1 : 0;
}

bool list_tag_counts(struct str tag)
{
    unsigned width;
    bool zeros;
    for (; tag.n > 0; tag = str_skip(tag, 1))
        if (place(tag, &width, &zeros) > 0)
            return true;
    return false;
}

static struct str print_tag(struct str tag, uint64_t number, struct arena *a)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, BUF_MAX_DEFAULT);
    while (tag.n > 0) {
        unsigned width = 0;
        bool zeros = false;
        size_t n = place(tag, &width, &zeros);
        if (n == 0)
            buf_must(buf_add_char(&text, tag.p[0]));
        else
            buf_addf(&text, zeros ? "%0*" PRIu64 : "%*" PRIu64, (int)width, number);
        tag = str_skip(tag, MAX(n, (size_t)1));
    }
    return arena_str(a, buf_str(&text));
}

static size_t count_of(struct str s, bool (*is)(char))
{
    size_t n = 0;
    while (n < s.n && is(s.p[n]))
        n++;
    return n;
}

/* Octets that the tag, with any number, takes at the start of the text; 0: it isn't there. */
static size_t match_tag(struct str tag, struct str text)
{
    size_t at = 0;
    bool word = false; /* ends in a letter or digit: isn't the beginning of a longer word */
    while (tag.n > 0) {
        unsigned width;
        bool zeros;
        size_t n = place(tag, &width, &zeros), got = 0;
        struct str rest = str_skip(text, at);
        if (n > 0) {
            size_t blank = count_of(rest, ascii_is_space);
            got = count_of(str_skip(rest, blank), ascii_is_digit);
            got += got > 0 ? blank : 0;
        } else if (ascii_is_space(tag.p[0])) {
            n = count_of(tag, ascii_is_space);
            got = count_of(rest, ascii_is_space);
        } else if (rest.n > 0 && ascii_lower(rest.p[0]) == ascii_lower(tag.p[0])) {
            n = got = 1;
        }
        if (got == 0)
            return 0;
        at += got;
        word = ascii_is_alnum(text.p[at - 1]);
        tag = str_skip(tag, n);
    }
    return word && at < text.n && ascii_is_alnum(text.p[at]) ? 0 : at;
}

/* --- the subject ------------------------------------------------------------------------- */

/* "Re:" and its kin, "Re[2]:" too, at the start of the text: octets; 0: none. */
static size_t match_mark(struct str text, bool *out_reply)
{
    static const struct {
        const char *word;
        bool reply;
    } marks[] = { { "re", true },   { "aw", true },  { "sv", true },  { "返信", true },
                  { "fwd", false }, { "fw", false }, { "wg", false }, { "転送", false } };
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        struct str rest = str_skip(text, strlen(marks[i].word));
        if (!str_istarts(text, str_from_c(marks[i].word)))
            continue;
        if (rest.n > 0 && strchr("[(^*", rest.p[0]) != NULL) {
            rest = str_skip(rest, 1);
            rest = str_skip(rest, count_of(rest, ascii_is_digit));
            rest = str_skip(rest, rest.n > 0 && strchr("])", rest.p[0]) != NULL);
        }
        rest = str_skip(rest, count_of(rest, ascii_is_space));
        size_t colon = str_starts(rest, STR(":")) ? 1 : str_starts(rest, STR("：")) ? 3 : 0;
        *out_reply = marks[i].reply;
        if (colon > 0)
            return text.n - rest.n + colon;
    }
    return 0;
}

static size_t match_group(struct str text)
{
    size_t end = str_find(str_head(text, GROUP_MAX), ']');
    return str_starts(text, STR("[")) && end != SIZE_MAX ? end + 1 : 0;
}

/* The subject without this list's tags, which are looked for among what mail programs and
 * lists put in front; and what a reply to a reply gathers because of them. False: it has none.
 */
static bool remove_tags(struct str tag, struct str text, struct arena *a, struct str *out)
{
    struct buf front AUTO_RELEASE_BUF;
    bool found = false, replied = false;
    buf_init(&front, BUF_MAX_DEFAULT);
    for (;;) {
        bool reply = false;
        text = str_trim(text);
        size_t own = match_tag(tag, text), mark = own > 0 ? 0 : match_mark(text, &reply);
        size_t n = own + mark > 0 ? own + mark : match_group(text);
        if (n == 0)
            break;
        if (own == 0 && !(reply && replied))
            buf_addf(&front, "%.*s ", (int)n, text.p);
        replied = own > 0 ? replied : reply;
        found = found || own > 0;
        text = str_skip(text, n);
    }
    *out = arena_printf(a, "%.*s%.*s", STR_ARG(buf_str(&front)), STR_ARG(text));
    return found;
}

/* The tag before a value that stays as it is; its first line becomes no longer than it was. */
static enum rc print_before(struct str tag, struct str value, bool jis, struct buf *out)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    /* Blanks between encoded words are none (RFC 2047 6.2). */
    if (!str_is_ascii(tag) && str_starts(value, STR("=?")))
        tag = arena_printf(&mem, "%.*s ", STR_ARG(tag));
    enum rc rc = jis ? encoded_print_jis(tag, out) : encoded_print(tag, out);
    if (rc != RC_OK || value.n == 0)
        return rc;
    size_t lf = str_rfind(buf_str(out), '\n'), line = str_find(value, '\n');
    size_t used = out->n - (lf == SIZE_MAX ? 0 : lf + 1);
    return buf_printf(out, "%s %.*s", used + 1 + MIN(line, value.n) > 76 ? "\n" : "",
                      STR_ARG(value));
}

enum rc list_tag_print(const struct list *l, struct str field, struct buf *out)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str tag = print_tag(l->tag, l->number, &mem), value = header_value(field), text,
               rest;
    bool jis = false, readable = encoded_read(value, &mem, &text, &jis);
    enum rc rc = buf_add_str(out, STR("Subject:"));
    if (rc != RC_OK)
        return rc;
    if (!readable || !remove_tags(l->tag, text, &mem, &rest)) {
        rc = print_before(tag, value, jis, out);
    } else if (str_is_ascii(tag)) {
        rc = encoded_print(tag, out);
        if (rc == RC_OK && rest.n > 0)
            rc = jis ? encoded_print_jis(rest, out) : encoded_print(rest, out);
    } else {
        text = arena_printf(&mem, "%.*s %.*s", STR_ARG(tag), STR_ARG(rest));
        rc = jis ? encoded_print_jis(text, out) : encoded_print(text, out);
    }
    return rc == RC_OK ? buf_add_char(out, '\n') : rc;
}
