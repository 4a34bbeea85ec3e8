/*
 * process.h - the administrator's programs: lines of tables that name them, and their macros.
 * Whoever wants one run names table and line and gives the macros' values; the runner role
 * reads the line itself, so that nobody can ask for another command than the administrator's.
 */
#ifndef HIKYAKU_PROCESS_PROCESS_H
#define HIKYAKU_PROCESS_PROCESS_H

#include "conf/tab.h"
#include "sys/file.h"

/* persist: the program stays, and gets jobs; milter: it is the place of one (mail/milter.h);
 * http: the URL of a hook, and the file of its secret. */
enum program_kind { PROGRAM_RUNS, PROGRAM_STAYS, PROGRAM_MILTER, PROGRAM_HOOK };

/* A login's program that hasn't had its turn for so long isn't run any more. */
#define PROGRAM_LOGIN_WAIT (120 * USEC_S)

/* A program, as a line of a table names it. */
struct program_line {
    bool is_login; /* of logins and accounts: its values are secrets */
    unsigned line;
    uint64_t sum;              /* of its values: tells whether it is still the same line */
    bool not_for_logged_in;    /* aex */
    bool not_for_white_listed; /* wlex */
    unsigned limit_s;          /* it may run; 0: the usual */
    int priority;              /* -1, 0, 1 */
    enum program_kind kind;
    unsigned most;        /* PROGRAM_STAYS: persist=N, processes at a time */
    struct str name;      /* is_login: the action, or AUTH's name of the method */
    struct str challenge; /* smtpextauth.tab: "base challenge", if there is one */
    size_t count;
    const struct str *words; /* the command, then arguments, macros not filled in */
};
/* A line of a filter table: ["!flags"] "command" "argument"... (specification 3, section 2).
 * NULL, or the reason why the row is no such line. Words are the row's. */
const char *program_line_parse(const struct tab_row *row, struct program_line *out);

/* As program_line_parse: "action" "command" "argument"... of userauth/pop3, and "method" ["base
 * challenge"] "command" "argument"... of smtpextauth.tab (specification 3, section 5). The
 * second column is a challenge when it is no path, and stands before one. */
const char *userauth_line_parse(const struct tab_row *row, struct program_line *out);
const char *extauth_line_parse(const struct tab_row *row, struct program_line *out);
/* Of the row's values. */
uint64_t program_line_sum(const struct tab_row *row);
/* The step of a recipient's processing that this line of the table is; nth: among the same
 * lines of that table. Never 0. */
uint64_t program_step(struct str table, uint64_t sum, unsigned nth);
/* The parser for the table (a path below the MailRoot), if each of its lines names a program;
 * else NULL. */
typedef const char *program_parse_fn(const struct tab_row *row, struct program_line *out);
program_parse_fn *program_parser(struct str table);

/* A line of mailproc.tab, custdomains/NAME.tab or cmdaliases/DOMAIN/USER.tab (specification 3,
 * section 4). */
enum command_kind {
    COMMAND_EXTERNAL,
    COMMAND_FILTER,
    COMMAND_MAILBOX,
    COMMAND_REDIRECT,
    COMMAND_LREDIRECT,
    COMMAND_SMTPRELAY,
    COMMAND_SMTP,
    COMMAND_MESSAGEID, /* from here on ours: they go along with what becomes of the mail */
    COMMAND_COPY,
    COMMAND_NOTICE,
    COMMAND_AUTOREPLY,
};
struct proc_command {
    enum command_kind kind;
    bool waits;                  /* EXTERNAL, FILTER: for the program's end */
    struct program_line program; /* EXTERNAL, FILTER; the others: words are their arguments */
};
/* As program_line_parse. */
const char *proc_command_parse(const struct tab_row *row, struct proc_command *out);

/* Commands that decide nothing: where there are no others, the mailbox follows. */
bool proc_command_goes_along(enum command_kind kind);
/* NULL, or the reason why such a command doesn't stand in that table (a path below the
 * MailRoot). */
const char *proc_command_misfit(enum command_kind kind, struct str table);

/* "autoreply" "first day" "last day" "days" "subject" "line of the text"...: a day as
 * base/day.h has it, or empty; nobody is answered twice within that number of days. */
struct autoreply {
    struct str first, last;
    unsigned days;
    struct str subject; /* empty: made of the message's */
    const struct str *lines;
    size_t count;
};
#define AUTOREPLY_LINES_MAX 200u
#define AUTOREPLY_LINE_MAX ((size_t)900) /* octets */
#define AUTOREPLY_DAYS_MAX 366u
/* NULL, or the reason why the words of the line say no such thing. Words are the line's. */
const char *autoreply_parse(const struct program_line *line, struct autoreply *out);
/* The program that a line of the table names, if it still has that sum. Tables that don't hold
 * programs are refused (RC_PERM), whoever asks; RC_TEMP: the line isn't there any more. table:
 * a path below the MailRoot. Words are in a. */
enum rc program_find(struct str table, uint64_t line, uint64_t sum, struct arena *a,
                     struct program_line *out, struct err *e) CHECK_RESULT;

/* May a table at this path below the MailRoot name programs? */
bool program_table_is_good(struct str path);

/* --- a test run that an administrator ordered --------------------------------------------- */

/* The order, JSON: from, to (a list), client, helo, auth. Control writes it, the master starts
 * a process for it (tools/filter_tool.c) and removes it when that has ended: one at a time. */
#define FILTER_TEST_ORDER ".filtertest"
#define FILTER_TEST_FOLDER "hikyaku/filtertest"
#define FILTER_TEST_MESSAGE "hikyaku/filtertest/message"
/* JSON: what `hikyaku filter-test --json` says of the message, or "error". The web role reads
 * it. */
#define FILTER_TEST_RESULT "hikyaku/filtertest/result"
#define FILTER_TEST_TIME (300 * USEC_S) /* lines behind it aren't run */

/* --- which filters (select.c) ------------------------------------------------------------- */

enum filter_way { FILTERS_IN, FILTERS_OUT, FILTER_WAYS };
/* A message for one recipient: the addresses that sender and recipient really mean; the two
 * ends of the connection it came by, "[ip]:port", or empty. */
struct filter_subject {
    struct str sender, recipient, remote, local;
};
struct filter_choice {
    struct str *files; /* "filters/NAME", in the table's order; in the caller's memory */
    size_t count;
    bool uncertain; /* the table is missing or unreadable just now: there may be more */
};
/* filters.in.tab, filters.out.tab: false: no filter is meant, for certain. Any thread. */
bool filters_select(enum filter_way way, const struct filter_subject *s, struct arena *a,
                    struct filter_choice *out);
/* NULL, or the reason why the row of one of these tables is skipped. */
const char *filter_row_problem(const struct tab_row *row);
/* False: the table has no line, so nothing else needs to be asked. */
bool filters_are_listed(enum filter_way way);

/* --- macros ------------------------------------------------------------------------------- */

/* The values of macros: NAME, value, NAME, value... */
struct macro {
    const char *name;
    struct str value;
};
/* "@@NAME" as a whole word, "$(NAME)" anywhere in it; a macro that isn't known is empty
 * (specification 3, section 1). The result is one argument, whatever is in it. In a. */
struct str macros_fill(struct str word, const struct macro *macros, size_t count,
                       struct arena *a);
/* Does the line ask for the macro's value? */
bool macros_are_used(const struct program_line *line, struct str name);
/* As octets that macros_parse reads back; a memory file's content. RC_PERM: too long, or a NUL.
 */
enum rc macros_print(const struct macro *macros, size_t count, struct buf *out) CHECK_RESULT;
enum rc macros_parse(struct str text, struct arena *a, struct macro **out, size_t *out_count,
                     struct err *e) CHECK_RESULT;
#define MACROS_MAX ((size_t)64 * 1024)

/* --- what programs are told of an envelope (scene.c) -------------------------------------- */

/* For FILE and macros. Addresses are printed. */
struct filter_scene {
    struct str helo;           /* the session's */
    struct str client, server; /* "[ip]:port"; in the queue they may be empty */
    struct str domain;         /* the server's name */
    struct str id;             /* of the message, or in its place */
    struct str ref;            /* of the message that it was made of; empty: none */
    struct str login;          /* empty: nobody logged in */
    struct str sender, real_sender;
    usec_t time; /* since 1970 */
};
/* A recipient as given, and as what it means. */
struct filter_rcpt {
    struct str given, real;
};
/* The lines of FILE before the message. */
void scene_head_session(const struct filter_scene *s, const struct filter_rcpt *rcpts,
                        size_t count, bool with_message, struct buf *out);
struct str scene_head_queue(const struct filter_scene *s, const struct filter_rcpt *rcpt,
                            struct arena *a);
/* Macros, as macros_print gives them; paths may be relative, or empty. current: post-rcpt's
 * recipient, else NULL. In a. */
enum rc scene_macros_session(const struct filter_scene *s, struct str file,
                             const struct filter_rcpt *current, struct arena *a,
                             struct str *out, struct err *e) CHECK_RESULT;
enum rc scene_macros_queue(const struct filter_scene *s, const struct filter_rcpt *rcpt,
                           struct str file, struct str tmp_file, struct arena *a,
                           struct str *out, struct err *e) CHECK_RESULT;

/* What a filter's code means, in a session or in the queue. */
enum filter_verdict {
    VERDICT_GO_ON, /* in a session: with FILE as it is now */
    VERDICT_NONE,  /* it failed: FilterFailure */
    VERDICT_REFUSE,
    VERDICT_REFUSE_SILENTLY,
    VERDICT_DROP,
    VERDICT_CHANGED, /* go on with FILE as it is now */
    VERDICT_DISCARD, /* take it, deliver it to nobody */
    VERDICT_DEFER,
};
/* *out_last: nothing behind it counts. */
enum filter_verdict filter_verdict(uint64_t code, bool queued, bool *out_last);

/* --- FILE (file.c) ------------------------------------------------------------------------ */

/*
 * FILE: lines of the envelope, then, where there is a message, the line <<MAIL-DATA>> and the
 * message in the form of mail/stuffed.h (specification 3, sections 2 and 3).
 *
 * It has been written through fd: from here on any change shows. out: what it looks like now.
 */
enum rc filter_file_written(const char *path, int fd, struct file_id *out,
                            struct err *e) CHECK_RESULT;
bool filter_file_is_changed(const char *path, const struct file_id *as_written);
/* Lines of the message, with LF; octets that they have with CRLF. */
typedef enum rc filter_text_fn(void *ctx, struct str lines, uint64_t wire_octets,
                               struct err *e);
/*
 * FILE as a program left it: the lines of head must be there as they were, the message goes to
 * fn piece by piece. Lines may end in CRLF or LF, as XMail takes them. RC_PERM: it is broken, e
 * says how, and what fn got is of no use.
 */
enum rc filter_file_read(const char *path, struct str head, filter_text_fn *fn, void *ctx,
                         struct err *e) CHECK_RESULT;
/* The first line of PATH.rej, "550 text" or text alone (then the code is empty). False: there
 * is none. In a. */
bool filter_rej_read(const char *path, struct arena *a, struct str *out_code,
                     struct str *out_text);
/* The reply to what a filter of a session refused: that of PATH.rej, or our own. In a. */
void filter_reply(const char *path, struct arena *a, struct str *out_code,
                  struct str *out_text);

/* --- programs that stay (job.c) ----------------------------------------------------------- */

/* A job: {"id":1,"table":"filters.post-data.tab","FILE":"...",...} and LF; members are the
 * macros. */
enum rc job_print(uint64_t id, struct str table, const struct macro *macros, size_t count,
                  struct buf *out) CHECK_RESULT;
/* Its answer: {"id":1,"code":3,"reply":"550 5.7.1 no"}; id that of the job, code as an exit
 * code, reply as the first line of FILE.rej (may be left out). */
struct verdict {
    uint64_t id, code;
    struct str reply;
};
#define VERDICT_REPLY_MAX ((size_t)400)
/* NULL, or what is wrong. reply is in a. */
const char *verdict_parse(struct str text, struct arena *a, struct verdict *out);
/* Writes what filter_rej_read reads. */
enum rc filter_rej_write(struct str file, struct str reply, struct err *e) CHECK_RESULT;

/* --- HTTP hooks (hook.c) ------------------------------------------------------------------ */

/* "https://host:port/path": slices of it. */
struct hook_url {
    bool tls;
    struct str authority, host, port, path;
};
/* NULL, or what is wrong. */
const char *hook_url_parse(struct str url, struct hook_url *out);

/* What the runner role answers: the exit code of a program that ended, else one of these. */
enum {
    PROGRAM_CODE_MAX = 255,
    PROGRAM_FAILED = 1000,  /* the text says why */
    PROGRAM_DISCARD = 1001, /* post-data: take the message, deliver it to nobody */
    PROGRAM_DEFER = 1002,   /* queue: try again later; the text says why */
};

#endif
