/* commit_log.c - the format of a segment; see commit_int.h. */
#include "sys/commit_int.h"
#include "sys/trace.h"

static const char magic[8] = { 'H', 'K', 'Y', 'C', 'O', 'M', 'M', '1' };

uint64_t segment_checksum(const struct segment_header *h)
{
    return hash_text(str_from((const char *)h, offsetof(struct segment_header, checksum)),
                     false, 1);
}

uint64_t record_checksum(const struct record *r, struct str path, struct str tag,
                         struct str bytes)
{
    struct record copy = *r;
    copy.checksum = 0;
    uint64_t sum = hash_text(str_from((const char *)&copy, sizeof(copy)), false, r->epoch);
    sum = hash_text(path, false, sum);
    sum = hash_text(tag, false, sum);
    return hash_text(bytes, false, sum);
}

bool segment_read_header(int fd, struct segment_header *out)
{
    struct segment_header h;
    if (io_pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
        return false;
    if (memcmp(h.magic, magic, sizeof(magic)) != 0 || h.checksum != segment_checksum(&h))
        return false;
    h.boot_id[BOOT_ID_BYTES - 1] = '\0';
    *out = h;
    return true;
}

enum rc segment_write_header(int fd, struct segment_header *h, struct err *e)
{
    memcpy(h->magic, magic, sizeof(magic));
    h->checksum = segment_checksum(h);
    if (io_pwrite(fd, h, sizeof(*h), 0) != (ssize_t)sizeof(*h))
        return err_sys(e, "write commit log");
    return io_fdatasync(fd) < 0 ? err_sys(e, "sync commit log") : RC_OK;
}

bool segment_next(struct str text, const struct segment_header *h, uint64_t number, size_t *at,
                  struct record_view *out)
{
    struct record r;
    size_t left = *at <= text.n ? text.n - *at : 0;
    if (left < sizeof(r))
        return false;
    memcpy(&r, text.p + *at, sizeof(r));
    left -= sizeof(r);
    if (r.magic != RECORD_MAGIC || r.epoch != h->epoch || r.number != number || r.has_bytes > 1)
        return false;
    uint64_t bytes_n = r.has_bytes ? r.size : 0;
    if (r.path_n > left || r.tag_n > left - r.path_n || bytes_n > left - r.path_n - r.tag_n)
        return false;
    const char *p = text.p + *at + sizeof(r);
    struct record_view view = {
        .head = r,
        .path = str_from(p, r.path_n),
        .tag = str_from(p + r.path_n, r.tag_n),
        .bytes = str_from(p + r.path_n + r.tag_n, (size_t)bytes_n),
    };
    if (r.checksum != record_checksum(&r, view.path, view.tag, view.bytes))
        return false;
    *out = view;
    *at += sizeof(r) + r.path_n + r.tag_n + (size_t)bytes_n;
    return true;
}

void boot_id_read(char out[BOOT_ID_BYTES])
{
    memset(out, 0, BOOT_ID_BYTES);
    const char *other = TRACE_ENABLED ? getenv("HIKYAKU_BOOT_ID") : NULL;
    if (other != NULL) {
        (void)snprintf(out, BOOT_ID_BYTES, "%s", other);
        return;
    }
    int fd AUTO_CLOSE = io_open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
    ssize_t n = fd < 0 ? 0 : io_read(fd, out, BOOT_ID_BYTES - 1);
    /* Without an id every start counts as another boot: recovery then compares every file. */
    if (n <= 0)
        (void)snprintf(out, BOOT_ID_BYTES, "unknown-%" PRIx64, hash_seed());
}

enum rc commit_sync_file_systems(struct map *folders, struct err *e)
{
    uint64_t seen[32];
    size_t seen_n = 0, at = 0;
    struct str key = STR(".");
    void *value = NULL;
    bool more = true;
    enum rc rc = RC_OK;
    for (; more && rc == RC_OK; more = map_next(folders, &at, &key, &value)) {
        struct stat st;
        size_t i = 0;
        if (io_stat(key.p, &st) < 0)
            continue; /* the folder was removed, and its files with it */
        while (i < seen_n && seen[i] != st.st_dev)
            i++;
        if (i < seen_n)
            continue;
        if (seen_n < ARRAY_LEN(seen))
            seen[seen_n++] = st.st_dev;
        int fd AUTO_CLOSE = io_open(key.p, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0 || io_syncfs(fd) < 0)
            rc = err_sys(e, "sync file system of %s", key.p);
    }
    return rc;
}
