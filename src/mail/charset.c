/* charset.c - see charset.h. */
#include "mail/charset.h"
#include <iconv.h>

static const struct {
    const char *mime, *name; /* Shift_JIS in mail is what Windows makes of it */
} known[] = {
    { "UTF-8", CHARSET_UTF8 },
    { "US-ASCII", "ASCII" },
    { "ISO-2022-JP", CHARSET_JIS },
    { "Shift_JIS", "CP932" },
    { "x-sjis", "CP932" },
    { "Windows-31J", "CP932" },
    { "EUC-JP", "EUC-JP" },
    { "ISO-8859-1", "ISO-8859-1" },
    { "ISO-8859-15", "ISO-8859-15" },
    { "Windows-1252", "CP1252" },
    { "GB2312", "GB18030" },
    { "GBK", "GB18030" },
    { "GB18030", "GB18030" },
    { "Big5", "BIG5" },
    { "EUC-KR", "EUC-KR" },
    { "KOI8-R", "KOI8-R" },
    { "Windows-1251", "CP1251" },
};

static iconv_t held[2 * ARRAY_LEN(known)];

void charsets_hold(void)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        held[2 * i] = iconv_open(CHARSET_UTF8, known[i].name);
        held[2 * i + 1] = iconv_open(known[i].name, CHARSET_UTF8);
        if (held[2 * i] == (iconv_t)-1 || held[2 * i + 1] == (iconv_t)-1)
            log_warn(EV("charset isn't known to this system"), KV("name", known[i].name));
    }
}

void charsets_drop(void)
{
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        if (held[i] != NULL && held[i] != (iconv_t)-1)
            (void)iconv_close(held[i]);
    memset(held, 0, sizeof(held));
}

const char *charset_known(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_ieq(name, str_from_c(known[i].mime)))
            return known[i].name;
    return NULL;
}

bool charset_convert(const char *from, const char *to, struct str text, struct arena *a,
                     struct str *out)
{
    size_t room = text.n * 4 + 16, left = room, in_left = text.n;
    char *p = arena_new(a, room), *at = p, *in = arena_c(a, text);
    iconv_t cd = iconv_open(to, from);
    if (cd == (iconv_t)-1)
        return false;
    bool good = iconv(cd, &in, &in_left, &at, &left) == 0 &&
                iconv(cd, NULL, NULL, &at, &left) != (size_t)-1; /* back to ASCII's state */
    (void)iconv_close(cd);
    if (good)
        *out = str_from(p, room - left);
    return good;
}
