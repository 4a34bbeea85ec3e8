/* line.c - lines that name programs. */
#include "process/process.h"

static const char *parse_flag(struct str word, struct program_line *out)
{
    uint64_t n = 0;
    if (str_ieq(word, STR("aex")))
        out->not_for_logged_in = true;
    else if (str_ieq(word, STR("wlex")))
        out->not_for_white_listed = true;
    else if (str_istarts(word, STR("timeo=")) && str_to_u64(str_skip(word, 6), &n) && n > 0 &&
             n <= 86400)
        out->limit_s = (unsigned)n;
    else if (word.n > 0)
        return "a flag other than aex, wlex, timeo=SECONDS";
    return NULL;
}

const char *program_line_parse(const struct tab_row *row, struct program_line *out)
{
    struct program_line l = { .line = row->line, .sum = 1 };
    size_t from = 0;
    for (size_t i = 0; i < row->count; i++)
        l.sum = hash_text(row->values[i], false, l.sum + i);
    struct str first = tab_value(row, 0), word;
    if (str_starts(first, STR("!"))) {
        from = 1;
        for (struct str rest = str_skip(first, 1);
             rest.p != NULL && str_cut(&rest, ',', &word);) {
            const char *why = parse_flag(str_trim(word), &l);
            if (why != NULL)
                return why;
        }
    }
    if (row->count <= from || tab_value(row, from).n == 0)
        return "no command";
    l.words = row->values + from;
    l.count = row->count - from;
    *out = l;
    return NULL;
}
