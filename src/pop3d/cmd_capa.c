/* cmd_capa.c - CAPA (RFC 2449 5) and UTF8 (RFC 6856). */
#include "pop3d/pop3d_int.h"

enum step pop3_capa(struct session *s, struct str args)
{
    (void)args;
    struct sasl_offer offer = login_offer(s);
    struct buf names AUTO_RELEASE_BUF;
    buf_init(&names, 256);
    buf_must(sasl_mechanisms(&offer, &names));
    session_reply(s, "+OK capabilities follow");
    session_reply(
        s, "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8\r\nEXPIRE NEVER");
    if (sasl_is_offered(&offer, STR("PLAIN")))
        session_reply(s, "USER");
    if (names.n > 0)
        session_reply(s, "SASL %s", names.p);
    if (!stream_is_tls(&s->st) && engine_has_tls(s->engine) && conf()->enable_pop3_tls)
        session_reply(s, "STLS");
    session_reply(s, "IMPLEMENTATION Hikyaku\r\n.");
    return STEP_NEXT;
}

/* Messages are sent as they lie in the mailbox, so UTF-8 mode changes nothing but the promise.
 */
enum step pop3_utf8(struct session *s, struct str args)
{
    if (args.n > 0) {
        session_refuse(s, "-ERR syntax: UTF8");
        return STEP_NEXT;
    }
    session_reply(s, "+OK UTF8 enabled");
    return STEP_NEXT;
}
