/* reason.h - why a recipient was delivered, deferred or failed, as one line of text: "STATUS
 * HOST TEXT". STATUS is RFC 3463's, HOST the server that said TEXT, or "-" when we did. */
#ifndef HIKYAKU_MAIL_REASON_H
#define HIKYAKU_MAIL_REASON_H

#include "base/base.h"

struct reason {
    struct str status; /* "5.1.1" */
    struct str host;   /* empty: this server */
    struct str text;   /* a remote's begins with its reply code */
};

#define REASON_MAX ((size_t)900)

/* In a; control octets become blanks, at most REASON_MAX octets. */
struct str reason_print(const struct reason *r, struct arena *a);
/* Slices of s. Text in another form is all TEXT, with `otherwise` as its status. */
struct reason reason_parse(struct str s, const char *otherwise);
/* The status in a reply's text ("550 5.1.1 no"), else one that fits its code. */
struct str reason_status(unsigned code, struct str text);

#endif
