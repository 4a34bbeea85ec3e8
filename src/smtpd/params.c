/* params.c - what stands behind MAIL and RCPT: the word before the path, parameters. */
#include "smtpd/smtpd_int.h"

bool smtp_skip_word(struct str *args, struct str word)
{
    struct str rest = str_trim(*args);
    if (!str_istarts(rest, word))
        return false;
    *args = str_skip(rest, word.n);
    return true;
}

/*
 * RFC 5321 4.1.2:
 *   Mail-parameters = esmtp-param *(SP esmtp-param)
 *   esmtp-param     = esmtp-keyword ["=" esmtp-value]
 */
bool smtp_next_param(struct str *rest, struct str *out_keyword, struct str *out_value)
{
    struct str word = { "", 0 };
    while (word.n == 0)
        if (!str_cut(rest, ' ', &word))
            return false;
    struct str value = word;
    (void)str_cut(&value, '=', out_keyword);
    *out_value = value;
    return true;
}

bool smtp_is_xtext(struct str s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        if (ch <= ' ' || ch > '~' || ch == '=')
            return false;
        if (ch != '+')
            continue;
        if (i + 2 >= s.n || memchr(hex, s.p[i + 1], 16) == NULL ||
            memchr(hex, s.p[i + 2], 16) == NULL)
            return false;
        i += 2;
    }
    return s.n > 0;
}

unsigned smtp_address_rules(void)
{
    return ADDRESS_UTF8 | ADDRESS_QUOTED |
           (conf()->smtp_local_rule1 ? (unsigned)ADDRESS_LOOSE_DOTS : 0);
}
