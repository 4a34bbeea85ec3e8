/* objects.h - what an ACME server says (RFC 8555 7.1), read with care: it is foreign. */
#ifndef HIKYAKU_ACME_OBJECTS_H
#define HIKYAKU_ACME_OBJECTS_H

#include "base/base.h"

#define ACME_NAMES_MAX 100u
#define ACME_TOKEN_MAX 256u

enum acme_status {
    ACME_PENDING,
    ACME_READY,
    ACME_PROCESSING,
    ACME_VALID,
    ACME_INVALID, /* and all others */
};

struct acme_directory {
    struct str new_nonce, new_account, new_order; /* URLs */
    struct str terms;                             /* may be empty */
    bool wants_external_account;
};
struct acme_order {
    enum acme_status status;
    struct str authorizations[ACME_NAMES_MAX], finalize; /* URLs */
    struct str certificate;                              /* when it is valid */
    size_t authorization_count;
    struct str why; /* when it is invalid */
};
/* An authorization, and its challenge of the type asked for. */
struct acme_authorization {
    enum acme_status status;
    struct str name;
    bool wildcard;
    struct str url, token; /* empty: it isn't offered */
    struct str why;        /* when it is invalid */
};

/* NULL, or what is wrong with the text. Texts are in a. */
const char *acme_read_directory(struct str text, struct arena *a, struct acme_directory *out);
const char *acme_read_order(struct str text, struct arena *a, struct acme_order *out);
const char *acme_read_authorization(struct str text, const char *type, struct arena *a,
                                    struct acme_authorization *out);
/* A problem (RFC 7807) as a line for people; *out_type: its type without what all have in front
 * ("badNonce"). */
struct str acme_read_problem(struct str text, struct arena *a, struct str *out_type);

/* Characters of base64url, at least one. */
bool acme_is_token(struct str s);

#endif
