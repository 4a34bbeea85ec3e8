/*
 * mailbox.c - a mailbox open for one POP3 session: a list that stays the same until it's
 * closed, in order of arrival, and removal at the end. Used by pop3d.
 *
 * One session at a time (RFC 1939 3): a lock on pop3locks/user@domain, a file that exists while
 * it's held, as XMail's did; a file left by a crash holds nobody up, since the lock counts and
 * not the file. Other programs don't know the lock: what they move to cur/ or flag is followed,
 * what they remove shows as gone.
 */
#include "store/mailbox_int.h"
#include "sys/file.h"
#include <dirent.h>

/* More messages than this aren't listed: what a list costs in memory has an end. */
#define MESSAGES_MAX ((size_t)1 << 24)
#define LOCK_TRIES 8

struct mailbox {
    struct arena mem;
    struct account account; /* copies in mem */
    struct place place;
    const char *folder_new, *folder_cur;
    struct file_id cur_seen; /* when cur/ was last looked at; Maildir only */
    const char *lock_path;
    int lock_fd;
    struct mailbox_entry *entries;
    size_t count, cap;
};

static bool same_file(int fd, const char *path)
{
    struct stat a, b;
    return io_fstat(fd, &a) == 0 && io_stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* Who closes a mailbox unlinks the lock file while holding it, so a lock counts only if the
 * file still stands under its name. */
static enum rc lock(struct mailbox *m, struct err *e)
{
    struct str user = name_component(m->account.name, &m->mem);
    struct str domain = name_component(m->account.domain, &m->mem);
    m->lock_path =
        arena_printf(&m->mem, "pop3locks/%.*s@%.*s", STR_ARG(user), STR_ARG(domain)).p;
    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        struct err why = { .rc = RC_OK };
        enum rc rc = file_lock(m->lock_path, false, &m->lock_fd, &why);
        if (rc != RC_OK && why.sys == ENOENT)
            rc = folder_make("pop3locks", 0700, &why);
        else if (rc == RC_OK && same_file(m->lock_fd, m->lock_path))
            return RC_OK;
        if (rc != RC_OK && why.sys == 0)
            return err_temp(e, "4.2.0", "mailbox is in use");
        if (rc != RC_OK) {
            if (e != NULL)
                *e = why;
            return rc;
        }
        io_close_at(&m->lock_fd);
    }
    return err_temp(e, "4.2.0", "mailbox is in use");
}

static void unlock(struct mailbox *m)
{
    if (m->lock_fd >= 0)
        (void)io_unlink(m->lock_path);
    io_close_at(&m->lock_fd);
}

static enum rc add_entry(void *ctx, const struct found *f, struct err *e)
{
    struct mailbox *m = ctx;
    if (m->count == MESSAGES_MAX)
        return err_temp(e, "4.3.0", "the mailbox has too many messages");
    if (m->count == m->cap) {
        size_t cap = m->cap == 0 ? 64 : m->cap * 2;
        void *p = mem_try_resize(m->entries, cap * sizeof(*m->entries));
        if (p == NULL)
            return err_temp(e, "4.3.0", "no memory for the list of messages");
        m->entries = p;
        m->cap = cap;
    }
    struct str file = arena_str(&m->mem, f->file);
    struct str base = str_head(file, f->name.base.n);
    m->entries[m->count++] = (struct mailbox_entry){
        .message = { .uid = name_uid(base, &m->mem), .wire_octets = f->wire_octets },
        .base = base,
        .file = file,
        .time = f->time,
        .in_cur = f->in_cur,
        .stuffed = f->stuffed,
    };
    return RC_OK;
}

/* Order of arrival; at the same moment by name, cur/ before new/. */
static int by_arrival(const void *a, const void *b)
{
    const struct mailbox_entry *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    int order = str_cmp(x->base, y->base);
    return order != 0 ? order : (int)y->in_cur - (int)x->in_cur;
}

/* A message that was moved to cur/ during the scan is listed once. */
static void drop_doubles(struct mailbox *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->count; i++)
        if (kept == 0 || !str_eq(m->entries[kept - 1].base, m->entries[i].base))
            m->entries[kept++] = m->entries[i];
    m->count = kept;
}

static enum rc list(struct mailbox *m, bool scan_cur, struct err *e)
{
    m->place = place_find(&m->account);
    m->folder_new = place_new(&m->place, &m->mem);
    m->folder_cur = place_cur(&m->place, &m->mem);
    if (!m->place.exists)
        return RC_OK;
    if (m->folder_cur != NULL && file_id_get(m->folder_cur, &m->cur_seen, NULL) != RC_OK)
        m->cur_seen = (struct file_id){ .dev = 0 };
    place_sweep(&m->place);
    enum rc rc = place_scan(&m->place, place_notes_folder(&m->account, &m->mem), scan_cur,
                            add_entry, m, e);
    if (rc == RC_OK && m->count > 0) {
        qsort(m->entries, m->count, sizeof(*m->entries), by_arrival);
        drop_doubles(m);
    }
    return rc;
}

enum rc mailbox_open(const struct account *account, bool scan_cur, struct mailbox **out,
                     struct err *e)
{
    struct mailbox *m = mem_new(sizeof(*m));
    m->lock_fd = -1;
    m->account = (struct account){
        .domain = arena_str(&m->mem, account->domain),
        .name = arena_str(&m->mem, account->name),
        .folder = arena_str(&m->mem, account->folder),
    };
    enum rc rc = lock(m, e);
    if (rc == RC_OK)
        rc = list(m, scan_cur, e);
    if (rc == RC_OK)
        *out = m;
    else
        mailbox_close(&m);
    return rc;
}

size_t mailbox_count(const struct mailbox *m)
{
    return m->count;
}

struct mailbox_entry *mailbox_entry(struct mailbox *m, size_t i)
{
    if (i >= m->count)
        BUG("message number");
    return &m->entries[i];
}

struct mailbox_message *mailbox_message(struct mailbox *m, size_t i)
{
    return &mailbox_entry(m, i)->message;
}

const char *mailbox_path(const struct mailbox *m, const struct mailbox_entry *entry,
                         struct arena *a)
{
    return arena_printf(a, "%s/%s", entry->in_cur ? m->folder_cur : m->folder_new,
                        entry->file.p)
        .p;
}

static void follow_name(struct mailbox *m, const struct map *entries, struct str file)
{
    struct message_name name;
    struct mailbox_entry *entry = NULL;
    if (name_parse(file, &name))
        entry = map_get(entries, name.base);
    if (entry == NULL || (entry->in_cur && str_eq(entry->file, file)))
        return;
    entry->file = arena_str(&m->mem, file);
    entry->in_cur = true;
}

void mailbox_follow(struct mailbox *m)
{
    struct file_id now;
    struct folder *f = NULL;
    struct map entries = { .cap = 0 };
    struct str file;
    unsigned char type = DT_UNKNOWN;
    if (m->folder_cur == NULL || file_id_get(m->folder_cur, &now, NULL) != RC_OK ||
        file_id_eq(&now, &m->cur_seen) || folder_open(m->folder_cur, &f, NULL) != RC_OK)
        return;
    m->cur_seen = now;
    for (size_t i = 0; i < m->count; i++)
        (void)map_put(&entries, m->entries[i].base, &m->entries[i]);
    while (folder_next(f, &file, &type))
        follow_name(m, &entries, file);
    folder_close(&f);
    map_release(&entries);
}

/* The marked entries' paths, their number and octets. */
static size_t marked(struct mailbox *m, struct arena *a, const char **paths,
                     uint64_t *out_octets)
{
    size_t n = 0;
    uint64_t octets = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct mailbox_entry *entry = &m->entries[i];
        if (!entry->message.deleted || entry->removed)
            continue;
        paths[n++] = mailbox_path(m, entry, a);
        octets += entry->message.wire_octets;
    }
    *out_octets = octets;
    return n;
}

enum rc mailbox_expunge(struct mailbox *m, size_t *out_removed, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct usage_change change;
    uint64_t octets = 0;
    const char **paths = arena_new(&mem, (m->count + 1) * sizeof(*paths));
    mailbox_follow(m);
    size_t n = marked(m, &mem, paths, &octets);
    *out_removed = 0;
    if (n == 0)
        return RC_OK;
    if (store.commit == NULL)
        return err_temp(e, "4.3.0", "no commit log is open");
    enum rc rc = usage_begin(&m->account, &m->place, 0, 0, 0, &change, e);
    if (rc != RC_OK)
        return rc;
    rc = commit_remove(store.commit, paths, n, e);
    if (rc == RC_OK)
        usage_end(&m->account, &m->place, &change, true, octets, n);
    else
        usage_forget(&m->account); /* how many went isn't known */
    notice_step(m->account.folder);
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < m->count; i++)
        m->entries[i].removed |= m->entries[i].message.deleted;
    *out_removed = n;
    return RC_OK;
}

void mailbox_close(struct mailbox **at)
{
    struct mailbox *m = *at;
    if (m == NULL)
        return;
    unlock(m);
    mem_free(&m->entries);
    arena_release(&m->mem);
    mem_free(at);
}
