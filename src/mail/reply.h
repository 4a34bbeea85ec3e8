/*
 * reply.h - messages that an account sends by itself about one that came: answers (RFC 3834)
 * and notices. Headers are given without the blank line that ends them. Printed with LF. Pure.
 */
#ifndef HIKYAKU_MAIL_REPLY_H
#define HIKYAKU_MAIL_REPLY_H

#include "mail/address.h"

/*
 * NULL: the message may be answered automatically; else the reason why not: reports, lists,
 * what a program sent, what wasn't addressed to one of `own` (count addresses that mean the
 * account). RFC 3834 2.
 */
const char *reply_why_not(struct str header, const struct address *sender,
                          const struct address *own, size_t count);
/* The same for a notice: only what answers to notices could be, is left out. */
const char *notice_why_not(struct str header, const struct address *sender);

struct reply {
    struct str from,
        to; /* addresses, printed; of a notice `to` may be several, commas between */
    struct str message_id, date;
    struct str header;       /* of the message that came */
    struct str subject;      /* UTF-8; empty: of that message */
    const struct str *lines; /* UTF-8 */
    size_t count;
};
/* An answer. Fails only as buf_add does. RFC 3834 3 */
enum rc reply_print(const struct reply *r, struct buf *out) CHECK_RESULT;
/* A notice of a message from sender (printed) for r->from. */
enum rc notice_print(const struct reply *r, struct str sender, bool japanese,
                     struct buf *out) CHECK_RESULT;

#endif
