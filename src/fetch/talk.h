/* talk.h - a visit at the other side: the conversation with the source (talk.c), in the words
 * of its protocol (pop3.c, imap.c). Inside the relay role's half of fetch/. */
#ifndef HIKYAKU_FETCH_TALK_H
#define HIKYAKU_FETCH_TALK_H

#include "fetch/fetch_int.h"
#include "sys/client.h"

/* Messages on their way home: a buffer, and a memory file when they become more. */
struct bundle {
    struct buf part;  /* not yet in the file */
    uint64_t in_file; /* octets */
    uint64_t head_at; /* of the message that is being taken */
    size_t count;
    int fd; /* -1: none yet */
};
void bundle_init(struct bundle *b);
void bundle_release(struct bundle *b);
/* One message: its octets (LF) between begin and end. */
enum rc bundle_begin(struct bundle *b, struct err *e) CHECK_RESULT;
enum rc bundle_add(struct bundle *b, struct str octets, struct err *e) CHECK_RESULT;
uint64_t bundle_message_octets(const struct bundle *b);
/* state: other than BATCH_MESSAGE: its octets are dropped. */
enum rc bundle_end(struct bundle *b, uint32_t index, enum batch_state state,
                   struct err *e) CHECK_RESULT;
/* The message that was begun isn't one. */
enum rc bundle_cancel(struct bundle *b, struct err *e) CHECK_RESULT;
/* All of it, as a memory file; the bundle is empty then. */
enum rc bundle_take(struct bundle *b, int *out_fd, struct err *e) CHECK_RESULT;

/* A message as the source lists it. */
struct offer {
    uint64_t number; /* POP3's message number, IMAP's UID */
    uint64_t octets; /* 0: not told */
    struct str uidl; /* p NULL: the source has none */
    bool marked;     /* IMAP: somebody marked it as deleted */
};

struct talk;
/* What a protocol does. The functions that ask write commands to t->out; those that take read
 * the replies, in the same order. RC_GONE: the connection is of no use any more. */
struct source {
    /* Greeting, TLS, login. RC_PERM: refused. */
    enum rc (*open)(struct talk *t, struct err *e);
    /* t->offers. */
    enum rc (*list)(struct talk *t, struct err *e);
    void (*ask)(struct talk *t, const struct offer *o);
    /* Into t->bundle. RC_PERM: the source doesn't give it. */
    enum rc (*take)(struct talk *t, const struct offer *o, struct err *e);
    /* Some of t->offers, by their indexes. */
    void (*ask_delete)(struct talk *t, const uint32_t *offers, size_t count);
    /* *out_done: all of them. */
    enum rc (*deleted)(struct talk *t, size_t count, bool *out_done, struct err *e);
    /* What was deleted goes. */
    enum rc (*close)(struct talk *t, struct err *e);
};
extern const struct source source_pop3, source_imap;

struct talk {
    struct arena mem;
    uint64_t home, number;
    struct fetch_link link;
    uint64_t limit; /* octets of a message */
    struct client_tls_ctx *tls;
    struct client *client;
    const struct source *source;
    struct buf out; /* commands that aren't sent yet */
    struct offer *offers;
    size_t offer_count, offer_room;
    struct bundle bundle;
    bool pipelining; /* commands may be sent before replies have come */
    bool too_large;  /* the message that is being taken is larger than it may be */
    /* POP3 */
    struct str challenge; /* of the greeting; may be empty */
    bool has_stls;
    /* IMAP */
    unsigned asked, answered; /* commands */
    bool has_uidplus, has_body;
    uint64_t uid_validity, exists, wanted_uid;
    uint64_t *doomed; /* UIDs that were marked as deleted */
    size_t doomed_count;
};

/* tls: taken over; may be NULL where no TLS is asked for. */
struct talk *talk_new(struct client_tls_ctx *tls);
/* Closes the connection too. */
void talk_free(struct talk **t);
/* Sends what is in t->out. */
enum rc talk_flush(struct talk *t, struct err *e) CHECK_RESULT;
/* The next line of the source, valid until more is read. */
enum rc talk_line(struct talk *t, struct str *out, struct err *e) CHECK_RESULT;
/* TLS as the settings want it. */
enum rc talk_start_tls(struct talk *t, struct err *e) CHECK_RESULT;
/* One more message is listed. RC_PERM: far too many are. */
enum rc talk_offer(struct talk *t, uint64_t number, uint64_t octets,
                   struct err *e) CHECK_RESULT;
/* The id as it is remembered: as it is when it is short and plain, else a hash. In t->mem. */
struct str talk_uidl(struct talk *t, struct str given);
/* How long a reply may take, when so many octets of it have come. */
void talk_patience(struct talk *t, usec_t began, uint64_t octets);

/* The body of a reply to RETR: any line end becomes LF, NULs go, dots are unstuffed. Zeroed at
 * first. Only CRLF.CRLF ends it. */
struct pop3_body {
    uint8_t state;
    bool done;
};
/* *out_used octets of in are done with; what belongs to the message is appended to out. */
enum rc pop3_body_feed(struct pop3_body *b, struct str in, struct buf *out,
                       size_t *out_used) CHECK_RESULT;

/* The hooks of a visit to its home, for tests too. */
struct talk_home {
    /* Waits for the answer; RC_GONE: the visit is to end. */
    enum rc (*list)(struct talk *t, int fd, struct str *out_wants, struct err *e);
    enum rc (*send)(struct talk *t, int fd, struct err *e);
    enum rc (*fates)(struct talk *t, struct str *out, struct err *e);
};
/* The whole conversation over t->client, which is connected. */
enum rc talk_run(struct talk *t, const struct talk_home *home, struct err *e) CHECK_RESULT;

#endif
