/*
 * gates.c - runs the gates of a stage in the order of gates.def, and keeps what they note. A
 * gate decides; what a decision looks like on the wire is the caller's.
 */
#include "gates/gates_int.h"

#define DELAY_MAX_S 300 /* between commands: what a session may be held */

#define GATE_WHITE_SKIP true
#define GATE_WHITE_PASS false

static const struct gate rows[] = {
#define GATE(function, name, stage, white, source, en, ja)                                     \
    { name, GATE_##stage, GATE_WHITE_##white, source, en, ja },
#include "gates/gates.def"
#undef GATE
};

static gate_fn *const functions[] = {
#define GATE(function, name, stage, white, source, en, ja) gate_##function,
#include "gates/gates.def"
#undef GATE
};

const struct gate *gates_rows(size_t *out_count)
{
    *out_count = ARRAY_LEN(rows);
    return rows;
}

void gates_init(void)
{
    gate_tables_init();
}

struct str gate_decision_id(const struct gate_decision *d, struct arena *a)
{
    return d->line == 0 ? str_from_c(d->source) : arena_printf(a, "%s:%u", d->source, d->line);
}

/* --- what gates answer ------------------------------------------------------------------- */

enum gate_action gate_refuse(struct gate_decision *d, const char *code, struct str own,
                             const char *text, const char *status)
{
    d->code = code;
    d->text = own.n > 0 && !str_has_control(own) ? own : str_from_c(text);
    d->status = status;
    return GATE_REFUSE;
}

enum gate_action gate_trouble(struct gate_decision *d)
{
    bool connect = d->gate->stage == GATE_CONNECT;
    d->detail = STR("the table can't be read now");
    return gate_refuse(d, connect ? "421" : "451 4.3.0", STR(""),
                       "Temporary trouble, try again later", NULL);
}

enum gate_action gate_by_code(struct gate_decision *d, int64_t code)
{
    if (code > 0)
        return GATE_REFUSE;
    if (code == 0)
        return GATE_AUTH;
    d->delay_s = (uint16_t)MIN(-code, (int64_t)DELAY_MAX_S);
    return GATE_SLOW;
}

/* --- running them ------------------------------------------------------------------------ */

static void note(struct gate_memory *m, const struct gate_decision *d)
{
    m->delay_s = MAX(m->delay_s, d->delay_s);
    if (d->action == GATE_AUTH && m->auth_source == NULL) {
        m->auth_source = d->source;
        m->auth_line = d->line;
    }
}

enum gate_action gates_run(enum gate_stage stage, struct gate_subject *s, gate_seen_fn *seen,
                           void *ctx, struct gate_decision *out)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].stage != stage)
            continue;
        struct gate_decision d = { .gate = &rows[i], .source = rows[i].source };
        if (rows[i].white_skips && (s->memory->properties & PROPERTY_WHITE_LIST) != 0)
            d.detail = STR("WhiteList");
        else
            d.action = functions[i](s, &d);
        note(s->memory, &d);
        if (seen != NULL)
            seen(ctx, &d);
        if (d.action == GATE_REFUSE) {
            *out = d;
            return GATE_REFUSE;
        }
    }
    return GATE_PASS;
}
