/* lists_int.h - inside lists/. */
#ifndef HIKYAKU_LISTS_LISTS_INT_H
#define HIKYAKU_LISTS_LISTS_INT_H

#include "conf/options.h"
#include "conf/tab.h"
#include "lists/lists.h"

/* Largest header that a post may have; smtpd takes less (DATA_HEADER_MAX). */
#define LIST_HEADER_MAX SPOOL_MESSAGE_HEADER_MAX

/* An address as people write it into a table: with or without <>. */
bool list_address(struct str text, struct arena *a, struct address *out);

struct list_member {
    struct address address;
    bool receives, writes, writes_logged_in; /* R, W, A */
};
struct list_members {
    struct list_member *members;
    size_t count;
};
/* mlusers.tab; lines without an address are reported and skipped. */
enum rc list_members_read(const struct list *l, struct arena *a, struct list_members *out,
                          struct err *e) CHECK_RESULT;

/* The domain of the first address in the header's From; empty: none. In a. */
struct str list_author(struct str header, struct arena *a);

/* Has ListTag a place for the post's number? */
bool list_tag_counts(struct str tag);
/* Subject with the tag, appended to out. field: as it was, or empty. Fails only as buf_add
 * does.
 */
enum rc list_tag_print(const struct list *l, struct str field, struct buf *out) CHECK_RESULT;
/* The number of the post that recipient i of the entry is: the one that it got before, or a new
 * one, durably. RC_TEMP. */
enum rc list_number(const struct list *l, struct str entry, size_t recipient, uint64_t *out,
                    struct err *e) CHECK_RESULT;

/* --- texts around posts ------------------------------------------------------------------- */

/* header.tab and footer.tab: UTF-8, each line ends in LF; empty: none. */
struct list_texts {
    struct str header, footer;
};
/* RC_TEMP: a table can't be read. What is too large, or no text, counts as none. */
enum rc list_texts_read(const struct list *l, struct arena *a, struct list_texts *out,
                        struct err *e) CHECK_RESULT;

/* The body of a post, wherever it is: `octets` of it behind the blank line, read by read(),
 * which gives all n or false. */
struct list_body {
    uint64_t octets;
    bool (*read)(void *ctx, uint64_t at, char *p, size_t n);
    void *ctx;
};
/* Text in place of the body's octets from `at` to `end`. */
struct body_splice {
    uint64_t at, end;
    struct str text;
};
struct body_change {
    struct str header;             /* as it is then */
    struct body_splice splices[2]; /* in order */
    size_t count;
    bool has_8bit; /* what comes in has such octets */
};
/*
 * How the texts come into a post with this header and body. mark: a boundary that isn't in it.
 * False: they can't without harm; the body stays. All in a.
 */
bool list_body_plan(const struct list_texts *texts, struct str header,
                    const struct list_body *body, struct str mark, struct arena *a,
                    struct body_change *out) CHECK_RESULT;

/* The entry that waits for a moderator, made of recipient i. */
enum rc list_hold(const struct spool_entry *entry, size_t i, const struct list *l,
                  list_made_fn *made, void *ctx, struct err *e) CHECK_RESULT;

#endif
