/*
 * story_index.c - which blocks of a trace file can hold a word: behind a head, STORY_MARKS
 * octets for each block that is complete, in order. Only ever appended to; a record that isn't
 * whole doesn't count and is written again.
 */
#include "conf/story_int.h"
#include "conf/tab.h"
#include "sys/file.h"
#include <stdlib.h>

#define HEAD "hikyaku trace index 1\n"
#define HEAD_BYTES ((uint64_t)sizeof(HEAD) - 1)
#define PROBES 5u
#define FILES_MAX 8192u

/* --- files -------------------------------------------------------------------------------- */

static int compare(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

enum rc story_list(struct arena *a, struct str **out, size_t *out_count, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    size_t n = 0;
    struct str *list = arena_new_array(a, struct str, FILES_MAX);
    enum rc rc = folder_open(STORY_FOLDER, &f, e);
    while (rc == RC_OK && n < FILES_MAX && folder_next(f, &name, &type))
        if (str_starts(name, STR("trace-")) && str_find(name, '.') == SIZE_MAX)
            list[n++] = arena_printf(a, STORY_FOLDER "/%.*s", STR_ARG(name));
    folder_close(&f);
    qsort(list, n, sizeof(*list), compare);
    *out = list;
    *out_count = n;
    return rc;
}

static struct str index_path(struct str path, struct arena *a)
{
    return arena_printf(a, "%.*s.index", STR_ARG(path));
}

/* How many blocks the open index covers; 0: it is none of ours. */
static uint64_t count_indexed(int fd, uint64_t blocks)
{
    struct stat st;
    char head[HEAD_BYTES];
    if (fd < 0 || io_fstat(fd, &st) < 0 || (uint64_t)st.st_size < HEAD_BYTES ||
        io_pread(fd, head, HEAD_BYTES, 0) != (ssize_t)HEAD_BYTES ||
        memcmp(head, HEAD, HEAD_BYTES) != 0)
        return 0;
    uint64_t n = ((uint64_t)st.st_size - HEAD_BYTES) / STORY_MARKS;
    return n <= blocks ? n : 0; /* of another file that had this name */
}

bool story_file_open(struct story_file *f, struct str path)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct stat st;
    *f = (struct story_file){ .path = path, .index_fd = -1 };
    f->fd = io_open(arena_c(&a, path), O_RDONLY | O_NOFOLLOW, 0);
    if (f->fd < 0 || io_fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        io_close_at(&f->fd);
        return false;
    }
    f->size = (uint64_t)st.st_size;
    f->blocks = (f->size + STORY_BLOCK - 1) / STORY_BLOCK;
    f->index_fd = io_open(index_path(path, &a).p, O_RDONLY | O_NOFOLLOW, 0);
    f->indexed = count_indexed(f->index_fd, f->size / STORY_BLOCK);
    return true;
}

void story_file_close(struct story_file *f)
{
    io_close_at(&f->fd);
    io_close_at(&f->index_fd);
}

bool story_block_read(const struct story_file *f, uint64_t i, struct buf *room,
                      struct str *out_lines)
{
    /* One octet before it says whether the block begins with a line. */
    uint64_t from = i * STORY_BLOCK - (i > 0), end = (i + 1) * STORY_BLOCK;
    size_t want = STORY_BLOCK + STORY_LINE_MAX, first = 0;
    buf_reset(room);
    if (buf_reserve(room, want) != RC_OK)
        return false;
    while (room->n < want) {
        ssize_t got = io_pread(f->fd, room->p + room->n, want - room->n, from + room->n);
        if (got < 0)
            return false;
        if (got == 0)
            break;
        room->n += (size_t)got;
    }
    struct str text = str_from(room->p, room->n);
    if (i > 0) {
        first = str_find(text, '\n');
        first = first == SIZE_MAX ? text.n : first + 1;
    }
    size_t last = MIN((size_t)(end - from), text.n); /* lines begin before it */
    if (last < text.n && last > 0 && text.p[last - 1] != '\n') {
        size_t lf = str_find(str_skip(text, last), '\n');
        last = lf == SIZE_MAX ? text.n : last + lf + 1;
    }
    *out_lines = first >= last ? STR("") : str_from(text.p + first, last - first);
    return true;
}

const unsigned char *story_marks_read(const struct story_file *f, struct arena *a)
{
    size_t n = (size_t)f->indexed * STORY_MARKS, at = 0;
    if (n == 0)
        return NULL;
    unsigned char *marks = arena_new(a, n);
    while (at < n) {
        ssize_t got = io_pread(f->index_fd, marks + at, n - at, HEAD_BYTES + at);
        if (got <= 0)
            return NULL;
        at += (size_t)got;
    }
    return marks;
}

/* --- words -------------------------------------------------------------------------------- */

uint64_t story_word(struct str word)
{
    return hash_text(word, true, 1);
}

static size_t place(uint64_t word, unsigned probe)
{
    uint64_t step = (word >> 32) | 1;
    return (size_t)((word + probe * step) % (STORY_MARKS * 8));
}

bool story_marks_hold(const unsigned char *marks, uint64_t word)
{
    for (unsigned i = 0; i < PROBES; i++) {
        size_t at = place(word, i);
        if ((marks[at / 8] & (1u << (at % 8))) == 0)
            return false;
    }
    return true;
}

static void mark(unsigned char *marks, struct str word)
{
    uint64_t hash = story_word(word);
    for (unsigned i = 0; i < PROBES && word.n > 0; i++) {
        size_t at = place(hash, i);
        marks[at / 8] |= (unsigned char)(1u << (at % 8));
    }
}

struct str story_without_brackets(struct str s)
{
    return s.n > 2 && s.p[0] == '<' && s.p[s.n - 1] == '>' ? str_from(s.p + 1, s.n - 2) : s;
}

struct str story_domain_word(struct str address)
{
    size_t at = str_rfind(address, '@');
    return at == SIZE_MAX ? STR("") : str_skip(address, at);
}

bool story_parse(struct str line, struct arena *a, struct story_event *out)
{
    struct err e;
    out->values = arena_new_array(a, struct str, STORY_VALUES);
    return tab_parse_line(line, a, out->values, STORY_VALUES, &out->count, &e) == RC_OK &&
           out->count > 3;
}

struct str story_value(const struct story_event *ev, const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 3; i < ev->count; i++)
        if (str_starts(ev->values[i], str_from_c(key)) && ev->values[i].n > n &&
            ev->values[i].p[n] == '=')
            return str_skip(ev->values[i], n + 1);
    return STR("");
}

static void mark_line(unsigned char *marks, struct str line)
{
    static const char *const plain[] = { "id", "session", "about", "client" };
    static const char *const addresses[] = { "from", "rcpt", "as" };
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct story_event ev = { .next = NULL };
    if (!story_parse(line, &a, &ev))
        return;
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        mark(marks, story_value(&ev, plain[i]));
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        struct str address = story_value(&ev, addresses[i]);
        mark(marks, address);
        mark(marks, story_domain_word(address));
    }
    mark(marks, story_without_brackets(story_value(&ev, "message_id")));
}

/* --- keeping it --------------------------------------------------------------------------- */

/* A block is complete when the line that crosses its end is. */
static bool is_complete(const struct story_file *f, uint64_t i)
{
    return f->size >= (i + 1) * STORY_BLOCK + STORY_LINE_MAX;
}

static bool add_block(const struct story_file *f, int fd, uint64_t i, struct buf *room)
{
    unsigned char marks[STORY_MARKS] = { 0 };
    struct str lines, line;
    if (!story_block_read(f, i, room, &lines))
        return false;
    while (lines.n > 0 && str_cut(&lines, '\n', &line))
        mark_line(marks, line);
    return io_pwrite(fd, marks, sizeof(marks), HEAD_BYTES + i * STORY_MARKS) ==
           (ssize_t)sizeof(marks);
}

/* The index for writing, begun anew when it isn't one; -1: not possible. */
static int open_for_writing(const struct story_file *f)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    int fd = io_open(index_path(f->path, &a).p, O_RDWR | O_CREAT | O_NOFOLLOW, 0640);
    if (fd < 0 || f->indexed > 0)
        return fd;
    if (io_ftruncate(fd, 0) < 0 || io_pwrite(fd, HEAD, HEAD_BYTES, 0) != (ssize_t)HEAD_BYTES)
        io_close_at(&fd);
    return fd;
}

/* How many blocks were added. */
static size_t step_file(struct str path, size_t most)
{
    struct story_file f;
    struct buf room AUTO_RELEASE_BUF;
    size_t n = 0;
    buf_init(&room, (size_t)1 << 20);
    if (!story_file_open(&f, path))
        return 0;
    int fd AUTO_CLOSE = is_complete(&f, f.indexed) ? open_for_writing(&f) : -1;
    while (fd >= 0 && n < most && is_complete(&f, f.indexed + n) &&
           add_block(&f, fd, f.indexed + n, &room))
        n++;
    story_file_close(&f);
    return n;
}

bool story_index_step(size_t blocks)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str *files = NULL;
    struct err e;
    size_t count = 0, done = 0;
    if (story_list(&a, &files, &count, &e) != RC_OK)
        return false;
    for (size_t i = count; i > 0 && done < blocks; i--)
        done += step_file(files[i - 1], blocks - done);
    return done == blocks;
}
