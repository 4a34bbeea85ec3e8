/* cmd_stls.c - STLS (RFC 2595 4). What was received in plain text is dropped by
 * stream_start_tls. */
#include "pop3d/pop3d_int.h"

enum step pop3_stls(struct session *s, struct str args)
{
    if (args.n > 0 || stream_is_tls(&s->st) || !engine_has_tls(s->engine) ||
        !conf()->enable_pop3_tls) {
        session_refuse(s, stream_is_tls(&s->st) ? "-ERR TLS is active"
                                                : "-ERR TLS is not offered");
        return STEP_NEXT;
    }
    arena_release(&s->mem);
    pop3(s)->user = (struct str){ NULL, 0 };
    s->more = NULL;
    session_reply(s, "+OK begin TLS");
    return STEP_TLS;
}
