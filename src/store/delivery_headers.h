/*
 * delivery_headers.h - what a local delivery adds to a message: Return-Path and Delivered-To in
 * front of everything, Reply-To at the end of the header for senders who are external aliases.
 * For smtpd, which delivers in the session, and for the queue. LF line ends.
 */
#ifndef HIKYAKU_STORE_DELIVERY_HEADERS_H
#define HIKYAKU_STORE_DELIVERY_HEADERS_H

#include "base/base.h"
#include "mail/address.h"
#include "users/users.h"

/* Appends Return-Path (an external alias shows as the local address it stands for) and
 * Delivered-To (account NULL: not that, for list mail, which has its list's). Fails only as
 * buf_add does. */
enum rc delivery_headers_front(const struct address *sender, const struct account *account,
                               struct buf *out) CHECK_RESULT;
/*
 * Appends what belongs behind the last field: "Reply-To: local address" when the sender is an
 * external alias (extaliases.tab), else nothing. A field on its own lines, to be put right
 * before the blank line that ends the header.
 */
enum rc delivery_headers_end(const struct address *sender, struct buf *out) CHECK_RESULT;

#endif
