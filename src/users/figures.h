/*
 * figures.h - what the roles count for each domain of ours, in one shared memory table that the
 * master makes. Only domains of domains.tab (or an alias of one) have a place in it, so
 * strangers can't make it grow. It outlives the roles' processes.
 */
#ifndef HIKYAKU_USERS_FIGURES_H
#define HIKYAKU_USERS_FIGURES_H

#include "base/base.h"

/* All by recipient: accepted, refused: RCPT and messages to the domain, by SMTP. delivered:
 * into mailboxes; sent: to other servers; deferred, failed: tries of the queue. octets_in: of
 * those delivered, octets_out: of those sent. The last four are the sender's domain's when the
 * recipient is of none of ours. */
#define FIGURES_EACH(X)                                                                        \
    X(accepted)                                                                                \
    X(refused)                                                                                 \
    X(delivered)                                                                               \
    X(octets_in)                                                                               \
    X(sent)                                                                                    \
    X(octets_out)                                                                              \
    X(deferred)                                                                                \
    X(failed)
enum figure {
#define X(name) FIGURE_##name,
    FIGURES_EACH(X)
#undef X
        FIGURES
};
extern const char *const figure_names[FIGURES];

/* A fresh table (memory file) for figures_use in every role. */
enum rc figures_make(int *out_fd, struct err *e) CHECK_RESULT;
/* Maps it for this process (closes fd). Without it nothing is counted. */
enum rc figures_use(int fd, struct err *e) CHECK_RESULT;

/* Counts for the domain, or the one it is an alias of; nothing when it isn't ours. Any thread.
 */
void figure_add(struct str domain, enum figure f, uint64_t n);

/*
 * Sampling, by one process at a time. Each sample has a number, which is recorded with it in
 * one transaction; the next one is told which was recorded last, so that a sampler that dies at
 * any point loses nothing and counts nothing twice.
 */
/* Begins a sample and returns its number. kept: the number recorded last; 0: none was. */
uint64_t figures_begin(uint64_t kept);
/* What the domain's (as in domains.tab) figures grew by since sample `kept`; false: by nothing.
 */
bool figures_grown(struct str domain, uint64_t sample, uint64_t kept, uint64_t out[FIGURES]);

#endif
