/*
 * data.h - a message as it comes in after DATA or BDAT, one pass: CRLF becomes LF, dots are
 * unstuffed, smuggling forms are refused, what the server needs to know of the header is
 * noticed. Pure.
 */
#ifndef HIKYAKU_MAIL_DATA_H
#define HIKYAKU_MAIL_DATA_H

#include "base/base.h"

enum data_mode { DATA_DOTS, DATA_BDAT };

/* What was found; valid when data_feed said it is complete. */
struct data {
    enum data_mode mode;
    uint64_t disk_octets;  /* written so far, LF line ends */
    uint64_t wire_octets;  /* the same with CRLF (no dot-stuffing) */
    uint64_t limit_octets; /* of wire_octets; 0: none */
    unsigned received_count;
    bool has_date, has_message_id, has_from, has_delivered_to_loop;
    bool has_8bit;
    bool bad_bytes; /* bare CR, bare LF or NUL: answer 550 when the message ends */
    bool bad_line;  /* a line above the maximum */
    bool too_large;
    bool complete;
    struct str delivered_to; /* set by the caller: "Delivered-To: <this>" is looked for */
    struct str extra_header; /* set by the caller's on_header_end */
    struct data_state {
        uint8_t line_state;
        bool in_header;
        size_t line_octets;
        size_t name_n;
        char name[80];
    } state;
};

/* Longest text line taken, octets. */
#define DATA_LINE_MAX ((size_t)65536)

void data_init(struct data *d, enum data_mode mode, uint64_t limit_octets);
/*
 * Consumes input: *out_used octets of in are done with; what belongs on disk is appended to out
 * (at most about in.n octets more). When too_large, bad_line or bad_bytes is set nothing more
 * is written but input is still consumed to the end of the message. At the end of the header
 * fields (before the blank line) on_header_end may append fields (Date, Message-ID) to out;
 * it's called once, also when there is no blank line. d->complete: CRLF.CRLF was seen
 * (DATA_DOTS); octets behind it aren't used.
 */
typedef enum rc data_header_fn(void *ctx, struct data *d, struct buf *out);
enum rc data_feed(struct data *d, struct str in, struct buf *out, data_header_fn *on_header_end,
                  void *ctx, size_t *out_used) CHECK_RESULT;
/* The last BDAT chunk has been fed: sets complete (a missing final CRLF is added). */
enum rc data_finish(struct data *d, struct buf *out, data_header_fn *on_header_end,
                    void *ctx) CHECK_RESULT;

#endif
