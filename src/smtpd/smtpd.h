/*
 * smtpd.h - the SMTP server: ports 25 ("smtp"), 465 ("smtps") and 587 ("submission") on the
 * engine of wire/session.h. RFC 5321, 2920, 1870, 6152, 6531, 2034, 3030, 3207, 4954, 9422.
 */
#ifndef HIKYAKU_SMTPD_SMTPD_H
#define HIKYAKU_SMTPD_SMTPD_H

#include "base/base.h"
#include "gates/gates.h"
#include "sys/commit.h"
#include "wire/session.h"

/* For listeners whose service is "smtp", "smtps" or "submission". */
extern const struct protocol smtp_protocol;

/*
 * Makes the role ready: once, before the first session. commit: the role's log, given on to
 * store and spool. notify_queue is called, from any worker, for each new queue entry once it is
 * durable; id is valid during the call.
 */
enum rc smtpd_init(struct commit *commit, void (*notify_queue)(struct str id),
                   bool (*flush_queue)(struct str domain), struct err *e) CHECK_RESULT;

/* Who is asked what the gates want to know; false: he can't be now. The answer comes by
 * engine_answer, its code of enum gate_answer. Before the first session; without one the gates
 * go without. */
typedef bool smtpd_ask_fact_fn(struct question q, enum gate_question question, struct str name);
void smtpd_set_fact_asker(smtpd_ask_fact_fn *ask);
/* Who runs the program of a line; macros: as macros_print gives them; about: the session, for
 * logs. False: he takes nothing now. The answer comes by engine_answer: process/process.h.
 * Before the first session. */
struct program_line;
typedef bool smtpd_run_program_fn(struct question q, const char *table,
                                  const struct program_line *line, struct str macros,
                                  struct str about);
void smtpd_set_program_runner(smtpd_run_program_fn *run);

/* --- what a session would be told, without one: `hikyaku explain` ------------------------ */

/* Once, instead of smtpd_init. */
void smtpd_prepare(void);
/* Mail of our own users comes in by this service: 587, and 465 of a MailRoot that isn't taken
 * over. */
bool smtpd_is_submission(const char *service);
/* Can a client log in, with and without TLS? */
bool smtpd_offers_auth(bool has_tls);
/* Is it a name for HELO and EHLO? And the reply to one that isn't, in a. */
bool smtpd_name_is_good(struct str name);
struct str smtpd_name_refusal(struct arena *a);
/* How addresses are read: RFC 5321, SMTPLocalRule1, SMTPUTF8 always (the caller checks). */
unsigned smtp_address_rules(void);
/* The subject as after AUTH by this name. RC_PERM: nobody has it. */
enum rc smtpd_log_in(struct gate_subject *s, struct str name, struct err *e) CHECK_RESULT;
/* The reply to what a gate refuses, in a. session: its name, as session_id gives it. */
struct str smtpd_refusal(const struct gate_decision *d, struct str session, struct arena *a);

/* The engine's admit hook: false when disk or inodes run short. */
bool smtpd_admit(struct session *s);

#endif
