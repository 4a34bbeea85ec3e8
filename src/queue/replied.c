/*
 * replied.c - whom an account has answered automatically, and when: hikyaku/replied/DOMAIN+DIR,
 * lines "SECONDS ADDRESS". Forged senders can't make it answer many: when a file is full,
 * nobody new is answered before its oldest line is too old. What is noted but wasn't sent,
 * because of a crash, is never sent: no answer is better than two.
 */
#include "queue/processing.h"
#include "sys/file.h"
#include "sys/lock.h"

#define ANSWERED_MAX 500u /* within the number of days */
#define FILE_MAX ((size_t)256 << 10)
#define DAY_S 86400

static struct lock lock = LOCK_INIT(LOCK_STORE);

static struct str path_of(const struct account *account, struct arena *a)
{
    struct str below = str_skip(account->folder, sizeof("domains/") - 1);
    char *name = arena_c(a, below);
    for (size_t i = 0; i < below.n; i++)
        if (name[i] == '/')
            name[i] = '+';
    return arena_printf(a, REPLIED_FOLDER "/%s", name);
}

/* Lines that are young enough, and whether the sender is among them. */
static bool keep_young(struct str text, struct str sender, usec_t oldest, struct buf *out,
                       unsigned *out_count)
{
    struct str line, rest, seconds;
    int64_t when = 0;
    bool there = false;
    while (text.n > 0 && str_cut(&text, '\n', &line)) {
        rest = line;
        if (!str_cut(&rest, ' ', &seconds) || !str_to_i64(seconds, &when) ||
            when * USEC_S < oldest)
            continue;
        there = there || str_ieq(rest, sender);
        (*out_count)++;
        buf_must(buf_printf(out, "%.*s\n", STR_ARG(line)));
    }
    return there;
}

bool replied_may(const struct account *account, struct str sender, unsigned days, usec_t now)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e = { .rc = RC_OK };
    struct buf kept AUTO_RELEASE_BUF;
    struct str text = STR(""), path = path_of(account, &a);
    unsigned count = 0;
    buf_init(&kept, 2 * FILE_MAX);
    struct lock *held AUTO_UNLOCK = lock_hold(&lock);
    enum rc rc = folder_make(REPLIED_FOLDER, 0700, &e);
    if (rc == RC_OK && file_read(path.p, FILE_MAX, &a, &text, NULL, &e) != RC_OK &&
        e.sys != ENOENT)
        rc = e.rc;
    if (rc == RC_OK &&
        (keep_young(text, sender, now - (usec_t)days * DAY_S * USEC_S, &kept, &count) ||
         count >= ANSWERED_MAX))
        return false;
    if (rc == RC_OK)
        rc = buf_printf(&kept, "%" PRId64 " %.*s\n", now / USEC_S, STR_ARG(sender));
    if (rc == RC_OK)
        rc = file_replace(path.p, buf_str(&kept), 0600, &e);
    if (rc != RC_OK)
        log_warn(EV("answers can't be noted"), KS("path", path), KE(&e));
    return rc == RC_OK;
}
