/* file.h - whole files and folders on top of io.h. */
#ifndef HIKYAKU_SYS_FILE_H
#define HIKYAKU_SYS_FILE_H

#include "base/base.h"
#include "sys/io.h"

/* What tells two versions of a file apart. A missing file has all members 0. */
struct file_id {
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns;
};

/* Identity of the file at path (following links); missing: zeroed and RC_OK. */
enum rc file_id_get(const char *path, struct file_id *out, struct err *e) CHECK_RESULT;
bool file_id_eq(const struct file_id *a, const struct file_id *b);

/*
 * The whole file, at most max_bytes, in `a`, NUL behind its end. A missing file is RC_PERM with
 * e->sys == ENOENT; too large is RC_PERM with sys EFBIG. out_id may be NULL.
 */
enum rc file_read(const char *path, size_t max_bytes, struct arena *a, struct str *out,
                  struct file_id *out_id, struct err *e) CHECK_RESULT;
/* The same of a file that is open; path is for messages. */
enum rc file_read_open(int fd, const char *path, size_t max_bytes, struct arena *a,
                       struct str *out, struct file_id *out_id, struct err *e) CHECK_RESULT;

/* Replaces or makes the file: new file beside it, sync, rename, folder sync. Keeps an existing
 * file's mode (and owner where permitted), else uses mode. */
enum rc file_replace(const char *path, struct str content, mode_t mode,
                     struct err *e) CHECK_RESULT;

/* Removes the file and syncs its folder; a missing one is fine. */
enum rc file_remove(const char *path, struct err *e) CHECK_RESULT;

/* A file in memory with this content, for handing over to another process. */
enum rc file_in_memory(struct str content, int *out_fd, struct err *e) CHECK_RESULT;
/* Syncs the folder at path. */
enum rc folder_sync(const char *path, struct err *e) CHECK_RESULT;
/* Makes the folder and missing parents; existing ones are fine. */
enum rc folder_make(const char *path, mode_t mode, struct err *e) CHECK_RESULT;

/* Asks the file system to lay the folders that are made in this one far apart, so that making
 * files in one doesn't slow the others (ext4's flag T). Where it can't, nothing happens. */
void folder_spread(const char *path);

/* Is so much memory free for use, by /proc/meminfo's MemAvailable? Looked at once a second at
 * most; 0: always true, and so is a system that doesn't tell. Any thread. */
bool memory_is_free(uint64_t least_kb);

/* Deletes the folder with all that is in it; links are deleted, not followed. A missing one is
 * fine. */
enum rc folder_remove(const char *path, struct err *e) CHECK_RESULT;

/* The path below the working directory as one from the root; one that is, and an empty one,
 * stay. In a. */
struct str file_absolute(struct str path, struct arena *a);

/* Is there a regular file, a folder, at path? An error counts as no. */
bool file_exists(const char *path);
bool folder_exists(const char *path);

/* Reading a folder. Names "." and ".." are left out; order is the kernel's. */
struct folder;
enum rc folder_open(const char *path, struct folder **out, struct err *e) CHECK_RESULT;
/* The next name (valid until the next call), false at the end or for NULL; out_type is DT_REG,
 * DT_DIR ... */
bool folder_next(struct folder *f, struct str *out_name, unsigned char *out_type);
void folder_close(struct folder **f);

/*
 * An advisory lock on the file at path (made when missing), held by the returned descriptor;
 * wait: blocks until it's free, else RC_TEMP at once when someone holds it. Released by
 * io_close.
 */
enum rc file_lock(const char *path, bool wait, int *out_fd, struct err *e) CHECK_RESULT;

#endif
