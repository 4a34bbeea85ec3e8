/* control_int.h - inside control/: the control protocol (specification 4). */
#ifndef HIKYAKU_CONTROL_CONTROL_INT_H
#define HIKYAKU_CONTROL_CONTROL_INT_H

#include "admin/admin.h"
#include "auth/auth.h"
#include "conf/tab.h"
#include "control/control.h"

#define PARAMETERS_MAX ((size_t)64)

struct ctrl;
struct delegate;
/* What control_init was given. */
const struct control_hooks *ctrl_hooks(void);
struct ctrl_command;

/* What a command does. OK: it was done and is answered; a list or an upload goes on by itself
 * when the handler asked for it. */
typedef enum admin_result ctrl_fn(struct ctrl *c, struct err *e);

/* One row a command. */
struct ctrl_command {
    const char *name;
    size_t least, most; /* parameters */
    ctrl_fn *run;
    bool changes; /* waits until the index is as the tables are */
    unsigned
        told; /* parameters that the record of what was changed may tell; 0: there is none */
    const char *syntax;
};

/* One row of a listing, or "" when it isn't meant. */
struct listing {
    int fd;                 /* of the table, as it was when the list began */
    uint64_t at, size;      /* octets read, and of the file then */
    struct buf rest;        /* the end of the last block: a line that isn't whole */
    size_t columns;         /* to print, from the first */
    struct str patterns[8]; /* for the first columns; wildcards */
    size_t pattern_count;
    /* What is printed of a row; false: nothing. NULL: its columns. */
    bool (*format)(struct ctrl *c, const struct tab_row *row, struct arena *a,
                   struct str out[16], size_t *out_count);
};

struct ctrl {
    struct session s; /* first: the engine sees this */
    struct str challenge;
    struct str user;                 /* who has logged in */
    char as[128];                    /* who asks, when the web role says so */
    const struct delegate *delegate; /* what he may, when he isn't one of all domains */
    size_t own_column;               /* of a list, from 1: his domains only; 0: all rows */
    struct str parameters[PARAMETERS_MAX];
    size_t count; /* parameters[0] is the command */
    const struct ctrl_command *command;
    struct arena line_mem; /* of the command under way */
    struct login *login;
    /* A listing under way. */
    struct listing list;
    bool listing;
    /* Lines that answer the command, made at once. */
    struct buf text;
    size_t text_at;
    bool has_text;
    /* An upload under way. */
    struct buf upload;
    bool uploading, too_large;
    enum admin_result (*upload_done)(struct ctrl *c, struct str content, struct err *e);
    struct str upload_path;
    struct str upload_version; /* what the file must be; empty: anything */
    unsigned trial_s;          /* the change goes back by itself after that; 0: it stays */
    usec_t wait_until;         /* for the index, or for work */
    /* Work of another thread that makes the answer: false while it isn't done. */
    bool (*work_done)(struct ctrl *c, enum admin_result *result, struct err *e);
    uint64_t work; /* its number */
    /* A program under way, or done. */
    struct auth_question question;
    bool agreed; /* it ended with 0 */
};

static inline struct ctrl *ctrl_of(struct session *s)
{
    return CONTAINER_OF(s, struct ctrl, s);
}

static inline struct str ctrl_param(const struct ctrl *c, size_t i)
{
    return i < c->count ? c->parameters[i] : str_from("", 0);
}

/* "+00000 OK" or "-00157 text". */
void ctrl_reply(struct ctrl *c, enum admin_result result, const struct err *e);
/* Reads the next line; the step that keeps the session going. */
enum step ctrl_next(struct session *s);

/* Begins a list of the table's rows. false in CANT_OPEN. */
enum admin_result ctrl_list(struct ctrl *c, const char *path, size_t columns,
                            size_t first_pattern, struct err *e);
/* Adds a line to the answer's text: quoted values with TABs. */
void ctrl_text_row(struct ctrl *c, const struct str *values, size_t count);
/* Asks for an upload; done is called with it. */
enum admin_result ctrl_upload(struct ctrl *c, struct str path,
                              enum admin_result (*done)(struct ctrl *c, struct str content,
                                                        struct err *e));

/* audit.c: what changes is recorded. */
void audit_init(void);
/* Runs the command, or the end of its upload, and records what it changed. */
enum admin_result audit_act(struct ctrl *c, ctrl_fn *act, struct err *e);
/* The command under way takes back that change. */
void audit_undoes(struct ctrl *c, uint64_t change);

/* cmd_history.c: finds changes by hand before the command makes its own. */
void ctrl_look(const struct ctrl *c);

/* delegates.c: may an administrator of some domains have the command done? Sets c->delegate. */
enum admin_result ctrl_delegate_check(struct ctrl *c, struct err *e);
/* Is the row of a list about a domain of his? */
bool ctrl_delegate_sees(const struct ctrl *c, const struct str *values, size_t count);
/* May the file that was sent replace the one there? */
enum admin_result ctrl_delegate_upload(struct ctrl *c, struct str content, struct err *e);
/* What else his command does. */
enum admin_result ctrl_delegate_done(struct ctrl *c, struct err *e);

/* programs.c: does a program have to agree to the command? *out_asked: it is being asked: *out
 * is the step, and `then` goes on. Else OK: nobody has to; or the refusal. */
enum admin_result ctrl_program_begin(struct ctrl *c, session_fn *then, bool *out_asked,
                                     enum step *out, struct err *e);
/* In `then`: OK with *out_waits: not yet, *out is the step; OK: it agreed; or the refusal. */
enum admin_result ctrl_program_end(struct ctrl *c, bool *out_waits, enum step *out,
                                   struct err *e);

/* letters.c: a letter of the server, from the postmaster. text: lines in UTF-8. RC_PERM: too
 * long. */
enum rc letter_write(struct str to, struct str subject, struct str text,
                     struct err *e) CHECK_RESULT;
/* The same in two steps: it is written durably under that name, and later sent, which is one
 * rename. Is one of that name written and not sent? */
enum rc letter_stage(struct str name, struct str to, struct str subject, struct str text,
                     struct err *e) CHECK_RESULT;
enum rc letter_send(struct str name, struct err *e) CHECK_RESULT;
bool letter_is_staged(struct str name);
/* Who gets those about the server, in a. */
struct str letter_postmaster(struct arena *a);

/* cmd_statistics.c: keeps what was counted until now. */
void ctrl_count_now(void);

/* login.c: the first line of a session. */
enum step ctrl_login(struct session *s, struct str line);
void ctrl_greet(struct ctrl *c);

ctrl_fn ctrl_audit, ctrl_as, ctrl_aliasadd, ctrl_aliasdel, ctrl_aliaslist, ctrl_aliasdomainadd,
    ctrl_aliasdomaindel, ctrl_aliasdomainlist, ctrl_cfgfileget, ctrl_cfgfileset,
    ctrl_custdomget, ctrl_custdomlist, ctrl_custdomset, ctrl_domainadd, ctrl_domaindel,
    ctrl_domainlist, ctrl_etrn, ctrl_exaliasadd, ctrl_exaliasdel, ctrl_exaliaslist,
    ctrl_filelist, ctrl_frozdel, ctrl_frozgetlog, ctrl_frozgetmsg, ctrl_frozlist,
    ctrl_frozsubmit, ctrl_historyget, ctrl_historykeep, ctrl_historylist, ctrl_historyundo,
    ctrl_letter, ctrl_limitlist, ctrl_limitrelease, ctrl_limitstop, ctrl_queueorder,
    ctrl_mluseradd, ctrl_mluserdel, ctrl_mluserlist, ctrl_noop, ctrl_poplnkadd, ctrl_poplnkdel,
    ctrl_poplnkenable, ctrl_poplnkfetch, ctrl_poplnklist, ctrl_reload, ctrl_restart,
    ctrl_removedlist, ctrl_tlscaadd, ctrl_tlscadel, ctrl_tlsdel, ctrl_tlslist, ctrl_tlsorder,
    ctrl_tlsrequest, ctrl_tlsself, ctrl_tlsset, ctrl_undelete, ctrl_useradd, ctrl_userauth,
    ctrl_userdel, ctrl_usergetmproc, ctrl_userlist, ctrl_userpasswd, ctrl_usersetmproc,
    ctrl_userstat, ctrl_uservars, ctrl_uservarsset, ctrl_backuporder, ctrl_filtertest,
    ctrl_caissue, ctrl_calist, ctrl_camake, ctrl_carevoke, ctrl_casign, ctrl_statistics,
    ctrl_figures, ctrl_figurelist, ctrl_weeklyletter, ctrl_weeklysend;

extern const struct ctrl_command ctrl_commands[];
extern const size_t ctrl_command_count;

#endif
