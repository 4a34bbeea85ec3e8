/* ask.c - questions to programs: values in, yes or no out. */
#include "auth/auth.h"
#include <stdatomic.h>

#define AFTER_LIMIT (10 * USEC_S) /* TERM, KILL, and the way of the answer */
#define AGAIN (50 * USEC_MS)      /* while the runner takes no more */

static auth_run_fn *runner;
static _Atomic usec_t usual_no; /* how long it lately took to hear no */

void auth_set_runner(auth_run_fn *run)
{
    runner = run;
}

/* A name that begins with "-" would be an option to most programs. An empty password logs in
 * to many a directory server, as nobody. */
static bool is_impossible(const struct macro *macros)
{
    struct str user = macros[0].value, password = macros[1].value;
    bool bad_user = str_starts(user, STR("-")) || str_has_control(user);
    bool bad_password =
        password.p != NULL && (password.n == 0 || memchr(password.p, '\0', password.n) != NULL);
    return bad_user || bad_password;
}

/* Puts it to the runner, or waits until it takes more. */
static enum step put(struct session *s, struct auth_question *q)
{
    struct question asked = session_ask(s);
    usec_t now = clock_mono();
    q->number = asked.number;
    if (asked.number != 0 && runner(asked, q->table, &q->line, q->macros, session_id(s)))
        return session_await(
            s, q->number, now + PROGRAM_LOGIN_WAIT + conf()->auth_program_timeout + AFTER_LIMIT,
            q->then);
    if (asked.number != 0)
        (void)session_answer(s, asked.number, &(struct answer){ .code = 0 }); /* given up */
    q->number = 0;
    s->more = q->then;
    s->wake_at = now + AGAIN;
    return STEP_DELAY;
}

enum step auth_ask(struct session *s, const struct auth_program *program,
                   const struct macro *macros, size_t count, struct auth_question *q,
                   session_fn *then)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, MACROS_MAX);
    if (is_impossible(macros))
        return auth_pretend(s, q, then);
    *q = (struct auth_question){
        .table = program->table, .line = program->line, .then = then, .began = clock_mono()
    };
    /* In one piece from the start: growing would leave copies behind. */
    q->failed = runner == NULL || buf_reserve(&text, MACROS_MAX) != RC_OK ||
                macros_print(macros, count, &text) != RC_OK;
    q->macros = arena_str(&q->mem, buf_str(&text));
    mem_wipe(text.p, text.n);
    return q->failed ? then(s) : put(s, q);
}

enum step auth_pretend(struct session *s, struct auth_question *q, session_fn *then)
{
    *q = (struct auth_question){ .impossible = true };
    s->more = then;
    s->wake_at = clock_mono() + usual_no;
    return STEP_DELAY;
}

enum auth_answer auth_answer(struct session *s, struct auth_question *q, enum step *out_wait)
{
    struct answer answer = { PROGRAM_FAILED, STR("no program can be run") };
    bool waits = !q->impossible && !q->failed && q->number == 0;
    if (waits && clock_mono() < q->began + PROGRAM_LOGIN_WAIT) {
        *out_wait = put(s, q);
        return AUTH_WAIT;
    }
    if (waits)
        answer.text = STR("the runner role takes nothing");
    else if (q->number != 0 && !session_answer(s, q->number, &answer))
        answer.text = STR("no answer in time");
    auth_forget(q);
    if (q->impossible)
        return AUTH_NO;
    if (answer.code == 0)
        return AUTH_YES;
    if (answer.code <= PROGRAM_CODE_MAX) {
        usual_no = (3 * usual_no + (clock_mono() - q->began)) / 4;
        return AUTH_NO;
    }
    log_warn(EV("login can't be decided"), KS("session", session_id(s)),
             KS("reason", answer.text));
    return AUTH_UNKNOWN;
}

void auth_forget(struct auth_question *q)
{
    arena_wipe(&q->mem);
    q->macros = STR("");
}
