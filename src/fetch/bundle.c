/* bundle.c - messages on their way from the source to the queue role. Called by talk.c and the
 * protocols. */
#include "fetch/talk.h"
#include "sys/file.h"

#define PART_MAX (2 * BATCH_OCTETS)

void bundle_init(struct bundle *b)
{
    *b = (struct bundle){ .fd = -1 };
    buf_init(&b->part, PART_MAX + (1 << 20));
}

void bundle_release(struct bundle *b)
{
    buf_release(&b->part);
    io_close_at(&b->fd);
}

static enum rc flush(struct bundle *b, struct err *e)
{
    enum rc rc = RC_OK;
    struct iovec part = { b->part.p, b->part.n };
    if (b->fd < 0)
        rc = file_in_memory(buf_str(&b->part), &b->fd, e);
    else if (b->part.n > 0)
        rc = io_pwrite_all(b->fd, &part, 1, b->in_file, e);
    if (rc != RC_OK)
        return err_wrap(e, "keep fetched mail");
    b->in_file += b->part.n;
    buf_reset(&b->part);
    return RC_OK;
}

enum rc bundle_add(struct bundle *b, struct str octets, struct err *e)
{
    if (buf_add_str(&b->part, octets) != RC_OK)
        return err_temp(e, "4.3.1", "out of memory for fetched mail");
    return b->part.n > PART_MAX ? flush(b, e) : RC_OK;
}

enum rc bundle_begin(struct bundle *b, struct err *e)
{
    const struct batch_head head = { 0 };
    b->head_at = b->in_file + b->part.n;
    return bundle_add(b, str_from((const char *)&head, sizeof(head)), e);
}

uint64_t bundle_message_octets(const struct bundle *b)
{
    return b->in_file + b->part.n - b->head_at - sizeof(struct batch_head);
}

static enum rc cut(struct bundle *b, uint64_t keep, struct err *e)
{
    if (keep >= b->in_file) {
        buf_truncate(&b->part, (size_t)(keep - b->in_file));
        return RC_OK;
    }
    buf_reset(&b->part);
    b->in_file = keep;
    return io_ftruncate(b->fd, keep) < 0 ? err_sys(e, "drop fetched mail") : RC_OK;
}

enum rc bundle_end(struct bundle *b, uint32_t index, enum batch_state state, struct err *e)
{
    enum rc rc =
        state == BATCH_MESSAGE ? RC_OK : cut(b, b->head_at + sizeof(struct batch_head), e);
    struct batch_head head = { index, (uint32_t)state, bundle_message_octets(b) };
    struct iovec part = { &head, sizeof(head) };
    if (rc == RC_OK && b->head_at < b->in_file)
        rc = io_pwrite_all(b->fd, &part, 1, b->head_at, e);
    else if (rc == RC_OK)
        memcpy(b->part.p + (b->head_at - b->in_file), &head, sizeof(head));
    b->count += rc == RC_OK;
    return rc;
}

enum rc bundle_cancel(struct bundle *b, struct err *e)
{
    return cut(b, b->head_at, e);
}

enum rc bundle_take(struct bundle *b, int *out_fd, struct err *e)
{
    enum rc rc = flush(b, e);
    if (rc != RC_OK)
        return rc;
    *out_fd = b->fd;
    b->fd = -1;
    b->in_file = b->head_at = 0;
    b->count = 0;
    return RC_OK;
}
