/* reply_fuzz.c - any header gets a decision, and an answer whose fields are ours alone. */
#include "mail/header.h"
#include "mail/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str header = str_from((const char *)data, size), name;
    const struct address sender = { .local = STR("a"), .domain = STR("b.test") };
    const struct str lines[] = { STR("gone") };
    const struct reply r = { .from = STR("me@here.test"),
                             .to = STR("<a@b.test>"),
                             .message_id = STR("<1@here.test>"),
                             .date = STR("today"),
                             .header = header,
                             .lines = lines,
                             .count = 1 };
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, 64 * 1024);
    (void)reply_why_not(header, &sender, &sender, 1);
    if (reply_print(&r, &out) != RC_OK)
        return 0;
    struct str printed = str_head(buf_str(&out), header_end(buf_str(&out)));
    unsigned fields = 0;
    while (printed.n > 0) {
        (void)header_next_field(&printed, &name);
        if (name.n == 0)
            BUG("a line that is no field");
        fields++;
    }
    if (fields != 10 && fields != 12)
        BUG("fields that aren't ours");
    return 0;
}
