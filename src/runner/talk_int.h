/*
 * talk_int.h - a conversation, for milter.c, hook.c and talk_file.c.
 */
#ifndef HIKYAKU_RUNNER_TALK_INT_H
#define HIKYAKU_RUNNER_TALK_INT_H

#include "mail/milter.h"
#include "mail/stuffed.h"
#include "runner/talk.h"
#include "sys/client.h"

#define MILTER_PIECE_BYTES ((size_t)48 * 1024)

struct talk {
    const struct talk_job *job;
    struct arena *mem;
    struct client *client;
    struct buf packet; /* that came last */
    struct str path;   /* of FILE */
    int file;
    struct str head;  /* its lines about the envelope */
    uint64_t message; /* where the message begins; 0: there is none */
    uint64_t body;    /* where its body begins */
    struct milter_header header;
    struct str helo, host, id, sender;
    struct ip client_ip;
    uint16_t client_port;
    struct str *rcpts;
    size_t rcpt_count;
    uint32_t version, actions, protocol;
    bool has_changed; /* FILE is another */
    int new_body;     /* -1: none */
    uint64_t new_octets;
    struct unstuffing from_milter;
    struct stuffing to_file;
    struct milter_reply verdict; /* texts in mem */
};

/* Nothing is opened yet; talk_end closes what is. */
struct talk talk_begin(const struct talk_job *job);
/* Its memory stays the caller's. */
void talk_end(struct talk *t);
/* "<a@b>" without its brackets. */
struct str talk_bare(struct str path);
/* Appends lines with LF as lines with CRLF. */
void talk_add_crlf(struct buf *out, struct str lines);
/* A macro's value, or nothing. */
struct str talk_macro(const struct talk *t, const char *name);
/* Opens FILE and finds what a milter wants to know there. (milter_file.c) */
enum rc talk_read_file(struct talk *t, struct err *e) CHECK_RESULT;
/* A piece of another body, with CRLF; at_end: there is no more. */
enum rc talk_take_body(struct talk *t, struct str piece, bool at_end,
                       struct err *e) CHECK_RESULT;
/* FILE as the milter wants it. */
enum rc talk_write_file(struct talk *t, struct err *e) CHECK_RESULT;

#endif
