/* pair.h - a certificate and its key as somebody gives them, in PEM: do they fit, are they
 * whole? */
#ifndef HIKYAKU_SYS_PAIR_H
#define HIKYAKU_SYS_PAIR_H

#include "sys/tls.h"

struct pair_rules {
    struct tls_trust trust; /* besides the system's authorities */
    bool whole; /* its chain must lead to somebody known, or to a root that comes along */
};

/*
 * Takes the texts apart: certificates of `certs` in any order, maybe with the key among them;
 * else the key in `key`. cert_out gets the server's own certificate and those above it, key_out
 * the key (a secret: wipe it). RC_PERM: why they can't be used.
 */
enum rc pair_take(struct str certs, struct str key, const struct pair_rules *rules,
                  struct buf *cert_out, struct buf *key_out, struct err *e) CHECK_RESULT;

#endif
