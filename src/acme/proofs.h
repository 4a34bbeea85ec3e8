/* proofs.h - inside acme/, at home: what answers an authority's challenges. */
#ifndef HIKYAKU_ACME_PROOFS_H
#define HIKYAKU_ACME_PROOFS_H

#include "acme/objects.h"
#include "process/process.h"

struct proof {
    struct str name;         /* that is proved */
    struct str token, proof; /* http-01: the file's name and content */
    struct str value;        /* dns-01: of the TXT record; SHA-256 of proof in base64url */
};
/* What relay sent, checked: names are among those ordered. NULL, or what is wrong. In a. */
const char *proofs_read(struct str text, const struct str *names, size_t name_count,
                        struct arena *a, struct proof **out, size_t *out_count);
/* Puts up files for "http-01" or "tls-alpn-01". */
enum rc proofs_put(const char *challenge, const struct proof *list, size_t count,
                   struct err *e) CHECK_RESULT;
/* Takes all files down. */
void proofs_clear(void);
/* The first line of acmedns.tab, in a; RC_PERM: there is none that can be used. */
enum rc proofs_dns_line(struct arena *a, struct program_line *out, struct err *e) CHECK_RESULT;
/* The macros for it: ACTION (add, remove), NAME (of the record), VALUE. */
enum rc proofs_dns_macros(const struct proof *p, bool add, struct buf *out) CHECK_RESULT;

#endif
