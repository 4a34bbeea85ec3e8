/* check_int.h - inside `hikyaku check`: what its parts share. */
#ifndef HIKYAKU_TOOLS_CHECK_INT_H
#define HIKYAKU_TOOLS_CHECK_INT_H

#include "conf/tables.h"

enum check_level { CHECK_NOTE, CHECK_WARNING, CHECK_ERROR };

/* One run. The MailRoot is the working directory; nothing is changed. */
struct check {
    struct arena mem; /* what the maps point to */
    bool json;
    void (*say)(void *ctx, enum check_level level, const char *path, unsigned line,
                const char *what, const char *advice); /* NULL: findings are printed */
    void *ctx;
    size_t counts[3];         /* by enum check_level */
    struct map domains;       /* key of each local domain -> its name as written */
    struct map alias_domains; /* key -> its real domain's key */
    struct map accounts;      /* "name@domain key" -> its struct check_account */
    struct map aliases;       /* "name@domain key" -> the target */
};

/* Values of maps. */
struct check_account {
    struct str domain, name, folder;
    bool is_list;
    unsigned line;
};

/* A finding: file and line (0: the whole file), what is wrong, what to do. */
void check_say(struct check *c, enum check_level level, const char *path, unsigned line,
               const char *advice, const char *fmt, ...) PRINTF(6, 7);
/* "name@domain" in lower case, the domain in A-labels; in c->mem. */
struct str check_key(struct check *c, struct str name, struct str domain);
struct str check_domain_key(struct check *c, struct str domain);

/* Enters the MailRoot (NULL: MAIL_ROOT, else /var/MailRoot); false: it has been said why not.
 */
bool check_enter(const char *mailroot);
/* Completes what a crash interrupted, makes folders that are missing. RC_TEMP 4.2.0: a server
 * runs. */
enum rc check_repair(bool json, struct err *e) CHECK_RESULT;
/* Prints the sum, frees what c holds; the exit code. */
int check_finish(struct check *c);
/* All parts; c->counts tells. check_release frees what c holds. */
void check_all(struct check *c);
void check_release(struct check *c);
/* The parts, in order. */
void check_tables(struct check *c);   /* syntax, columns, values */
void check_accounts(struct check *c); /* what refers to what */
void check_programs(struct check *c); /* filters, commands */
void check_settings(struct check *c); /* server.tab, user.tab */
void check_access(struct check *c);   /* relaying, control, passwords */
void check_files(struct check *c);    /* modes, folders, certificate */

#endif
