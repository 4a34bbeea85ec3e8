/* scene.c - what programs are told of an envelope: the lines of FILE before the message, and
 * the macros (specification 3, sections 2 and 3). */
#include "mail/date.h"
#include "mail/stuffed.h"
#include "process/process.h"

/* --- in the session ---------------------------------------------------------------------- */

void scene_head_session(const struct filter_scene *s, const struct filter_rcpt *rcpts,
                        size_t count, bool with_message, struct buf *out)
{
    char date[DATE_TEXT_BYTES];
    buf_addf(out, "%.*s;%.*s;%.*s;%.*s;%s;Hikyaku\r\n%.*s\r\n%.*s\r\nMAIL FROM:<%.*s>\r\n",
             STR_ARG(s->helo), STR_ARG(s->client), STR_ARG(s->domain), STR_ARG(s->server),
             date_print(s->time, date), STR_ARG(s->domain), STR_ARG(s->id), STR_ARG(s->sender));
    for (size_t i = 0; i < count; i++)
        buf_addf(out, "RCPT TO:<%.*s> {ra=%.*s}\r\n", STR_ARG(rcpts[i].given),
                 STR_ARG(rcpts[i].real));
    if (with_message)
        buf_addf(out, XMAIL_DATA_TAG "\r\n");
}

static enum rc print(const struct macro *macros, size_t count, struct arena *a, struct str *out,
                     struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, MACROS_MAX);
    if (macros_print(macros, count, &text) != RC_OK)
        return err_temp(e, "4.3.0", "the values of the macros are too long");
    *out = arena_str(a, buf_str(&text));
    return RC_OK;
}

static struct str login_of(const struct filter_scene *s)
{
    return s->login.n > 0 ? s->login : STR("-");
}

enum rc scene_macros_session(const struct filter_scene *s, struct str file,
                             const struct filter_rcpt *current, struct arena *a,
                             struct str *out, struct err *e)
{
    const struct macro macros[] = {
        { "FILE", file_absolute(file, a) },
        { "USERAUTH", login_of(s) },
        { "REMOTEADDR", s->client },
        { "LOCALADDR", s->server },
        { "FROM", s->sender },
        { "CRCPT", current == NULL ? STR("") : current->given },
        { "RRCPT", current == NULL ? STR("") : current->real },
    };
    return print(macros, ARRAY_LEN(macros), a, out, e);
}

/* --- in the queue ------------------------------------------------------------------------ */

struct str scene_head_queue(const struct filter_scene *s, const struct filter_rcpt *rcpt,
                            struct arena *a)
{
    char date[DATE_TEXT_BYTES];
    struct str client = s->client.n > 0 ? s->client : STR("[127.0.0.1]:0");
    struct str server = s->server.n > 0 ? s->server : STR("[127.0.0.1]:25");
    return arena_printf(a,
                        "%.*s;%.*s;%s\r\n%.*s\r\n%.*s\r\nMAIL FROM:<%.*s>\r\n"
                        "RCPT TO:<%.*s>\r\n" XMAIL_DATA_TAG "\r\n",
                        STR_ARG(client), STR_ARG(server), date_print(s->time, date),
                        STR_ARG(s->domain), STR_ARG(s->id), STR_ARG(s->sender),
                        STR_ARG(rcpt->given));
}

enum rc scene_macros_queue(const struct filter_scene *s, const struct filter_rcpt *rcpt,
                           struct str file, struct str tmp_file, struct arena *a,
                           struct str *out, struct err *e)
{
    const struct macro macros[] = {
        { "FROM", s->sender },
        { "RFROM", s->real_sender },
        { "RCPT", rcpt->given },
        { "RRCPT", rcpt->real },
        { "REMOTEADDR", s->client },
        { "LOCALADDR", s->server },
        { "FILE", file_absolute(file, a) },
        { "TMPFILE", file_absolute(tmp_file, a) },
        { "MSGID", s->id },
        { "MSGREF", s->ref.n > 0 ? s->ref : s->id },
        { "USERAUTH", login_of(s) },
    };
    return print(macros, ARRAY_LEN(macros), a, out, e);
}

/* --- what they answer -------------------------------------------------------------------- */

enum filter_verdict filter_verdict(uint64_t code, bool queued, bool *out_last)
{
    enum { REFUSE = 3, DROP, REFUSE_SILENTLY, BOUNCE, CHANGED, LAST = 16 };
    *out_last = false;
    if (code == PROGRAM_DISCARD)
        return VERDICT_DISCARD;
    if (code == PROGRAM_DEFER)
        return VERDICT_DEFER;
    if (code > PROGRAM_CODE_MAX)
        return VERDICT_NONE;
    *out_last = (code & LAST) != 0;
    code &= ~(uint64_t)LAST;
    if (!queued)
        return code == REFUSE ? VERDICT_REFUSE : VERDICT_GO_ON;
    switch (code) {
    case DROP:
        return VERDICT_DROP;
    case REFUSE_SILENTLY:
        return VERDICT_REFUSE_SILENTLY;
    case BOUNCE:
        return VERDICT_REFUSE;
    case CHANGED:
        return VERDICT_CHANGED;
    default:
        return VERDICT_GO_ON;
    }
}
