/* cmd_user.c - USER and PASS (RFC 1939 7). */
#include "pop3d/pop3d_int.h"

enum step pop3_user(struct session *s, struct str args)
{
    struct pop3_session *p = pop3(s);
    struct sasl_offer offer = login_offer(s);
    struct str name = str_trim(args);
    if (!sasl_is_offered(&offer, STR("PLAIN"))) {
        session_refuse(s, "-ERR [AUTH] passwords are taken under TLS only, use STLS first");
        return STEP_NEXT;
    }
    if (name.n == 0) {
        session_refuse(s, "-ERR syntax: USER name");
        return STEP_NEXT;
    }
    arena_release(&s->mem);
    p->user = arena_str(&s->mem, name);
    session_reply(s, "+OK send PASS");
    return STEP_NEXT;
}

/* The password is all that follows the one blank behind PASS, blanks included. */
enum step pop3_pass(struct session *s, struct str args)
{
    struct pop3_session *p = pop3(s);
    if (p->user.p == NULL) {
        session_refuse(s, "-ERR USER first");
        return STEP_NEXT;
    }
    return login_try(s, p->user, args, login_check_password);
}
