/*
 * commit_int.h - the redo log on disk, shared by commit.c (writing) and commit_recover.c
 * (replaying).
 *
 * A log is two segment files, hikyaku/commit/NAME.0 and NAME.1, written in turn:
 *     header (one block) | record | record | ... | octets of earlier rounds
 * A record belongs to the segment's present round when its epoch is the header's and its
 * checksum holds; the first one that isn't ends the segment. Files only grow; they are
 * overwritten in place, so that a sync writes data and no metadata.
 */
#ifndef HIKYAKU_SYS_COMMIT_INT_H
#define HIKYAKU_SYS_COMMIT_INT_H

#include "sys/commit.h"
#include "sys/io.h"

#define COMMIT_FOLDER "hikyaku/commit"
#define SEGMENT_HEADER_BYTES ((uint64_t)4096)
#define BOOT_ID_BYTES 40

/* FULL: everything counts. REMOVES: the puts are durable in the file system, so only removals
 * count, which other logs may still need. */
enum segment_state { SEGMENT_EMPTY = 0, SEGMENT_FULL = 1, SEGMENT_REMOVES = 2 };

struct segment_header {
    char magic[8]; /* "HKYCOMM1" */
    char boot_id[BOOT_ID_BYTES];
    uint64_t epoch;
    uint32_t state;
    uint32_t pad;
    uint64_t checksum; /* of all before */
};

enum record_type { RECORD_PUT = 1, RECORD_REMOVE = 2 };

/* Followed by path, tag, and the file's bytes (has_bytes). */
struct record {
    uint32_t magic; /* RECORD_MAGIC */
    uint16_t type, has_bytes;
    uint64_t epoch;
    uint64_t number; /* in the segment, from 0 */
    int64_t time;    /* wall clock */
    uint32_t path_n, tag_n;
    uint64_t size;
    uint64_t checksum; /* of the record with this field 0, and of what follows */
};
#define RECORD_MAGIC 0x52434b48u

/* A record as read, with slices into the segment's text. */
struct record_view {
    struct record head;
    struct str path, tag, bytes;
};

uint64_t segment_checksum(const struct segment_header *h);
uint64_t record_checksum(const struct record *r, struct str path, struct str tag,
                         struct str bytes);
/* Reads the header; false when it isn't a valid one. */
bool segment_read_header(int fd, struct segment_header *out);
/* Writes the header and syncs it. */
enum rc segment_write_header(int fd, struct segment_header *h, struct err *e) CHECK_RESULT;
/* The record at *at of the segment's text (its whole file), and moves *at behind it. */
bool segment_next(struct str text, const struct segment_header *h, uint64_t number, size_t *at,
                  struct record_view *out);
/* syncfs on every file system that the folders (keys of the map) lie on, and on the MailRoot's.
 */
enum rc commit_sync_file_systems(struct map *folders, struct err *e) CHECK_RESULT;
/* The present boot's id. */
void boot_id_read(char out[BOOT_ID_BYTES]);

/* commit_recover as if the present boot's id were `boot_id`. For tests. */
enum rc commit_recover_as(const char *boot_id, commit_tag_fn *on_tag, void *ctx,
                          struct commit_report *out, struct err *e) CHECK_RESULT;

#endif
