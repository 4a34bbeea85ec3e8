/* spool_int.h - inside spool/. */
#ifndef HIKYAKU_SPOOL_SPOOL_INT_H
#define HIKYAKU_SPOOL_SPOOL_INT_H

#include "spool/spool.h"

#define SPOOL_ID_MAX 40
/* Largest envelope read back: recipients are limited in the session. */
#define SPOOL_HEADER_MAX ((size_t)8 << 20)

/* What spool_init was given. */
struct commit *spool_commit(void);
/* A fresh id: microseconds of the wall clock (never twice in a process) and the process, in
 * hex. */
struct str spool_id_new(struct arena *a);

/* "queue/3f/ID", and with ".journal" behind. */
struct str spool_path(struct str id, struct arena *a);
struct str spool_journal_path(struct str id, struct arena *a);
/* The same with ".body" behind. */
struct str spool_body_path(struct str id, struct arena *a);

/* The envelope's lines, up to and with the blank line; sizes as fixed-width numbers. */
enum rc envelope_print(const struct envelope *env, struct str id, uint64_t octets,
                       uint64_t wire_octets, struct buf *out) CHECK_RESULT;
/* Where in envelope_print's output the size line begins (it is always the second line). */
size_t envelope_size_line(struct str printed);
/* The line itself: always the same length. */
struct str envelope_size_text(uint64_t octets, uint64_t wire_octets, struct arena *a);
/* Parses the lines at the start of an entry; *out_header_n: octets up to the message. */
enum rc envelope_parse(struct str text, struct arena *a, struct spool_entry *out,
                       size_t *out_header_n, struct err *e) CHECK_RESULT;

/* To the entry's history, for people: "2026-11-26 19:22:49 amy@far.test deferred: 4.4.1 ...".
 * at 0: not known, nothing. */
void journal_event(struct spool_entry *entry, usec_t at, struct str kind, size_t i,
                   struct str reason);
/* Notes in memory that the step is done. */
void journal_add_step(struct spool_entry *entry, size_t i, uint64_t step);
/* One journal line with its checksum. */
enum rc journal_print(struct buf *out, const char *kind, uint64_t a, int64_t b,
                      struct str reason) CHECK_RESULT;
/* Applies the journal's text to the entry's states; what follows a bad line is ignored. */
void journal_apply(struct str text, struct spool_entry *entry);

#endif
