/*
 * users.h - domains, accounts, aliases, passwords, rights, access tables of one MailRoot.
 * The index of accounts is one sealed memory file, built by the control role and mapped
 * read-only by the others; everything else is read from its table when it changes.
 */
#ifndef HIKYAKU_USERS_USERS_H
#define HIKYAKU_USERS_USERS_H

#include "base/base.h"
#include "conf/options.h"
#include "mail/address.h"

/* --- the index --------------------------------------------------------------------------- */

enum account_type { ACCOUNT_USER = 'U', ACCOUNT_LIST = 'M' };

struct users_report {
    size_t domains, accounts, aliases, alias_domains, problems;
    size_t memory_bytes;
};
/* Reads domains.tab, aliasdomain.tab, mailusers.tab, aliases.tab (extaliases.tab, cmdaliases
 * and custdomains are looked up where they lie) and makes a sealed memory file. Problems are
 * logged once each. A table that is missing or unreadable is noted in the index, so that a miss
 * is temporary. */
enum rc users_index_build(int *out_fd, struct users_report *out, struct err *e) CHECK_RESULT;
/*
 * True when one of those tables changed (and counts, tab_is_settled)
 * since this process built or got its index. A table that shrank by half counts after 2 s, an
 * optional one that is missing after 60 s, a required or unreadable one never: the old index
 * goes on, with temporary failures for what it doesn't know. One thread; call often.
 */
bool users_index_is_stale(void);
/* Has a table another identity than the index knows, still or not? e (may be NULL): which. */
bool users_index_differs(struct err *e);

/*
 * Changes by the control role, just after it wrote the table: every role sees them at its next
 * look-up. RC_AGAIN: that can't be put into this index (no room, a wildcard, a new domain);
 * build it anew.
 */
enum rc users_index_put_account(struct str domain, struct str name, struct str password,
                                uint32_t id, struct str folder,
                                enum account_type type) CHECK_RESULT;
enum rc users_index_drop_account(struct str domain, struct str name) CHECK_RESULT;
enum rc users_index_put_alias(struct str domain, struct str alias,
                              struct str target) CHECK_RESULT;
enum rc users_index_drop_alias(struct str domain, struct str alias) CHECK_RESULT;
/* The table's present version is what the index says: it isn't stale because of it. Tables that
 * the index isn't made of are ignored. */
enum rc users_index_note_written(const char *path, struct err *e) CHECK_RESULT;
/* An id that no account has; 0: none is left. */
uint32_t users_index_next_id(void);

/* Maps the index in fd (which is then closed) and makes it the current one of this process.
 * Look-ups under way finish with the old one. */
enum rc users_index_use(int fd, struct err *e) CHECK_RESULT;
void users_close(void);

/* --- look-ups (any thread; results are copies in `a`) ------------------------------------ */

struct account {
    struct str domain, name; /* as the tables write them */
    struct str password;     /* stored form */
    struct str folder;       /* "domains/DOMAIN/DIR" */
    uint32_t id;
    enum account_type type;
};

enum recipient_kind {
    RECIPIENT_REMOTE,     /* not a domain of ours */
    RECIPIENT_ACCOUNT,    /* a local user */
    RECIPIENT_LIST,       /* a mailing list */
    RECIPIENT_CMDALIAS,   /* cmdaliases/DOMAIN/USER.tab */
    RECIPIENT_CUSTDOMAIN, /* custdomains/... */
    RECIPIENT_EXTERNAL,   /* an alias that leads to a remote address (or one that needs another
                             look-up) */
    RECIPIENT_UNKNOWN,    /* a local domain, no such user */
};
struct recipient {
    enum recipient_kind kind;
    struct account account; /* ACCOUNT, LIST */
    /* EXTERNAL: the address. CMDALIAS: the file is cmdaliases/target.domain/target.local.tab.
     * CUSTDOMAIN: target.local as given; the file is custdomains/target.domain.tab, where
     * target.domain is the domain, ".parent", or empty. */
    struct address target;
    bool via_alias;
};
/*
 * What an address in RCPT TO means (specification 1, section 2: aliases.tab; 6, items 7 and 8).
 * Bare <postmaster> is PostMaster's address; postmaster@local-domain always resolves (to
 * PostMaster unless an account or alias says otherwise; RFC 5321 4.5.1). user+tag is user when
 * the option RecipientDelimiter is set and user+tag itself isn't known. RC_TEMP: a table is
 * missing or suspect.
 */
enum rc users_resolve(const struct address *to, struct arena *a, struct recipient *out,
                      struct err *e) CHECK_RESULT;
/* Where a queue entry for the address leads now: the account's or list's own address, what an
 * alias stands for elsewhere, else (also while that isn't known) the address itself. In a. */
struct address users_meaning(const struct address *to, struct arena *a);
bool users_domain_is_local(struct str domain);
/* The exact entries of the tables, for changing them: no aliases, alias domains or tags. */
bool users_domain_find(struct str domain, struct arena *a, struct str *out_name);
bool users_account_find(struct str domain, struct str name, struct arena *a,
                        struct account *out);
bool users_alias_find(struct str domain, struct str alias, struct arena *a);
/* Calls fn for each account, in the tables' order, until it returns false. The texts are valid
 * during the call. */
typedef bool users_walk_fn(void *ctx, struct str domain, struct str name,
                           enum account_type type);
void users_walk(users_walk_fn *fn, void *ctx);

/* The account a login name means: "user@domain", "user:domain", or "user" in default_domain; a
 * domain alias works, an alias of the user doesn't (6, item 31). RC_PERM: none. Lists can't log
 * in. */
enum rc users_login(struct str login, struct str default_domain, struct arena *a,
                    struct account *out, struct err *e) CHECK_RESULT;
/* What the tries of a login are counted for: "name@domain" of the account that it means, as the
 * tables write it. False: it means none; *out is the login. In a. */
bool users_login_name(struct str login, struct str default_domain, struct arena *a,
                      struct str *out);
/* The domain of ours that a login name is in, as the tables write it, whether or not somebody
 * has the name. */
bool users_login_domain(struct str login, struct str default_domain, struct arena *a,
                        struct str *out);
/* May this account use `from` as its sender: itself, its aliases, alias domains, external
 * aliases, and the null sender (RFC 8098 3: receipts that a mail program sends)? */
bool users_may_send_as(const struct account *account, const struct address *from,
                       struct arena *a);
/* extaliases.tab: the local address that stands for ext, else false. */
bool users_external_alias(const struct address *ext, struct arena *a,
                          struct address *out_local);

/* user.tab of the account (missing variables: XMail's defaults). RC_TEMP: unreadable. */
enum rc users_options(const struct account *account, struct arena *a, struct user_options *out,
                      struct err *e) CHECK_RESULT;
/* The groups of an account that are in force on that day (base/day.h), by id, as
 * groupmembers.tab has them, in a; further ones don't count. How many. */
#define USERS_GROUPS_MAX 8u
size_t users_groups(const struct account *account, struct str today, struct arena *a,
                    struct str out[USERS_GROUPS_MAX]);
/* Could it be the id of a group: lower case letters, digits, "-" behind the first? */
#define USERS_GROUP_ID_MAX 40u
bool users_group_id_is_good(struct str id);

/* The tables whose commands are meant for what an address means, in their order, below the
 * MailRoot. How many. In a. */
#define USERS_COMMAND_TABLES (2u + USERS_GROUPS_MAX)
size_t users_command_tables(const struct recipient *who, struct arena *a,
                            struct str out[USERS_COMMAND_TABLES]);
/* Does its own or its domain's mailproc.tab, or a group, ask for more than the mailbox? */
bool users_needs_processing(const struct account *account, struct arena *a);

/* --- passwords (specification 1, section 3) ---------------------------------------------- */

/*
 * The stored forms; enum password_scheme is in conf/options.h.
 * XMCRYPT   each octet XOR 101, in hex
 * SCRAM     {SCRAM-SHA-256}ITERATIONS,SALT,STOREDKEY,SERVERKEY (the last three base64), RFC
 * 5802 and 7677; the same text as Dovecot's scheme of that name YESCRYPT  {YESCRYPT}$y$... or
 * {CRYPT}$... or $...: crypt(5), any method libxcrypt knows
 */
enum password_scheme password_scheme_of(struct str stored);
/* The stored form of `clear` (SASLprep for SCRAM). */
enum rc password_make(enum password_scheme scheme, struct str clear, struct arena *a,
                      struct str *out, struct err *e) CHECK_RESULT;
/* Constant time in the comparison. A malformed stored form matches nothing. */
bool password_matches(struct str stored, struct str clear);
/* Spends the time password_matches would, for unknown users. */
void password_waste(enum password_scheme scheme, struct str clear);
/* The clear text of an XMCrypt value; false for other schemes. */
bool password_clear(struct str stored, struct arena *a, struct str *out);
struct scram_keys {
    unsigned iterations;
    struct str salt; /* octets */
    uint8_t stored_key[32], server_key[32];
};
/* From a SCRAM or XMCRYPT value (computed then). False when there are none. */
bool password_scram_keys(struct str login, struct str stored, struct arena *a,
                         struct scram_keys *out);

/*
 * Logins by APOP, CRAM-MD5 or CTRL's MD5, which end when passwords are stored better:
 * `hikyaku passwords` names them. fn is called for each good one, by any thread; one a process,
 * before any login.
 */
typedef void users_weak_login_fn(struct str login, const char *method);
void users_on_weak_login(users_weak_login_fn *fn);
void users_weak_login(struct str login, const char *method);

/* --- access by client address ------------------------------------------------------------ */

/*
 * smtp.ipmap.tab, pop3.ipmap.tab ...: the matching line with the highest precedence decides
 * (DENY among equals); no line: allowed; a table that can't be read: not allowed.
 * path: "smtp.ipmap.tab" or "domains/D/U/pop3.ipmap.tab". *out_line: 0 when no line matched.
 */
bool access_is_allowed(const char *path, const struct ip *client, unsigned *out_line);
/* smtprelay.tab: "ip" "netmask". *out_line: the line that matched. */
bool access_may_relay(const struct ip *client, unsigned *out_line);

#endif
