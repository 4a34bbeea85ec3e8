/* address.h - mail addresses and SMTP paths (RFC 5321 4.1.2, RFC 6531 3.3). Pure. */
#ifndef HIKYAKU_MAIL_ADDRESS_H
#define HIKYAKU_MAIL_ADDRESS_H

#include "base/base.h"

/* A checked address. local is unquoted; domain is lower case, A-labels, or an address literal
 * in brackets, or empty (bare <postmaster>). Both live in the arena of the parser. */
struct address {
    struct str local;
    struct str domain;
    bool is_null;    /* <> */
    bool needs_utf8; /* local part or domain as given had non-ASCII octets */
};

enum address_rule {
    ADDRESS_STRICT = 0,
    ADDRESS_LOOSE_DOTS = 1u << 0, /* SMTPLocalRule1: dots and symbols anywhere */
    ADDRESS_QUOTED = 1u << 1,     /* quoted local parts (RFC 5321; SMTPLocalRule2) */
    ADDRESS_UTF8 = 1u << 2,       /* RFC 6531 */
};

/* "local@domain" as a whole. RC_PERM with reason and 5.1.3 (or 5.1.7 as the caller overrides);
 * 5.6.7 when it isn't ASCII and ADDRESS_UTF8 isn't given. Control characters are refused under
 * all rules. */
enum rc address_parse(struct str s, unsigned rules, struct arena *a, struct address *out,
                      struct err *e) CHECK_RESULT;
/*
 * The path at the start of s: "<local@domain>", "<>", "<@a,@b:local@domain>" (the source route
 * is dropped, RFC 5321 4.1.1.3 and appendix C), "<postmaster>". *out_rest: what follows. Blanks
 * before
 * "<" and a missing pair of brackets are taken where unambiguous.
 */
enum rc address_parse_path(struct str s, unsigned rules, struct arena *a, struct address *out,
                           struct str *out_rest, struct err *e) CHECK_RESULT;
/* "local@domain" with the local part quoted where RFC 5321 needs it; "" for the null path.
 * address_parse_path takes "<" this ">" back under the rules that the address came with. */
struct str address_print(const struct address *addr, struct arena *a);
/* The same as XMail writes it: without quotes where nothing in the local part can be taken for
 * something else. */
struct str address_print_bare(const struct address *addr, struct arena *a);
bool address_eq(const struct address *x, const struct address *y);
/* A domain name: length, LDH labels, IDNA (2008, non-transitional) to A-labels in lower case.
 * Underscores are taken, as old tables have them; an address takes them in its domain with
 * ADDRESS_LOOSE_DOTS only. */
enum rc domain_parse(struct str s, bool utf8_ok, struct arena *a, struct str *out,
                     struct err *e) CHECK_RESULT;

#endif
