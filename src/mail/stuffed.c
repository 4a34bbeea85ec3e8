/* stuffed.c - see stuffed.h. Called for the files of filters, by relay, and by takeover. */
#include "mail/stuffed.h"

enum rc stuff_feed(struct stuffing *s, struct str text, struct buf *out)
{
    enum rc rc = RC_OK;
    while (text.n > 0 && rc == RC_OK) {
        size_t lf = str_find(text, '\n');
        struct str line = str_head(text, MIN(lf, text.n));
        if (!s->in_line && text.p[0] == '.')
            rc = buf_add_char(out, '.');
        if (rc == RC_OK)
            rc = buf_add_str(out, line);
        s->in_line = lf == SIZE_MAX;
        if (rc == RC_OK && !s->in_line)
            rc = buf_add_str(out, STR("\r\n"));
        text = str_skip(text, line.n + !s->in_line);
    }
    return rc;
}

enum rc stuff_end(struct stuffing *s, struct buf *out)
{
    bool open = s->in_line;
    s->in_line = false;
    return open ? buf_add_str(out, STR("\r\n")) : RC_OK;
}

/* --- back -------------------------------------------------------------------------------- */

static enum rc put_line_end(struct unstuffing *u, struct buf *out)
{
    u->lone_dot = u->lone_dot || u->after_dot;
    u->in_line = u->after_dot = false;
    u->wire_octets += 2;
    return buf_add_char(out, '\n');
}

/* Octets up to a CR, LF or NUL. */
static size_t run_of(struct str in)
{
    size_t n = 0;
    while (n < in.n && in.p[n] != '\r' && in.p[n] != '\n' && in.p[n] != '\0')
        n++;
    return n;
}

static enum rc put_run(struct unstuffing *u, struct str run, struct buf *out)
{
    bool drop = u->dotted && !u->in_line && run.p[0] == '.';
    u->bare_cr = u->bare_cr || u->after_cr;
    u->after_cr = false;
    u->in_line = true;
    u->after_dot = (drop && run.n == 1);
    run = str_skip(run, drop);
    u->wire_octets += run.n;
    return buf_add_str(out, run);
}

enum rc unstuff_feed(struct unstuffing *u, struct str in, struct buf *out)
{
    enum rc rc = RC_OK;
    while (in.n > 0 && rc == RC_OK) {
        size_t n = run_of(in);
        char c = n == 0 ? in.p[0] : 'x';
        if (n > 0) {
            rc = put_run(u, str_head(in, n), out);
        } else if (c == '\n' && u->after_cr) {
            u->after_cr = false; /* its CR has ended the line */
        } else if (c == '\0') {
            u->nul = true;
        } else {
            u->bare_cr = u->bare_cr || u->after_cr;
            u->after_cr = c == '\r';
            rc = put_line_end(u, out);
        }
        in = str_skip(in, MAX(n, 1u));
    }
    return rc;
}

enum rc unstuff_end(struct unstuffing *u, struct buf *out)
{
    u->bare_cr = u->bare_cr || u->after_cr;
    return u->in_line ? put_line_end(u, out) : RC_OK;
}

void dots_feed(struct dots *d, struct str in)
{
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        bool end = c == '\n' || c == '\r';
        if (d->state == DOTS_ONE && c != '.')
            d->plain = true;
        if (end)
            d->state = DOTS_START;
        else
            d->state = d->state == DOTS_START && c == '.' ? DOTS_ONE : DOTS_LINE;
    }
}
