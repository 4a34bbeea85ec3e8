/*
 * seal.h - a role gives up what it doesn't need, after it has warmed up and before it serves:
 * new privileges, capabilities, system calls (seccomp), files (Landlock). What the kernel
 * doesn't have is left out and reported by the bits that come back.
 */
#ifndef HIKYAKU_SYS_SEAL_H
#define HIKYAKU_SYS_SEAL_H

#include "base/base.h"

struct seal {
    bool network;  /* may accept connections */
    bool connects; /* may open them */
    const char *const
        *write_below; /* folders under the MailRoot that may be changed; NULL ends */
    bool
        executes; /* may start programs, which inherit all this: only privileges are given up */
};

/*
 * Seals this process and all threads it will start; the MailRoot is the working directory.
 * *out_bits: enum seal_bit that are in force. RC_TEMP: something that the kernel has could not
 * be set. In sanitizer builds nothing is done.
 */
enum rc seal_apply(const struct seal *s, unsigned *out_bits, struct err *e) CHECK_RESULT;

#endif
