/*
 * auth.h - external authentication (specification 3, section 5): logins that programs of the
 * administrator decide, and programs that follow changes of accounts. The runner role runs
 * them; a session that asked is parked meanwhile.
 *
 * INVARIANTS
 * 1. Nobody comes in unless the program ended by itself with exit code 0. What can't be run, is
 * over its time or dies by a signal decides nothing: that is temporary trouble, not a bad
 * login.
 * 2. No answer is kept: a password that was changed or locked elsewhere counts at once.
 * 3. Secrets go to the runner in a memory file and reach no log.
 */
#ifndef HIKYAKU_AUTH_AUTH_H
#define HIKYAKU_AUTH_AUTH_H

#include "process/process.h"
#include "users/users.h"
#include "wire/session.h"

/* Who runs the program of a line; macros: as macros_print gives them; about: the session, for
 * logs. False: he takes nothing now. The answer comes by engine_answer. */
typedef bool auth_run_fn(struct question q, const char *table, const struct program_line *line,
                         struct str macros, struct str about);
/* Once, before the first session. Without it no program can be run. */
void auth_set_runner(auth_run_fn *run);

/* A line that names a program; line.words is empty: the runner reads them itself. */
struct auth_program {
    const char *table;
    struct program_line line;
};

/* --- questions --------------------------------------------------------------------------- */

/* One that is under way; ended by auth_answer or auth_forget. */
struct auth_question {
    struct arena mem;
    const char *table;
    struct program_line line;
    struct str macros;
    session_fn *then;
    uint64_t number; /* 0: the runner hasn't taken it yet */
    usec_t began;
    bool impossible; /* no program is asked about such values: the answer is no */
    bool failed;     /* no program can be run */
};
/* Runs the program and goes on with `then` when its answer is there. macros[0] is the user,
 * macros[1] the password; p NULL: it isn't about one. */
enum step auth_ask(struct session *s, const struct auth_program *program,
                   const struct macro *macros, size_t count, struct auth_question *q,
                   session_fn *then);
/* The same without a program, for names that nobody has: it takes as long, and the answer is
 * no. */
enum step auth_pretend(struct session *s, struct auth_question *q, session_fn *then);

enum auth_answer {
    AUTH_YES,
    AUTH_NO,
    AUTH_UNKNOWN, /* try again later; logged */
    AUTH_WAIT,    /* none yet: the step is *out_wait */
};
/* In `then`. */
enum auth_answer auth_answer(struct session *s, struct auth_question *q, enum step *out_wait);
/* Gives it up: when the session ends. Wipes its values. */
void auth_forget(struct auth_question *q);

/* --- userauth/pop3/DOMAIN.tab, else userauth/pop3/.tab ----------------------------------- */

enum userauth_action {
    USERAUTH_LOGIN,  /* "userauth" */
    USERAUTH_ADD,    /* "useradd" */
    USERAUTH_EDIT,   /* "useredit" */
    USERAUTH_DELETE, /* "userdel" */
    USERAUTH_DROP,   /* "domaindrop" */
    USERAUTH_ACTIONS
};
/* The program for an action in a domain (as the tables write it). RC_OK; RC_GONE: there is
 * none, so passwords are those of mailusers.tab; RC_TEMP: the table can't tell now. */
enum rc userauth_find(struct str domain, enum userauth_action action, struct auth_program *out,
                      struct err *e) CHECK_RESULT;
/* Is there any such table? Then methods that need a readable password aren't offered. */
bool userauth_is_used(void);
/* Asks about the account, or one that is to be made; password, name: p NULL when it isn't about
 * one. */
enum step userauth_ask(struct session *s, const struct auth_program *program,
                       const struct account *account, struct str password,
                       struct auth_question *q, session_fn *then);
/* Would a program decide about the login name, if somebody had it? */
bool userauth_would_decide(struct str login, struct str default_domain);

/* --- smtpextauth.tab --------------------------------------------------------------------- */

/* Once, before the first session. */
void extauth_init(void);
/* Has the table a line? Then its methods are offered instead of ours (none, when no line is
 * understood). */
bool extauth_is_used(void);

struct extauth_method {
    struct str name;      /* upper case */
    struct str challenge; /* "base challenge"; may be empty */
    bool shows_password;  /* PLAIN, LOGIN; else the client answers a challenge */
    bool wants_secrets;   /* SECRT is among its macros */
    struct auth_program program;
};
bool extauth_find(struct str name, struct arena *a, struct extauth_method *out);
/* Each method's name, in the table's order, until fn returns false; returns what it did last.
 */
typedef bool extauth_fn(void *ctx, struct str name);
bool extauth_each(extauth_fn *fn, void *ctx);

/* What the program wrote into RFILE: lines VAR=VALUE; others than Perms are ignored, the last
 * one counts. Slices of text. */
struct rfile {
    bool has_perms;
    struct str perms;
};
void rfile_parse(struct str text, struct rfile *out);
#define RFILE_MAX ((size_t)64 * 1024)

#endif
