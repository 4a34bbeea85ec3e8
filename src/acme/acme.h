/*
 * acme.h - certificates from an authority (RFC 8555). Control is the home: it decides when,
 * makes keys, puts up proofs, installs (home.c). Relay talks to the authority (talk.c): it gets
 * names, the request and the account's key in a memory file, and keeps none of it; the
 * certificate's key stays at home.
 */
#ifndef HIKYAKU_ACME_ACME_H
#define HIKYAKU_ACME_ACME_H

#include "admin/admin.h"
#include "process/process.h"
#include "sys/client.h"
#include "sys/pool.h"

/* Files that answer challenges: read by whoever is asked. */
#define ACME_HTTP_FOLDER "hikyaku/acme/http"
#define ACME_STATE_FILE "hikyaku/acme/state"

/* --- home, in the control role; one thread ------------------------------------------------ */

struct acme_home_hooks {
    /* Sends to relay; the text as a memory file. False: it can't be sent. */
    bool (*order)(uint64_t number, struct str job);
    bool (*proved)(uint64_t number, struct str why);
    /* Has the runner role run a line of acmedns.tab; acme_home_ran gets what came of it. */
    bool (*run)(uint64_t number, const struct program_line *line, struct str macros);
    /* The relay role's process. */
    uint32_t (*relay)(void);
};
void acme_home_init(const struct acme_home_hooks *hooks);
/* Orders when it is due, ends what takes too long; call every second. */
void acme_home_tick(void);
/* Order now. ADMIN_BUSY: one is under way; ADMIN_BAD_PARAMETER: settings lack something. */
enum admin_result acme_home_now(struct err *e);
/* Notes of relay, and of the runner. Texts of memory files. */
void acme_home_prove(uint64_t number, struct str proofs);
void acme_home_done(uint64_t number, enum rc rc, struct str text, struct str chain);
void acme_home_ran(uint64_t number, uint64_t code, struct str text);

/* --- talk, in the relay role ---------------------------------------------------------------
 */

struct acme_talk_hooks {
    struct client_tls_ctx *(*tls)(void);
    void (*prove)(uint64_t home, uint64_t number, struct str proofs);
    void (*done)(uint64_t home, uint64_t number, enum rc rc, struct str text, struct str chain);
};
/* Before the first order. */
void acme_talk_init(struct pool *pool, const struct acme_talk_hooks *hooks);
/* Any thread. fd is taken. */
void acme_talk_order(uint64_t home, uint64_t number, int fd);
void acme_talk_proved(uint64_t home, uint64_t number, struct str why);

#endif
