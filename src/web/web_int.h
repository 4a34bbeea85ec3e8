/* web_int.h - inside web/. */
#ifndef HIKYAKU_WEB_WEB_INT_H
#define HIKYAKU_WEB_WEB_INT_H

#include "users/delegate.h"
#include "web/web.h"
#include "wire/http.h"
#include <jansson.h>

/* --- who asks ----------------------------------------------------------------------------- */

/* What a route demands, and what an administrator or a token may do; each includes those
 * before. */
enum right { RIGHT_NONE, RIGHT_READ, RIGHT_WRITE, RIGHT_OWNER };

/* Who a request comes from. */
struct identity {
    struct str name; /* of the administrator; empty: nobody */
    enum right right;
    const struct delegate *delegate; /* of some domains only; NULL: of all */
    bool by_token;                   /* else by cookie */
    struct str token, areas;         /* its id, and what it is for; empty: everything */
    bool confirmed;                  /* gave the password within the last minutes */
    uint64_t sign_in;                /* names it in lists; 0 for tokens */
};

/* --- requests ----------------------------------------------------------------------------- */

#define WEB_PARAMS_MAX 4

struct web;
typedef void web_fn(struct web *w);

enum route_flag {
    ROUTE_CONFIRM = 1u << 0,  /* dangerous: the password must have been given lately */
    ROUTE_ANY_TYPE = 1u << 1, /* its body needn't be JSON */
    ROUTE_PIECES = 1u << 2,   /* a long list: in pieces, by search, offset and limit */
    ROUTE_PERSON = 1u << 3,   /* not for tokens */
    /* Administrators of some domains have routes with one of these, and no others. */
    ROUTE_OWN = 1u << 4,      /* about who asks, or about nobody */
    ROUTE_IN_PATH = 1u << 5,  /* {domain} must be theirs */
    ROUTE_IN_BODY = 1u << 6,  /* the body's domain must be theirs */
    ROUTE_NARROWED = 1u << 7, /* its list has what is of their domains */
    ROUTE_ANYWHERE = 1u << 8, /* for all addresses, whatever http.ipmap.tab says */
};

/* One row a route. The OpenAPI document, the check of rights and its test come from the rows.
 */
struct route {
    const char *method, *pattern; /* "/api/v1/users/{domain}" */
    web_fn *run;
    enum right right;
    unsigned flags;
    size_t body_max;
    const char *summary;
    const char *query; /* "name: meaning; name: meaning" of the query's parameters; or NULL */
    const char *body;  /* the same of the body's members; or NULL */
    const char *words, *columns; /* of api_command (command.c) */
};
extern const struct route web_routes[];
extern const size_t web_route_count;
/* The route of method and path, its parameters decoded into params. *out_path_known: another
 * method has one. */
const struct route *web_route_find(struct str method, struct str path, struct arena *a,
                                   struct str params[WEB_PARAMS_MAX], bool *out_path_known);

/* One connection. */
struct web {
    struct http_session h; /* first */
    const struct route *route;
    struct str params[WEB_PARAMS_MAX];
    struct identity who;
    struct ip client; /* behind a trusted proxy: whom it names */
    bool secure;      /* the client's connection is encrypted */
    json_t *body;     /* of the request */
    void *kept;       /* of a handler whose answer is made in pieces */
    void (*free_kept)(void *kept);
};

static inline struct web *web_of(struct http_session *h)
{
    return CONTAINER_OF(h, struct web, h);
}
/* Memory until the answer is sent. */
static inline struct arena *web_mem(struct web *w)
{
    return &w->h.s.tmp;
}

/* --- answers (reply.c) -------------------------------------------------------------------- */

/* Answers with the value, which it takes. */
void web_json(struct web *w, unsigned status, json_t *value);
/* {"error": code, "detail": text}: code is a word for programs, the text English for people. */
void web_fail(struct web *w, unsigned status, const char *code, const char *fmt, ...)
    PRINTF(4, 5);
/* The same with 422, for what was asked: values (taken) tells what the text is about by member,
 * so that pages say it in their reader's language; "kind" among them chooses between texts. */
void web_refuse(struct web *w, const char *code, json_t *values, const char *fmt, ...)
    PRINTF(4, 5);
/* The reason of e. */
void web_trouble(struct web *w, const struct err *e);
/* Text whose charset shows by itself. */
json_t *web_str(struct str s);
/* "UTF-8", "EUC-JP" or "CP932": what the octets of an old table are, as far as they show. */
const char *web_charset(struct str text);
/* Text in that charset; octets that mean nothing in it become U+FFFD. */
json_t *web_text(struct str s, const char *charset);

/* --- what was asked ----------------------------------------------------------------------- */

/* A text member of the body; false (answered): missing, not text, or with control characters.
 */
bool web_member(struct web *w, const char *name, struct str *out);
/* The same; empty when it isn't there. */
bool web_member_or_empty(struct web *w, const char *name, struct str *out);
/* A number of the query, or `otherwise`; never above most. */
uint64_t web_query_number(struct web *w, const char *name, uint64_t otherwise, uint64_t most);
struct str web_query(struct web *w, const char *name);

/* --- the control role (link.c) ------------------------------------------------------------ */

/* What a command was answered. */
struct control_answer {
    bool ok;
    unsigned code;    /* "+00100" is 100 */
    struct str text;  /* of the reply line */
    struct buf lines; /* of a list, as they came, LF between; else empty */
};
/* On whose behalf a command is carried out; what is answered lives in mem. */
struct link_by {
    struct str name;
    const struct ip *client;
    struct arena *mem;
};
/* Opens no more than a few connections, kept for later. */
void link_init(const struct web_hooks *hooks);
void link_free(void);
/*
 * Carries out one command on behalf of `who`; upload (p NULL: none) is sent when the command
 * asks for lines. RC_TEMP: the control role can't be reached. out->lines is the caller's to
 * release.
 */
enum rc link_ask(struct web *w, const struct str *words, size_t count, struct str upload,
                 struct control_answer *out, struct err *e) CHECK_RESULT;
enum rc link_ask_by(const struct link_by *by, const struct str *words, size_t count,
                    struct str upload, struct control_answer *out, struct err *e) CHECK_RESULT;
/* The same, and answers the request when it went wrong. True: it was done. */
bool web_control(struct web *w, const struct str *words, size_t count, struct str upload,
                 struct control_answer *out);
#define WEB_WORDS(...)                                                                         \
    ((const struct str[]){ __VA_ARGS__ }), ARRAY_LEN(((const struct str[]){ __VA_ARGS__ }))

/* The next line's values (in a) of a control answer's list. */
bool web_next_row(struct str *rest, struct arena *a, struct str *values, size_t most,
                  size_t *out_count);
/* A list as an array of objects with members by the columns' names ("-": left out); as one
 * object of names and values. */
json_t *web_rows(struct str lines, const char *columns);
json_t *web_pairs(struct str lines);
/* The account of the path's first two parameters; false: answered. */
struct account;
bool web_find_account(struct web *w, struct account *out);
/* The group of that id; false: answered. */
bool web_find_group(struct web *w, struct str id);
/* Can these be set in a user.tab? False: answered. */
bool web_check_variables(struct web *w, json_t *variables);
/* A file in its folder, in the request's memory. */
const char *web_account_file(struct web *w, const struct account *account, const char *name);
/* For an account that gets no other. */
struct str web_fresh_password(struct arena *a);

/* The thread that keeps the index of the trace (api_story.c): started by the first tick, when
 * the role is sealed. */
void indexer_tick(void);
void indexer_end(void);

/* --- administrators, sign-ins, tokens ----------------------------------------------------- */

/* Makes and frees the table of sign-ins; ends those whose time is over. */
void signins_init(void);
void signins_free(void);
void signins_tick(void);
/* Who the request comes from, by cookie or token. */
void web_identify(struct web *w);
/* Ends all sign-ins of an administrator but one. */
void signins_end_of(struct str name, uint64_t but);
/* The secret that a sign-in was shown for a second factor, until a code proves it; empty: none.
 */
void signins_set_pending(uint64_t id, struct str secret);
struct str signins_pending(uint64_t id, struct arena *a);
/* Fills in who asks when the request has a token; false: it has none. */
bool token_identify(struct web *w);
/* Does the token of the request still count? */
bool token_is_valid(struct web *w);
/* Is its route of an area that the token is for? */
bool token_allows(const struct web *w);
/* Records something that isn't a change of a table: act "sign-in" ..., and of what (may be
 * empty). */
void web_note(struct web *w, const char *act, struct str object);
/* times: an object of names of administrators and nulls, which become the times of their last
 * sign-ins (seconds since 1970), as far as the record of the last twelve months tells. */
void web_last_sign_ins(json_t *times);
/* The same of what may be done only when it is recorded; false: it isn't (answered). */
bool web_record(struct web *w, const char *act, struct str object);
/* Does the sign-in or token of the request still count? It isn't used by the question. */
bool web_is_signed_in(struct web *w);
/* Was the password given lately? False: answered. */
bool web_is_confirmed(struct web *w);
/* May this request with a cookie change something (not forged by another site)? */
bool web_is_same_origin(const struct web *w);

/* --- administrators of some domains (delegates.c) ----------------------------------------- */

/* Is the route for who asks, with the domain of its path? With that of the body? False:
 * answered. */
bool web_delegate_may(struct web *w);
bool web_delegate_may_body(struct web *w);
/* Is the domain shown to who asks? */
bool web_has_domain(const struct web *w, struct str domain);
/* A parameter of the path, by its name in the pattern (command.c). */
struct str web_path_value(const struct web *w, struct str name);

/* --- pages (assets.c) --------------------------------------------------------------------- */

/* Answers with a file of the user interface. */
void web_asset(struct web *w);
/* A file of ui/, made by the build; data is gzip. */
struct asset {
    const char *path, *type, *etag;
    const unsigned char *data;
    size_t n, raw_n;
};
extern const struct asset web_assets[];
extern const size_t web_asset_count;

/* The handlers (api_*.c). */
web_fn api_sign_in, api_sign_out, api_session, api_confirm, api_sign_ins, api_sign_in_end;
web_fn api_admins, api_admin_add, api_admin_set, api_admin_delete, api_own_password;
web_fn api_delegation, api_delegates, api_delegate_add, api_delegate_set;
web_fn api_factor_begin, api_factor_set, api_factor_delete;
web_fn api_explain, api_refused, api_domain_dns, api_reachable, api_tls, api_tls_set,
    api_tls_self, api_tls_request, api_tls_trust, api_tls_signed, api_challenge;
web_fn api_authority, api_authority_make, api_authority_issue;
web_fn api_filter_test, api_filter_test_begin;
web_fn api_tokens, api_token_add, api_token_delete, api_audit;
web_fn api_openapi, api_health, api_metrics, api_status;
web_fn api_options, api_options_set;
web_fn api_tables, api_table, api_table_set, api_table_delete, api_table_files;
web_fn api_command, api_import, api_export, api_jobs, api_job, api_job_end, api_events;
web_fn api_users, api_user, api_user_set, api_user_add, api_user_password;
web_fn api_lists, api_list_add, api_user_variables;
web_fn api_queue, api_queue_places, api_queue_entry, api_queue_message, api_queue_order;
web_fn api_queue_delete, api_queue_orders, api_trace;
web_fn api_queue_senders, api_letter, api_weekly, api_weekly_send, api_warnings,
    api_warnings_mailboxes;
web_fn api_logs, api_log, api_log_file;
web_fn api_statistics, api_domain_statistics, api_domains_statistics;
web_fn api_backups, api_history, api_history_change, api_history_order;
web_fn api_lines, api_lines_set;
web_fn api_mailproc, api_mailproc_set, api_forwarding, api_forwarding_set;
web_fn api_handling, api_handling_set, api_groups, api_group, api_group_add, api_group_set;
web_fn api_group_delete, api_group_members, api_group_members_add, api_group_member_delete;
web_fn api_group_variables, api_group_list;

#endif
