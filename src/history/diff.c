/*
 * diff.c - the difference of two texts as hunks of whole lines. Lines that are in both texts
 * exactly once and in the same order hold the texts together; what lies between them and isn't
 * the same is a hunk. So it takes no longer than sorting, whatever was changed.
 *
 * As text: "AT LINE REMOVED ADDED" LF, then so many octets of each.
 */
#include "history/history_int.h"

struct lines {
    struct str *at;
    size_t count;
};

/* How often a line is in each text, and where last. */
struct known {
    size_t in_a, in_b, a, b;
};

struct anchor {
    size_t a, b;
    size_t before; /* the anchor before it in the longest run that ends here; SIZE_MAX: none */
};

static struct lines split(struct str text, struct arena *mem)
{
    size_t n = 1;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n' ? 1 : 0;
    struct lines out = { arena_new_array(mem, struct str, n), 0 };
    while (text.n > 0) {
        size_t lf = str_find(text, '\n');
        size_t whole = lf == SIZE_MAX ? text.n : lf + 1;
        out.at[out.count++] = str_head(text, whole);
        text = str_skip(text, whole);
    }
    return out;
}

/* The octets that both begin with, to the end of a line. */
static size_t common_head(struct str a, struct str b)
{
    size_t most = MIN(a.n, b.n), same = 0;
    for (size_t i = 0; i < most && a.p[i] == b.p[i]; i++)
        same = a.p[i] == '\n' ? i + 1 : same;
    return same;
}

/* The octets that both end with, from the beginning of a line. */
static size_t common_tail(struct str a, struct str b)
{
    size_t most = MIN(a.n, b.n), same = 0, i = 0;
    for (; i < most && a.p[a.n - 1 - i] == b.p[b.n - 1 - i]; i++)
        same = a.p[a.n - 1 - i] == '\n' ? i : same;
    bool whole = i == most && (a.n == i || a.p[a.n - 1 - i] == '\n') &&
                 (b.n == i || b.p[b.n - 1 - i] == '\n');
    return whole ? most : same;
}

static struct known *known_line(struct map *m, struct str line, struct arena *mem)
{
    struct known *k = map_get(m, line);
    if (k == NULL) {
        k = arena_new(mem, sizeof(*k));
        (void)map_put(m, line, k);
    }
    return k;
}

/* The lines that are in both once, in b's order. */
static size_t find_anchors(const struct lines *a, const struct lines *b, struct anchor *out,
                           struct arena *mem)
{
    struct map m = { .fold = false };
    size_t n = 0;
    for (size_t i = 0; i < a->count; i++) {
        struct known *k = known_line(&m, a->at[i], mem);
        k->in_a++;
        k->a = i;
    }
    for (size_t i = 0; i < b->count; i++)
        known_line(&m, b->at[i], mem)->in_b++;
    for (size_t i = 0; i < b->count; i++) {
        const struct known *k = map_get(&m, b->at[i]);
        if (k->in_a == 1 && k->in_b == 1)
            out[n++] = (struct anchor){ k->a, i, SIZE_MAX };
    }
    map_release(&m);
    return n;
}

/* Marks the longest run of anchors that are in a's order, too; its last one, or SIZE_MAX. */
static size_t longest_run(struct anchor *all, size_t n, struct arena *mem)
{
    size_t *ends = arena_new_array(mem, size_t, n + 1), length = 0;
    for (size_t i = 0; i < n; i++) {
        size_t low = 0, high = length;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (all[ends[middle]].a < all[i].a)
                low = middle + 1;
            else
                high = middle;
        }
        all[i].before = low == 0 ? SIZE_MAX : ends[low - 1];
        ends[low] = i;
        length = MAX(length, low + 1);
    }
    return length == 0 ? SIZE_MAX : ends[length - 1];
}

enum rc hunk_print(const struct hunk *h, struct buf *out)
{
    enum rc rc = buf_printf(out, "%" PRIu64 " %" PRIu64 " %zu %zu\n", h->at, h->line,
                            h->removed.n, h->added.n);
    if (rc == RC_OK)
        rc = buf_add_str(out, h->removed);
    return rc == RC_OK ? buf_add_str(out, h->added) : rc;
}

struct differ {
    struct lines a, b;
    size_t i, j;       /* lines of each that are done */
    struct str before; /* all of it */
    uint64_t line;     /* of before: the first of a, from 0 */
    struct buf *out;
};

/* What lies before these lines and isn't the same is a hunk. */
static enum rc hunk_upto(struct differ *d, size_t i, size_t j)
{
    size_t n = 0, m = 0;
    for (size_t k = d->i; k < i; k++)
        n += d->a.at[k].n;
    for (size_t k = d->j; k < j; k++)
        m += d->b.at[k].n;
    if (n + m == 0)
        return RC_OK;
    const char *from = d->i < d->a.count ? d->a.at[d->i].p
                       : d->a.count > 0  ? d->a.at[d->i - 1].p + d->a.at[d->i - 1].n
                                         : d->before.p;
    struct hunk h = { .at = (uint64_t)(from - d->before.p),
                      .line = d->line + d->i + 1,
                      .removed = str_from(from, n),
                      .added = m == 0 ? STR("") : str_from(d->b.at[d->j].p, m) };
    return hunk_print(&h, d->out);
}

static enum rc walk(struct differ *d, struct anchor *all, size_t last)
{
    size_t next = SIZE_MAX;
    enum rc rc = RC_OK;
    /* Turned round: from the first to the last. */
    for (size_t k = last, before = 0; k != SIZE_MAX; k = before) {
        before = all[k].before;
        all[k].before = next;
        next = k;
    }
    for (size_t k = next; k != SIZE_MAX && rc == RC_OK; k = all[k].before) {
        size_t i = all[k].a, j = all[k].b;
        if (i < d->i || j < d->j)
            continue;
        while (i > d->i && j > d->j && str_eq(d->a.at[i - 1], d->b.at[j - 1])) {
            i--;
            j--;
        }
        rc = hunk_upto(d, i, j);
        while (i < d->a.count && j < d->b.count && str_eq(d->a.at[i], d->b.at[j])) {
            i++;
            j++;
        }
        d->i = i;
        d->j = j;
    }
    return rc == RC_OK ? hunk_upto(d, d->a.count, d->b.count) : rc;
}

enum rc diff_texts(struct str before, struct str after, struct buf *out)
{
    struct arena mem AUTO_RELEASE_ARENA = { .head = NULL };
    size_t head = common_head(before, after);
    struct str a = str_skip(before, head), b = str_skip(after, head);
    size_t tail = common_tail(a, b);
    a = str_head(a, a.n - tail);
    b = str_head(b, b.n - tail);
    struct differ d = {
        .a = split(a, &mem), .b = split(b, &mem), .before = before, .out = out
    };
    for (size_t i = 0; i < head; i++)
        d.line += before.p[i] == '\n' ? 1 : 0;
    if (d.a.count == 0) {
        struct hunk h = { .at = head, .line = d.line + 1, .removed = STR(""), .added = b };
        return b.n == 0 ? RC_OK : hunk_print(&h, out);
    }
    struct anchor *all = arena_new_array(&mem, struct anchor, d.b.count + 1);
    size_t n = find_anchors(&d.a, &d.b, all, &mem);
    return walk(&d, all, longest_run(all, n, &mem));
}

/* --- and back ----------------------------------------------------------------------------- */

bool history_hunk_next(struct str *rest, struct hunk *out)
{
    struct str head, word;
    uint64_t values[4];
    if (rest->n == 0 || !str_cut(rest, '\n', &head))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        if (!str_cut(&head, ' ', &word) || !str_to_u64(word, &values[i]))
            return false;
    if (values[2] > rest->n || values[3] > rest->n - values[2])
        return false;
    *out = (struct hunk){ .at = values[0], .line = values[1] };
    out->removed = str_head(*rest, (size_t)values[2]);
    *rest = str_skip(*rest, (size_t)values[2]);
    out->added = str_head(*rest, (size_t)values[3]);
    *rest = str_skip(*rest, (size_t)values[3]);
    return true;
}

/* Most changes add a line at the end. */
static bool apply_at_end(struct str hunks, struct buf *text)
{
    struct hunk h;
    return history_hunk_next(&hunks, &h) && h.at == text->n && h.removed.n == 0 &&
           hunks.n == 0 && buf_add_str(text, h.added) == RC_OK;
}

bool hunks_apply(struct str hunks, struct buf *text)
{
    struct buf fresh;
    struct hunk h;
    struct str old = buf_str(text);
    size_t done = 0;
    if (apply_at_end(hunks, text))
        return true;
    buf_init(&fresh, HISTORY_TEXT_MAX);
    bool good = true;
    while (good && hunks.n > 0) {
        good =
            history_hunk_next(&hunks, &h) && h.at >= done && h.at <= old.n &&
            str_starts(str_skip(old, (size_t)h.at), h.removed) &&
            buf_add_str(&fresh, str_head(str_skip(old, done), (size_t)h.at - done)) == RC_OK &&
            buf_add_str(&fresh, h.added) == RC_OK;
        done = good ? (size_t)h.at + h.removed.n : done;
    }
    good = good && buf_add_str(&fresh, str_skip(old, done)) == RC_OK;
    if (good) {
        buf_release(text);
        *text = fresh;
    } else {
        buf_release(&fresh);
    }
    return good;
}
