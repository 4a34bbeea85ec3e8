/*
 * notes.h - small typed messages between roles, over sockets that the master made. The rows of
 * notes.def say what there is and who may send it to whom. A note that can't be understood, or
 * that its sender may not send, is logged and dropped; it never stops the receiver.
 */
#ifndef HIKYAKU_SYS_NOTES_H
#define HIKYAKU_SYS_NOTES_H

#include "base/base.h"
#include "sys/pool.h"

enum role_id {
    ROLE_CONTROL = 1u << 0,
    ROLE_SMTPD = 1u << 1,
    ROLE_ACCESS = 1u << 2,
    ROLE_QUEUE = 1u << 3,
    ROLE_RELAY = 1u << 4,
    ROLE_WEB = 1u << 5,
    ROLE_RUNNER = 1u << 6,
};
#define ROLE_COUNT 7

enum note_type {
#define NOTE(name, from, to, fields, text) NOTE_##name,
#include "sys/notes.def"
#undef NOTE
    NOTE_TYPES
};

/* A question of look_up that isn't for the DNS: who answers at "PORT ADDRESS"? */
#define LOOK_UP_CONNECT 65536u

#define NOTE_TEXT_MAX ((size_t)1000)
#define NOTE_FRAME_MAX ((size_t)4096)

/* One note of any type; the member of its type holds the fields. Texts point into the frame. */
struct note {
    enum note_type type;
    union {
#define N_STR(field) struct str field;
#define N_U64(field) uint64_t field;
#define NOTE(name, from, to, fields, text)                                                     \
    struct {                                                                                   \
        fields                                                                                 \
    } name;
#include "sys/notes.def"
#undef NOTE
#undef N_STR
#undef N_U64
    } u;
};

/* Its name in notes.def, for logs; may that role send it to that one? */
const char *note_name(enum note_type type);
bool note_is_allowed(enum note_type type, enum role_id from, enum role_id to);
/* The note as a frame. RC_PERM: a text is too long. */
enum rc note_encode(const struct note *n, struct buf *frame, struct err *e) CHECK_RESULT;
/* RC_PERM: not a whole, exact note. Texts point into `frame`. */
enum rc note_decode(struct str frame, struct note *out, struct err *e) CHECK_RESULT;

/* --- channels ---------------------------------------------------------------------------- */

/* The two ends of a channel (SOCK_SEQPACKET, not blocking). */
enum rc channel_pair(int out_fds[2], struct err *e) CHECK_RESULT;
/* Sends without waiting; fd to pass along, or -1. RC_TEMP: the channel is full or broken. Any
 * thread. */
enum rc channel_send(int channel, const struct note *n, int fd, struct err *e) CHECK_RESULT;

/* Called by a worker for each note that arrives, one at a time a channel; fd (-1: none) is the
 * receiver's to close. */
typedef void note_fn(void *ctx, const struct note *n, int fd);
/* Listens on the channel whose other end is `from`'s; self: the role of this process. */
enum rc channel_listen(struct pool *pool, int channel, enum role_id from, enum role_id self,
                       note_fn *fn, void *ctx, struct err *e) CHECK_RESULT;

/* Waits for one note, before a pool runs. frame: room of NOTE_FRAME_MAX octets that *out points
 * into. RC_TEMP: none until the deadline (clock_mono), or the channel is broken. */
enum rc channel_wait(int channel, usec_t deadline, char *frame, struct note *out, int *out_fd,
                     struct err *e) CHECK_RESULT;

#endif
