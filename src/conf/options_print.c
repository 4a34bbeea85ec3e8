/* options_print.c - the rows of options.def as text: for the manual, and as a sample
 * server.tab. */
#include "conf/options.h"

/* What is said of defaults, in a language. */
struct words {
    const char *not_set, *empty, *value, *fresh, *end, *restart, *needless;
};
static const struct words english = {
    .not_set = "not set",
    .empty = "empty",
    .value = "Default: ",
    .fresh = "; of a new MailRoot: ",
    .end = ".",
    .restart = "Takes effect at the next start.",
    .needless = "Taken, and without effect.",
};
static const struct words in_japanese = {
    .not_set = "未設定",
    .empty = "空",
    .value = "既定値: ",
    .fresh = "。新しい MailRoot では: ",
    .end = "。",
    .restart = "次の起動から有効。",
    .needless = "受け付けるが、効果はない。",
};

static const char *shown(const char *value, const struct words *w)
{
    return value == NULL ? w->not_set : value[0] == '\0' ? w->empty : value;
}

static void print_defaults(struct buf *out, const struct option_row *row, const struct words *w,
                           const char *before)
{
    const char *xmail = shown(row->xmail, w), *fresh = shown(row->fresh, w);
    buf_addf(out, "%s%s%s", before, w->value, xmail);
    if (strcmp(xmail, fresh) != 0)
        buf_addf(out, "%s%s", w->fresh, fresh);
    buf_addf(out, "%s\n", w->end);
    if (row->when == OPTION_RESTART)
        buf_addf(out, "%s%s\n", before, w->restart);
    if (row->state == OPTION_NEEDLESS)
        buf_addf(out, "%s%s\n", before, w->needless);
}

/* In mdoc each sentence begins a line. */
static void print_sentences(struct buf *out, struct str text)
{
    size_t at = 0;
    while ((at = str_find_str(text, STR(". "))) != SIZE_MAX) {
        buf_addf(out, "%.*s\n", STR_ARG(str_head(text, at + 1)));
        text = str_skip(text, at + 2);
    }
    buf_addf(out, "%.*s\n", STR_ARG(text));
}

void options_print_mdoc(struct buf *out)
{
    size_t count = 0;
    const struct option_row *row = options_rows(&count);
    buf_addf(out, ".\\\" generated from options.def\n.Bl -tag -width Ds\n");
    for (; count > 0; count--, row++) {
        buf_addf(out, ".It Cm %s\n", row->name);
        print_sentences(out, str_from_c(row->en));
        print_defaults(out, row, &english, "");
    }
    buf_addf(out, ".El\n");
}

void options_print_sample(struct buf *out, bool japanese)
{
    size_t count = 0;
    const struct option_row *row = options_rows(&count);
    for (; count > 0; count--, row++) {
        buf_addf(out, "# %s\n", japanese ? row->ja : row->en);
        print_defaults(out, row, japanese ? &in_japanese : &english, "# ");
        buf_addf(out, "#\"%s\"\t\"%s\"\n\n", row->name, row->fresh == NULL ? "" : row->fresh);
    }
}
