/*
 * options.h - every setting once: server.tab variables are the rows of options.def,
 * command-line switches those of switches.def, user.tab variables those of user_options.def;
 * the structs, parsers, checks, the manual and the sample file come from the rows.
 */
#ifndef HIKYAKU_CONF_OPTIONS_H
#define HIKYAKU_CONF_OPTIONS_H

#include "base/base.h"
#include "conf/tab.h"
#include "sys/tls.h"

/* How passwords are stored (specification 1, section 3; users/password.c). */
enum password_scheme { PASSWORD_XMCRYPT, PASSWORD_SCRAM, PASSWORD_YESCRYPT };

/* Was the MailRoot made by `hikyaku init` (safe defaults) or by XMail (its own)? From
 * hikyaku/marker. */
enum conf_origin { CONF_TAKEN_OVER, CONF_NEW };

/* server.tab as it was when the server started. */
#define CONF_STARTED_PATH "hikyaku/started.tab"

#define SERVICE_BINDS_MAX 16

/* Where and how one service listens. */
struct service_options {
    const char *name; /* "smtp" ... */
    bool off, ipv6, log;
    uint16_t port; /* where a bind gives none */
    struct service_bind {
        struct ip ip;
        uint16_t port;
    } binds[SERVICE_BINDS_MAX];
    size_t bind_count;     /* 0: all addresses */
    unsigned timeout_s;    /* 0: not given */
    unsigned max_sessions; /* 0: not given */
};

enum ip_families { FAMILIES_IPV4, FAMILIES_IPV6, FAMILIES_BOTH };

#define OPTION_TYPE_BOOL bool
#define OPTION_TYPE_INT int64_t
#define OPTION_TYPE_KB uint64_t
#define OPTION_TYPE_SECONDS usec_t
#define OPTION_TYPE_TEXT struct str /* p is NULL when not set */
#define OPTION_TYPE_LISTEN struct str
#define OPTION_TYPE_SCHEME enum password_scheme

struct options {
#define OPT(member, name, kind, xmail, fresh, least, most, when, state, group, en, ja)         \
    OPTION_TYPE_##kind member;
#include "conf/options.def"
#undef OPT
#define SERVICE(letter, member, name, port, listen, en) struct service_options member;
#include "conf/switches.def"
#undef SERVICE
    enum conf_origin origin;
    bool password_scheme_set;  /* else as XMail does */
    bool store_maildir;        /* -MM, -Mm: what a new account gets */
    bool debug;                /* -Md */
    bool delivery_log;         /* -Ql */
    bool filter_log;           /* -Qg */
    bool lmail_log, lmail_off; /* -Ll, -L- */
    int64_t lmail_s;           /* -Lt */
    bool fetch_log, fetch_off; /* -Yl, -Y- */
    enum ip_families families;
    bool ipv6_first; /* -M7 */
    /* -Qt, -Qi, -Qr: XMail's schedule of retries instead of ours */
    bool xmail_retries;
    int64_t xmail_retry_s, xmail_retry_ratio, xmail_retry_max;
    usec_t pop3_bad_login_delay; /* LoginDelay or -Pw */
    bool pop3_hang_up;           /* -Ph */
    /* SmtpConfig-IP and SmtpConfig-IP,PORT */
    struct listener_flags {
        struct str ip, port, flags;
    } * listener_flags;
    size_t listener_flag_count;
    struct arena mem;      /* of the texts above */
    struct options *older; /* snapshots are kept for ever */
};

/* user.tab of one account. */
struct user_options {
    uint64_t max_mb_size;      /* KB, 0: no limit */
    uint64_t max_message_size; /* KB, 0: no limit of its own */
    struct str smtp_perms;
    bool max_message_size_set, smtp_perms_set;
    bool receive_enable, pop_enable, disable_emit_auth_user, pop3_scan_cur;
    /* Of a mailing list. */
    bool closed_ml, use_reply_to;
    struct str real_name, list_sender, list_moderators, list_tag;
    uint64_t list_moderation;   /* of enum list_moderation */
    uint64_t list_from_rewrite; /* of enum list_from_rewrite */
};
enum list_from_rewrite {
    FROM_STAYS,
    FROM_BY_POLICY, /* is the list's when the author's domain asks for it (DMARC) */
    FROM_IS_LIST,
};
enum list_moderation {
    MODERATE_NOTHING,
    MODERATE_OTHERS, /* what the list would refuse is held instead */
    MODERATE_ALL,
};

/* --- the settings in force --------------------------------------------------------------- */

/* Never NULL after options_load; a snapshot stays valid for ever. Any thread. */
const struct options *conf(void);

/* Reads server.tab of the MailRoot that is the working directory plus the command line given
 * before, and makes it the settings in force. A bad value is reported in the log, and its
 * default used. RC_TEMP: server.tab can't be read. */
enum rc options_load(struct err *e) CHECK_RESULT;
/* Looks whether server.tab changed (at most every 200 ms, once it has been still as long) and
 * takes over what is LIVE. True when something changed. */
bool options_refresh(void);
enum conf_origin conf_origin_read(void);

/* The flags of SmtpConfig for a listener: SmtpConfig-IP,PORT, else SmtpConfig-IP, else
 * SmtpConfig. */
struct str options_smtp_flags(const struct options *o, const struct ip *ip, uint16_t port);

/* Whose certificates are believed: SSLUseCertsFile, SSLUseCertsDir, as far as certs.pem and
 * certs/ are there, and our own authority. */
struct tls_trust options_tls_trust(const struct options *o);
bool tls_trust_eq(const struct tls_trust *x, const struct tls_trust *y);

/* How this server calls itself: SmtpServerDomain, else RootDomain. */
struct str options_server_name(void);
/* ReportLanguage ("en", "ja", and "ja:example.jp" for a domain): is what people of this domain
 * are told written in Japanese? */
bool options_report_in_japanese(struct str domain);

/* --- the command line -------------------------------------------------------------------- */

/* argv without the program's name; the words of MAIL_CMD_LINE are appended. RC_PERM with the
 * switch named when one is unknown or its value is bad. Before options_load. */
enum rc options_command_line(int argc, char **argv, struct err *e) CHECK_RESULT;
/* The words taken, for handing them to a role process. */
size_t options_command_words(const char *const **out_words);
/* -Ms, else MAIL_ROOT, else /var/MailRoot. */
const char *options_mailroot(void);

/* --- rows, for check, the manual and tests ----------------------------------------------- */

enum option_kind {
    OPTION_BOOL,
    OPTION_INT,
    OPTION_KB,
    OPTION_SECONDS,
    OPTION_TEXT,
    OPTION_LISTEN,
    OPTION_SCHEME
};
enum option_when { OPTION_LIVE, OPTION_RESTART };
/* NEEDLESS: taken, and without effect on purpose; the row's text says why. */
enum option_state { OPTION_OBEYED, OPTION_NEEDLESS };

struct option_row {
    const char *name;
    enum option_kind kind;
    const char *xmail, *fresh; /* defaults; NULL: not set */
    int64_t least, most;       /* of INT and SECONDS */
    enum option_when when;
    enum option_state state;
    const char *group, *en, *ja;
    size_t offset; /* in struct options */
};
const struct option_row *options_rows(size_t *out_count);
/* The row of a variable (known misspellings too), or NULL. */
const struct option_row *options_row(struct str name);
/* Is the text a value for the row? RC_PERM with the reason. */
enum rc options_check_value(const struct option_row *row, struct str text,
                            struct err *e) CHECK_RESULT;
/* Where a Listen- variable's or -?I switch's text says to listen; a bind's port is 0 where the
 * text gives none. RC_PERM with the reason. */
enum rc options_parse_binds(struct str text, struct service_options *s,
                            struct err *e) CHECK_RESULT;

/* One row of user_options.def. */
enum user_var_kind {
    USER_VAR_BOOL,
    USER_VAR_KB,
    USER_VAR_THREE,
    USER_VAR_TEXT,
    USER_VAR_RIGHTS
};
struct user_row {
    const char *name;
    enum user_var_kind kind;
    const char *whose; /* U: accounts, M: mailing lists */
    const char *fresh; /* what counts when it is missing; NULL: a setting of server.tab */
    const char *en, *ja;
};
/* Row i, NULL behind the last. */
const struct user_row *user_options_row(size_t i);
/* user.tab's rows into out; missing or bad ones have XMail's defaults. */
void user_options_parse(const struct tab *tab, struct user_options *out);
/* Is the variable one of user.tab's, and the text a value for it? RC_PERM with the reason. */
enum rc user_options_check(struct str name, struct str value, struct err *e) CHECK_RESULT;

/* The table of variables in mdoc for the manual, and a commented server.tab. */
void options_print_mdoc(struct buf *out);
void options_print_sample(struct buf *out, bool japanese);

#endif
