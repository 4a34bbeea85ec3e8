/* sasl_offer.c - which methods AUTH offers: by the form of passwords, TLS, and settings. */
#include "wire/sasl.h"

#define WITH(scheme) (1u << (scheme))
#define WITH_ALL (WITH(PASSWORD_XMCRYPT) | WITH(PASSWORD_SCRAM) | WITH(PASSWORD_YESCRYPT))

/* In the order in which they are listed. */
static const struct {
    const char *name;
    unsigned schemes; /* 1u << enum password_scheme: what it can work with */
} rows[] = {
    { "SCRAM-SHA-256", WITH(PASSWORD_XMCRYPT) | WITH(PASSWORD_SCRAM) },
    { "CRAM-MD5", WITH(PASSWORD_XMCRYPT) },
    { "PLAIN", WITH_ALL },
    { "LOGIN", WITH_ALL },
};

static bool list_has(struct str list, struct str name)
{
    struct str part, word;
    while (str_cut(&list, ',', &part))
        while (str_cut(&part, ' ', &word))
            if (str_ieq(str_trim(word), name))
                return true;
    return false;
}

bool sasl_may_be_used(const struct sasl_offer *offer, struct str mechanism)
{
    return offer->has_tls || offer->without_tls.p == NULL ||
           list_has(offer->without_tls, mechanism);
}

bool sasl_is_offered(const struct sasl_offer *offer, struct str mechanism)
{
    enum password_scheme scheme = offer->has_scheme ? offer->scheme : PASSWORD_XMCRYPT;
    size_t i = 0;
    while (i < ARRAY_LEN(rows) && !str_ieq(mechanism, str_from_c(rows[i].name)))
        i++;
    return i < ARRAY_LEN(rows) && (rows[i].schemes & WITH(scheme)) != 0 &&
           sasl_may_be_used(offer, mechanism);
}

enum rc sasl_mechanisms(const struct sasl_offer *offer, struct buf *out)
{
    const char *between = "";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool listed = !offer->plain_listed || rows[i].schemes == WITH_ALL;
        if (!listed || !sasl_is_offered(offer, str_from_c(rows[i].name)))
            continue;
        enum rc rc = buf_printf(out, "%s%s", between, rows[i].name);
        if (rc != RC_OK)
            return rc;
        between = " ";
    }
    return RC_OK;
}
