/* options_print.c - the rows of options.def as text: for the manual, and as a sample
 * server.tab. */
#include "conf/options.h"

static const char *shown(const char *value)
{
    return value == NULL ? "not set" : value[0] == '\0' ? "empty" : value;
}

static void print_defaults(struct buf *out, const struct option_row *row, const char *before)
{
    buf_addf(out, "%s", before);
    if (shown(row->xmail) == shown(row->fresh) ||
        strcmp(shown(row->xmail), shown(row->fresh)) == 0)
        buf_addf(out, "Default: %s.", shown(row->xmail));
    else
        buf_addf(out, "Default: %s; of a new MailRoot: %s.", shown(row->xmail),
                 shown(row->fresh));
    if (row->when == OPTION_RESTART)
        buf_addf(out, "\n%sTakes effect at the next start.", before);
    if (row->state != OPTION_OBEYED)
        buf_addf(out, "\n%sKept, but not obeyed by this version.", before);
    buf_addf(out, "\n");
}

void options_print_mdoc(struct buf *out)
{
    size_t count = 0;
    const struct option_row *row = options_rows(&count);
    buf_addf(out, ".\\\" generated from options.def\n.Bl -tag -width Ds\n");
    for (; count > 0; count--, row++) {
        buf_addf(out, ".It Cm %s\n%s\n", row->name, row->en);
        print_defaults(out, row, "");
    }
    buf_addf(out, ".El\n");
}

void options_print_sample(struct buf *out, bool japanese)
{
    size_t count = 0;
    const struct option_row *row = options_rows(&count);
    for (; count > 0; count--, row++) {
        buf_addf(out, "# %s\n", japanese ? row->ja : row->en);
        print_defaults(out, row, "# ");
        buf_addf(out, "#\"%s\"\t\"%s\"\n\n", row->name, row->fresh == NULL ? "" : row->fresh);
    }
}
