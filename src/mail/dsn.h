/*
 * dsn.h - reports about the delivery of a message: multipart/report with
 * message/delivery-status (RFC 3464, RFC 6522), for failures, delays and successes asked for
 * (RFC 3461), in English or Japanese; UTF-8 addresses by RFC 6533. Pure.
 */
#ifndef HIKYAKU_MAIL_DSN_H
#define HIKYAKU_MAIL_DSN_H

#include "mail/address.h"
#include "mail/reason.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED };

struct dsn_recipient {
    struct str address; /* as the sender gave it */
    struct str final;   /* what it meant; may be the same */
    struct str orcpt;   /* "rfc822;xtext", or empty */
    enum dsn_action action;
    struct reason reason;
    bool is_utf8;
};

struct dsn {
    struct str server;     /* this one's name */
    struct str from, to;   /* addresses of the header */
    struct str envid;      /* xtext, or empty */
    struct str message_id; /* of the report */
    struct str queue_id;
    usec_t arrived, now, give_up; /* wall clock; give_up: of delays */
    bool japanese;
    bool is_utf8; /* addresses or headers in it are */
    const struct dsn_recipient *recipients;
    size_t recipient_count;
    struct str log;      /* lines for people, may be empty */
    struct str link;     /* where administrators see the message's story, may be empty */
    struct str original; /* its header, or all of it; LF */
    bool is_whole;       /* all of it */
};

/* The report, LF as line end. RC_PERM: too large. */
enum rc dsn_print(const struct dsn *d, struct buf *out) CHECK_RESULT;

#endif
