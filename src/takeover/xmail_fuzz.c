/* xmail_fuzz.c - any octets as a spool file and as a log of tries of XMail. */
#include "takeover/xmail_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct xmail_head h;
    struct xmail_log log;
    struct str text = arena_str(&a, str_from((const char *)data, size));
    xmail_log_parse(text, &log);
    if (log.reason.n > 0 && (log.reason.p < text.p || log.reason.p >= text.p + text.n))
        abort();
    (void)xmail_name_time(text);
    if (xmail_head_parse(text, &a, &h, NULL) == RC_OK && (h.head_n > size || h.count == 0))
        abort();
    return 0;
}
