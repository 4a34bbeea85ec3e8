/* client.c - gates at connect time: what is said about the client's address. */
#include "gates/gates_int.h"

enum gate_action gate_ipprop(struct gate_subject *s, struct gate_decision *d)
{
    unsigned properties = gate_ipprop_find(&s->client, &d->line);
    s->memory->properties |= properties;
    d->detail = gate_properties_print(properties, s->tmp);
    return d->line == 0 ? GATE_PASS : GATE_NOTE;
}

enum gate_action gate_ipmap(struct gate_subject *s, struct gate_decision *d)
{
    const struct options *o = conf();
    if (access_is_allowed(d->source, &s->client, &d->line))
        return GATE_PASS;
    if (d->line == 0) /* nobody knows whom it refuses */
        return gate_trouble(d);
    (void)gate_refuse(d, "554", o->smtp_msg_ip_ban, "Your address may not connect here",
                      "SNDRIP=EIPBAN");
    return gate_by_code(d, o->smtp_ip_map_drop_code);
}

enum gate_action gate_spammers(struct gate_subject *s, struct gate_decision *d)
{
    int64_t code = 0;
    enum rc rc = gate_spammers_find(&s->client, &code, &d->line);
    if (rc == RC_PERM)
        return GATE_PASS;
    if (rc != RC_OK)
        return gate_trouble(d);
    (void)gate_refuse(d, "554", conf()->smtp_msg_ip_ban_spammers,
                      "Your address is refused here", "SNDRIP=EIPSPAM");
    return gate_by_code(d, code);
}
