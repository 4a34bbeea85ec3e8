/*
 * smtpd_int.h - what the files of smtpd/ share: one client's state, replies, the transaction.
 *
 * An idle session owns struct smtp and the name given in HELO; struct login is there only after
 * AUTH, struct auth only during it, struct transaction only between MAIL and the end of the
 * transaction. The states:
 *
 *   CONNECTED --HELO, EHLO--> GREETED --MAIL--> MAIL --RCPT--> RCPT --BDAT--> CHUNKS
 *   RCPT --DATA--> GREETED    CHUNKS --BDAT LAST, or refused--> GREETED
 *   HELO, EHLO, RSET: any --> GREETED (RSET stays in CONNECTED)    STARTTLS --> CONNECTED
 */
#ifndef HIKYAKU_SMTPD_SMTPD_INT_H
#define HIKYAKU_SMTPD_SMTPD_INT_H

#include "conf/options.h"
#include "gates/gates.h"
#include "mail/address.h"
#include "mail/data.h"
#include "mail/stuffed.h"
#include "process/process.h"
#include "smtpd/smtpd.h"
#include "spool/spool.h"
#include "store/store.h"
#include "sys/file.h"
#include "users/figures.h"
#include "users/guard.h"
#include "users/limits.h"
#include "users/users.h"
#include "wire/sasl.h"

enum smtp_state { SMTP_CONNECTED, SMTP_GREETED, SMTP_MAIL, SMTP_RCPT, SMTP_CHUNKS };

/* Who authenticated. */
struct login {
    struct arena mem;
    struct str name;     /* as the client gave it */
    bool has_account;    /* else a line of smtpauth.tab */
    bool by_pop3;        /* POP-before-SMTP: for one transaction */
    bool hide_name;      /* DisableEmitAuthUser: no X-AuthUser field */
    unsigned rights;     /* of enum smtp_right */
    bool has_size_limit; /* user.tab has MaxMessageSize, which counts instead of the server's */
    uint64_t max_message_kb;
    struct account account; /* has_account; without its password */
};

/* One mailbox or list, here or elsewhere, that the transaction leads to. */
struct rcpt {
    struct address given;   /* in RCPT TO */
    bool is_remote;         /* elsewhere, or where commands say (cmdaliases, custdomains) */
    struct address remote;  /* is_remote */
    bool is_processed;      /* a mailbox with commands of its own or its domain's */
    struct account account; /* else */
    bool is_list;           /* account is a mailing list */
    struct str decision;    /* is_list: the local part is a moderator's answer */
    unsigned notify;        /* of enum notify */
    struct str orcpt;
    uint64_t max_mailbox_kb;
    uint64_t max_message_kb; /* 0: no limit */
};

struct transaction {
    struct arena mem;
    struct address sender;
    uint64_t size_octets; /* SIZE=, 0: not told */
    bool body_8bit, smtputf8;
    enum dsn_return ret;
    struct str envid;
    size_t accepted;   /* RCPT commands answered with 250, doubles too */
    size_t rcpt_count; /* different mailboxes */
    size_t rcpt_room;
    struct rcpt *rcpts;

    /* While the message comes in (receive.c). */
    struct str id;
    struct data data;
    struct store_put *mailbox; /* one recipient: straight into the mailbox */
    struct spool_put *queue;   /* several: one queue entry */
    bool is_filtered;          /* it has passed the filters that held it */
    bool failed;               /* the put was given up: `failure` says why */
    struct err failure;
    usec_t began;
    uint64_t octets;     /* received so far, before unstuffing */
    uint64_t chunk_left; /* BDAT */
    bool chunk_is_last;
};

/* Questions of the gates under way. */
struct facts {
    size_t count, taken;
    struct gate_wish wishes[GATE_WISHES_MAX]; /* without their names */
    uint64_t numbers[GATE_WISHES_MAX];
    usec_t deadline;
};

struct auth; /* an AUTH exchange under way: cmd_auth.c */

/* One client. */
struct smtp {
    struct session s;
    char *helo; /* heap; NULL before HELO or EHLO */
    struct login *login;
    struct auth *auth;
    struct transaction *tx;
    uint64_t swallow; /* octets of a refused BDAT chunk still to come */
    bool esmtp;       /* EHLO */
    struct gate_memory gates;
    struct facts *facts;         /* while answers are awaited */
    struct filtering *filtering; /* while filters run */
};

static inline struct smtp *smtp_of(struct session *s)
{
    return CONTAINER_OF(s, struct smtp, s);
}

/* --- replies (reply.c) ------------------------------------------------------------------- */
enum step smtp_ok(struct smtp *c, const char *code, const char *fmt, ...) PRINTF(3, 4);
/* A 4xx or 5xx with CustomSMTPMessage behind it; 5xx counts as an error of the client. */
enum step smtp_refuse(struct smtp *c, const char *code, const char *fmt, ...) PRINTF(3, 4);
/* A refusal with CustomSMTPMessage behind it, as long as a reply may be. */
struct str smtp_with_custom(struct str text, struct arena *a);
/* Trouble of ours: logged with its reason, which the client doesn't see; 4xx from e->dsn. */
enum step smtp_trouble(struct smtp *c, const char *what, const struct err *e);
/* Not a reply: the step that follows a finished command. */
enum step smtp_next(struct smtp *c);
/* The server's name: SmtpServerDomain, else RootDomain. */
struct str smtp_domain(void);

/* --- XMail's logs (record.c) ------------------------------------------------------------- */
/* A line of the smtp log: status "RCPT=OK" ...; rcpt may be NULL; detail: TYPE of an AUTH. */
void smtp_record(struct smtp *c, const struct address *rcpt, const char *status,
                 const char *detail);
/* A line of the smail log: the transaction's message is in its mailbox. */
void smtp_record_delivery(struct smtp *c);

/* --- what the session is ----------------------------------------------------------------- */
bool smtp_has_right(const struct smtp *c, enum smtp_right right);
/* The largest message this client may send, in octets; 0: no limit. */
uint64_t smtp_size_limit(const struct smtp *c);
/* RCPT commands accepted in one transaction. */
size_t smtp_max_recipients(void);
/* May STARTTLS be used now? */
bool smtp_offers_tls(const struct smtp *c);
/* Does VRFY tell? AllowSmtpVRFY, right V, or the client's property EnableVRFY. */
bool smtp_vrfy_is_allowed(const struct smtp *c);
/* Does ETRN do anything? AllowSmtpETRN, right T, or the client's property EnableETRN. */
bool smtp_etrn_is_allowed(const struct smtp *c);
/* Names of the mechanisms for AUTH, blanks between; empty: none. In s.tmp. */
struct str smtp_mechanisms(struct smtp *c);
void login_free(struct login **login);
void auth_free(struct auth **auth);

/* --- policies: true, or a reply has been written ----------------------------------------- */
/* Asks what the gates of the stage want to know. True: go on with the step *out, and with
 * `more` when all is known, or the time is over; false: there is nothing to wait for. */
bool policy_asks(struct smtp *c, enum gate_stage stage, session_fn *more, enum step *out);
/* In `more`: takes an answer. True: *out waits for the next; false: all are there. */
bool policy_awaits(struct smtp *c, session_fn *more, enum step *out);
/* The gates at connect time; false: the client has been told to go. (policy_access.c) */
bool policy_client(struct smtp *c);
/* Those at MAIL FROM, for tx->sender. A login by POP3 that counts is c->login from here. */
bool policy_mail(struct smtp *c, enum step *out);
/* Those at RCPT TO. */
bool policy_rcpt(struct smtp *c, const struct address *to, const struct recipient *found,
                 enum step *out);
/* Counts it for who has logged in, else for the client's address (limits.tab). */
void policy_count(struct smtp *c, enum limit_what what);
/* Room on disk for a message of this size (0: unknown). Any thread. (policy_disk.c) */
bool policy_disk_has_room(uint64_t octets);
/* SmtpMinVirtMemSpace. Any thread. (policy_memory.c) */
bool policy_memory_is_free(void);

/* --- filters of the session (filters.c) -------------------------------------------------- */
enum filter_stage { FILTER_POST_RCPT, FILTER_PRE_DATA, FILTER_POST_DATA, FILTER_STAGES };
enum rc filters_init(struct err *e) CHECK_RESULT;
/* Has the stage's table a line? */
bool filters_are_there(enum filter_stage stage);
/* Runs the stage's filters that are meant for this client; POST_RCPT: about the last of
 * tx->rcpts. True: go on with the step *out; `then` is called when they are done. False: there
 * are none. */
bool filters_begin(struct smtp *c, enum filter_stage stage, session_fn *then, enum step *out);
/* The same in two steps for POST_DATA: when the message begins, after which filters_hold is
 * true when there are any, and the message belongs into filters_file; and when it is whole.
 * RC_TEMP: it can't be taken now. */
enum rc filters_prepare(struct smtp *c, struct err *e) CHECK_RESULT;
bool filters_hold(const struct smtp *c);
struct filter_file *filters_file(struct smtp *c);
/* One wants the message taken and delivered to nobody. */
bool filters_discarded(const struct smtp *c);
enum step filters_run(struct smtp *c, session_fn *then);
/* In `then`: did one refuse? Then the reply has been written; *out is the step. */
bool filters_refused(struct smtp *c, enum step *out);
void filters_free(struct smtp *c);

/* What they see and change: FILE (filter_file.c). */
struct filter_file {
    const char *path; /* relative; NULL: none */
    struct str head;  /* its lines about the envelope */
    int original;     /* POST_DATA: head and message, as they go on; else -1 */
    struct stuffing dots;
    struct file_id shown; /* FILE, as a filter got it */
};
/* Makes the folder; drops what an earlier process left there. */
enum rc filter_files_init(struct err *e) CHECK_RESULT;
/* The transaction; id: the message's, or what stands for it. In a. */
struct filter_scene filter_scene_of(const struct smtp *c, struct str id, struct arena *a);
struct filter_rcpt filter_rcpt_of(const struct rcpt *r, struct arena *a);
/* rcpts: how many of the transaction's recipients are told. Texts are in a. */
enum rc filter_file_begin(const struct smtp *c, const struct filter_scene *scene, size_t rcpts,
                          bool with_message, struct arena *a, struct filter_file *out,
                          struct err *e) CHECK_RESULT;
/* More of the message; LF. */
enum rc filter_file_add(struct filter_file *f, struct str lines, struct err *e) CHECK_RESULT;
/* Makes FILE, new, for the next filter. */
enum rc filter_file_show(struct filter_file *f, struct err *e) CHECK_RESULT;
bool filter_file_changed(const struct filter_file *f);
/* What a filter made of FILE goes on. RC_PERM: it is broken; the original stays. */
enum rc filter_file_take(struct filter_file *f, struct arena *a, struct err *e) CHECK_RESULT;
/* Octets of the message that goes on, as io_pread. */
ssize_t filter_file_message(const struct filter_file *f, char *p, size_t n, uint64_t at);
void filter_file_end(struct filter_file *f, struct arena *a);

/* --- the transaction --------------------------------------------------------------------- */
/* Ends the transaction, if there is one: what it was writing is given up. (transaction.c) */
void transaction_free(struct smtp *c);
/* The same, and back to GREETED. */
void transaction_reset(struct smtp *c);
struct transaction *transaction_new(struct smtp *c);
/* Is there a mailbox among the recipients already? */
bool transaction_has(const struct transaction *tx, const struct rcpt *r);
/* Room for one more recipient at the end of tx->rcpts. */
struct rcpt *transaction_add(struct transaction *tx);
/* Says where the message goes, and opens it: one plain mailbox, or a queue entry. */
enum rc transaction_open(struct smtp *c, enum data_mode mode, struct err *e) CHECK_RESULT;
/* Octets as they go to disk; wire_octets: what they count with CRLF. */
enum rc transaction_write(struct smtp *c, struct str octets, uint64_t wire_octets,
                          struct err *e) CHECK_RESULT;
/* The message as filters left it comes next. */
enum rc transaction_begin_filtered(struct smtp *c, struct err *e) CHECK_RESULT;
/* Makes the message durable where it goes. */
enum rc transaction_commit(struct smtp *c, struct err *e) CHECK_RESULT;
/* Gives up what was written, keeping the reason; the rest of the message is still read. */
void transaction_fail(struct smtp *c, const struct err *e);
/* Tells the queue role about a new entry. (smtpd.c) */
void smtp_notify_queue(struct str id);
/* Asks it to try what waits for the domain (a pattern). False: it can't be told. (smtpd.c) */
bool smtp_flush_queue(struct str domain);

/* Takes up to max octets of buffered input into the message; *out_used. RC_TEMP: the end of the
 * message can't be found any more. (receive.c) */
enum rc receive_input(struct smtp *c, uint64_t max, size_t *out_used) CHECK_RESULT;
/* After the last BDAT chunk; the same failure. */
enum rc receive_finish(struct smtp *c) CHECK_RESULT;
/* After the last octet: the verdict, and the reply. Ends the transaction. */
enum step receive_end(struct smtp *c);
/* The reason to refuse what came in so far, as a reply; false: none. */
bool receive_refusal(struct smtp *c, enum step *out);
/* Bounds the wait for more octets. */
void receive_set_deadline(struct smtp *c, usec_t began, uint64_t octets);

/* --- parameters of MAIL and RCPT --------------------------------------------------------- */
/* Cuts the next "KEYWORD[=value]" off *rest; false at the end. value.p is NULL without "=". */
/* xtext (RFC 3461 4): printable ASCII but "+" and "=", and "+" with two hex digits. */
bool smtp_is_xtext(struct str s);
bool smtp_next_param(struct str *rest, struct str *out_keyword, struct str *out_value);
/* "FROM:" or "TO:" at the start of args, in any case: skipped. */
bool smtp_skip_word(struct str *args, struct str word);

command_fn cmd_helo, cmd_ehlo, cmd_mail, cmd_rcpt, cmd_data, cmd_bdat, cmd_auth, cmd_starttls,
    cmd_vrfy, cmd_rset, cmd_noop, cmd_help, cmd_quit, cmd_expn, cmd_etrn;

/* Of struct protocol (smtpd.c). */
session_fn smtp_greet;
void smtp_end(struct session *s);
usec_t smtp_idle(struct session *s);
unsigned smtp_max_errors(struct session *s);

extern const struct command smtp_commands[];
extern const size_t smtp_command_count;

#endif
