/*
 * commit_int.h - the redo log on disk and in memory, shared by commit*.c only.
 *
 * A log is two segment files, hikyaku/commit/NAME.0 and NAME.1, used in turn:
 *     header slot 0 | header slot 1 | batch | batch | ... | octets of earlier epochs
 * Slots and batches begin on pages of COMMIT_PAGE octets, so a torn write harms nothing that
 * was synced before it. A header write goes to the older slot; the valid slot with the highest
 * generation counts. Numbers are in the machine's order (the magic tells another one's).
 *
 * A batch is what one write and one sync made durable: a head, records, zeros up to the page's
 * end. Its checksum starts from the key of the header's epoch (random, never seen outside),
 * goes over the head and over the records' checksums; a batch counts whole or not at all, and
 * the first one that doesn't count ends the segment. So neither octets of an earlier epoch nor
 * a message made to look like a batch can pass for one.
 *
 * Segment states: EMPTY (fresh epoch, no batch) -> ACTIVE (batches are added) -> SEALED (being
 * checkpointed) -> EMPTY. At most one is ACTIVE.
 */
#ifndef HIKYAKU_SYS_COMMIT_INT_H
#define HIKYAKU_SYS_COMMIT_INT_H

#include "sys/commit.h"
#include "sys/io.h"
#include "sys/lock.h"

#define COMMIT_FOLDER "hikyaku/commit"
#define COMMIT_PAGE ((uint64_t)4096)
#define COMMIT_DATA_AT (2 * COMMIT_PAGE) /* the first batch */
#define COMMIT_LIFE_BYTES 64
#define COMMIT_PATH_MAX 4096
#define COMMIT_BATCH_BYTES ((uint64_t)1 << 20)   /* a batch is closed when it is this long */
#define COMMIT_REQUEST_MAX ((uint64_t)4 << 20)   /* one call's records */
#define COMMIT_SEGMENT_LIMIT ((uint64_t)1 << 30) /* a file larger than this isn't a segment */

enum segment_flags {
    SEGMENT_SETTLED =
        1u << 0, /* all puts and tags are in the file system: removals alone count */
    SEGMENT_SUSPECT = 1u << 1, /* a sync of the file system failed: rewrite what puts say */
};

struct segment_header {
    uint64_t magic;
    uint32_t version, flags;
    uint64_t generation; /* of this header; highest wins */
    uint64_t epoch, key[2];
    char life[COMMIT_LIFE_BYTES]; /* see commit_life */
    int64_t written_at;           /* wall clock, for people */
    uint64_t sum;
};

struct batch_head {
    uint64_t magic, epoch, sequence;
    int64_t stamp;  /* the lowest of its records */
    uint64_t bytes; /* with this head, without the padding */
    uint64_t count; /* records */
    uint64_t sum;
};

enum record_kind { RECORD_PUT = 1, RECORD_TAG, RECORD_REMOVE, RECORD_ABORT };

/*
 * PUT: path, tmp, tag, content. TAG (a file that was synced by itself): path, tmp, tag.
 * REMOVE and ABORT: names, each ended by NUL, in path_bytes. Padded with zeros to 8 octets.
 */
struct record_head {
    uint32_t kind, bytes; /* of the whole record */
    int64_t stamp;        /* clock_mono: events of one path are ordered by it over all logs */
    uint32_t path_bytes, tmp_bytes, tag_bytes, unused;
    int64_t wall;  /* the same moment by the wall clock */
    uint64_t size; /* of the file */
    uint64_t sum;  /* over the head with 0 here, and the rest */
};

/* A record as read; slices into the reader's memory. content_at: where in the segment file. */
struct record {
    enum record_kind kind;
    int64_t stamp, wall;
    struct str path, tmp, tag, content;
    uint64_t size, content_at;
};

/* --- records (commit_record.c) ----------------------------------------------------------- */

/* A checksum over a run of octets given in pieces; how they are cut makes no difference. */
struct log_sum {
    uint64_t state, total;
    unsigned char carry[16];
    size_t carried;
};
void log_sum_begin(struct log_sum *s, uint64_t key0, uint64_t key1);
void log_sum_add(struct log_sum *s, const void *p, size_t n);
uint64_t log_sum_end(struct log_sum *s);

/* Records of one call on their way into the log, in memory of its own. */
struct record_list {
    struct arena mem;
    struct iovec *parts;
    uint64_t *sums;
    size_t part_count, part_cap, count, cap;
    uint64_t bytes;
    int64_t stamp; /* lowest */
};
void record_list_init(struct record_list *l, size_t records, size_t parts);
void record_list_release(struct record_list *l);
/* The put's memory is used until the list is written. kind: RECORD_PUT or RECORD_TAG. */
void record_add_put(struct record_list *l, enum record_kind kind, const struct commit_put *put);
void record_add_names(struct record_list *l, enum record_kind kind, const char *const *paths,
                      size_t count);
/* Records as they lie in a log, one after the other. */
void record_add_raw(struct record_list *l, struct str raw);
/* The record at the start of raw, checked; false: none. *out_head_sum is its checksum. */
bool record_parse(struct str raw, struct record *out, size_t *out_bytes, uint64_t *out_sum);
/* The next name of a REMOVE or ABORT, NUL-terminated. */
bool record_next_name(struct str *names, const char **out);
/* What names the same message whatever its flags: "mbox//base" for mbox/new/base and
 * mbox/cur/base:2,S; any other path is its own key. */
struct str commit_key(struct str path, struct arena *a);

/* --- segments (commit_log.c) ------------------------------------------------------------- */

enum segment_state { SEGMENT_EMPTY, SEGMENT_ACTIVE, SEGMENT_SEALED };

struct segment {
    int fd;
    char path[96];
    struct segment_header head;
    uint64_t size;     /* octets of the file that are there to be overwritten */
    uint64_t tail;     /* where the next batch goes */
    uint64_t sequence; /* of the next batch */
    /* Below: commit.c's, protected by its lock. */
    enum segment_state state;
    unsigned in_flight;  /* calls whose renames or unlinks aren't done yet */
    bool failed;         /* a write or sync failed: no more batches */
    bool suspect;        /* its checkpoint failed: kept for recovery */
    usec_t first_at;     /* time of the first batch */
    struct buf removals; /* REMOVE records of this epoch, as in the log */
};

/*
 * What the kernel may have lost: two lives differ when the machine was started again or the
 * file system mounted again in between. (A power cut tried out on a loop device is seen, too.)
 */
void commit_life(char life[COMMIT_LIFE_BYTES]);

struct log_sizes {
    uint64_t first_bytes, max_bytes; /* of a segment file: when made, and at most */
};

/* Opens name.number of COMMIT_FOLDER; make: creates it where it is missing or has no valid
 * header. Without make a missing or invalid one is RC_PERM. tail and sequence are those of an
 * empty segment until segment_scan. */
enum rc segment_open(const char *name, unsigned number, const struct log_sizes *make,
                     struct segment *out, struct err *e) CHECK_RESULT;
void segment_close(struct segment *s);
/* Writes and syncs the header with a new generation. */
enum rc segment_write_header(struct segment *s, struct err *e) CHECK_RESULT;
/* A new epoch, durable when this returns: the segment is empty. life: NULL keeps the header's.
 */
enum rc segment_renew(struct segment *s, const char *life, struct err *e) CHECK_RESULT;
/* More octets to overwrite, up to new_size. */
enum rc segment_grow(struct segment *s, uint64_t new_size, struct err *e) CHECK_RESULT;
/* How far the tail moves for lists of so many octets together. */
uint64_t segment_need(uint64_t record_bytes);
/* Writes the lists as one batch and syncs. After a failure the segment takes no more. */
enum rc segment_append(struct segment *s, const struct record_list *const *lists, size_t count,
                       struct err *e) CHECK_RESULT;
/* Calls fn for each record of the present epoch; sets tail and sequence. */
typedef enum rc segment_record_fn(void *ctx, const struct record *r, struct str raw,
                                  struct err *e);
enum rc segment_scan(struct segment *s, segment_record_fn *fn, void *ctx,
                     struct err *e) CHECK_RESULT;
/* The stamp of the first batch, or INT64_MAX when there is none. */
int64_t segment_first_stamp(const struct segment *s);
/*
 * The lowest stamp that a put may have which stands, unsettled, in another log than `name`;
 * INT64_MAX: none. That a log has none is durable when this returns.
 */
int64_t log_oldest_elsewhere(const char *name);
/* REMOVE records of raw that are not older than `oldest`, appended to out. */
enum rc log_keep_removals(struct str raw, int64_t oldest, struct buf *out) CHECK_RESULT;
/* All names that have a segment, sorted, in a. */
enum rc log_names(struct arena *a, struct str **out, size_t *out_count,
                  struct err *e) CHECK_RESULT;

/* --- the running log (commit.c, commit_checkpoint.c) ------------------------------------- */

#define COMMIT_FILE_SYSTEMS 64

/* One call's records on their way. */
struct request {
    struct request *next;
    struct record_list records;
    bool keeps_names; /* its records are REMOVEs: kept in segment.removals */
    bool carried;     /* of the checkpoint: goes first, may overfill the segment */
    /* Set by the leader, before the event: */
    bool done; /* else: lead */
    enum rc rc;
    struct err err;
    struct segment *segment; /* its in_flight counts this request when rc is RC_OK */
    struct lock_event event;
};

struct commit {
    char name[32];
    struct log_sizes sizes;
    usec_t seal_after;
    struct lock lock;    /* protects all below; the leader alone writes to the active segment */
    pthread_cond_t wake; /* the checkpoint thread */
    pthread_cond_t space; /* a leader that waits for an empty segment */
    struct request *first, **last;
    bool leading;     /* somebody is leader */
    bool seal_wanted; /* the leader shall seal when its batch is done */
    bool stopping;
    struct segment segments[2];
    struct segment *active;
    struct {
        dev_t dev;
        int fd;
    } file_systems[COMMIT_FILE_SYSTEMS];
    size_t file_system_count;
    pthread_t thread;
};

/* Makes the request's records durable. RC_AGAIN: the log can't be used, sync the files
 * themselves. After RC_OK commit_finish must follow when the names are changed. */
enum rc commit_append(struct commit *c, struct request *r, struct err *e) CHECK_RESULT;
void commit_finish(struct commit *c, struct request *r);
/* The active segment becomes SEALED, the other ACTIVE. Caller: holds the lock, is leader or
 * there is none, commit_can_seal said yes. */
bool commit_can_seal(const struct commit *c);
void commit_seal(struct commit *c);
/* The file system of the folder of `path` will be part of each checkpoint. */
enum rc commit_note_place(struct commit *c, const char *path, struct err *e) CHECK_RESULT;

/* The checkpointer's thread: empties sealed segments until the commit is closed. */
void *commit_checkpoint_main(void *commit);

/* --- files synced by themselves (commit_direct.c) ---------------------------------------- */

/* Syncs the file under its tmp name, renames it. The folder isn't synced yet. */
enum rc direct_rename(const struct commit_put *put, struct err *e) CHECK_RESULT;
/* Syncs the folders of those puts of which chosen[i] is true, each once. */
enum rc direct_sync_folders(const struct commit_put *puts, const bool *chosen, size_t count,
                            struct err *e) CHECK_RESULT;

/* --- recovery (commit_recover.c, commit_restore.c) --------------------------------------- */

/* One record that recovery has to deal with. */
struct recover_item {
    enum record_kind kind;
    int64_t stamp, wall;
    const char *path, *tmp; /* one name of a REMOVE or ABORT */
    struct str key, tag;
    uint64_t size, content_at;
    size_t segment; /* index in recovery.segments */
};

/* What is known of one message or file. */
struct recover_name {
    int64_t put_at, gone_at; /* stamps of the last put and the last removal; -1: none */
    bool aborted;            /* the last removal is an ABORT */
    const char *found;       /* where a folder was seen to have it, NULL: nowhere */
    bool taken;              /* it was there, and another role has removed it */
};

struct recovery {
    struct arena mem;
    const char *life;
    struct segment *segments;
    size_t segment_count;
    struct recover_item *items;
    size_t count, cap;
    struct map names;                /* struct recover_name by key */
    struct map scanned;              /* mailboxes whose folders were read */
    int places[COMMIT_FILE_SYSTEMS]; /* one folder of each file system */
    dev_t devices[COMMIT_FILE_SYSTEMS];
    size_t place_count;
    struct commit_report report;
};

/* The file system of the folder of `path` is synced at the end. ENOENT is no error. */
enum rc recover_note_place(struct recovery *r, const char *path, struct err *e) CHECK_RESULT;
struct recover_name *recover_name(struct recovery *r, struct str key);

/* The put's file is brought to its place where that's needed; recover_name's found tells where
 * it is then. */
enum rc recover_put(struct recovery *r, const struct recover_item *item,
                    struct err *e) CHECK_RESULT;
/* What a removal left is removed. */
enum rc recover_removal(struct recovery *r, const struct recover_item *item,
                        struct err *e) CHECK_RESULT;

/* commit_open with other sizes and age of a segment; commit_recover and commit_recover_log as
 * if the present life were `life`. Tests only. */
enum rc commit_open_as(const char *name, const struct log_sizes *sizes, usec_t seal_after,
                       struct commit **out, struct err *e) CHECK_RESULT;
enum rc commit_recover_as(const char *life, commit_tag_fn *on_tag, void *ctx,
                          struct commit_report *out, struct err *e) CHECK_RESULT;

#endif
