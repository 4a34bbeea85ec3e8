/*
 * local.c - one recipient of an entry into its local mailbox. Called by attempt.c on a worker.
 *
 * The file's name is made from the entry's id and the recipient's number, so a delivery that a
 * crash cut off between "in the mailbox" and "recorded" is recognised and not repeated. The
 * commit log carries "ID RECIPIENT" with the message, so that after a power cut message and
 * record agree.
 */
#include "lists/lists.h"
#include "queue/queue_int.h"
#include "store/delivery_headers.h"
#include "store/store.h"
#include "sys/io.h"

#define CHUNK_BYTES ((size_t)128 * 1024)

static uint64_t wire_octets(struct str octets)
{
    uint64_t n = octets.n;
    for (size_t i = 0; i < octets.n; i++)
        n += octets.p[i] == '\n';
    return n;
}

static enum rc write_text(struct store_put *put, struct str octets, struct err *e)
{
    return octets.n == 0 ? RC_OK : store_put_write(put, octets, wire_octets(octets), e);
}

/* The header's end was found in `chunk`: what belongs before the blank line goes there. */
static enum rc write_around_end(const struct spool_entry *entry, struct store_put *put,
                                struct str chunk, size_t end, struct err *e)
{
    struct buf extra AUTO_RELEASE_BUF;
    buf_init(&extra, 64 * 1024);
    if (delivery_headers_end(&entry->env.reverse_path, &extra) != RC_OK)
        return err_temp(e, "4.3.0", "header fields can't be made");
    enum rc rc = write_text(put, str_head(chunk, end), e);
    if (rc == RC_OK)
        rc = write_text(put, buf_str(&extra), e);
    return rc == RC_OK ? write_text(put, str_skip(chunk, end), e) : rc;
}

/* Offset of the blank line that ends the header, or SIZE_MAX when it isn't in chunk. */
static size_t header_end(struct str chunk, bool at_start)
{
    if (at_start && str_starts(chunk, STR("\n")))
        return 0;
    size_t at = str_find_str(chunk, STR("\n\n"));
    return at == SIZE_MAX ? SIZE_MAX : at + 1;
}

/* Copies the message. A header longer than one chunk gets nothing inserted. */
static enum rc copy_message(const struct spool_entry *entry, struct store_put *put,
                            struct err *e)
{
    char *chunk AUTO_FREE = mem_try(CHUNK_BYTES);
    if (chunk == NULL)
        return err_temp(e, "4.3.1", "out of memory");
    for (uint64_t at = 0; at < entry->message_octets;) {
        size_t want = (size_t)MIN((uint64_t)CHUNK_BYTES, entry->message_octets - at);
        ssize_t n = io_pread(entry->message_fd, chunk, want, entry->message_offset + at);
        if (n < 0)
            return err_sys(e, "read entry %.*s", STR_ARG(entry->id));
        if (n == 0)
            return err_temp(e, "4.3.0", "entry %.*s ends early", STR_ARG(entry->id));
        struct str text = str_from(chunk, (size_t)n);
        size_t end = at == 0 && !list_is_part(entry) ? header_end(text, true) : SIZE_MAX;
        enum rc rc = end == SIZE_MAX ? write_text(put, text, e)
                                     : write_around_end(entry, put, text, end, e);
        if (rc != RC_OK)
            return rc;
        at += (uint64_t)n;
    }
    return RC_OK;
}

static enum rc write_all(const struct spool_entry *entry, const struct account *account,
                         struct store_put *put, struct err *e)
{
    struct buf front AUTO_RELEASE_BUF;
    buf_init(&front, 64 * 1024);
    if (delivery_headers_front(&entry->env.reverse_path, list_is_part(entry) ? NULL : account,
                               &front) != RC_OK)
        return err_temp(e, "4.3.0", "header fields can't be made");
    enum rc rc = write_text(put, buf_str(&front), e);
    return rc == RC_OK ? copy_message(entry, put, e) : rc;
}

/* The account that the resolved address means now. */
static enum rc find_account(const struct address *to, struct arena *a, struct account *account,
                            struct user_options *options, struct err *e)
{
    struct recipient r;
    enum rc rc = users_resolve(to, a, &r, e);
    if (rc != RC_OK)
        return rc;
    if (r.kind == RECIPIENT_UNKNOWN)
        return err_perm(e, "5.1.1", "the account doesn't exist any more");
    if (r.kind != RECIPIENT_ACCOUNT)
        return err_temp(e, "4.3.5", "this kind of recipient can't be delivered to");
    *account = r.account;
    rc = users_options(account, a, options, e);
    if (rc == RC_OK && !options->receive_enable)
        return err_perm(e, "5.2.1", "the account doesn't take mail");
    return rc;
}

struct str deliver_name(const struct spool_entry *entry, size_t i, struct arena *a)
{
    return arena_printf(a, "%" PRId64 ".Q%.*sR%zu.hikyaku", entry->env.received_at / USEC_S,
                        STR_ARG(entry->id), i);
}

enum rc deliver_local(struct spool_entry *entry, size_t i, bool last, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct account account = { .id = 0 };
    struct user_options options = { .max_mb_size = 0 };
    struct store_put *put = NULL;
    struct str name = deliver_name(entry, i, &mem);
    struct str tag = last ? arena_printf(&mem, "%.*s %zu", STR_ARG(entry->id), i) : STR("");
    enum rc rc = find_account(&entry->env.recipients[i].resolved, &mem, &account, &options, e);
    if (rc != RC_OK || store_has(&account, name))
        return rc;
    rc = store_put_begin(&account, name, &put, e);
    if (rc == RC_OK)
        rc = write_all(entry, &account, put, e);
    if (rc == RC_OK)
        return store_put_commit(&put, options.max_mb_size, tag, e);
    store_put_abort(&put);
    return rc;
}
