/* scratch.h - a MailRoot in a scratch folder, for smtpd_test.c and smtpd_fuzz.c. */
#ifndef HIKYAKU_SMTPD_SCRATCH_H
#define HIKYAKU_SMTPD_SCRATCH_H

#include "smtpd/smtpd_int.h"
#include "sys/file.h"
#include <ftw.h>

static char scratch_root[128];
static struct commit *scratch_commit;
static unsigned scratch_notified; /* calls of notify_queue */

static inline int scratch_remove_one(const char *path, const struct stat *st, int type,
                                     struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void scratch_remove(void)
{
    if (chdir(scratch_root) == 0)
        commit_close(&scratch_commit);
    if (chdir("/") == 0)
        (void)nftw(scratch_root, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
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

/* server.tab with `more` behind the usual lines, in force. */
static inline void scratch_options(const char *more)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e;
    scratch_write("server.tab", arena_printf(&a,
                                             "\"RootDomain\"\t\"example.org\"\n"
                                             "\"SmtpServerDomain\"\t\"mx.example.org\"\n"
                                             "\"PostMaster\"\t\"alice@example.org\"\n"
                                             "\"LogLevel\"\t\"error\"\n%s",
                                             more)
                                    .p);
    scratch_must(options_load(&e), &e);
}

static inline void scratch_user(struct buf *mailusers, unsigned id, const char *name, char type,
                                const char *user_tab)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e;
    static const char *const folders[] = { "tmp", "new", "cur" };
    /* The password of all is "secret" in XMail's form. */
    buf_addf(mailusers, "\"example.org\"\t\"%s\"\t\"160006170011\"\t%u\t\"%s\"\t\"%c\"\n", name,
             id, name, type);
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        scratch_must(
            folder_make(
                arena_printf(&a, "domains/example.org/%s/Maildir/%s", name, folders[i]).p, 0700,
                &e),
            &e);
    scratch_write(arena_printf(&a, "domains/example.org/%s/user.tab", name).p, user_tab);
}

static inline void scratch_users(void)
{
    static const char plain[] = "\"RealName\"\t\"??\"\n\"MaxMBSize\"\t\"10000\"\n";
    struct buf m AUTO_RELEASE_BUF;
    buf_init(&m, 65536);
    scratch_user(&m, 1, "alice", 'U', plain);
    scratch_user(&m, 2, "bob", 'U', plain);
    scratch_user(&m, 3, "carol", 'U', "\"ReceiveEnable\"\t\"0\"\n");
    scratch_user(&m, 4, "dave", 'U', "\"MaxMBSize\"\t\"1\"\n");
    scratch_user(&m, 5, "erin", 'U', "\"MaxMessageSize\"\t\"1\"\n");
    scratch_user(&m, 6, "team", 'M', plain);
    scratch_user(&m, 7, "frank", 'U', plain);
    scratch_user(&m, 8, "grace", 'U', "\"SmtpPerms\"\t\"V\"\n");
    scratch_user(&m, 9, "heidi", 'U', "\"SmtpPerms\"\t\"MZ\"\n");
    scratch_user(&m, 10, "ivan", 'U', "\"SmtpPerms\"\t\"MS\"\n");
    scratch_user(&m, 11, "judy", 'U', "\"DisableEmitAuthUser\"\t\"1\"\n");
    scratch_write("mailusers.tab", m.p);
    scratch_write("domains/example.org/frank/mailproc.tab", "\"smtprelay\"\t\"far.test\"\n");
    scratch_write("domains/example.org/dave/Maildir/new/1.1.x,S=2000,W=2000", "x\n");
    scratch_write("domains.tab", "\"example.org\"\n");
    scratch_write("aliasdomain.tab", "\"example.net\"\t\"example.org\"\n");
    scratch_write("aliases.tab", "\"example.org\"\t\"al\"\t\"alice\"\n"
                                 "\"example.org\"\t\"away\"\t\"x@far.test\"\n");
    scratch_write("extaliases.tab", "\"far.test\"\t\"ally\"\t\"example.org\"\t\"alice\"\n");
    scratch_write("smtpauth.tab", "\"robot\"\t\"secret\"\t\"MR\"\n");
    scratch_write("smtprelay.tab", "\"10.1.1.1\"\t\"255.255.255.255\"\n");
    scratch_write("smtp.ipmap.tab", "\"10.0.0.9\"\t\"255.255.255.255\"\t\"DENY\"\t\"1\"\n");
}

static inline void scratch_notify(struct str id)
{
    (void)id;
    scratch_notified++;
}

/* Makes the MailRoot, goes there, and makes the role ready. marker: "origin new\n" for one of
 * ours, else "". */
static inline void scratch_make(const char *marker)
{
    struct err e;
    struct users_report report;
    int fd = -1;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(scratch_root, sizeof(scratch_root), "%s/hikyaku-smtpd-XXXXXX",
                   tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(scratch_root) == NULL || chdir(scratch_root) != 0)
        abort();
    scratch_must(folder_make("hikyaku/commit", 0700, &e), &e);
    scratch_write("hikyaku/marker", marker);
    scratch_users();
    scratch_options("");
    scratch_must(users_index_build(&fd, &report, &e), &e);
    scratch_must(users_index_use(fd, &e), &e);
    scratch_must(commit_open("smtpd", &scratch_commit, &e), &e);
    scratch_must(smtpd_init(scratch_commit, scratch_notify, NULL, &e), &e);
}

/* Files in a folder; they are removed. */
static inline unsigned scratch_count(const char *path)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct err e;
    struct str name;
    unsigned char type = 0;
    unsigned n = 0;
    if (folder_open(path, &f, &e) != RC_OK)
        return 0;
    while (folder_next(f, &name, &type)) {
        (void)io_unlink(arena_printf(&a, "%s/%.*s", path, STR_ARG(name)).p);
        n++;
    }
    folder_close(&f);
    return n;
}

#endif
