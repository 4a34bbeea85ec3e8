/* manifest.c - the list of a snapshot's files as text. Pure but for manifest_read. */
#include "backup/backup_int.h"

#define HEAD "hikyaku-backup 1\n"
#define MANIFEST_MAX ((size_t)8 << 30)

static enum rc add_coded(struct str text, struct buf *out)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < text.n && rc == RC_OK; i++) {
        unsigned char c = (unsigned char)text.p[i];
        rc = c < 0x21 || c == 0x7f || c == '%' ? buf_printf(out, "%%%02X", c)
                                               : buf_add_char(out, text.p[i]);
    }
    return rc == RC_OK ? buf_add_char(out, '\n') : rc;
}

enum rc manifest_print_head(struct buf *out)
{
    return buf_add_str(out, STR(HEAD));
}

enum rc manifest_print_folder(struct str path, unsigned mode, struct buf *out)
{
    enum rc rc = buf_printf(out, "D %o ", mode & 07777);
    return rc == RC_OK ? add_coded(path, out) : rc;
}

enum rc manifest_print_file(const struct manifest_file *f, struct buf *out)
{
    enum rc rc =
        buf_printf(out, "F %o %" PRId64 " %" PRIu64 " ", f->mode & 07777, f->mtime_ns, f->size);
    for (size_t i = 0; i < MANIFEST_SUM_BYTES && rc == RC_OK; i++)
        rc = buf_printf(out, "%02x", f->sum[i]);
    if (rc == RC_OK)
        rc = buf_add_char(out, ' ');
    return rc == RC_OK ? add_coded(f->name, out) : rc;
}

enum rc manifest_print_end(uint64_t folders, uint64_t files, struct buf *out)
{
    return buf_printf(out, "end %" PRIu64 " %" PRIu64 "\n", folders, files);
}

/* --- reading ----------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    c = ascii_lower(c);
    if (ascii_is_digit(c))
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct str decoded(struct str text, struct arena *a)
{
    if (str_find(text, '%') == SIZE_MAX)
        return text;
    char *p = arena_new(a, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        bool coded = text.p[i] == '%' && i + 2 < text.n && hex_digit(text.p[i + 1]) >= 0 &&
                     hex_digit(text.p[i + 2]) >= 0;
        p[n++] = coded ? (char)(hex_digit(text.p[i + 1]) * 16 + hex_digit(text.p[i + 2]))
                       : text.p[i];
        i += coded ? 2 : 0;
    }
    return str_from(p, n);
}

/* One component that stays in its folder. */
static bool is_name(struct str s)
{
    return s.n > 0 && s.n <= 255 && !str_eq(s, STR(".")) && !str_eq(s, STR("..")) &&
           str_find(s, '/') == SIZE_MAX && memchr(s.p, '\0', s.n) == NULL;
}

static bool is_path(struct str path)
{
    struct str rest = path, word;
    if (path.n == 0)
        return true;
    while (rest.p != NULL && str_cut(&rest, '/', &word))
        if (!is_name(word))
            return false;
    return path.n < 4000;
}

static bool octal(struct str s, unsigned *out)
{
    unsigned n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '7' || i > 3)
            return false;
        n = n * 8 + (unsigned)(s.p[i] - '0');
    }
    *out = n;
    return s.n > 0;
}

static bool parse_sum(struct str text, uint8_t *out)
{
    if (text.n != (size_t)2 * MANIFEST_SUM_BYTES)
        return false;
    for (size_t i = 0; i < MANIFEST_SUM_BYTES; i++) {
        int high = hex_digit(text.p[2 * i]), low = hex_digit(text.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static bool parse_file(struct str line, struct arena *a, struct manifest_file *out)
{
    struct str rest = line, words[5];
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!str_cut(&rest, ' ', &words[i]))
            return false;
    struct manifest_file f = { .name = decoded(rest.p == NULL ? STR("") : rest, a) };
    if (!str_eq(words[0], STR("F")) || !octal(words[1], &f.mode) ||
        !str_to_i64(words[2], &f.mtime_ns) || !str_to_u64(words[3], &f.size) ||
        !parse_sum(words[4], f.sum) || !is_name(f.name))
        return false;
    *out = f;
    return true;
}

bool manifest_next(struct str *lines, struct arena *a, struct manifest_file *out)
{
    struct str line;
    return lines->n > 0 && str_cut(lines, '\n', &line) && parse_file(line, a, out);
}

static bool parse_folder(struct str line, struct arena *a, struct manifest_folder *out)
{
    struct str rest = line, key, mode;
    if (!str_cut(&rest, ' ', &key) || !str_cut(&rest, ' ', &mode) || !octal(mode, &out->mode))
        return false;
    out->path = decoded(rest.p == NULL ? STR("") : rest, a);
    out->lines = STR("");
    return is_path(out->path);
}

static bool parse_end(struct str line, uint64_t *folders, uint64_t *files)
{
    struct str rest = line, word, first, second;
    return str_cut(&rest, ' ', &word) && str_cut(&rest, ' ', &first) &&
           str_cut(&rest, ' ', &second) && rest.p == NULL && str_to_u64(first, folders) &&
           str_to_u64(second, files);
}

static size_t count_folders(struct str text)
{
    size_t n = 0;
    for (size_t at = 0; at != SIZE_MAX && at < text.n;) {
        n += text.p[at] == 'D';
        size_t lf = str_find(str_skip(text, at), '\n');
        at = lf == SIZE_MAX ? SIZE_MAX : at + lf + 1;
    }
    return n;
}

enum rc manifest_parse(struct str text, struct arena *a, struct manifest *out, struct err *e)
{
    struct str rest = str_skip(text, sizeof(HEAD) - 1), line = STR("");
    struct manifest m = { .count = 0 };
    struct manifest_file f;
    uint64_t folders = 0, files = 0, counted = 0, number = 1;
    bool ended = false;
    if (!str_starts(text, STR(HEAD)))
        return err_perm(e, "5.3.0", "not a manifest");
    m.folders = arena_new_array(a, struct manifest_folder, count_folders(rest) + 1);
    struct manifest_folder *now = NULL;
    while (!ended && rest.n > 0 && str_cut(&rest, '\n', &line) && rest.p != NULL) {
        struct arena tmp AUTO_RELEASE_ARENA = { 0 };
        bool good = false;
        number++;
        if (str_starts(line, STR("D "))) {
            now = &m.folders[m.count++];
            good = parse_folder(line, a, now);
        } else if (str_starts(line, STR("F ")) && now != NULL) {
            good = parse_file(line, &tmp, &f);
            now->lines = now->lines.n == 0 ? str_from(line.p, line.n + 1)
                                           : str_from(now->lines.p, now->lines.n + line.n + 1);
            counted++;
        } else {
            good = ended = str_starts(line, STR("end ")) && parse_end(line, &folders, &files);
        }
        if (!good)
            return err_perm(e, "5.3.0", "line %" PRIu64 " of the manifest is damaged", number);
    }
    if (!ended || folders != m.count || files != counted)
        return err_perm(e, "5.3.0", "the manifest is cut short");
    for (size_t i = 0; i < m.count; i++)
        (void)map_put(&m.by_path, m.folders[i].path, &m.folders[i]);
    *out = m;
    return RC_OK;
}

enum rc manifest_read(const char *snapshot, struct arena *a, struct manifest *out,
                      struct err *e)
{
    struct str text;
    struct str path = arena_printf(a, "%s/manifest", snapshot);
    enum rc rc = file_read(path.p, MANIFEST_MAX, a, &text, NULL, e);
    if (rc != RC_OK && e->sys == ENOENT)
        return err_perm(e, "5.3.0", "%s is no snapshot: it has no manifest", snapshot);
    if (rc == RC_OK)
        rc = manifest_parse(text, a, out, e);
    return rc == RC_OK ? rc : err_wrap(e, "%s", path.p);
}

enum rc manifest_count(const char *snapshot, uint64_t *out_files, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct stat st;
    char tail[64];
    const char *path = arena_printf(&a, "%s/manifest", snapshot).p;
    int fd AUTO_CLOSE = io_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0 || io_fstat(fd, &st) < 0)
        return err_sys(e, "open %s", path);
    uint64_t size = (uint64_t)st.st_size, at = size - MIN(size, sizeof(tail));
    ssize_t n = io_pread(fd, tail, sizeof(tail), at);
    struct str text = n <= 0 ? STR("") : str_from(tail, (size_t)n), line = STR("");
    uint64_t folders = 0;
    size_t last = str_find_str(text, STR("\nend "));
    if (last != SIZE_MAX) {
        text = str_skip(text, last + 1);
        (void)str_cut(&text, '\n', &line);
    }
    return parse_end(line, &folders, out_files)
               ? RC_OK
               : err_perm(e, "5.3.0", "%s is damaged: it has no end", path);
}

void manifest_release(struct manifest *m)
{
    map_release(&m->by_path);
}
