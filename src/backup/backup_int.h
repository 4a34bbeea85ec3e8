/* backup_int.h - inside backup/. */
#ifndef HIKYAKU_BACKUP_BACKUP_INT_H
#define HIKYAKU_BACKUP_BACKUP_INT_H

#include "backup/backup.h"
#include "sys/file.h"

/* --- manifest.c: what is in a snapshot --------------------------------------------------- */

#define MANIFEST_SUM_BYTES 32u

/*
 * hikyaku-backup 1
 * D MODE PATH                          (a folder; what follows lies in it)
 * F MODE MTIME-NS SIZE SHA-256 NAME
 * end FOLDERS FILES
 * Modes are octal. Octets of paths and names below 0x21, 0x7F and "%" are written as %XX.
 */
struct manifest_file {
    struct str name;
    unsigned mode;
    int64_t mtime_ns;
    uint64_t size;
    uint8_t sum[MANIFEST_SUM_BYTES];
};
enum rc manifest_print_head(struct buf *out) CHECK_RESULT;
enum rc manifest_print_folder(struct str path, unsigned mode, struct buf *out) CHECK_RESULT;
enum rc manifest_print_file(const struct manifest_file *f, struct buf *out) CHECK_RESULT;
enum rc manifest_print_end(uint64_t folders, uint64_t files, struct buf *out) CHECK_RESULT;

struct manifest_folder {
    struct str path; /* empty: the MailRoot itself */
    unsigned mode;
    struct str lines; /* of its files */
};
/* Lives in the arena it was read into. */
struct manifest {
    struct manifest_folder *folders;
    size_t count;
    struct map by_path; /* struct manifest_folder; released with manifest_release */
};
/* RC_PERM: not a manifest, cut short, or with a path that leaves its folder. */
enum rc manifest_parse(struct str text, struct arena *a, struct manifest *out,
                       struct err *e) CHECK_RESULT;
enum rc manifest_read(const char *snapshot, struct arena *a, struct manifest *out,
                      struct err *e) CHECK_RESULT;
/* How many files are in it, by its last line; RC_PERM: it has none. */
enum rc manifest_count(const char *snapshot, uint64_t *out_files, struct err *e) CHECK_RESULT;
void manifest_release(struct manifest *m);
/* The next file of a folder's lines; false at the end. Its name is in a. */
bool manifest_next(struct str *lines, struct arena *a, struct manifest_file *out);

/* --- copy.c ------------------------------------------------------------------------------ */

/* From one open file to a new one at `to`: octets, mode, time; the checksum of what was read.
 * `to` NULL: only the checksum. */
enum rc copy_file(int from, const char *to, const struct stat *st, uint8_t *out_sum,
                  uint64_t *out_octets, struct err *e) CHECK_RESULT;

/* "new" or "cur" of a Maildir, also of one in a folder of it. */
bool path_is_messages(struct str path);
/* The name of a message up to its flags. */
struct str message_base(struct str name);

#endif
