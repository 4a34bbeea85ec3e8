/* scratch.h - for the tests of spool/ and queue/: a MailRoot of the test's own with accounts
 * amy, ben and cat, and entries in its queue. Included once, after cmocka.h. */
#ifndef HIKYAKU_SPOOL_SCRATCH_H
#define HIKYAKU_SPOOL_SCRATCH_H

#include "spool/spool_int.h"
#include "store/store.h"
#include "sys/file.h"
#include <ftw.h>

#define MESSAGE "Subject: x\n\nhello\n"

static struct commit *commit;
static char root[] = "/tmp/hikyaku-spool-XXXXXX";

UNUSED static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

UNUSED static void must(enum rc rc, const struct err *e)
{
    if (rc != RC_OK)
        fail_msg("%s", e == NULL ? rc_name(rc) : e->text);
}

UNUSED static void write_file(const char *path, const char *text)
{
    struct err e = { .text = "" };
    must(file_replace(path, str_from_c(text), 0600, &e), &e);
}

UNUSED static void use_index(void)
{
    struct err e = { .text = "" };
    struct users_report report;
    int fd = -1;
    must(users_index_build(&fd, &report, &e), &e);
    must(users_index_use(fd, &e), &e);
}

UNUSED static int group_setup(void **state)
{
    static const char *const names[] = { "amy", "ben", "cat" };
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e = { .text = "" };
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    if (mkdtemp(root) == NULL || chdir(root) != 0)
        return -1;
    must(folder_make("hikyaku/commit", 0700, &e), &e);
    write_file("hikyaku/marker", "origin new\n");
    write_file("hikyaku/run", "run-1\n");
    write_file("server.tab", "\"RootDomain\"\t\"x.test\"\n\"LogLevel\"\t\"error\"\n"
                             "\"RemoveSpoolErrors\"\t\"0\"\n");
    write_file("domains.tab", "\"x.test\"\n");
    write_file("mailusers.tab", "\"x.test\"\t\"amy\"\t\"00\"\t1\t\"amy\"\t\"U\"\n"
                                "\"x.test\"\t\"ben\"\t\"00\"\t2\t\"ben\"\t\"U\"\n"
                                "\"x.test\"\t\"cat\"\t\"00\"\t3\t\"cat\"\t\"U\"\n");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *folder = arena_printf(&a, "domains/x.test/%s", names[i]).p;
        must(folder_make(arena_printf(&a, "%s/Maildir/new", folder).p, 0700, &e), &e);
        must(folder_make(arena_printf(&a, "%s/Maildir/tmp", folder).p, 0700, &e), &e);
        must(folder_make(arena_printf(&a, "%s/Maildir/cur", folder).p, 0700, &e), &e);
        write_file(arena_printf(&a, "%s/user.tab", folder).p, "");
    }
    must(options_load(&e), &e);
    use_index();
    must(commit_open("queue", &commit, &e), &e);
    store_init(commit);
    must(spool_init(commit, &e), &e);
    return 0;
}

UNUSED static int group_teardown(void **state)
{
    (void)state;
    commit_close(&commit);
    users_close();
    return chdir("/") != 0 || nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0;
}

UNUSED static struct address address_of(const char *local, const char *domain)
{
    return (struct address){ .local = str_from_c(local), .domain = str_from_c(domain) };
}

/* An entry for the users named (up to 4, NULL ends); its id, in a. */
UNUSED static struct str queue_for(const char *const *users, usec_t received_at,
                                   const char *text, struct arena *a)
{
    struct envelope_recipient recipients[4] = { { .notify = 0 } };
    struct err e = { .text = "" };
    struct spool_put *put = NULL;
    struct str id, octets = str_from_c(text);
    size_t n = 0;
    for (; n < 4 && users[n] != NULL; n++) {
        recipients[n].address = address_of(users[n], "x.test");
        recipients[n].resolved = recipients[n].address;
    }
    struct envelope env = {
        .reverse_path = address_of("s p\"a ce", "far.test"),
        .auth_user = STR("who%20"),
        .client = STR("[192.0.2.1]:4321"),
        .server = STR("[192.0.2.2]:25"),
        .helo = STR("c.test"),
        .received_at = received_at,
        .body_8bit = true,
        .recipient_count = n,
        .recipients = recipients,
    };
    must(spool_put_begin(&env, &put, &e), &e);
    must(spool_put_write(put, octets, octets.n + 3, &e), &e);
    must(spool_put_commit(&put, a, &id, &e), &e);
    return id;
}

UNUSED static size_t messages_of(const char *user)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    size_t n = 0;
    if (folder_open(arena_printf(&a, "domains/x.test/%s/Maildir/new", user).p, &f, NULL) !=
        RC_OK)
        return SIZE_MAX;
    while (folder_next(f, &name, &type))
        n++;
    folder_close(&f);
    return n;
}

#endif
