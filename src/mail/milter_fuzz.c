/* milter_fuzz.c - any octets as packets of a milter, and what edits make of a header. */
#include "mail/milter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Fields of the printed header. */
static size_t count(struct str text, struct arena *a)
{
    struct milter_header h;
    size_t n = 0;
    if (milter_header_parse(text, STR(""), a, &h) != text.n)
        abort(); /* an edit has ended the header */
    for (const struct milter_field *f = h.first; f != NULL; f = f->next)
        n++;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct milter_header h;
    struct str rest = str_from((const char *)data, size), packet;
    struct buf out AUTO_RELEASE_BUF;
    size_t fields = 2;
    buf_init(&out, BUF_MAX_DEFAULT);
    (void)milter_header_parse(STR("Received: id x\nSubject: a\n\tb\n\nbody"), STR("id x"), &a,
                              &h);
    while (str_cut(&rest, '|', &packet)) {
        struct milter_reply r = { .kind = 0 };
        if (milter_reply_parse(packet, &r) != NULL ||
            (r.kind != 'h' && r.kind != 'i' && r.kind != 'm'))
            continue;
        size_t before = fields;
        milter_header_edit(&h, &r, &a);
        buf_reset(&out);
        buf_must(milter_header_print(&h, &out));
        fields = count(buf_str(&out), &a);
        if (fields > before + 1 || fields + 1 < before)
            abort(); /* one edit, one field */
    }
    (void)milter_header_parse(str_from((const char *)data, size), STR("x"), &a, &h);
    return 0;
}
