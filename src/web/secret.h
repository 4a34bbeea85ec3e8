/* secret.h - random texts, and what is stored instead of them. */
#ifndef HIKYAKU_WEB_SECRET_H
#define HIKYAKU_WEB_SECRET_H

#include "base/base.h"

#define SECRET_HASH_CHARS 64 /* SHA-256 in hex */

/* Random octets; waits for the kernel to have some. */
void secret_octets(uint8_t *out, size_t n);
/* n random letters and digits that aren't taken for each other, five bits each. */
struct str secret_letters(size_t n, struct arena *a);
/* n random octets in hex. */
struct str secret_hex(size_t n, struct arena *a);
/* For texts with so much chance that a fast hash is enough. */
void secret_hash(struct str text, char out[SECRET_HASH_CHARS + 1]);
/* Percent-encoding (RFC 3986 2.1) of all but letters, digits and -._~ */
struct str secret_percent(struct str text, struct arena *a);

#endif
