/* lmail_fuzz.c - files of spool/local: the envelope is whole or refused, and the message
 * converts to CRLF and back. */
#include "queue/queue_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lmail f = { .count = 0 };
    struct err e;
    if (lmail_parse(str_from((const char *)data, size), &f, &e) == RC_OK) {
        struct str message = lmail_clean(f.message, &f.mem);
        if (f.count == 0 || (message.n > 0 && message.p[message.n - 1] != '\n') ||
            str_find(message, '\r') != SIZE_MAX || str_find(message, '\0') != SIZE_MAX)
            abort();
        for (size_t i = 0; i < f.count; i++)
            if (f.rcpts[i].address.is_null || str_has_control(f.rcpts[i].address.local))
                abort();
    }
    arena_release(&f.mem);
    return 0;
}
