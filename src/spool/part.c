/*
 * part.c - entries that are made of others (by mailing lists, by processing): when they may be
 * worked on, the steps of processing that they inherit, and copies of messages.
 */
#include "mail/data.h"
#include "spool/spool_int.h"
#include "sys/io.h"

#define CHUNK_BYTES ((size_t)128 * 1024)

bool spool_step_is_done(const struct spool_entry *entry, size_t i, uint64_t step)
{
    for (const struct spool_step *s = entry->steps[i]; s != NULL; s = s->next)
        if (s->step == step)
            return true;
    return false;
}

struct str spool_steps_print(const struct spool_entry *entry, size_t i, struct arena *a)
{
    struct str text = STR("");
    for (const struct spool_step *s = entry->steps[i]; s != NULL; s = s->next)
        text = arena_printf(a, "%.*s%s%" PRIx64, STR_ARG(text), text.n > 0 ? "," : "", s->step);
    return text;
}

enum rc spool_read_header(const struct spool_entry *entry, struct arena *a, struct str *out,
                          uint64_t *out_end, struct err *e)
{
    size_t want = (size_t)MIN(entry->message_octets, (uint64_t)SPOOL_MESSAGE_HEADER_MAX), n = 0,
           end = 0;
    char *p = arena_new(a, want + 1);
    while (n < want) {
        ssize_t got = io_pread(entry->message_fd, p + n, MIN(want - n, CHUNK_BYTES),
                               entry->message_offset + n);
        if (got <= 0)
            return err_temp(e, "4.3.0", "entry %.*s can't be read", STR_ARG(entry->id));
        size_t from = n > 0 ? n - 1 : 0;
        n += (size_t)got;
        end = str_find_str(str_from(p + from, n - from), STR("\n\n"));
        bool at_once = p[0] == '\n';
        if (at_once || end != SIZE_MAX) {
            *out = str_from(p, at_once ? 0 : from + end + 1);
            *out_end = out->n;
            return RC_OK;
        }
    }
    if (n < entry->message_octets)
        return err_perm(e, "5.6.0", "the header is too large");
    *out = str_from(p, n); /* a header alone */
    *out_end = n;
    return RC_OK;
}

enum rc spool_copy_range(const struct spool_entry *entry, uint64_t at, uint64_t end,
                         struct spool_put *put, struct err *e)
{
    char *chunk AUTO_FREE = mem_try(CHUNK_BYTES);
    if (chunk == NULL)
        return err_temp(e, "4.3.1", "out of memory");
    while (at < end) {
        size_t want = (size_t)MIN((uint64_t)CHUNK_BYTES, end - at);
        ssize_t n = io_pread(entry->message_fd, chunk, want, entry->message_offset + at);
        if (n <= 0)
            return err_temp(e, "4.3.0", "entry %.*s can't be read", STR_ARG(entry->id));
        struct str text = str_from(chunk, (size_t)n);
        enum rc rc = spool_put_write(put, text, data_wire_octets(text), e);
        if (rc != RC_OK)
            return rc;
        at += (uint64_t)n;
    }
    return RC_OK;
}

enum rc spool_copy(const struct spool_entry *entry, uint64_t at, struct spool_put *put,
                   struct err *e)
{
    return spool_copy_range(entry, at, entry->message_octets, put, e);
}

bool spool_part_waits(const struct spool_entry *entry)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    const struct envelope *env = &entry->env;
    struct spool_entry whole;
    struct err e;
    if (env->part_of.n == 0 || !spool_exists(env->part_of))
        return false;
    if (spool_open(env->part_of, &mem, &whole, &e) != RC_OK)
        return e.sys != ENOENT && e.rc != RC_PERM;
    bool waits =
        env->part_number < whole.env.recipient_count &&
        whole.states[env->part_number] == DELIVERY_PENDING &&
        !(env->part_step != 0 && spool_step_is_done(&whole, env->part_number, env->part_step));
    spool_close(&whole);
    return waits;
}
