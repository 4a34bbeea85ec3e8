/*
 * stuffed.h - message data as it travels: lines end in CRLF, a dot that begins one is doubled
 * (RFC 5321 4.5.2). XMail keeps its files and those of filters in this form (specification 6,
 * item 1); ours have LF and no doubled dots. Pure; any split of the text gives the same.
 */
#ifndef HIKYAKU_MAIL_STUFFED_H
#define HIKYAKU_MAIL_STUFFED_H

#include "base/base.h"

/* In files of XMail's form: the line between envelope and message. */
#define XMAIL_DATA_TAG "<<MAIL-DATA>>"

/* Our form to that one. Starts zeroed. */
struct stuffing {
    bool in_line;
};
/* Appends; fails only as buf_add does. */
enum rc stuff_feed(struct stuffing *s, struct str text, struct buf *out) CHECK_RESULT;
/* Ends a line that has no end. */
enum rc stuff_end(struct stuffing *s, struct buf *out) CHECK_RESULT;

/*
 * That form, or what other programs made of it, to lines with LF: CRLF, CR and LF end lines,
 * NUL goes. Starts zeroed but for `dotted`.
 */
struct unstuffing {
    bool dotted; /* dots are doubled: "..x" becomes ".x" */
    bool in_line, after_cr, after_dot;
    uint64_t wire_octets; /* of what was given out, with CRLF */
    /* What was seen, for those who don't take everything. */
    bool bare_cr, nul, lone_dot; /* lone_dot: the end of a message, in the midst of it */
};
enum rc unstuff_feed(struct unstuffing *u, struct str in, struct buf *out) CHECK_RESULT;
/* Adds a line end that is missing: u->in_line tells before. */
enum rc unstuff_end(struct unstuffing *u, struct buf *out) CHECK_RESULT;

/*
 * Are the dots doubled? XMail keeps the form in which it got a message: over SMTP doubled, from
 * spool/local not (specification 6, items 1 and 17). A line that begins with one dot only is in
 * no text of doubled ones. Starts zeroed.
 */
struct dots {
    bool plain; /* such a line was seen */
    enum { DOTS_START, DOTS_ONE, DOTS_LINE } state;
};
void dots_feed(struct dots *d, struct str in);

#endif
