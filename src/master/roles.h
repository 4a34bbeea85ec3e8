/* roles.h - the table of roles, and what the master hands to each. */
#ifndef HIKYAKU_MASTER_ROLES_H
#define HIKYAKU_MASTER_ROLES_H

#include "base/base.h"
#include "sys/board.h"
#include "sys/notes.h"
#include "sys/seal.h"
#include <sys/stat.h>

#define LISTENERS_MAX BOARD_LISTENERS
#define ROLE_ENV_MAGIC 0x454c4f52u

/* A listening socket, opened by the master. */
struct open_listener {
    char service[16];
    struct ip ip;
    uint16_t port;
    int fd;
};

/* Handed over in a memory file: the same program wrote and reads it. Descriptors keep their
 * numbers. */
struct role_env {
    uint32_t magic;
    int board_fd, guard_fd, notices_fd, figures_fd; /* -1: none (role alone) */
    int channels[ROLE_COUNT]; /* to each other role, by role_number; -1: none */
    uint32_t listener_count;
    struct open_listener listeners[LISTENERS_MAX];
    bool alone; /* -d: unsealed, in the foreground */
};

typedef int role_main_fn(const struct role_env *env);

struct role {
    const char *name;
    enum role_id id;
    role_main_fn *main;
    const char *services; /* blanks around each: " smtp smtps " */
    struct seal seal;
};

extern const struct role roles[];
extern const size_t role_count;

/* 0 for ROLE_CONTROL, 1 for the next ... */
unsigned role_number(enum role_id id);
const struct role *role_by_name(const char *name);
bool role_serves(const struct role *r, const char *service);

/* Takes our own long options off the words; the rest are XMail's. False: wrong usage. */
bool role_own_options(int *argc, char **argv, const char **mailroot);

/* Whom a process of the master runs as. */
struct role_user {
    bool change; /* from root; else it stays what the master is */
    uid_t uid;
    gid_t gid;
};
/* Starts `hikyaku role NAME` with the descriptors in env (start.c). */
enum rc role_start(const char *name, const struct role_env *env, const struct role_user *as,
                   pid_t *out_pid, struct err *e) CHECK_RESULT;

/* --- what the mains share (role_common.c) ------------------------------------------------ */

/* The role of this process. */
extern const struct role *this_role;
/* Its place on the board; a scratch one when there is none. */
struct board_role *role_board(void);
struct board *role_whole_board(void);
/* Maps board, guard and notices; reads the settings. */
enum rc role_begin(const struct role_env *env, struct err *e) CHECK_RESULT;
/* What was logged, into the role's counters; call now and then. */
void role_count_log(void);
/* Seals the process unless it is alone; a failure is an error of the role. */
enum rc role_seal(const struct role_env *env, struct err *e) CHECK_RESULT;
/* Takes signals as an object of the pool: TERM and INT stop it; HUP calls on_hup (may be NULL).
 */
enum rc role_watch_signals(struct pool *pool, void (*on_hup)(void), struct err *e) CHECK_RESULT;
/* Calls tick every period until the pool stops. */
enum rc role_every(struct pool *pool, usec_t period, void (*tick)(void),
                   struct err *e) CHECK_RESULT;
/* The index of accounts: asks control for it and uses what comes; alone: builds it. Waits up to
 * 60 s. */
enum rc role_get_users(const struct role_env *env, struct err *e) CHECK_RESULT;
/* What came with an index note is used from now on; closes fd. */
void role_use_index(const struct note *n, int fd);
/* Takes index notes as they come from now on. */
enum rc role_hear_control(struct pool *pool, const struct role_env *env,
                          struct err *e) CHECK_RESULT;

struct engine;
struct program_line;
struct question;
/* The runner role's answers go to the engine's sessions from now on (role_programs.c). */
enum rc role_hear_runner(const struct role_env *env, struct engine *engine,
                         struct err *e) CHECK_RESULT;
/* What came of programs that no session waits for: their question has session 0. */
typedef void role_ran_fn(uint64_t number, uint64_t code, struct str text);
void role_when_ran(role_ran_fn *fn);
/* Asks it for the program of a table's line; macros: as macros_print gives them; about: the
 * session, for logs. False: it takes nothing now. */
bool role_run_program(struct question q, const char *table, const struct program_line *line,
                      struct str macros, struct str about);
/* The certificate and key in force from now on; a bad pair leaves the old one. */
void role_load_certificate(struct engine *engine);
/* Takes over changed settings, also what they ask of clients in TLS; call every second. */
void role_refresh(struct engine *engine);
/* Serves the listeners of this role's services. */
enum rc role_listen(const struct role_env *env, struct engine *engine,
                    struct err *e) CHECK_RESULT;

role_main_fn role_control, role_network, role_queue, role_relay, role_web, role_runner;

/* --- listeners (listeners.c) ------------------------------------------------------------- */

/* Opens a socket for each place where conf() says to listen. activated: sockets from the
 * service manager, used where they fit. tls: certificates are there. RC_PERM/RC_TEMP with the
 * place named. */
enum rc listeners_open(const int *activated, size_t activated_count, bool tls,
                       struct open_listener *out, size_t *out_count,
                       struct err *e) CHECK_RESULT;
/* A socket in the file system: mode 0600 is for the owner of the MailRoot and root, 0666 for
 * everybody who can reach it. Removes one that a process before left. */
enum rc listener_open_local(const char *path, mode_t mode, int *out_fd,
                            struct err *e) CHECK_RESULT;

#endif
