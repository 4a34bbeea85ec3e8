/* commit_record_fuzz.c - records and batches as a damaged or hostile disk may hold them. The
 * first octet decides: a record whose checksum is made to hold, or a whole segment file. */
#include "sys/commit_int.h"
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct str raw)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct record r;
    size_t n = 0;
    uint64_t sum = 0;
    const char *name = NULL;
    for (; raw.n > 0 && record_parse(raw, &r, &n, &sum); raw = str_skip(raw, n)) {
        struct str names = r.path;
        if (n == 0 || n > raw.n || r.path.n + r.tmp.n + r.tag.n + r.content.n > n)
            BUG("record larger than itself");
        (void)commit_key(r.path, &mem);
        while (record_next_name(&names, &name))
            (void)strlen(name);
    }
}

/* Gives the records the checksums that they need to be looked at. */
static void correct(char *p, size_t n)
{
    struct record_head h;
    while (n >= sizeof(h)) {
        struct log_sum sum;
        memcpy(&h, p, sizeof(h));
        if (h.bytes < sizeof(h) || h.bytes > n)
            return;
        h.sum = 0;
        memcpy(p, &h, sizeof(h));
        log_sum_begin(&sum, 0, 0);
        log_sum_add(&sum, p, h.bytes);
        h.sum = log_sum_end(&sum);
        memcpy(p, &h, sizeof(h));
        p += h.bytes;
        n -= h.bytes;
    }
}

static enum rc count(void *ctx, const struct record *r, struct str raw, struct err *e)
{
    (void)e;
    (void)r;
    *(size_t *)ctx += raw.n;
    return RC_OK;
}

static void scan(struct str file)
{
    struct err e;
    size_t seen = 0;
    struct segment s = { .fd = memfd_create("segment", MFD_CLOEXEC) };
    if (s.fd < 0 || file.n < sizeof(s.head))
        goto out;
    memcpy(&s.head, file.p, sizeof(s.head));
    s.head.magic = 1;
    file = str_skip(file, sizeof(s.head));
    if (io_pwrite(s.fd, file.p, file.n, COMMIT_DATA_AT) < 0)
        goto out;
    s.size = COMMIT_DATA_AT + (file.n + COMMIT_PAGE - 1) / COMMIT_PAGE * COMMIT_PAGE;
    if (segment_scan(&s, count, &seen, &e) == RC_OK && seen > file.n)
        BUG("more records than octets");
out:
    io_close_at(&s.fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    if (size < 1)
        return 0;
    char *copy = arena_c(&mem, str_from((const char *)data + 1, size - 1));
    if ((data[0] & 1) == 0)
        correct(copy, size - 1);
    if ((data[0] & 2) == 0)
        walk(str_from(copy, size - 1));
    else
        scan(str_from(copy, size - 1));
    return 0;
}
