/* test_root.h - a scratch MailRoot for the tests of users/: made, entered, removed. */
#ifndef HIKYAKU_USERS_TEST_ROOT_H
#define HIKYAKU_USERS_TEST_ROOT_H

#include "conf/options.h"
#include "sys/file.h"
#include "users/users.h"
#include <ftw.h>

static char root_path[256];

static inline int root_remove_one(const char *path, const struct stat *st, int type,
                                  struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void root_leave(void)
{
    users_close();
    if (chdir("/") != 0 || nftw(root_path, root_remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        BUG("remove the scratch MailRoot");
}

static inline void root_enter(void)
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(root_path, sizeof(root_path), "%s/hikyaku-users-XXXXXX",
                   tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(root_path) == NULL || chdir(root_path) != 0)
        BUG("make a scratch MailRoot");
}

/* Writes the file in one go, as an outside program would. */
static inline void root_put(const char *path, const char *text)
{
    int fd = io_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    size_t n = strlen(text);
    if (fd < 0 || io_write(fd, text, n) != (ssize_t)n)
        BUG("write a table");
    io_close(fd);
}

static inline void root_folder(const char *path)
{
    if (folder_make(path, 0700, NULL) != RC_OK)
        BUG("make a folder");
}

/* Builds the index and uses it; returns what the build said. */
static inline struct users_report root_index(void)
{
    struct users_report report = { .problems = 0 };
    struct err e;
    int fd = -1;
    if (users_index_build(&fd, &report, &e) != RC_OK || users_index_use(fd, &e) != RC_OK)
        BUG("build the index");
    return report;
}

#endif
