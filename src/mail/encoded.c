/* encoded.c - see encoded.h. */
#include "mail/encoded.h"

#define WORD_OCTETS                                                                            \
    45u /* in an encoded word: 60 characters, less than 75 with what is around */
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

static enum rc print_ascii(struct str s, struct buf *out)
{
    enum rc rc = buf_add(out, " ", 1);
    for (size_t i = 0; i < s.n && rc == RC_OK; i++)
        rc = buf_add(out, (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? " " : &s.p[i], 1);
    return rc;
}

enum rc encoded_print(struct str text, struct buf *out)
{
    enum rc rc = RC_OK;
    if (str_is_ascii(text))
        return print_ascii(text, out);
    while (text.n > 0 && rc == RC_OK) {
        size_t n = MIN(text.n, (size_t)WORD_OCTETS);
        while (n < text.n && n > 1 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
            n--;
        rc = buf_add_str(out, STR(" =?UTF-8?B?"));
        if (rc == RC_OK)
            rc = base64_print(str_head(text, n), out);
        text = str_skip(text, n);
        if (rc == RC_OK)
            rc = buf_add_str(out, text.n > 0 ? STR("?=\n") : STR("?="));
    }
    return rc;
}
