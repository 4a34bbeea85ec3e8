/*
 * commit_direct.c - files that don't go through the log: larger ones, and all while the log
 * can't be used. The file is synced before it gets its name and its folder after that, so no
 * name is ever durable without its octets.
 */
#include "sys/commit_int.h"
#include "sys/file.h"

enum rc direct_rename(const struct commit_put *put, struct err *e)
{
    int fd AUTO_CLOSE = io_open(put->tmp_path, O_RDONLY | O_NOFOLLOW, 0);
    if (fd < 0)
        return err_sys(e, "open %s", put->tmp_path);
    if (io_fdatasync(fd) < 0)
        return err_sys(e, "sync %s", put->tmp_path);
    if (io_rename(put->tmp_path, put->final_path) < 0)
        return err_sys(e, "rename to %s", put->final_path);
    return RC_OK;
}

/* "a/b/c" -> "a/b", "c" -> "." */
static struct str folder_of(const char *path)
{
    size_t slash = str_rfind(str_from_c(path), '/');
    return slash == SIZE_MAX ? STR(".") : str_from(path, slash);
}

enum rc direct_sync_folders(const struct commit_put *puts, const bool *chosen, size_t count,
                            struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct map done = { .fold = false };
    enum rc rc = RC_OK;
    for (size_t i = 0; rc == RC_OK && i < count; i++) {
        struct str folder = folder_of(puts[i].final_path);
        if (chosen[i] && map_put(&done, folder, &mem) == NULL)
            rc = folder_sync(arena_c(&mem, folder), e);
    }
    map_release(&done);
    return rc;
}
