/* xmail_int.h - inside takeover/: the forms of XMail's files. */
#ifndef HIKYAKU_TAKEOVER_XMAIL_INT_H
#define HIKYAKU_TAKEOVER_XMAIL_INT_H

#include "mail/stuffed.h"
#include "spool/spool.h"
#include "takeover/takeover.h"

/* --- xmail_file.c: pure ------------------------------------------------------------------ */

#define XMAIL_HEAD_MAX ((size_t)1 << 20)
#define XMAIL_LOG_MAX ((size_t)1 << 20)

/* The lines before the message (specification 2, section 3). */
struct xmail_head {
    struct str client, server; /* "[ip]:port"; may be empty */
    usec_t written_at;         /* of line 1; 0: it doesn't tell */
    struct str domain, id;     /* lines 2 and 3 */
    struct address sender;
    struct envelope_recipient *rcpts; /* address only */
    size_t count;
    size_t head_n; /* octets up to the message */
};
/* RC_PERM: no spool file. Texts are in a. */
enum rc xmail_head_parse(struct str text, struct arena *a, struct xmail_head *out,
                         struct err *e) CHECK_RESULT;

/* slog: what XMail noted of its tries. The form isn't documented: anything is taken. */
struct xmail_log {
    unsigned tries;
    usec_t last_try;   /* 0: unknown */
    struct str reason; /* slice of the text; may be empty */
};
void xmail_log_parse(struct str text, struct xmail_log *out);

/* "milliseconds.thread.sequence.host": the time; 0: the name is of another form. */
usec_t xmail_name_time(struct str name);

/* --- xmail_progress.c -------------------------------------------------------------------- */

enum xmail_progress {
    XMAIL_PROGRESS_NONE,   /* all commands are left */
    XMAIL_PROGRESS_WITHIN, /* *out_steps: those that are done */
    XMAIL_PROGRESS_UNKNOWN,
};
/* left: the lines of mprc or cust, for mail to this address. In a. */
enum xmail_progress xmail_progress_read(struct str left, const struct address *to,
                                        struct arena *a, const uint64_t **out_steps,
                                        size_t *out_count);
/* The same lines for a recipient of an entry; *out_part ("mprc", "cust") only when there are
 * any. NULL, or what XMail can't be told. */
const char *xmail_progress_print(const struct spool_entry *entry, size_t i, struct arena *a,
                                 const char **out_part, struct buf *out);

/* --- spool_scan.c ------------------------------------------------------------------------ */

enum xmail_kind { XMAIL_MESS, XMAIL_RSND, XMAIL_FROZ };
extern const char *const xmail_kinds[3]; /* their folders' names */
/* Folders with a file of the message's name beside it. */
extern const char *const xmail_beside[5];

struct xmail_found {
    const char *top;   /* "spool" or where claimed files are */
    struct str folder; /* "0/7" */
    enum xmail_kind kind;
    struct str name;
};
typedef enum rc xmail_found_fn(void *ctx, const struct xmail_found *f, struct err *e);
/* Calls fn for each regular file in the folders of messages below `top`, and says what else is
 * there. */
enum rc xmail_scan(const char *top, const struct takeover_sink *sink, xmail_found_fn *fn,
                   void *ctx, size_t *out_odd, struct err *e) CHECK_RESULT;
/* "TOP/0/7/PART/NAME", in a. */
struct str xmail_path(const char *top, struct str folder, const char *part, struct str name,
                      struct arena *a);
/* Moves a file, by copying where it must; makes the folder. A missing file is fine. */
enum rc xmail_move(struct str from, struct str to, struct err *e) CHECK_RESULT;
/* All that was changed in the file system of the folder is durable. */
enum rc xmail_sync(const char *folder, struct err *e) CHECK_RESULT;
/* Files in TOP/PART and TOP/A/B/PART. */
size_t xmail_count(const char *top, const char *part);

/* A line for the report; without a sink what needs a hand goes to the log. */
void takeover_say(const struct takeover_sink *sink, enum takeover_level level, struct str file,
                  const char *fmt, ...) PRINTF(4, 5);

#endif
