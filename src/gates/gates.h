/*
 * gates.h - who may connect, send and relay by SMTP: the decisions, without the session. The
 * SMTP server runs them for its clients, `hikyaku explain` for a client that isn't there. Their
 * order is that of the rows of gates.def.
 */
#ifndef HIKYAKU_GATES_GATES_H
#define HIKYAKU_GATES_GATES_H

#include "users/users.h"

enum gate_stage { GATE_CONNECT, GATE_MAIL, GATE_RCPT };

enum gate_action {
    GATE_PASS,   /* nothing is said against it */
    GATE_NOTE,   /* properties or a login were noted for the gates below */
    GATE_SLOW,   /* go on, with a delay after each command */
    GATE_AUTH,   /* go on; only who authenticates may send */
    GATE_REFUSE, /* the reply is in the decision; at CONNECT: and close */
};

/* Rights after AUTH: the letters of SmtpPerms. */
enum smtp_right {
    RIGHT_MAIL = 1u << 0,   /* M: send */
    RIGHT_RELAY = 1u << 1,  /* R: to remote recipients */
    RIGHT_VRFY = 1u << 2,   /* V */
    RIGHT_ETRN = 1u << 3,   /* T */
    RIGHT_SIZE = 1u << 4,   /* Z: no size limit */
    RIGHT_NO_TLS = 1u << 5, /* S: WantTLS doesn't count */
};
unsigned smtp_rights_parse(struct str letters);
/* The rights of an account: SmtpPerms of its user.tab, else DefaultSmtpPerms. */
unsigned smtp_rights_of(const struct user_options *uo);

/* Properties of clients: smtp.ipprop.tab. */
enum gate_property {
    PROPERTY_WHITE_LIST = 1u << 0,
    PROPERTY_EASE_TLS = 1u << 1,
    PROPERTY_ANY_SENDER_DOMAIN = 1u << 2, /* SenderDomainCheck=0 */
    PROPERTY_NO_AUTH = 1u << 3,
    PROPERTY_VRFY = 1u << 4,
    PROPERTY_ETRN = 1u << 5,
};

/* One row of gates.def. */
struct gate {
    const char *name;
    enum gate_stage stage;
    bool white_skips;
    const char *source, *en, *ja;
};
const struct gate *gates_rows(size_t *out_count);

/* What a gate says. Texts live as long as the settings in force, or in the subject's tmp. */
struct gate_decision {
    const struct gate *gate;
    enum gate_action action;
    const char *source; /* the table or setting that decided */
    unsigned line;      /* of the table; 0: none */
    struct str detail;  /* what it noted, for people */
    uint16_t delay_s;   /* GATE_SLOW */
    const char *code;   /* GATE_REFUSE: "550 5.7.1" */
    struct str text;
    const char *status; /* in XMail's log; NULL: none */
};
/* "spammers.tab:17", or "SmtpConfig": names a decision in logs, traces and `explain`. In a. */
struct str gate_decision_id(const struct gate_decision *d, struct arena *a);

/* What gates want to know from the DNS. */
enum gate_question {
    GATE_ASK_REVERSE, /* name: below in-addr.arpa or ip6.arpa */
    GATE_ASK_LISTED,  /* name: the address at a list */
    GATE_ASK_MAILER,  /* name: a domain: does it take mail? */
};
enum gate_answer {
    GATE_UNASKED,
    GATE_UNKNOWN, /* no answer in time, or none that can be believed */
    GATE_NO,
    GATE_YES,       /* of a reverse name: it doesn't lead back */
    GATE_CONFIRMED, /* it does; the name comes along */
};
struct gate_wish {
    enum gate_question question;
    struct str name;
    unsigned list; /* GATE_ASK_LISTED: which of CustMapsList */
};
#define GATE_LISTS_MAX 16u
#define GATE_WISHES_MAX (GATE_LISTS_MAX + 1)

/* What gates noted about a client, for the gates of later stages. */
struct gate_memory {
    unsigned properties;     /* of enum gate_property */
    uint16_t delay_s;        /* after each command */
    const char *auth_source; /* who may send only after AUTH: the table; NULL: all */
    unsigned auth_line;
    uint8_t reverse, mailer; /* of enum gate_answer */
    uint16_t listed;         /* a bit for each of CustMapsList that has the client */
    unsigned name_properties, name_line; /* of the client's name, by smtp.hnprop.tab */
};

/* A client as far as it is known; `explain` fills it by hand. */
struct gate_subject {
    struct gate_memory *memory;
    struct arena *tmp;
    struct ip client, server;
    uint16_t server_port;
    bool is_submission; /* users hand in mail here */
    bool has_tls, auth_offered;
    /* Who logged in; gates may note a login by POP3 here. */
    bool has_login, has_account, by_pop3;
    struct account account;
    struct str login_name; /* without an account */
    unsigned rights;
    const struct address *from;        /* from GATE_MAIL on */
    const struct recipient *recipient; /* GATE_RCPT: what its address means */
};

/* Called for each gate that was passed, before the next one. */
typedef void gate_seen_fn(void *ctx, const struct gate_decision *d);

/* Once, before the first client. */
void gates_init(void);
/* Runs the gates of a stage until one refuses; *out is its decision. seen may be NULL. Any
 * thread. */
enum gate_action gates_run(enum gate_stage stage, struct gate_subject *s, gate_seen_fn *seen,
                           void *ctx, struct gate_decision *out);
/* What the gates of the stage would like to know first; names in the subject's tmp. How many.
 */
size_t gates_want(enum gate_stage stage, const struct gate_subject *s,
                  struct gate_wish out[GATE_WISHES_MAX]);
/* An answer; text: the client's name. Without one, or with GATE_UNKNOWN, the gate lets pass. */
void gates_learn(struct gate_memory *m, const struct gate_wish *w, enum gate_answer is,
                 struct str text);
/* "WhiteList EaseTLS", in a. */
struct str gate_properties_print(unsigned properties, struct arena *a);

#endif
