/* media.h - what a message says its body is (RFC 2045). Pure. */
#ifndef HIKYAKU_MAIL_MEDIA_H
#define HIKYAKU_MAIL_MEDIA_H

#include "base/base.h"

enum media_encoding { MEDIA_7BIT, MEDIA_8BIT, MEDIA_BINARY, MEDIA_QP, MEDIA_BASE64 };

struct media {
    struct str type, subtype; /* text, plain: what counts without a field */
    struct str charset, boundary;
    enum media_encoding encoding;
    bool is_flowed;   /* format=flowed (RFC 3676) */
    bool is_attached; /* Content-Disposition: attachment */
};
/* The header's own fields, in a. False: they say nothing that can be relied on: twice there,
 * malformed, with comments or parameters in pieces (RFC 2231). */
bool media_read(struct str header, struct arena *a, struct media *out) CHECK_RESULT;
/* Does one of the fields that describe the body have this name (Content-...)? */
bool media_is_field(struct str name);

#endif
