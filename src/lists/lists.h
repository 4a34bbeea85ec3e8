/*
 * lists.h - mailing lists (accounts of type M): who may post, what a post looks like to the
 * members, and the entries that go to them. A post becomes one queue entry with all members as
 * recipients (a few, when there are very many); one that needs a moderator becomes an entry
 * that waits for him.
 */
#ifndef HIKYAKU_LISTS_LISTS_H
#define HIKYAKU_LISTS_LISTS_H

#include "base/base.h"
#include "spool/spool.h"
#include "users/users.h"

/* A list as its tables describe it now. Lives in the arena it was loaded into. */
struct list {
    struct account account;
    struct address address; /* account.name@account.domain */
    struct user_options options;
    struct address sender; /* ListSender; is_null: the poster's own reverse-path stays */
    bool rewrites_from;    /* set by the caller of list_expand: From becomes the list's */
    struct str tag;        /* ListTag, trimmed; empty: none */
    uint64_t number;       /* of the post, set by list_expand */
};
/* user.tab of the account. RC_TEMP: unreadable. A ListSender that is no address counts as none,
 * and so does a ListTag of many octets, or of such as aren't text. */
enum rc list_load(const struct account *account, struct arena *a, struct list *out,
                  struct err *e) CHECK_RESULT;

enum list_post {
    LIST_POST_YES,
    LIST_POST_HELD, /* a moderator decides */
    LIST_POST_NO,
};
/*
 * May this reverse-path, or this login (empty: none), post? ClosedML: a member whose perms have
 * W and whose address is the reverse-path, or whose perms have A and who is logged in
 * (mlusers.tab; specification 1, section 4). The null reverse-path never may: reports don't go
 * to lists. ListModeration turns refusals, or everything but a logged in moderator's own, into
 * LIST_POST_HELD. RC_TEMP: mlusers.tab can't be read.
 */
enum rc list_may_post(const struct list *l, const struct address *from, struct str login,
                      enum list_post *out, struct err *e) CHECK_RESULT;

/*
 * The header (with LF, up to the blank line, without it) as members get it, appended to out:
 * Delivered-To in front; List-Id and List-Post for other lists' List- fields (RFC 2919, RFC
 * 2369); Reply-To with UseReplyTo; the tag in Subject. With rewrites_from From becomes "author
 * via list" <list>, the old one X-Original-From, and the author's address Reply-To where that
 * isn't the list. RC_PERM: too large. Pure.
 */
enum rc list_header(const struct list *l, struct str header, struct buf *out) CHECK_RESULT;
/* Was the message with this header through the list already? Pure. */
bool list_header_loops(const struct list *l, struct str header);

/* --- the queue role ---------------------------------------------------------------------- */

/* The domain of the author (the first address of From); empty: none. In a. RC_TEMP: the entry
 * can't be read. */
enum rc list_author_domain(const struct spool_entry *entry, struct arena *a, struct str *out,
                           struct err *e) CHECK_RESULT;

typedef void list_made_fn(void *ctx, struct str id);
enum list_outcome { LIST_SENT, LIST_HELD, LIST_LOOPS, LIST_EMPTY };
/*
 * Recipient i of the entry is the list: makes the entries for its members, or the one that
 * waits for a moderator, unless an earlier call has, and names each to `made`. Nothing works on
 * them before the entry says that recipient i is done (spool_part_waits). RC_PERM: the poster
 * may not; the message can't go to a list.
 */
enum rc list_expand(const struct spool_entry *entry, size_t i, const struct list *l,
                    list_made_fn *made, void *ctx, enum list_outcome *out,
                    struct err *e) CHECK_RESULT;
/* Is the entry on its way to members: the same message for all of them? */
bool list_is_part(const struct spool_entry *entry);

/* --- moderation -------------------------------------------------------------------------- */

/* Does the entry wait for a moderator? */
bool list_is_held(const struct spool_entry *entry);
/* A notice to the moderators of the list (ListModerators, else ListSender, else PostMaster)
 * about the entry, as a queue entry that is named to `made`. */
enum rc list_tell_moderators(const struct spool_entry *entry, const struct list *l,
                             list_made_fn *made, void *ctx, struct err *e) CHECK_RESULT;

/* An address that a moderator answers to: LIST-ok-... or LIST-no-... */
struct list_decision {
    bool approve;
    struct str id, word;    /* of the entry that waits */
    struct account account; /* the list's */
};
/* Is it such an address? Texts in a. Says nothing of whether something waits for it. */
bool list_decision_parse(const struct address *to, struct arena *a, struct list_decision *out);
/* RC_PERM 5.1.1: nothing waits for this (any more). */
enum rc list_decision_check(const struct list_decision *d, struct err *e) CHECK_RESULT;
/* Recorded, durably. As list_decision_check; the queue role must look at d->id then. */
enum rc list_decide(const struct list_decision *d, struct err *e) CHECK_RESULT;
/* The same of an entry that is open: reason is told to the poster, NULL: approved. */
enum rc list_decide_open(struct spool_entry *entry, const struct str *reason,
                         struct err *e) CHECK_RESULT;

#endif
