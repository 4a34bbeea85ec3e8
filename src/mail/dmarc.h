/* dmarc.h - what a domain wants done with mail in its name that isn't shown to be from it
 * (RFC 7489 6.3). Pure. */
#ifndef HIKYAKU_MAIL_DMARC_H
#define HIKYAKU_MAIL_DMARC_H

#include "base/base.h"

enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT };
struct dmarc_record {
    enum dmarc_policy policy;           /* p */
    enum dmarc_policy subdomain_policy; /* sp; p where it isn't given */
};
/* The text of a TXT record at _dmarc.DOMAIN. False: it isn't a DMARC record. */
bool dmarc_parse(struct str text, struct dmarc_record *out);

#endif
