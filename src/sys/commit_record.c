/*
 * commit_record.c - records of the redo log in memory: made by commit.c from what a caller
 * gives, read by recovery from what a crash left. See commit_int.h for the layout.
 *
 * The checksum is a 64-bit multiply-and-fold hash, 16 octets a step (20 KB: about 2 us). It
 * tells a torn or stale record; that a record is ours is shown by the batch's key.
 */
#include "sys/commit_int.h"

#define SUM_K0 UINT64_C(0x9e3779b97f4a7c15)
#define SUM_K1 UINT64_C(0xe7037ed1a0b428db)

static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 r = (unsigned __int128)a * b;
    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

static uint64_t step(uint64_t state, const unsigned char *p)
{
    uint64_t w[2];
    memcpy(w, p, sizeof(w));
    return fold(w[0] ^ SUM_K0 ^ (state << 1), w[1] ^ state) ^ state;
}

void log_sum_begin(struct log_sum *s, uint64_t key0, uint64_t key1)
{
    *s = (struct log_sum){ .state = fold(key0 ^ SUM_K0, key1 ^ SUM_K1) ^ key0 };
}

void log_sum_add(struct log_sum *s, const void *data, size_t n)
{
    const unsigned char *p = data;
    s->total += n;
    if (s->carried > 0) {
        size_t take = MIN(n, sizeof(s->carry) - s->carried);
        memcpy(s->carry + s->carried, p, take);
        s->carried += take;
        p += take;
        n -= take;
        if (s->carried < sizeof(s->carry))
            return;
        s->state = step(s->state, s->carry);
        s->carried = 0;
    }
    uint64_t state = s->state;
    for (; n >= sizeof(s->carry); p += sizeof(s->carry), n -= sizeof(s->carry))
        state = step(state, p);
    s->state = state;
    if (n > 0)
        memcpy(s->carry, p, n);
    s->carried = n;
}

uint64_t log_sum_end(struct log_sum *s)
{
    memset(s->carry + s->carried, 0, sizeof(s->carry) - s->carried);
    uint64_t state = step(s->state, s->carry);
    return fold(state ^ s->total, SUM_K1 ^ (state >> 32));
}

/* --- making ------------------------------------------------------------------------------ */

void record_list_init(struct record_list *l, size_t records, size_t parts)
{
    *l = (struct record_list){ .part_cap = 2 * records + parts,
                               .cap = records,
                               .stamp = INT64_MAX };
    l->parts = arena_new_array(&l->mem, struct iovec, l->part_cap);
    l->sums = arena_new_array(&l->mem, uint64_t, records);
}

void record_list_release(struct record_list *l)
{
    arena_release(&l->mem);
}

static void add_part(struct record_list *l, const void *p, size_t n)
{
    if (n == 0)
        return;
    if (l->part_count == l->part_cap)
        BUG("record parts");
    struct iovec *part = &l->parts[l->part_count++];
    memcpy(&part->iov_base, &p, sizeof(p));
    part->iov_len = n;
    l->bytes += n;
}

static size_t padding(size_t n)
{
    return (8 - n % 8) % 8;
}

/* Fills in the head, whose names follow it in memory, and adds head, content and padding. */
static void add_record(struct record_list *l, struct record_head *head, size_t names_bytes,
                       const struct iovec *content, size_t content_count)
{
    static const char zeros[8];
    struct log_sum sum;
    size_t n = sizeof(*head) + names_bytes;
    for (size_t i = 0; i < content_count; i++)
        n += content[i].iov_len;
    size_t pad = padding(n);
    head->bytes = (uint32_t)(n + pad);
    head->stamp = clock_mono();
    head->wall = clock_wall();
    head->sum = 0;
    log_sum_begin(&sum, 0, 0);
    log_sum_add(&sum, head, sizeof(*head) + names_bytes);
    add_part(l, head, sizeof(*head) + names_bytes);
    for (size_t i = 0; i < content_count; i++) {
        log_sum_add(&sum, content[i].iov_base, content[i].iov_len);
        add_part(l, content[i].iov_base, content[i].iov_len);
    }
    log_sum_add(&sum, zeros, pad);
    add_part(l, zeros, pad);
    head->sum = log_sum_end(&sum);
    if (l->count == l->cap)
        BUG("records");
    l->sums[l->count++] = head->sum;
    l->stamp = MIN(l->stamp, head->stamp);
}

static struct record_head *head_new(struct record_list *l, enum record_kind kind, size_t names)
{
    struct record_head *head = arena_new(&l->mem, sizeof(*head) + names);
    head->kind = kind;
    return head;
}

void record_add_put(struct record_list *l, enum record_kind kind, const struct commit_put *put)
{
    size_t path_n = strlen(put->final_path), tmp_n = strlen(put->tmp_path);
    size_t names = path_n + tmp_n + put->tag.n;
    struct record_head *head = head_new(l, kind, names);
    char *p = (char *)(head + 1);
    memcpy(p, put->final_path, path_n);
    memcpy(p + path_n, put->tmp_path, tmp_n);
    if (put->tag.n > 0)
        memcpy(p + path_n + tmp_n, put->tag.p, put->tag.n);
    head->path_bytes = (uint32_t)path_n;
    head->tmp_bytes = (uint32_t)tmp_n;
    head->tag_bytes = (uint32_t)put->tag.n;
    head->size = put->size_bytes;
    bool with_content = kind == RECORD_PUT;
    add_record(l, head, names, with_content ? put->parts : NULL,
               with_content ? put->part_count : 0);
}

void record_add_names(struct record_list *l, enum record_kind kind, const char *const *paths,
                      size_t count)
{
    size_t names = 0;
    for (size_t i = 0; i < count; i++)
        names += strlen(paths[i]) + 1;
    struct record_head *head = head_new(l, kind, names);
    char *p = (char *)(head + 1);
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(paths[i]) + 1;
        memcpy(p, paths[i], n);
        p += n;
    }
    head->path_bytes = (uint32_t)names;
    add_record(l, head, names, NULL, 0);
}

void record_add_raw(struct record_list *l, struct str raw)
{
    struct record r;
    size_t n = 0;
    uint64_t sum = 0;
    add_part(l, raw.p, raw.n);
    while (raw.n > 0) {
        if (!record_parse(raw, &r, &n, &sum) || l->count == l->cap)
            BUG("raw records");
        l->sums[l->count++] = sum;
        l->stamp = MIN(l->stamp, r.stamp);
        raw = str_skip(raw, n);
    }
}

/* --- reading ----------------------------------------------------------------------------- */

static bool names_fit(const struct record_head *h)
{
    uint64_t names = (uint64_t)h->path_bytes + h->tmp_bytes + h->tag_bytes;
    uint64_t content = h->kind == RECORD_PUT ? h->size : 0;
    uint64_t rest = h->bytes - sizeof(*h);
    if (h->kind < RECORD_PUT || h->kind > RECORD_ABORT || h->path_bytes == 0)
        return false;
    return names <= rest && content <= rest - names && rest - names - content < 8;
}

bool record_parse(struct str raw, struct record *out, size_t *out_bytes, uint64_t *out_sum)
{
    struct record_head h;
    struct log_sum sum;
    if (raw.n < sizeof(h))
        return false;
    memcpy(&h, raw.p, sizeof(h));
    if (h.bytes < sizeof(h) || h.bytes > raw.n || h.bytes % 8 != 0 || !names_fit(&h))
        return false;
    uint64_t given = h.sum;
    h.sum = 0;
    log_sum_begin(&sum, 0, 0);
    log_sum_add(&sum, &h, sizeof(h));
    log_sum_add(&sum, raw.p + sizeof(h), h.bytes - sizeof(h));
    if (log_sum_end(&sum) != given)
        return false;
    const char *p = raw.p + sizeof(h);
    *out = (struct record){
        .kind = (enum record_kind)h.kind,
        .stamp = h.stamp,
        .wall = h.wall,
        .path = str_from(p, h.path_bytes),
        .tmp = str_from(p + h.path_bytes, h.tmp_bytes),
        .tag = str_from(p + h.path_bytes + h.tmp_bytes, h.tag_bytes),
        .size = h.size,
        .content_at = sizeof(h) + h.path_bytes + h.tmp_bytes + h.tag_bytes,
    };
    if (h.kind == RECORD_PUT)
        out->content = str_from(raw.p + out->content_at, (size_t)h.size);
    *out_bytes = h.bytes;
    *out_sum = given;
    return true;
}

bool record_next_name(struct str *names, const char **out)
{
    size_t n = str_find(*names, '\0');
    if (n == SIZE_MAX)
        return false;
    *out = names->p;
    *names = str_skip(*names, n + 1);
    return true;
}

struct str commit_key(struct str path, struct arena *a)
{
    size_t slash = str_rfind(path, '/');
    if (slash == SIZE_MAX || slash < 4)
        return path;
    struct str folder = str_head(path, slash), name = str_skip(path, slash + 1);
    if (!str_ends(folder, STR("/new")) && !str_ends(folder, STR("/cur")))
        return path;
    struct str base = str_head(name, MIN(str_find(name, ':'), name.n));
    return arena_printf(a, "%.*s//%.*s", STR_ARG(str_head(folder, folder.n - 4)),
                        STR_ARG(base));
}
