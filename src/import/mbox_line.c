/* mbox_line.c - what lines of mbox files mean. Pure. */
#include "import/import_int.h"
#include <time.h>

/* "hh:mm" or "hh:mm:ss" */
static bool parse_clock(struct str word, struct tm *out)
{
    struct str part;
    uint64_t n[3] = { 0, 0, 0 };
    size_t count = 0;
    while (count < 3 && word.p != NULL && str_cut(&word, ':', &part))
        if (part.n > 2 || !str_to_u64(part, &n[count++]))
            return false;
    if (count < 2 || word.p != NULL || n[0] > 23 || n[1] > 59 || n[2] > 60)
        return false;
    out->tm_hour = (int)n[0];
    out->tm_min = (int)n[1];
    out->tm_sec = (int)n[2];
    return true;
}

static int month_of(struct str word)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    for (int i = 0; word.n == 3 && i < 12; i++)
        if (str_ieq(word, str_from(names + 3 * i, 3)))
            return i;
    return -1;
}

/* Seconds east of UTC for "+0900"; names of zones count as UTC. */
static int64_t zone_of(struct str word)
{
    uint64_t n = 0;
    if (word.n != 5 || (word.p[0] != '+' && word.p[0] != '-') ||
        !str_to_u64(str_skip(word, 1), &n))
        return 0;
    int64_t seconds = (int64_t)(n / 100 * 3600 + n % 100 * 60);
    return word.p[0] == '-' ? -seconds : seconds;
}

/* "Mon Nov 27 02:03:04 2026", with a zone before or behind the year, in words. */
static bool parse_date(const struct str *words, size_t count, usec_t *out)
{
    struct tm tm = { .tm_isdst = 0 };
    uint64_t day = 0, year = 0;
    int64_t zone = 0;
    if (count < 5 || count > 7)
        return false;
    tm.tm_mon = month_of(words[1]);
    if (tm.tm_mon < 0 || !str_to_u64(words[2], &day) || day < 1 || day > 31 ||
        !parse_clock(words[3], &tm))
        return false;
    for (size_t i = 4; i < count; i++) {
        if (words[i].n == 4 && str_to_u64(words[i], &year))
            continue;
        zone = zone_of(words[i]);
    }
    if (year < 1970 || year > 9999)
        return false;
    tm.tm_mday = (int)day;
    tm.tm_year = (int)year - 1900;
    *out = ((usec_t)timegm(&tm) - zone) * USEC_S;
    return true;
}

bool mbox_from_line(struct str line, struct str *out_sender, usec_t *out_time)
{
    struct str rest = str_trim(line), word, words[12];
    size_t count = 0;
    usec_t time = 0;
    if (!str_starts(line, STR("From ")))
        return false;
    rest = str_skip(rest, 5);
    while (rest.p != NULL && str_cut(&rest, ' ', &word))
        if (word.n > 0 && count < ARRAY_LEN(words))
            words[count++] = word;
    /* The sender may hold blanks, or be missing: the date is what counts. */
    for (size_t at = 0; at <= count && at < 6; at++) {
        if (!parse_date(words + at, count - at, &time))
            continue;
        *out_sender = at > 0 ? words[0] : STR("");
        *out_time = time;
        return true;
    }
    return false;
}

struct str mbox_unquote(struct str line)
{
    size_t marks = 0;
    while (marks < line.n && line.p[marks] == '>')
        marks++;
    return marks > 0 && str_starts(str_skip(line, marks), STR("From ")) ? str_skip(line, 1)
                                                                        : line;
}

bool mbox_flags(struct str status, struct str x_status, char out[8])
{
    static const struct {
        char letter;
        bool extra;
        char flag;
    } rows[] = { /* in the order of the letters */
                 { 'T', true, 'D' },
                 { 'F', true, 'F' },
                 { 'A', true, 'R' },
                 { 'R', false, 'S' },
                 { 'D', true, 'T' }
    };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_find(rows[i].extra ? x_status : status, rows[i].letter) != SIZE_MAX)
            out[n++] = rows[i].flag;
    out[n] = '\0';
    return n > 0 || str_find(status, 'O') != SIZE_MAX;
}
