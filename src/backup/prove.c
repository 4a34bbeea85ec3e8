/* prove.c - does a snapshot hold what its manifest says? Reads all of it, changes nothing. */
#include "backup/backup_int.h"

static void say(const struct backup_sink *sink, struct str path, struct str name,
                struct backup_proof *out, const char *what)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    out->bad++;
    sink->say(
        sink->ctx,
        arena_printf(&a, "%.*s%s%.*s", STR_ARG(path), path.n > 0 ? "/" : "", STR_ARG(name)),
        str_from_c(what));
}

static void prove_file(const char *snapshot, struct str path, const struct manifest_file *f,
                       const struct backup_sink *sink, struct backup_proof *out)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct stat st;
    struct err e;
    uint8_t sum[MANIFEST_SUM_BYTES];
    uint64_t octets = 0;
    const char *from =
        arena_printf(&a, "%s/MailRoot/%.*s/%.*s", snapshot, STR_ARG(path), STR_ARG(f->name)).p;
    int fd AUTO_CLOSE = io_open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0 || io_fstat(fd, &st) < 0)
        say(sink, path, f->name, out, errno == ENOENT ? "is missing" : "can't be opened");
    else if (!S_ISREG(st.st_mode) || copy_file(fd, NULL, &st, sum, &octets, &e) != RC_OK)
        say(sink, path, f->name, out, "can't be read");
    else if (octets != f->size || memcmp(sum, f->sum, sizeof(sum)) != 0)
        say(sink, path, f->name, out, "has other content than when it was made");
    out->files++;
    out->octets += octets;
    if (sink->progress != NULL)
        sink->progress(sink->ctx, out->files, out->octets);
}

enum rc backup_prove(const char *snapshot, const struct backup_sink *sink,
                     struct backup_proof *out, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct manifest m;
    *out = (struct backup_proof){ .files = 0 };
    enum rc rc = manifest_read(snapshot, &mem, &m, e);
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < m.count; i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct manifest_file f;
        for (struct str lines = m.folders[i].lines; manifest_next(&lines, &a, &f);)
            prove_file(snapshot, m.folders[i].path, &f, sink, out);
    }
    manifest_release(&m);
    return RC_OK;
}
