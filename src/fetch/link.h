/* link.h - a row of pop3links.tab (specification 1, section 5). */
#ifndef HIKYAKU_FETCH_LINK_H
#define HIKYAKU_FETCH_LINK_H

#include "conf/tab.h"

/* What becomes of the mail. */
enum link_form {
    LINK_ACCOUNT, /* "domain": into that account's mailbox */
    LINK_ADDRESS, /* "@domain": to account@domain, whatever that is */
    LINK_MASK,    /* "?domain,match...": to name@domain for the header's addresses that match */
    LINK_SUFFIX,  /* "&.suffix,match...": to name@itsdomain.suffix */
};
enum link_login {
    LOGIN_CLEAR,     /* CLR: USER and PASS */
    LOGIN_TRY_APOP,  /* APOP, else USER and PASS */
    LOGIN_MUST_APOP, /* FAPOP */
};
enum link_tls { LINK_PLAIN, LINK_TRY_TLS, LINK_MUST_TLS, LINK_IMPLICIT_TLS };

#define LINK_MATCHES_MAX 100u
#define LINK_COLUMNS 6u

struct fetch_link {
    struct str columns[LINK_COLUMNS]; /* as the table has them */
    enum link_form form;
    struct str target;   /* domain, or suffix with its dot; lower case */
    struct str *matches; /* domains */
    size_t match_count;
    struct str host;
    uint16_t port;
    struct str user, password; /* there; in the clear */
    enum link_login login;
    enum link_tls tls;
    bool imap, leave, has_source;
    struct ip source; /* OutBind */
};

/* Columns 0 to 3 say which link it is. */
enum { LINK_DOMAIN, LINK_ACCOUNT_NAME, LINK_SERVER, LINK_USER, LINK_PASSWORD, LINK_OPTIONS };

/* Texts point into a. RC_PERM with the reason. */
enum rc link_parse(const struct str *values, size_t count, struct arena *a,
                   struct fetch_link *out, struct err *e) CHECK_RESULT;
/* "msgsync/SERVER_PORT": where what is known of the source is kept. In a. */
struct str link_folder(const struct fetch_link *l, struct arena *a);
/* Server, port and login, as text in a: links of one source aren't visited at the same time. */
struct str link_source(const struct fetch_link *l, struct arena *a);
/* The recipients that an address of the header stands for. False: it isn't meant. */
bool link_maps(const struct fetch_link *l, struct str address, struct arena *a,
               struct str *out);

#endif
