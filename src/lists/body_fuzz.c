/* body_fuzz.c - any message gets texts: what isn't ours in the outcome is what was there, in
 * its order, and the new header says something that can be relied on. */
#include "lists/lists_int.h"
#include "mail/header.h"
#include "mail/media.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_octets(void *ctx, uint64_t at, char *p, size_t n)
{
    const struct str *body = ctx;
    if (at > body->n || n > body->n - at)
        abort();
    memcpy(p, body->p + at, n);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str message = str_from((const char *)data, size);
    size_t end = header_end(message);
    struct str header = str_head(message, end), body = str_skip(message, end + 1);
    const struct list_texts texts = { size % 2 == 0 ? STR("\xe6\x97\xa5 = \n")
                                                    : STR("> a \n\n"),
                                      size % 3 == 0 ? STR("") : STR("-- \nFrom x\n") };
    const struct list_body source = { body.n, read_octets, &body };
    struct body_change change;
    struct media media;
    uint64_t at = 0;
    if (!list_body_plan(&texts, header, &source, STR("MARK"), &a, &change))
        return 0;
    for (size_t i = 0; i < change.count; i++) {
        const struct body_splice *s = &change.splices[i];
        /* Only the last characters of base64 are replaced. */
        if (s->at < at || s->end < s->at || s->end > body.n ||
            (s->end > s->at && s->end != body.n))
            abort();
        at = s->end;
    }
    if (!media_read(change.header, &a, &media))
        abort();
    return 0;
}
