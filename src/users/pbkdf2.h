/* pbkdf2.h - PBKDF2 with HMAC-SHA-256 (RFC 8018 5.2), one block. Internal to users/. */
#ifndef HIKYAKU_USERS_PBKDF2_H
#define HIKYAKU_USERS_PBKDF2_H

#include "base/base.h"

#define PBKDF2_BYTES 32

/* The key for password and salt; secrets on the way are wiped. iterations: at least 1. */
void pbkdf2_sha256(struct str password, struct str salt, unsigned iterations,
                   uint8_t out[PBKDF2_BYTES]);

#endif
