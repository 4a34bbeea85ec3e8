/* autoreply.c - the words of an "autoreply" command. */
#include "base/day.h"
#include "process/process.h"

const char *autoreply_parse(const struct program_line *line, struct autoreply *out)
{
    struct autoreply r = { .count = 0 };
    uint64_t days = 0;
    if (line->count < 5 || line->count > 4 + AUTOREPLY_LINES_MAX)
        return "not first day, last day, days, subject and at most 200 lines of text";
    r.first = line->words[0];
    r.last = line->words[1];
    if ((r.first.n > 0 && !day_is_good(r.first)) || (r.last.n > 0 && !day_is_good(r.last)))
        return "a day isn't YYYY-MM-DD";
    if (!str_to_u64(line->words[2], &days) || days < 1 || days > AUTOREPLY_DAYS_MAX)
        return "days aren't 1 to 366";
    r.days = (unsigned)days;
    r.subject = line->words[3];
    r.lines = line->words + 4;
    r.count = line->count - 4;
    for (size_t i = 3; i < line->count; i++)
        if (line->words[i].n > AUTOREPLY_LINE_MAX || !str_is_utf8(line->words[i]))
            return "its text isn't UTF-8, or has a line of more than 900 octets";
    *out = r;
    return NULL;
}
