/* memfile.h - sealed memory files: made by one role, mapped by others. Internal to users/. */
#ifndef HIKYAKU_USERS_MEMFILE_H
#define HIKYAKU_USERS_MEMFILE_H

#include "base/base.h"

/* A new memory file of size_bytes (a hole: only pages that are written take memory), mapped
 * for writing at *out_base. */
enum rc memfile_make(const char *name, size_t size_bytes, int *out_fd, void **out_base,
                     struct err *e) CHECK_RESULT;
/* Its size can't change any more: no mapping of it can be cut off behind a reader's back. */
enum rc memfile_seal_size(int fd, struct err *e) CHECK_RESULT;
/*
 * Nobody can write to it any more, through its descriptor or through a new mapping; mappings
 * that exist go on. Kernels without that seal: all writable mappings must be gone before.
 */
enum rc memfile_seal_readers(int fd, struct err *e) CHECK_RESULT;
/* Maps all of fd, for reading or for both. RC_TEMP: not a memory file of at least min_bytes
 * whose size is sealed. fd stays open. */
enum rc memfile_map(int fd, bool writable, size_t min_bytes, void **out_base, size_t *out_size,
                    struct err *e) CHECK_RESULT;
void memfile_unmap(void *base, size_t size);

#endif
