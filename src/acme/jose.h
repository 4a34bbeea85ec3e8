/* jose.h - signed requests of ACME (RFC 7515, 7517, 7638; RFC 8555 6.2): ES256 with a P-256
 * key, HS256 for external accounts. */
#ifndef HIKYAKU_ACME_JOSE_H
#define HIKYAKU_ACME_JOSE_H

#include "base/base.h"

struct evp_pkey_st;

/* Base64 for URLs, without "=". */
struct str jose_base64(struct str octets, struct arena *a);
/* The octets, in a; false: it isn't that. */
bool jose_octets(struct str text, struct arena *a, struct str *out);
/* The same of what stands between the lines of a PEM text. */
struct str jose_from_pem(struct str pem, struct arena *a);

/* The public key as JSON, members in the order of RFC 7638; empty: no P-256 key. */
struct str jose_key(struct evp_pkey_st *key, struct arena *a);
/* Of the key, in base64. */
struct str jose_thumbprint(struct evp_pkey_st *key, struct arena *a);
/* SHA-256. */
struct str jose_digest(struct str text, struct arena *a);

/* {"protected","payload","signature"}: head is JSON; payload empty: a POST-as-GET. Empty:
 * OpenSSL can't. */
struct str jose_sign(struct evp_pkey_st *key, struct str head, struct str payload,
                     struct arena *a);
/* The same with a shared secret (octets). */
struct str jose_mac(struct str secret, struct str head, struct str payload, struct arena *a);

#endif
