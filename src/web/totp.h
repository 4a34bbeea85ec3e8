/*
 * totp.h - one-time passwords of an app (RFC 6238: SHA-1, six digits, thirty seconds), and
 * codes for when it is lost.
 */
#ifndef HIKYAKU_WEB_TOTP_H
#define HIKYAKU_WEB_TOTP_H

#include "base/base.h"

#define TOTP_SECRET_CHARS 32 /* base32 of 20 octets */
#define TOTP_RECOVERY_CODES 10u

/* A fresh secret, in base32 (RFC 4648). */
struct str totp_secret(struct arena *a);
/* The code of that step (seconds since 1970 / 30). RC_PERM: the secret isn't base32. */
enum rc totp_code(struct str secret, uint64_t step, char out[7], struct err *e) CHECK_RESULT;
/* Is it the code of now, or of the step before or behind, and later than last_step? *out_step:
 * which; it must not be accepted again. */
bool totp_matches(struct str secret, struct str code, usec_t wall, uint64_t last_step,
                  uint64_t *out_step);
/* otpauth://totp/..., for the app. */
struct str totp_uri(struct str secret, struct str name, struct str issuer, struct arena *a);

/* Fresh recovery codes "xxxx-xxxx-xxxx", and what is stored of them: hashes with blanks
 * between. */
void totp_recovery_make(struct arena *a, struct str codes[TOTP_RECOVERY_CODES],
                        struct str *out_stored);
/* Is the code among the stored ones? *out_left: stored without it. */
bool totp_recovery_use(struct str stored, struct str code, struct arena *a,
                       struct str *out_left);

#endif
