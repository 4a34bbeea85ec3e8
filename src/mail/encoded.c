/* encoded.c - see encoded.h. */
#include "mail/encoded.h"
#include "mail/charset.h"

#define LINE_MOST 76u /* characters of a line with encoded words */
#define WORD_LEAST 12u
#define LINE_OCTETS 57u /* 76 characters */

enum rc base64_print(struct str s, struct buf *out)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum rc rc = RC_OK;
    for (size_t i = 0; i < s.n && rc == RC_OK; i += 3) {
        uint32_t v = 0;
        char four[4];
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (i + k < s.n ? (unsigned char)s.p[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            four[k] = i + k <= s.n ? digits[v >> (18 - 6 * k) & 63] : '=';
        rc = buf_add(out, four, 4);
    }
    return rc;
}

enum rc base64_print_lines(struct str s, struct buf *out)
{
    enum rc rc = RC_OK;
    while (s.n > 0 && rc == RC_OK) {
        struct str line = str_head(s, MIN(s.n, (size_t)LINE_OCTETS));
        s = str_skip(s, line.n);
        rc = base64_print(line, out);
        if (rc == RC_OK)
            rc = buf_add(out, "\n", 1);
    }
    return rc;
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_read(struct str text, struct buf *out)
{
    uint32_t bits = 0;
    unsigned held = 0; /* of them, not given out yet */
    size_t count = 0, padding = 0;
    for (size_t i = 0; i < text.n; i++) {
        int digit = digit_of(text.p[i]);
        padding += text.p[i] == '=';
        if (padding > 2 || (digit < 0) != (text.p[i] == '=') || (digit >= 0 && padding > 0))
            return false;
        if (digit < 0)
            continue;
        count++;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        if (buf_add_char(out, (char)(bits >> held & 0xff)) != RC_OK)
            return false;
    }
    return count % 4 != 1;
}

/* --- printing ---------------------------------------------------------------------------- */

static size_t column(const struct buf *out)
{
    size_t lf = str_rfind(buf_str(out), '\n');
    return lf == SIZE_MAX ? out->n : out->n - lf - 1;
}

/* Folded before words that would be too far to the right. */
static enum rc print_ascii(struct str s, struct buf *out)
{
    enum rc rc = RC_OK;
    for (bool first = true; rc == RC_OK && (first || s.n > 0); first = false) {
        size_t n = 0;
        while (n < s.n && (n == 0 || s.p[n] != ' '))
            n++;
        bool word = !first && n > 1 && s.p[0] == ' ';
        if (word && column(out) + n > LINE_MOST)
            rc = buf_add_char(out, '\n');
        if (rc == RC_OK && first)
            rc = buf_add_char(out, ' ');
        for (size_t i = 0; i < n && rc == RC_OK; i++)
            rc = buf_add_char(out,
                              (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? ' ' : s.p[i]);
        s = str_skip(s, n);
    }
    return rc;
}

/* The whole characters of text, at least one, that make no more than `most` octets. */
static size_t piece(struct str text, bool jis, size_t most, struct arena *a, struct str *out)
{
    size_t n = MIN(text.n, jis ? most * 3 / 2 : most);
    for (;; n--) {
        while (n < text.n && n > 1 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
            n--;
        *out = str_head(text, n);
        bool fits = !jis || (charset_convert(CHARSET_UTF8, CHARSET_JIS, *out, a, out) &&
                             out->n <= most);
        if (fits || n <= 1)
            return n;
    }
}

static enum rc print_words(struct str text, bool jis, struct buf *out)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    const char *name = jis ? CHARSET_JIS : CHARSET_UTF8;
    size_t around = strlen(" =?"
                           "?B?"
                           "?=") +
                    strlen(name);
    enum rc rc = RC_OK;
    while (text.n > 0 && rc == RC_OK) {
        struct str octets;
        size_t used = around + column(out),
               room = used > LINE_MOST ? 0 : (LINE_MOST - used) / 4 * 3;
        if (room < WORD_LEAST) {
            rc = buf_add_char(out, '\n');
            room = (LINE_MOST - around) / 4 * 3;
        }
        text = str_skip(text, piece(text, jis, room, &mem, &octets));
        if (rc == RC_OK)
            rc = buf_printf(out, " =?%s?B?", name);
        if (rc == RC_OK)
            rc = base64_print(octets, out);
        if (rc == RC_OK)
            rc = buf_add_str(out, STR("?="));
    }
    return rc;
}

/* What reads back as it is. */
static bool is_plain(struct str text)
{
    return str_is_ascii(text) && str_find_str(text, STR("=?")) == SIZE_MAX;
}

enum rc encoded_print(struct str text, struct buf *out)
{
    return is_plain(text) ? print_ascii(text, out) : print_words(text, false, out);
}

enum rc encoded_print_jis(struct str text, struct buf *out)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str octets;
    bool jis = charset_convert(CHARSET_UTF8, CHARSET_JIS, text, &mem, &octets);
    return is_plain(text) ? print_ascii(text, out) : print_words(text, jis, out);
}

/* --- reading ----------------------------------------------------------------------------- */

struct word {
    size_t n; /* octets that it takes */
    struct str charset, text;
    bool is_q;
};

/* An encoded word at the start of s (RFC 2047 2; with a language, RFC 2231 5). */
static bool read_word(struct str s, struct word *out)
{
    struct str rest = str_skip(s, 2), charset, kind, text;
    if (!str_starts(s, STR("=?")) || !str_cut(&rest, '?', &charset) ||
        !str_cut(&rest, '?', &kind))
        return false;
    size_t end = str_find_str(rest, STR("?="));
    if (end == SIZE_MAX || kind.n != 1 || !str_has_any(kind, "QqBb"))
        return false;
    text = str_head(rest, end);
    *out = (struct word){ .n = (size_t)(text.p - s.p) + end + 2,
                          .charset = str_head(charset, str_find(charset, '*')),
                          .text = text,
                          .is_q = str_has_any(kind, "Qq") };
    return !str_has_any(text, " \t?");
}

static int hex_of(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_q(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i] == '_' ? ' ' : text.p[i];
        if (c == '=') {
            int high = i + 2 < text.n ? hex_of(text.p[i + 1]) : -1;
            int low = i + 2 < text.n ? hex_of(text.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (buf_add_char(out, c) != RC_OK)
            return false;
    }
    return true;
}

static size_t blanks(struct str s)
{
    size_t n = 0;
    while (n < s.n && ascii_is_space(s.p[n]))
        n++;
    return n;
}

/* Words of one charset that follow each other, from *rest: mail programs cut characters between
 * them, against RFC 2047 5. */
static bool read_words(struct str *rest, const struct word *first, struct buf *out,
                       bool *out_jis)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct buf octets AUTO_RELEASE_BUF;
    const char *charset = charset_known(first->charset);
    struct word w = *first;
    struct str text;
    buf_init(&octets, BUF_MAX_DEFAULT);
    if (charset == NULL)
        return false;
    for (size_t skip = 0;; skip = blanks(*rest)) {
        if (skip > 0 &&
            (!read_word(str_skip(*rest, skip), &w) || !str_ieq(w.charset, first->charset)))
            break;
        if (!(w.is_q ? read_q(w.text, &octets) : base64_read(w.text, &octets)))
            return false;
        *rest = str_skip(*rest, skip + w.n);
        if (blanks(*rest) == 0)
            break;
    }
    *out_jis = *out_jis || strcmp(charset, CHARSET_JIS) == 0;
    return charset_convert(charset, CHARSET_UTF8, buf_str(&octets), &mem, &text) &&
           buf_add_str(out, text) == RC_OK;
}

bool encoded_read(struct str value, struct arena *a, struct str *out, bool *out_jis)
{
    struct buf text AUTO_RELEASE_BUF;
    bool after_word = false, good = true;
    buf_init(&text, BUF_MAX_DEFAULT);
    *out_jis = false;
    for (value = str_trim(value); value.n > 0 && good;) {
        struct word w;
        size_t skip = blanks(value);
        if (read_word(str_skip(value, skip), &w)) {
            if (skip > 0 && !after_word)
                good = buf_add_char(&text, ' ') == RC_OK;
            value = str_skip(value, skip);
            good = good && read_words(&value, &w, &text, out_jis);
            after_word = true;
            continue;
        }
        size_t n = skip;
        while (n < value.n && !ascii_is_space(value.p[n]))
            n++;
        struct str plain = str_skip(str_head(value, n), skip);
        good = (skip == 0 || buf_add_char(&text, ' ') == RC_OK) &&
               buf_add_str(&text, plain) == RC_OK;
        value = str_skip(value, n);
        after_word = false;
    }
    *out = arena_str(a, buf_str(&text));
    return good && str_is_utf8(*out) && !str_has_control(*out);
}
