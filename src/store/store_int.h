/* store_int.h - what the files of store/ share. */
#ifndef HIKYAKU_STORE_STORE_INT_H
#define HIKYAKU_STORE_STORE_INT_H

#include "store/store.h"

/* Longest host part of a name we make: keeps our names below POP3's 70 octets (RFC 1939 7). */
#define HOST_PART_MAX 16

/* What store_init found; never changed afterwards. */
struct store_state {
    struct commit *commit;
    uint64_t run; /* which run of the server this is: counters of another run are unsure */
    int64_t
        takeover_s; /* mail without W= that is older is in XMail's stuffed form; 0: none is */
    char host[HOST_PART_MAX + 1];
};
extern struct store_state store;

/* --- name.c: message file names (pure) --------------------------------------------------- */

struct message_name {
    struct str base;                   /* up to the flags */
    usec_t time;                       /* of arrival, when has_time */
    uint64_t disk_octets, wire_octets; /* S= and W= */
    bool has_time, has_disk, has_wire;
};
/* False for names that are no message: empty, hidden, or not a single path component. */
bool name_parse(struct str file, struct message_name *out);
/* A fresh name without its sizes, "seconds.MmicrosPpidQseq.host". Any thread. */
struct str name_make(usec_t now, struct arena *a);
/* May a caller's fixed name stand at the head of a file name? */
bool name_is_base(struct str base);
/* "base,S=disk,W=wire" */
struct str name_with_sizes(struct str base, uint64_t disk, uint64_t wire, struct arena *a);
/* The POP3 id of a base: itself where RFC 1939 7 allows it (1 to 70 octets of 0x21 to 0x7E),
 * else "h-" and 160 bits of its SHA-256. */
struct str name_uid(struct str base, struct arena *a);
/* Text of the tables as one path component of ours: "/", a leading ".", controls and "%" become
 * %XX. */
struct str name_component(struct str text, struct arena *a);
/* The host part of names: Maildir's escapes, cut to HOST_PART_MAX. */
void name_host(struct str host, char out[HOST_PART_MAX + 1]);

/* --- place.c: where an account's messages lie -------------------------------------------- */

enum place_kind { PLACE_MAILDIR, PLACE_MAILBOX };
struct place {
    struct str folder; /* of the account; lives as long as the account given */
    enum place_kind kind;
    bool exists; /* false: kind is what a new mailbox becomes */
};
/* Which kind exists (where both do: the one the option names). Never fails: a folder that can't
 * be looked at doesn't exist, and opening it says why. */
struct place place_find(const struct account *account);
/* The kind tried first: Maildir, or mailbox where -Mm says so. */
enum place_kind place_preferred(void);
/* Makes what is missing of the mailbox (Maildir/{tmp,new,cur}, mailbox), mode 0700. */
enum rc place_make(const struct place *place, struct err *e) CHECK_RESULT;
/* Where new messages go, and where they go once seen (NULL for mailbox/). */
const char *place_new(const struct place *place, struct arena *a);
const char *place_cur(const struct place *place, struct arena *a);
/* The file in which a message is written before it has its name. */
const char *place_tmp(const struct place *place, struct str base, struct arena *a);
/* Does this mailbox/ folder hold CRLF files (it came from Windows)? One file is looked at, once
 * a process and folder. Always false for Maildir. */
bool place_has_crlf(const struct place *place);
/* Removes what interrupted deliveries left (older than 36 hours, as Maildir says). */
void place_sweep(const struct place *place);
/* "hikyaku/mailbox/DOMAIN/USER": our own notes on the mailbox. */
struct str place_notes_folder(const struct account *account, struct arena *a);

/* One message file found by place_scan. */
struct found {
    struct message_name name;
    struct str file; /* whole file name, valid during the call */
    bool in_cur;
    bool stuffed;         /* XMail's form: dots are doubled in the file */
    usec_t time;          /* of arrival */
    uint64_t wire_octets; /* as POP3 counts */
};
typedef enum rc found_fn(void *ctx, const struct found *f, struct err *e);
/*
 * Calls fn for each message in the mailbox, in no order; cur: Maildir's cur/ too. Names tell
 * time and size; only foreign names cost a stat, and a read the first time. A file that is
 * moved from new/ to cur/ during the scan is seen once or twice, never not at all.
 */
enum rc place_scan(const struct place *place, struct str notes_folder, bool cur, found_fn *fn,
                   void *ctx, struct err *e) CHECK_RESULT;

/* --- sizes.c: sizes of foreign files, remembered ----------------------------------------- */

struct sizes;
/* notes_folder outlives it. Nothing is read before the first sizes_get. */
struct sizes *sizes_new(struct str notes_folder);
struct file_seen {
    uint64_t size;
    int64_t mtime_ns;
    bool stuffed;
};
/* Wire octets of the file at path, read once and remembered under base. RC_PERM with sys
 * ENOENT: it's gone. */
enum rc sizes_get(struct sizes *s, struct str base, const char *path,
                  const struct file_seen *seen, uint64_t *out, struct err *e) CHECK_RESULT;
/* Writes down what is new (failing only costs the next open time) and frees. complete: all
 * messages of the mailbox were asked for, so what wasn't may be forgotten. */
void sizes_free(struct sizes **s, bool complete);

/* --- usage.c: the counters --------------------------------------------------------------- */

/* A change of the mailbox under way. */
struct usage_change {
    uint64_t octets, messages, generation;
    bool counted; /* false: this mailbox has no counters just now */
};
/*
 * Before a message goes in (octets, messages 1) or messages go out (0, 0). With a limit the
 * counters are made when there are none (a walk), and the message must fit; without one an
 * uncounted mailbox stays uncounted. RC_TEMP 4.2.2, RC_PERM 5.2.3.
 */
enum rc usage_begin(const struct account *account, const struct place *place, uint64_t limit_kb,
                    uint64_t octets, uint64_t messages, struct usage_change *out,
                    struct err *e) CHECK_RESULT;
/* After it: kept (else what usage_begin added is taken back), less what was removed. */
void usage_end(const struct account *account, const struct place *place,
               const struct usage_change *change, bool kept, uint64_t octets_removed,
               uint64_t messages_removed);
/* Is there a record that would be believed, and is wrong? */
bool usage_is_off(const struct account *account, const struct place *place);
/* What is in the mailbox isn't known any more: the next question walks. */
void usage_forget(const struct account *account);

/* --- reader.c ---------------------------------------------------------------------------- */

/*
 * From a file's bytes to POP3's: each LF or CRLF becomes CRLF (a bare CR stays), a missing last
 * line end is added, lines that begin with a dot get another. In XMail's form (stuffed) they
 * have it already; a line that is only a dot gets one all the same, or it would end the
 * transfer.
 */
struct transfer {
    bool stuffed;
    bool in_line;         /* part of a line has been sent */
    bool in_body;         /* the blank line has passed */
    bool done;            /* the final dot is out */
    size_t body_lines;    /* still to send; SIZE_MAX: all */
    uint64_t wire_octets; /* so far, without stuffing and final dot */
};
void transfer_init(struct transfer *t, bool stuffed, size_t body_lines);
/* Appends what in gives to out; *out_used octets of it are done with (at least one unless fewer
 * than three were given). eof: nothing follows in. */
enum rc transfer_feed(struct transfer *t, struct str in, bool eof, struct buf *out,
                      size_t *out_used) CHECK_RESULT;
/* Reads the whole file to count what POP3 would send. */
enum rc transfer_measure(const char *path, bool stuffed, uint64_t *out,
                         struct err *e) CHECK_RESULT;

/* --- notices.c --------------------------------------------------------------------------- */

/* The mailbox in this account folder has changed. */
void notice_step(struct str account_folder);

#endif
