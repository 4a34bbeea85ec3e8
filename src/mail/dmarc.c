/* dmarc.c - "v=DMARC1; p=reject; sp=none": tags and values, blanks around them; the first must
 * be v. Unknown tags are passed over, an unknown policy counts as none. RFC 7489 6.3 */
#include "mail/dmarc.h"

static enum dmarc_policy policy_of(struct str value)
{
    return str_ieq(value, STR("reject"))       ? DMARC_REJECT
           : str_ieq(value, STR("quarantine")) ? DMARC_QUARANTINE
                                               : DMARC_NONE;
}

bool dmarc_parse(struct str text, struct dmarc_record *out)
{
    struct str rest = text, tag, name;
    struct dmarc_record r = { .policy = DMARC_NONE };
    bool first = true, has_sp = false, has_p = false;
    while (rest.p != NULL && str_cut(&rest, ';', &tag)) {
        if (str_trim(tag).n == 0)
            continue;
        struct str value = tag;
        if (!str_cut(&value, '=', &name) || value.p == NULL)
            return false;
        name = str_trim(name);
        value = str_trim(value);
        if (first && (!str_ieq(name, STR("v")) || !str_eq(value, STR("DMARC1"))))
            return false;
        first = false;
        if (str_ieq(name, STR("p")) && !has_p) {
            r.policy = policy_of(value);
            has_p = true;
        } else if (str_ieq(name, STR("sp")) && !has_sp) {
            r.subdomain_policy = policy_of(value);
            has_sp = true;
        }
    }
    if (!has_sp)
        r.subdomain_policy = r.policy;
    *out = r;
    return !first;
}
