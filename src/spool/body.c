/*
 * body.c - the message of an entry as a file that mailboxes can link to: queue/XX/ID.body.
 * Called by the queue role for the entries of mailing lists. The file gets its name when it is
 * whole and synced, so one that stands there is good; a crash leaves at most a file in
 * queue/tmp. It goes with the entry.
 */
#include "spool/spool_int.h"
#include "sys/file.h"

#define CHUNK_BYTES ((size_t)128 * 1024)

static uint64_t line_ends(struct str text)
{
    uint64_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

static enum rc copy(const struct spool_entry *entry, int to, struct err *e)
{
    char *chunk AUTO_FREE = mem_try(CHUNK_BYTES);
    if (chunk == NULL)
        return err_temp(e, "4.3.1", "out of memory");
    for (uint64_t at = 0; at < entry->message_octets;) {
        size_t want = (size_t)MIN((uint64_t)CHUNK_BYTES, entry->message_octets - at);
        ssize_t n = io_pread(entry->message_fd, chunk, want, entry->message_offset + at);
        if (n <= 0)
            return err_temp(e, "4.3.0", "entry %.*s can't be read", STR_ARG(entry->id));
        struct iovec part = { chunk, (size_t)n };
        enum rc rc = io_write_all(to, &part, 1, e);
        if (rc != RC_OK)
            return rc;
        at += (uint64_t)n;
    }
    return RC_OK;
}

static enum rc write_whole(const struct spool_entry *entry, struct str front, const char *tmp,
                           struct err *e)
{
    char *octets = NULL;
    memcpy(&octets, &front.p, sizeof(octets));
    struct iovec part = { octets, front.n };
    int fd AUTO_CLOSE = io_open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return err_sys(e, "make %s", tmp);
    enum rc rc = io_write_all(fd, &part, 1, e);
    if (rc == RC_OK)
        rc = copy(entry, fd, e);
    if (rc == RC_OK && io_fdatasync(fd) < 0)
        rc = err_sys(e, "sync %s", tmp);
    return rc;
}

enum rc spool_body(struct spool_entry *entry, struct str front, struct spool_body *out,
                   struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct stat st;
    struct spool_body body = {
        .path = spool_body_path(entry->id, entry->mem),
        .disk_octets = front.n + entry->message_octets,
        .wire_octets = front.n + line_ends(front) + entry->wire_octets,
    };
    bool stands = io_lstat(body.path.p, &st) == 0 && S_ISREG(st.st_mode) &&
                  (uint64_t)st.st_size == body.disk_octets;
    if (!stands) {
        struct str tmp = arena_printf(&mem, "queue/tmp/%.2s/%.*s.body", entry->id.p + 11,
                                      STR_ARG(entry->id));
        enum rc rc = write_whole(entry, front, tmp.p, e);
        if (rc == RC_OK && io_rename(tmp.p, body.path.p) < 0)
            rc = err_sys(e, "rename %s", tmp.p);
        if (rc != RC_OK) {
            (void)io_unlink(tmp.p);
            return rc;
        }
        body.made = true;
    }
    *out = body;
    return RC_OK;
}
