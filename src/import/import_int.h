/* import_int.h - inside import/. */
#ifndef HIKYAKU_IMPORT_IMPORT_INT_H
#define HIKYAKU_IMPORT_IMPORT_INT_H

#include "import/import.h"
#include "store/store.h"
#include "sys/file.h"

/* --- into one mailbox (put.c) ------------------------------------------------------------ */

/* Where messages go, opened with the first one. */
struct import_target {
    struct import *im;
    const struct account *account;
    struct str folder;
    struct store_bulk *bulk;
    unsigned unsynced;
};
/* Is it there already? Opens the mailbox, if there is one; a rehearsal makes none. */
enum rc import_has(struct import_target *t, struct str base, bool *out,
                   struct err *e) CHECK_RESULT;
enum rc import_begin(struct import_target *t, struct err *e) CHECK_RESULT;
/* Octets of the source: CRLF becomes LF. */
enum rc import_write(struct import_target *t, struct str octets, struct err *e) CHECK_RESULT;
/* The whole of an open file. */
enum rc import_copy(struct import_target *t, int fd, struct err *e) CHECK_RESULT;
enum rc import_end(struct import_target *t, struct str base, struct str flags, usec_t arrived,
                   struct err *e) CHECK_RESULT;
/* All is durable; the target is empty again. */
enum rc import_finish(struct import_target *t, struct err *e) CHECK_RESULT;

/* --- mbox lines (mbox_line.c, pure) ------------------------------------------------------ */

/* "From sender date": a line that begins a message. *out_time: 0 when the date isn't one. */
bool mbox_from_line(struct str line, struct str *out_sender, usec_t *out_time);
/* ">From ", ">>From ": one ">" fewer. */
struct str mbox_unquote(struct str line);
/* Maildir's letters for the values of Status and X-Status; at least 8 octets. True: seen or
 * anything else that isn't new. */
bool mbox_flags(struct str status, struct str x_status, char out[8]);

#endif
