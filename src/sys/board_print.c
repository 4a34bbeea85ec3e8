/* board_print.c - what the board says, as JSON and for Prometheus. */
#include "sys/board.h"

static const char *const state_names[] = { "off", "starting", "running", "restarting soon",
                                           "stopping" };

const char *board_state_of(const struct board_role *r)
{
    uint32_t state = r->state;
    return state < ARRAY_LEN(state_names) ? state_names[state] : "?";
}

const char *board_seal_text(uint32_t bits, char *text, size_t n)
{
    static const struct {
        unsigned bit;
        const char *name;
    } parts[] = {
        { SEAL_NO_NEW_PRIVS, "no-new-privileges" },
        { SEAL_NO_CAPABILITIES, "no-capabilities" },
        { SEAL_SECCOMP, "seccomp" },
        { SEAL_LANDLOCK, "landlock" },
    };
    text[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t used = strlen(text);
        if ((bits & parts[i].bit) != 0)
            (void)snprintf(text + used, n - used, "%s%s", used > 0 ? " " : "", parts[i].name);
    }
    return text[0] == '\0' ? "nothing" : text;
}

uint64_t board_total(const struct board *b, enum metric m)
{
    uint64_t n = 0;
    for (size_t i = 0; i < BOARD_ROLES; i++)
        n += b->roles[i].metrics[m];
    return n;
}

static void print_json_roles(struct buf *out, const struct board *b)
{
    char text[128];
    bool first = true;
    for (size_t i = 0; i < BOARD_ROLES; i++) {
        const struct board_role *r = &b->roles[i];
        if (r->name[0] == '\0')
            continue;
        buf_addf(out,
                 "%s{\"name\":\"%s\",\"state\":\"%s\",\"pid\":%u,\"uid\":%u,"
                 "\"restarts\":%u,\"sessions\":%" PRIu64 ",\"sealed\":\"%s\"}",
                 first ? "" : ",", r->name, board_state_of(r), r->pid, r->uid, r->restarts,
                 r->sessions, board_seal_text(r->seal, text, sizeof(text)));
        first = false;
    }
}

/* "metrics":{"logins_total":[{"service":"smtp","result":"good","value":3},...],...}; a name
 * without labels has its value alone. */
static void print_json_metrics(struct buf *out, const struct board *b)
{
    for (size_t m = 0; m < METRIC_COUNT; m++) {
        const struct metric_row *row = &metric_rows[m];
        bool labelled = row->labels[0] != '\0';
        bool first = m == 0 || strcmp(row->name, metric_rows[m - 1].name) != 0;
        bool last = m + 1 == METRIC_COUNT || strcmp(row->name, metric_rows[m + 1].name) != 0;
        if (first)
            buf_addf(out, "%s\"%s\":%s", m == 0 ? "" : ",", row->name, labelled ? "[" : "");
        else
            buf_addf(out, ",");
        if (labelled)
            buf_addf(out, "{");
        for (const char *c = row->labels; *c != '\0';) { /* key="value",... as JSON */
            size_t key = strcspn(c, "="), value = strcspn(c + key, ",");
            buf_addf(out, "\"%.*s\":%.*s,", (int)key, c, (int)value - 1, c + key + 1);
            c += key + value + (c[key + value] == ',');
        }
        buf_addf(out, "%s%" PRIu64 "%s", labelled ? "\"value\":" : "",
                 board_total(b, (enum metric)m), labelled ? "}" : "");
        if (last && labelled)
            buf_addf(out, "]");
    }
}

void board_print_json(struct buf *out, const struct board *b, bool running)
{
    buf_addf(out,
             "{\"running\":%s,\"version\":\"%s\",\"pid\":%u,\"since\":%" PRId64 ",\"roles\":[",
             running ? "true" : "false", b->version, b->master_pid, b->started / USEC_S);
    print_json_roles(out, b);
    buf_addf(out, "],\"listening\":[");
    for (uint32_t i = 0; i < b->listener_count && i < BOARD_LISTENERS; i++)
        buf_addf(out, "%s{\"service\":\"%s\",\"address\":\"%s\"}", i > 0 ? "," : "",
                 b->listeners[i].service, b->listeners[i].address);
    buf_addf(out,
             "],\"domains\":%" PRIu64 ",\"accounts\":%" PRIu64 ",\"aliases\":%" PRIu64
             ",\"problems\":%" PRIu64 ",\"certificate_expires\":%" PRId64 ",\"metrics\":{",
             b->domains, b->accounts, b->aliases, b->problems, b->certificate_expires / USEC_S);
    print_json_metrics(out, b);
    buf_addf(out, "}}\n");
}

/* --- Prometheus (text format 0.0.4) ------------------------------------------------------ */

static void print_gauge(struct buf *out, const char *name, const char *help, int64_t value)
{
    buf_addf(out, "# HELP hikyaku_%s %s\n# TYPE hikyaku_%s gauge\nhikyaku_%s %" PRId64 "\n",
             name, help, name, name, value);
}

static void print_per_role(struct buf *out, const struct board *b, const char *name,
                           const char *kind, const char *help,
                           uint64_t (*value)(const struct board_role *r))
{
    buf_addf(out, "# HELP hikyaku_%s %s\n# TYPE hikyaku_%s %s\n", name, help, name, kind);
    for (size_t i = 0; i < BOARD_ROLES; i++)
        if (b->roles[i].name[0] != '\0')
            buf_addf(out, "hikyaku_%s{role=\"%s\"} %" PRIu64 "\n", name, b->roles[i].name,
                     value(&b->roles[i]));
}

static uint64_t is_up(const struct board_role *r)
{
    return r->state == BOARD_RUNNING;
}
static uint64_t restarts_of(const struct board_role *r)
{
    return r->restarts;
}
static uint64_t sessions_of(const struct board_role *r)
{
    return r->sessions;
}

void board_print_prometheus(struct buf *out, const struct board *b, bool running)
{
    print_gauge(out, "up", "Does the server run?", running);
    buf_addf(out,
             "# HELP hikyaku_info The version.\n# TYPE hikyaku_info gauge\n"
             "hikyaku_info{version=\"%s\"} 1\n",
             b->version);
    print_gauge(out, "start_time_seconds", "Start of the server, seconds since 1970.",
                b->started / USEC_S);
    print_gauge(out, "certificate_expires_seconds",
                "End of the certificate, seconds since 1970; 0: none.",
                b->certificate_expires / USEC_S);
    print_gauge(out, "domains", "Domains in the tables.", (int64_t)b->domains);
    print_gauge(out, "accounts", "Accounts in the tables.", (int64_t)b->accounts);
    print_gauge(out, "aliases", "Aliases in the tables.", (int64_t)b->aliases);
    print_gauge(out, "table_problems", "Lines of tables that can't be used.",
                (int64_t)b->problems);
    print_per_role(out, b, "role_up", "gauge", "Does the role run?", is_up);
    print_per_role(out, b, "role_restarts_total", "counter", "Times the role died.",
                   restarts_of);
    print_per_role(out, b, "sessions", "gauge", "Connections now.", sessions_of);
    for (size_t m = 0; m < METRIC_COUNT; m++) {
        const struct metric_row *row = &metric_rows[m];
        if (row->help != NULL)
            buf_addf(out, "# HELP hikyaku_%s %s\n# TYPE hikyaku_%s %s\n", row->name, row->help,
                     row->name, row->kind == METRIC_GAUGE ? "gauge" : "counter");
        buf_addf(out, "hikyaku_%s%s%s%s %" PRIu64 "\n", row->name,
                 row->labels[0] == '\0' ? "" : "{", row->labels,
                 row->labels[0] == '\0' ? "" : "}", board_total(b, (enum metric)m));
    }
}
