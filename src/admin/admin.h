/*
 * admin.h - changes to tables and account folders, and the index of accounts that follows them.
 * Only the control role uses it, from one thread; `hikyaku check --repair` does when no server
 * runs.
 *
 * INVARIANTS
 * 1. A change that returns ADMIN_OK is on disk and seen by every role at its next look-up (or
 * admin_index_due says that an index has to go out first).
 * 2. A crash at any moment leaves each table as it was or as it will be; admin_mend completes
 * or takes back what has more than one step.
 * 3. Nothing a person may still want is deleted: removed accounts and domains wait in
 * hikyaku/removed/ and come back by admin_undelete.
 */
#ifndef HIKYAKU_ADMIN_ADMIN_H
#define HIKYAKU_ADMIN_ADMIN_H

#include "users/users.h"

/* Named by results.def; the value is the control protocol's error number. */
enum admin_result {
#define RESULT(name, number, text) ADMIN_##name = (number),
#include "admin/results.def"
#undef RESULT
};
/* The text of a result, English. */
const char *admin_result_text(enum admin_result r);

/* --- the index of accounts --------------------------------------------------------------- */

/* Builds the index and makes it this process's own. *out_fd: the memory file, for the other
 * roles. */
enum rc admin_build_index(int *out_fd, struct users_report *out, struct err *e) CHECK_RESULT;
/* Did a change need more than the present index could take in? Then build and send one. */
bool admin_index_due(void);
/* May a change be made now, or has another program changed a table that isn't read yet? e:
 * which. */
bool admin_is_ready(struct err *e);

/* domains/D/U/.ipconn: the address of the account's last POP3 login; its time is the login's.
 * Nothing happens for an account that isn't in the tables. */
enum rc admin_note_login(struct str domain, struct str user, struct str address,
                         struct err *e) CHECK_RESULT;

/* Notes a good login by a method that needs a password which can be read back, once a day each,
 * in hikyaku/weak-logins.tab: "login" "method" "seconds since 1970". */
#define ADMIN_WEAK_LOGINS "hikyaku/weak-logins.tab"
enum rc admin_note_weak_login(struct str login, struct str method, struct err *e) CHECK_RESULT;

/* --- accounts ---------------------------------------------------------------------------- */

/* e (never NULL) tells the cause when the result is one of a file that couldn't be changed.
 * Texts given are checked: nothing that can't stand in a table or a file's name gets through.
 */
enum admin_result admin_account_add(struct str domain, struct str name, struct str password,
                                    enum account_type type, struct err *e);
/* Could it be added? *out: domain, name and folder as they would be, in a. */
enum admin_result admin_account_may_add(struct str domain, struct str name, struct str password,
                                        struct arena *a, struct account *out, struct err *e);
enum admin_result admin_account_remove(struct str domain, struct str name, struct err *e);
enum admin_result admin_account_password(struct str domain, struct str name,
                                         struct str password, struct err *e);
/* The exact account: ADMIN_OK, ADMIN_NO_DOMAIN or ADMIN_UNKNOWN_USER. */
enum admin_result admin_account_find(struct str domain, struct str name, struct arena *a,
                                     struct account *out);
/* Is the password long enough (PasswordMinLength)? Sets e and returns BAD_PARAMETER if not. */
enum admin_result admin_password_check(struct str password, struct err *e);

/* Variables of user.tab: names and values in pairs; the value ".|rm" removes one. */
enum admin_result admin_vars_set(struct str domain, struct str name, const struct str *pairs,
                                 size_t pair_count, struct err *e);

/* mlusers.tab. perms: R, RW or RA; empty: RW. */
enum admin_result admin_member_add(struct str domain, struct str list, struct str address,
                                   struct str perms, struct err *e);
enum admin_result admin_member_remove(struct str domain, struct str list, struct str address,
                                      struct err *e);

/* --- aliases ----------------------------------------------------------------------------- */

/* target: an account of the domain, or an address; domain and alias may be patterns. */
enum admin_result admin_alias_add(struct str domain, struct str alias, struct str target,
                                  struct err *e);
/* ADMIN_NO_ALIAS when there is no such line. */
enum admin_result admin_alias_remove(struct str domain, struct str alias, struct err *e);
/* local and remote are addresses. */
enum admin_result admin_external_add(struct str local, struct str remote, struct err *e);
enum admin_result admin_external_remove(struct str remote, struct err *e);

/* --- domains ----------------------------------------------------------------------------- */

/* The domain with its folders; in A-labels and lower case. */
enum admin_result admin_domain_add(struct str domain, struct err *e);
/* With all its accounts, aliases, alias domains, links and folders; they can come back. */
enum admin_result admin_domain_remove(struct str domain, struct err *e);
/* alias (a pattern, too) stands for the local domain real. */
enum admin_result admin_alias_domain_add(struct str real, struct str alias, struct err *e);
/* ADMIN_NO_ALIASDOM when there is no such line. */
enum admin_result admin_alias_domain_remove(struct str alias, struct err *e);

/* --- POP3 links -------------------------------------------------------------------------- */

struct admin_link {
    struct str domain, user, server, remote_user; /* empty ones match all, where allowed */
};
enum admin_result admin_link_add(const struct admin_link *link, struct str password,
                                 struct str auth, struct err *e);
enum admin_result admin_link_remove(const struct admin_link *link, struct err *e);
enum admin_result admin_link_enable(const struct admin_link *link, bool on, struct err *e);
/* The file that switches the link off. */
struct str admin_link_switch(const struct admin_link *link, struct arena *a);

/* --- files below the MailRoot ------------------------------------------------------------ */

enum admin_file { ADMIN_FILE_READ, ADMIN_FILE_WRITE, ADMIN_FILE_LIST };
/* The path as we use it: slashes, relative, no step up, no hidden name, no key, no link on the
 * way. */
enum admin_result admin_path(struct str given, enum admin_file what, struct arena *a,
                             struct str *out);
/* The SHA-256 of a text, in hex. */
#define ADMIN_VERSION_BYTES ((size_t)65)
void admin_file_version(struct str text, char out[ADMIN_VERSION_BYTES]);
/* Replaces the file; empty content removes it. version: SHA-256 in hex that the present file
 * must have, "none" when there must be none, else ADMIN_CHANGED; empty: any. */
enum admin_result admin_file_set(struct str path, struct str content, struct str version,
                                 struct err *e);
/* mailproc.tab of the account ('U') or its domain ('D'). */
enum admin_result admin_mailproc_path(struct str domain, struct str name, char whose,
                                      struct arena *a, struct str *out);
/* custdomains/NAME.tab */
enum admin_result admin_custom_path(struct str domain, struct arena *a, struct str *out);

/* --- certificates ------------------------------------------------------------------------ */

/*
 * Where a certificate lies: "server" is the server's own (server.cert, server.key), any other
 * host has tls/HOST/ for clients that ask for its name. A pair is replaced as one, whatever
 * happens meanwhile; ADMIN_BAD_CERTIFICATE with the reason in e changes nothing.
 */
/* Installs certificates of a PEM text; the key is among them, or that of the last request, or
 * the present one. whole: the chain must lead to a known authority. */
enum admin_result admin_tls_install(struct str place, struct str pem, bool whole,
                                    struct err *e);
/* Makes a key, and a certificate that it signs itself; without names, for the place's host. */
enum admin_result admin_tls_self_signed(struct str place, const struct str *names, size_t count,
                                        struct err *e);
/* Makes a key and a request for the names (PKCS #10); the key waits for its certificate. */
enum admin_result admin_tls_request(struct str place, const struct str *names, size_t count,
                                    struct arena *a, struct str *out_pem, struct err *e);
/* The request that waits, empty: none. */
struct str admin_tls_waiting(struct str place, struct arena *a);
/* Removes a certificate of a name, and its key. */
enum admin_result admin_tls_remove(struct str place, struct err *e);
/* A certificate authority into certs.pem; out of it, or out of certs/. */
enum admin_result admin_tls_trust(struct str pem, struct err *e);
enum admin_result admin_tls_distrust(struct str fingerprint, struct err *e);

/*
 * An authority of our own, whose certificates let clients in (SSLWantVerify, SSLWantCert) and
 * may be this server's: hikyaku/authority/. Its key signs here and goes nowhere. What it issued
 * stands in issued.tab, what of it is revoked in crl.
 */
/* Makes it; its name is what people see in its certificate. */
enum admin_result admin_authority_make(struct str name, const struct str *domains, size_t count,
                                       struct err *e);
struct admin_issued {
    struct str serial, kind, name; /* "authority", "client", "server" */
    int64_t begun, ends, revoked;  /* seconds since 1970; revoked 0: it is good */
};
/* The authority first, then what it issued. */
enum admin_result admin_authority_list(struct arena *a, struct admin_issued **out,
                                       size_t *out_count, struct err *e);
/* A new key and certificate for a client: the file for its software, in base64 (a secret, in
 * a). The name is an address of mail; password: 12 octets or more. */
enum admin_result admin_authority_issue(struct str address, struct str password, unsigned days,
                                        struct arena *a, struct str *out, struct err *e);
/* A new key and certificate for a place, as admin_tls_self_signed makes one. */
enum admin_result admin_authority_sign(struct str place, const struct str *names, size_t count,
                                       struct err *e);
/* It counts no more, for connections that begin from now on. */
enum admin_result admin_authority_revoke(struct str serial, struct err *e);

/* --- taking back ------------------------------------------------------------------------- */

/* A removed account or domain. */
struct admin_removed {
    struct str id;   /* the folder in hikyaku/removed/ */
    struct str what; /* "user@domain" or "domain" */
    int64_t when;    /* seconds since 1970 */
};
enum rc admin_removed_list(struct arena *a, struct admin_removed **out, size_t *out_count,
                           struct err *e) CHECK_RESULT;
enum admin_result admin_undelete(struct str id, struct err *e);
/* Deletes for good what was removed more than `age` ago. */
void admin_removed_purge(usec_t age);

/* --- after a crash ----------------------------------------------------------------------- */

/* Completes or takes back changes that a crash interrupted; makes folders of accounts that a
 * power cut left without. Before anything else is changed. */
enum rc admin_mend(struct err *e) CHECK_RESULT;
/* Makes the folder, mailbox and user.tab of every account that lacks one. *out_made: accounts
 * that did. */
enum rc admin_make_missing_folders(size_t *out_made, struct err *e) CHECK_RESULT;
/* Makes the folders of new accounts durable; call now and then. */
void admin_settle(void);

#endif
