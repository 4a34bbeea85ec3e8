/*
 * milter.h - Sendmail's milter protocol, version 6: packets, and the header that a milter
 * edits. Pure. A packet is its length (four octets, network order), a kind (one octet) and
 * data.
 */
#ifndef HIKYAKU_MAIL_MILTER_H
#define HIKYAKU_MAIL_MILTER_H

#include "base/base.h"
#include "base/ip.h"

#define MILTER_PACKET_MAX ((size_t)1 << 20)
#define MILTER_VERSION 6u
#define MILTER_BODY_MAX ((size_t)65535) /* of a piece of the body */

/* What a milter may do to a message. */
enum {
    MILTER_ADD_HEADERS = 0x01,
    MILTER_CHANGE_BODY = 0x02,
    MILTER_CHANGE_HEADERS = 0x10,
    MILTER_QUARANTINE = 0x20,
};
/* What it doesn't want to be told (NO_), or not to answer (QUIET_). */
enum {
    MILTER_NO_CONNECT = 0x01,
    MILTER_NO_HELO = 0x02,
    MILTER_NO_MAIL = 0x04,
    MILTER_NO_RCPT = 0x08,
    MILTER_NO_BODY = 0x10,
    MILTER_NO_HEADERS = 0x20,
    MILTER_NO_EOH = 0x40,
    MILTER_QUIET_HEADER = 0x80,
    MILTER_NO_UNKNOWN = 0x100,
    MILTER_NO_DATA = 0x200,
    MILTER_SKIP = 0x400,
    MILTER_QUIET_CONNECT = 0x1000,
    MILTER_QUIET_HELO = 0x2000,
    MILTER_QUIET_MAIL = 0x4000,
    MILTER_QUIET_RCPT = 0x8000,
    MILTER_QUIET_DATA = 0x10000,
    MILTER_QUIET_UNKNOWN = 0x20000,
    MILTER_QUIET_EOH = 0x40000,
    MILTER_QUIET_BODY = 0x80000,
};

/* --- places ------------------------------------------------------------------------------ */

struct milter_place {
    struct str path; /* of a socket; empty: ip and port */
    struct ip ip;
    uint16_t port;
};
/* "unix:/path", "inet:127.0.0.1:port"; Sendmail's "local:/path", "inet:port@host" too. Only
 * this machine's are taken. NULL, or what is wrong. */
const char *milter_place_parse(struct str where, struct milter_place *out);

/* --- packets ----------------------------------------------------------------------------- */

/* Appends one. */
void milter_put(struct buf *out, char kind, struct str data);
/* Our offer: version, actions, protocol. */
void milter_put_offer(struct buf *out, uint32_t actions, uint32_t protocol);

/* One that came. Texts are slices of it. */
struct milter_reply {
    char kind;
    uint32_t version, actions, protocol; /* O */
    uint32_t index;                      /* i, m */
    struct str name, value;              /* h, i, m */
    struct str text;                     /* y: "550 5.7.1 no"; q: the reason; b: octets */
};
/* kind and data. NULL, or what is wrong. Kinds that nobody offered are wrong. */
const char *milter_reply_parse(struct str packet, struct milter_reply *out);

/* --- the header -------------------------------------------------------------------------- */

struct milter_field {
    struct milter_field *next;
    struct str name, value; /* value: behind the colon and one blank; LF between folded lines */
    bool is_ours;           /* the milter isn't shown it */
};
struct milter_header {
    struct milter_field *first;
    bool changed;
};
/* Lines with LF up to the blank one, or to one that is no field; id: a Received field that has
 * it is ours. Returns how many octets are the header's. Texts are in a. */
size_t milter_header_parse(struct str lines, struct str id, struct arena *a,
                           struct milter_header *out);
/* What a reply of kind h, i or m makes of it. Texts are copied to a. */
void milter_header_edit(struct milter_header *h, const struct milter_reply *r, struct arena *a);
/* With LF. */
enum rc milter_header_print(const struct milter_header *h, struct buf *out) CHECK_RESULT;

#endif
