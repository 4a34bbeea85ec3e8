/* gates_int.h - what the files of gates/ share. */
#ifndef HIKYAKU_GATES_GATES_INT_H
#define HIKYAKU_GATES_GATES_INT_H

#include "conf/options.h"
#include "conf/tab.h"
#include "gates/gates.h"

/* One gate: looks at the subject, fills in what differs from its row. */
typedef enum gate_action gate_fn(struct gate_subject *s, struct gate_decision *d);

#define GATE(function, name, stage, white, source, en, ja) extern gate_fn gate_##function;
#include "gates/gates.def"
#undef GATE

/* Refuses with a text of the administrator, or the usual one. */
enum gate_action gate_refuse(struct gate_decision *d, const char *code, struct str own,
                             const char *text, const char *status);
/* Refuses for now, for a table can't be read. */
enum gate_action gate_trouble(struct gate_decision *d);
/* What SMTP-IpMapDropCode and its kin say: 1 refuse (the decision is filled in), 0 AUTH, -S
 * slow. */
enum gate_action gate_by_code(struct gate_decision *d, int64_t code);

/* --- tables.c: all are read again when they change --------------------------------------- */

/* Reads them for the first time. */
void gate_tables_init(void);
/* Is the client in spammers.tab? RC_OK: *out_code is its code= (1: none given), *out_line its
 * line; RC_PERM: it isn't; RC_TEMP: the table can't tell now. */
enum rc gate_spammers_find(const struct ip *client, int64_t *out_code, unsigned *out_line);
/* The first pattern of spam-address.tab that an address matches; the same results. */
enum rc gate_spam_address_find(struct str address, unsigned *out_line);
/* Patterns of senders, from such a table; a tab_parse_fn and a tab_release_fn. The line that an
 * address matches first; 0: none. */
struct sender_table;
void *sender_table_parse(const struct tab *tab, void *ctx);
void sender_table_free(void *value);
unsigned sender_table_find(const struct sender_table *t, struct str address);
/* The properties of a client by smtp.ipprop.tab; *out_line 0: none. */
unsigned gate_ipprop_find(const struct ip *client, unsigned *out_line);

/* The properties of a client's confirmed name by smtp.hnprop.tab: the name itself, else the
 * longest ".domain" that it ends with; *out_line 0: none. */
unsigned gate_hnprop_find(struct str name, unsigned *out_line);
/* Is there anything in it? */
bool gate_hnprop_has_rows(void);

#endif
