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
    char message_id[256];    /* of the Message-ID field, or empty; cut when longer */
    struct str delivered_to; /* set by the caller: "Delivered-To: <this>" is looked for */
    struct str extra_header; /* set by the caller's on_header_end */
    struct data_state {      /* data.c's own */
        uint8_t line_state, field_state;
        bool in_header, has_field;
        uint8_t captured;      /* of enum capture: the field that is looked at */
        uint8_t name_n;        /* of the field name in held, when blanks follow it */
        size_t line_octets;    /* content of this line so far */
        uint64_t added_octets; /* of wire_octets: ours, they don't count for the limit */
        size_t held_n, value_n;
        char held[80];   /* start of a header line that may turn out to be body */
        char value[264]; /* of the field that is looked at */
    } state;
};

/* Longest text line taken, octets without CRLF. */
#define DATA_LINE_MAX ((size_t)65536)
/* Largest header taken, octets; a larger one makes the message too_large whatever the limit. */
#define DATA_HEADER_MAX ((size_t)1 << 20)

/* A fresh message. Set delivered_to afterwards where loops are looked for. */
void data_init(struct data *d, enum data_mode mode, uint64_t limit_octets);
/*
 * Consumes input: *out_used octets of in are done with; what belongs on disk is appended to out
 * (at most about in.n octets more). When too_large, bad_line or bad_bytes is set nothing more
 * is written but input is still consumed to the end of the message. At the end of the header
 * fields (before the blank line) on_header_end may append fields (Date, Message-ID) to out;
 * it's called once, also when there is no blank line, but not for a message already refused.
 * NULL: nothing to append. d->complete: CRLF.CRLF was seen (DATA_DOTS); octets behind it aren't
 * used.
 * Fails as buf_add or on_header_end do: out and d are of no use then.
 */
typedef enum rc data_header_fn(void *ctx, struct data *d, struct buf *out);
enum rc data_feed(struct data *d, struct str in, struct buf *out, data_header_fn *on_header_end,
                  void *ctx, size_t *out_used) CHECK_RESULT;
/* The last BDAT chunk has been fed: sets complete (a missing final CRLF is added). */
enum rc data_finish(struct data *d, struct buf *out, data_header_fn *on_header_end,
                    void *ctx) CHECK_RESULT;
/* Octets that text with LF line ends has on the wire, with CRLF. */
uint64_t data_wire_octets(struct str text);

#endif
