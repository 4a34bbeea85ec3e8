/* charset.h - text of other charsets than UTF-8, by iconv(3). */
#ifndef HIKYAKU_MAIL_CHARSET_H
#define HIKYAKU_MAIL_CHARSET_H

#include "base/base.h"

/* A sealed role can't load what converts charsets: it is loaded before, and held. */
void charsets_hold(void);
void charsets_drop(void);
/* iconv's name for a charset of MIME, or NULL: we don't deal with it. Foreign names must come
 * through here: iconv knows more charsets than are safe. */
const char *charset_known(struct str name);
/* False: it isn't text of that charset, or the other one can't express it. *out in a. */
bool charset_convert(const char *from, const char *to, struct str text, struct arena *a,
                     struct str *out) CHECK_RESULT;

#define CHARSET_UTF8 "UTF-8"
#define CHARSET_JIS "ISO-2022-JP"

#endif
