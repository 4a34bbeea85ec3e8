/*
 * dsn_fuzz.c - reports about hostile addresses, replies, ENVID and ORCPT: whatever they hold,
 * no field is forged, no part is opened, and no control octet but LF and TAB comes in.
 */
#include "mail/dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const fields[] = {
    "Reporting-MTA: ",
    "Original-Envelope-Id: ",
    "X-Queue-Id: ",
    "Arrival-Date: ",
    "Original-Recipient: ",
    "Final-Recipient: ",
    "Action: ",
    "Status: ",
    "Remote-MTA: ",
    "Diagnostic-Code: ",
    "Last-Attempt-Date: ",
    "Will-Retry-Until: ",
    "Content-Type: message/",

    "Content-Transfer-Encoding: 8bit",
};

static bool is_field(struct str line)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (str_starts(line, str_from_c(fields[i])))
            return true;
    return false;
}

static void check(struct str text, struct str boundary)
{
    struct str line;
    unsigned parts = 0;
    while (text.n > 0 && str_cut(&text, '\n', &line)) {
        if (str_starts(line, STR("--")) && str_starts(str_skip(line, 2), boundary)) {
            parts++;
            continue;
        }
        for (size_t i = 0; parts < 3 && i < line.n; i++)
            if ((unsigned char)line.p[i] < 0x20 && line.p[i] != '\t')
                abort();
        if (parts == 2 && line.n > 0 && !is_field(line))
            abort();
    }
    if (parts != 4)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, (size_t)16 << 20);
    struct str rest = str_from((const char *)data, size), words[6];
    /* A boundary can't be guessed, but libFuzzer sees it compared here. */
    if (size < 2 || str_find_str(rest, STR("=_report_")) != SIZE_MAX)
        return 0;
    rest = str_skip(rest, 2);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (rest.n == 0 || !str_cut(&rest, '\0', &words[i]))
            words[i] = STR("");
    struct reason reason = reason_parse(words[0], "5.0.0");
    struct reason again = reason_parse(reason_print(&reason, &a), "5.0.0");
    const struct dsn_recipient recipient = {
        .address = words[1],
        .final = words[2],
        .orcpt = words[3],
        .action = (enum dsn_action)(data[0] % 4),
        .reason = again,
    };
    const struct dsn d = {
        .server = STR("mail.x.test"),
        .from = STR("postmaster@x.test"),
        .to = STR("who@far.test"),
        .envid = words[4],
        .message_id = STR("<1@x.test>"),
        .queue_id = STR("abc"),
        .arrived = 1,
        .now = 2,
        .give_up = 3,
        .japanese = (data[1] & 1) != 0,
        .is_utf8 = (data[1] & 2) != 0,
        .recipients = &recipient,
        .recipient_count = 1,
        .log = STR(""),
        .original = words[5],
        .is_whole = (data[1] & 4) != 0,
    };
    if (dsn_print(&d, &out) == RC_OK) {
        struct str text = buf_str(&out);
        size_t at = str_find_str(text, STR("boundary=\""));
        struct str boundary = str_skip(text, at + strlen("boundary=\""));
        check(text, str_head(boundary, str_find(boundary, '"')));
    }
    return 0;
}
