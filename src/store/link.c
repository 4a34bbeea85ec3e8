/*
 * link.c - one message into many mailboxes: hard links to one file, all made durable by one
 * sync of the file system. Called by the queue role for members of mailing lists. The links
 * have the names that the caller would give the copies, so a repetition after a crash finds
 * them; one that a power cut took away was not yet counted as delivered.
 */
#include "store/store_int.h"
#include "sys/file.h"

/* What is known of one link until the sync. */
struct making {
    struct place place;
    struct usage_change change;
    const char *path; /* NULL: nothing was made */
};

static bool is_there(const char *path)
{
    struct stat st;
    return io_lstat(path, &st) == 0;
}

static void make(struct store_link *l, const struct store_link_file *f, struct making *m,
                 struct arena *a)
{
    l->result = STORE_LINK_APART;
    m->place = place_find(&l->account);
    if (m->place.kind != PLACE_MAILDIR)
        return;
    if (!m->place.exists && place_make(&m->place, &l->e) != RC_OK)
        return; /* the delivery on its own will say why */
    l->result = STORE_LINK_DONE;
    if (f->may_stand && store_has(&l->account, l->name))
        return;
    l->result = STORE_LINK_FAILED;
    if (usage_begin(&l->account, &m->place, l->max_mailbox_kb, f->wire_octets, 1, &m->change,
                    &l->e) != RC_OK)
        return;
    struct str name = name_with_sizes(l->name, f->disk_octets, f->wire_octets, a);
    const char *path = arena_printf(a, "%s/%.*s", place_new(&m->place, a), STR_ARG(name)).p;
    if (io_link(f->path, path) == 0) {
        m->path = path;
        l->result = STORE_LINK_DONE;
        return;
    }
    l->result = errno == EEXIST && is_there(path) ? STORE_LINK_DONE : STORE_LINK_APART;
    usage_end(&l->account, &m->place, &m->change, false, 0, 0);
}

static void settle(struct store_link *l, struct making *m, bool synced, const struct err *e)
{
    if (m->path == NULL)
        return;
    if (!synced) {
        (void)io_unlink(m->path);
        l->result = STORE_LINK_FAILED;
        l->e = *e;
    }
    usage_end(&l->account, &m->place, &m->change, synced, 0, 0);
    if (synced)
        notice_step(l->account.folder);
}

void store_link_all(struct store_link *links, size_t count, const struct store_link_file *f)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct making *all = arena_new_array(&mem, struct making, count + 1);
    struct err e = { .rc = RC_OK };
    for (size_t i = 0; i < count; i++)
        make(&links[i], f, &all[i], &mem);
    int fd AUTO_CLOSE = io_open(f->path, O_RDONLY, 0);
    bool synced = fd >= 0 && io_syncfs(fd) == 0;
    if (!synced)
        (void)!err_sys(&e, "sync %s", f->path);
    for (size_t i = 0; i < count; i++)
        settle(&links[i], &all[i], synced, &e);
}
