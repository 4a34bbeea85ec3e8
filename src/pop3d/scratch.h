/* scratch.h - a MailRoot in a scratch folder, for pop3d_test.c and pop3d_fuzz.c. */
#ifndef HIKYAKU_POP3D_SCRATCH_H
#define HIKYAKU_POP3D_SCRATCH_H

#include "pop3d/pop3d_int.h"
#include "sys/file.h"
#include <ftw.h>

#define MAILDIR "domains/x.test/amy/Maildir/new"
#define MAILBOX "domains/x.test/ben/mailbox"

static char scratch_root[128];
static struct commit *scratch_commit;
static struct engine *engine;
static struct listener listeners[] = {
    { .protocol = &pop3_protocol, .service = "pop3", .fd = -1, .port = 110 },
};

UNUSED static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void scratch_remove(void)
{
    if (chdir(scratch_root) == 0)
        commit_close(&scratch_commit);
    if (chdir("/") == 0)
        (void)nftw(scratch_root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void scratch_must(enum rc rc, const struct err *e)
{
    if (rc == RC_OK)
        return;
    (void)fprintf(stderr, "scratch MailRoot: %s\n", e->text);
    abort();
}

static inline void scratch_write(const char *path, const char *text)
{
    struct err e;
    scratch_must(file_replace(path, str_from_c(text), 0600, &e), &e);
}

static inline void scratch_options(const char *more)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e;
    scratch_write("server.tab", arena_printf(&a,
                                             "\"RootDomain\"\t\"x.test\"\n"
                                             "\"POP3Domain\"\t\"x.test\"\n"
                                             "\"LoginDelay\"\t\"0\"\n"
                                             "\"LogLevel\"\t\"error\"\n%s",
                                             more)
                                    .p);
    scratch_must(options_load(&e), &e);
}

/* amy has a Maildir with three messages, ben a mailbox folder with one; password "secret". */
static inline void scratch_mail(void)
{
    struct err e;
    static const char *const folders[] = { MAILDIR, "domains/x.test/amy/Maildir/tmp",
                                           "domains/x.test/amy/Maildir/cur", MAILBOX };
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        scratch_must(folder_make(folders[i], 0700, &e), &e);
    scratch_write(MAILDIR "/1000.1.h,S=20,W=23", "Subject: one\n\nhello\n");
    scratch_write(MAILDIR "/1001.2.h,S=24,W=29", "Subject: two\n\n.dot\n\n..x\n");
    scratch_write(MAILDIR "/1002.3.h", "Subject: three\n\nl1\nl2\nl3\nno end");
    scratch_write(MAILBOX "/1000.9.h", "Subject: box\r\n\r\nhello\r\n");
}

static inline void scratch_make(void)
{
    struct err e;
    struct users_report report;
    int fd = -1;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(scratch_root, sizeof(scratch_root), "%s/hikyaku-pop3d-XXXXXX",
                   tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(scratch_root) == NULL || chdir(scratch_root) != 0)
        abort();
    scratch_must(folder_make("hikyaku/commit", 0700, &e), &e);
    scratch_must(folder_make("pop3locks", 0700, &e), &e);
    scratch_write("hikyaku/marker", "origin taken-over\nformat 1\nmade 500\n");
    scratch_write("hikyaku/run", "run-1\n");
    scratch_options("");
    scratch_write("domains.tab", "\"x.test\"\n");
    scratch_write("aliasdomain.tab", "\"y.test\"\t\"x.test\"\n");
    scratch_write("aliases.tab", "\"x.test\"\t\"al\"\t\"amy\"\n");
    scratch_write("mailusers.tab",
                  "\"x.test\"\t\"amy\"\t\"160006170011\"\t1\t\"amy\"\t\"U\"\n"
                  "\"x.test\"\t\"ben\"\t\"160006170011\"\t2\t\"ben\"\t\"U\"\n"
                  "\"x.test\"\t\"off\"\t\"160006170011\"\t3\t\"off\"\t\"U\"\n"
                  "\"x.test\"\t\"team\"\t\"160006170011\"\t4\t\"team\"\t\"M\"\n");
    scratch_mail();
    scratch_must(folder_make("domains/x.test/off", 0700, &e), &e);
    scratch_write("domains/x.test/off/user.tab", "\"PopEnable\"\t\"0\"\n");
    scratch_must(users_index_build(&fd, &report, &e), &e);
    scratch_must(users_index_use(fd, &e), &e);
    scratch_must(commit_open("access", &scratch_commit, &e), &e);
    store_init(scratch_commit);
    scratch_must(pop3d_init(NULL, &e), &e);
    scratch_must(engine_new(&(struct engine_limits){ 100, 0, 1 }, &engine, &e), &e);
}

static inline struct session *scratch_session(const char *client)
{
    struct session *s = session_test_new(engine, &listeners[0]);
    if (!ip_parse(str_from_c(client), &s->client_ip))
        abort();
    return s;
}

#endif
