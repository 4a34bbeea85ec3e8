/*
 * board.h - what `hikyaku status` and `hikyaku metrics` show: some pages in the file
 * hikyaku/board, mapped by the master and the roles. Numbers only; written without locks, so a
 * reader may see a mixture of two moments.
 */
#ifndef HIKYAKU_SYS_BOARD_H
#define HIKYAKU_SYS_BOARD_H

#include "sys/metrics.h"

#define BOARD_ROLES 8
#define BOARD_LISTENERS 32
#define BOARD_FORMAT 4u

enum board_state { BOARD_OFF, BOARD_STARTING, BOARD_RUNNING, BOARD_WAITING, BOARD_STOPPING };

/* What seals a role, as bits. */
enum seal_bit {
    SEAL_NO_NEW_PRIVS = 1u << 0,
    SEAL_NO_CAPABILITIES = 1u << 1,
    SEAL_SECCOMP = 1u << 2,
    SEAL_LANDLOCK = 1u << 3,
};

struct board_role {
    char name[16];
    _Atomic uint32_t state; /* enum board_state */
    _Atomic uint32_t pid, uid, seal, restarts;
    _Atomic uint64_t sessions;
    _Atomic int64_t started; /* wall clock */
    _Atomic uint64_t metrics[METRIC_COUNT];
};

struct board_listener {
    char service[16];
    char address[64];
};

struct board {
    char magic[8];
    uint32_t format;
    char version[16];
    _Atomic uint32_t master_pid;
    _Atomic int64_t started;
    struct board_role roles[BOARD_ROLES];
    struct board_listener listeners[BOARD_LISTENERS];
    _Atomic uint32_t listener_count;
    _Atomic uint64_t domains, accounts, aliases, problems, index_bytes, index_generation;
    _Atomic int64_t certificate_expires; /* usec since 1970; 0: no certificate */
};

/* Makes the board anew in hikyaku/board; the master. */
enum rc board_make(struct board **out, int *out_fd, struct err *e) CHECK_RESULT;
/* Maps an inherited board for writing; a role. */
enum rc board_use(int fd, struct board **out, struct err *e) CHECK_RESULT;
/* Reads a copy; `hikyaku status`. RC_PERM: there is none, or of another version. */
enum rc board_read(struct board *out, struct err *e) CHECK_RESULT;

/* "running" ...; what seals a role, in text of n octets; a counter's sum over all roles. */
const char *board_state_of(const struct board_role *r);
const char *board_seal_text(uint32_t bits, char *text, size_t n);
uint64_t board_total(const struct board *b, enum metric m);
/* All of it as one JSON object; the counters in Prometheus' text format 0.0.4. running: is the
 * server? */
void board_print_json(struct buf *out, const struct board *b, bool running);
void board_print_prometheus(struct buf *out, const struct board *b, bool running);

#endif
