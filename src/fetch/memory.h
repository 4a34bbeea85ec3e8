/*
 * memory.h - what was taken from one source: msgsync/SERVER_PORT/USER.seen, a line a message.
 *
 *   ? UIDL DIGEST NAME   is about to be put here under this name
 *   = UIDL DIGEST        is durable here
 *   ~ UIDL DIGEST        the same, and it wasn't in the source's list since
 *
 * NAME: a queue entry's id, or an account's folder, a slash, and a file's name. DIGEST: SHA-256
 * of the message, in hex; "-" when only its UIDL is known. The last line of a UIDL counts.
 *
 * Nothing is lost or taken twice because of the order: the line with "?" is written before the
 * message is put, the one with "=" after that. Whoever dies in between leaves "?", and the name
 * tells whether the message is there (memory_settle, before the queue works). After a power cut
 * the lines may be missing: then the commit log has the message with a tag that says the same
 * (memory_take_tag), or it has been emptied, before which everything was synced. What doesn't
 * go through the log is put after the line was synced.
 */
#ifndef HIKYAKU_FETCH_MEMORY_H
#define HIKYAKU_FETCH_MEMORY_H

#include "base/base.h"

#define DIGEST_TEXT_BYTES 65u

enum known_state { KNOWN_INTENT, KNOWN_STORED, KNOWN_GONE };
struct known {
    struct str uidl, digest;
    struct str name; /* of an intent */
    enum known_state state;
    bool listed; /* in the list of this visit */
};

struct memory;
/* folder: link_folder's; user: the login there. What XMail remembered (USER.uidb) is taken over
 * when there is nothing of ours. */
enum rc memory_open(struct str folder, struct str user, struct memory **out,
                    struct err *e) CHECK_RESULT;
/* NULL: nothing is known of it. */
struct known *memory_find(struct memory *m, struct str uidl);
/* A message of this content that is no longer listed under its old UIDL; or NULL. */
struct known *memory_find_moved(struct memory *m, struct str digest);
size_t memory_count(const struct memory *m);

/* "?" and "=": known from now on, and in the file after memory_write. */
void memory_intend(struct memory *m, struct str uidl, struct str digest, struct str name);
void memory_note(struct memory *m, struct str uidl, struct str digest);
/* Writes these lines, at once; memory_sync: and syncs them. */
enum rc memory_write(struct memory *m, struct err *e) CHECK_RESULT;
enum rc memory_sync(struct memory *m, struct err *e) CHECK_RESULT;
/* Did a process that died put it there after all? */
bool memory_was_put(const struct known *k);
/*
 * The list of this visit is known: those in it have ->listed. What isn't listed any more is
 * forgotten, or with `keeps` remembered as gone (the newest 10,000).
 */
void memory_sweep(struct memory *m, bool keeps);
/* Writes what is worth keeping, when that differs from the file, and frees. */
enum rc memory_close(struct memory **m, struct err *e) CHECK_RESULT;

/* The tag for a message of the source that is put through the commit log. In a. */
struct str memory_tag(struct str folder, struct str user, struct str uidl, struct str digest,
                      struct arena *a);
/* Notes what the tag says. False: it isn't one. */
bool memory_take_tag(struct str tag, enum rc *out_rc, struct err *e);
/* Every "?" of every source becomes "=" or nothing. Before the queue works on entries. */
void memory_settle(void);
/* For the way back: USER.uidb of every source as XMail reads it, instead of ours. */
void memory_export(void);

#endif
