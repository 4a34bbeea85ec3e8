/* orders.c - commands to the running server over its local socket, or to a process of our own
 * that is the control role for one session, for tools that people use. */
#include "conf/tab.h"
#include "master/master.h"
#include "sys/child.h"
#include "tools/tools_int.h"

#define END_WAIT (30 * USEC_S)

static int serve_ourselves(int fd)
{
    struct err e;
    if (tool_become_owner(&e) != RC_OK) {
        (void)fprintf(stderr, "hikyaku: %s\n", e.text);
        return 1;
    }
    return master_control_once(fd);
}

enum rc orders_reach(struct client **out, pid_t *out_child, struct err *e)
{
    int fd = -1;
    enum rc rc = client_open_local(master_control_socket, (120 * USEC_S), out, e);
    if (rc == RC_OK || (e->sys != ENOENT && e->sys != ECONNREFUSED))
        return rc;
    rc = child_serve(serve_ourselves, &fd, out_child, e);
    if (rc == RC_OK)
        *out = client_take(fd, (120 * USEC_S));
    return rc;
}

/* A connection whose greeting has been read. */
static bool connect_server(struct orders *o)
{
    struct err e;
    struct str line = STR("");
    if (o->server != NULL)
        return true;
    enum rc rc = o->ourselves
                     ? orders_reach(&o->server, &o->child, &e)
                     : client_open_local(master_control_socket, 60 * USEC_S, &o->server, &e);
    if (rc == RC_OK)
        rc = client_line(o->server, &line, &e);
    if (rc == RC_OK && str_starts(line, STR("+")))
        return true;
    (void)fprintf(stderr, "hikyaku %s: no running server takes orders: %.*s\n", o->tool,
                  rc == RC_OK ? (int)line.n : (int)strlen(e.text),
                  rc == RC_OK ? line.p : e.text);
    o->failed = true;
    orders_close(o);
    return false;
}

bool orders_ask(struct orders *o, const struct str *words, size_t count, struct str *out_line)
{
    struct buf row AUTO_RELEASE_BUF;
    struct err e;
    buf_init(&row, TAB_LINE_MAX);
    if (!connect_server(o))
        return false;
    enum rc rc = tab_print_row(&row, words, count, "\r\n", &e);
    if (rc == RC_OK)
        rc = client_write(o->server, buf_str(&row), &e);
    if (rc == RC_OK)
        rc = client_line(o->server, out_line, &e);
    if (rc == RC_OK)
        return true;
    (void)fprintf(stderr, "hikyaku %s: %s\n", o->tool, e.text);
    o->failed = true;
    return false;
}

bool orders_send(struct orders *o, const struct str *words, size_t count)
{
    struct str line;
    if (!orders_ask(o, words, count, &line))
        return false;
    if (str_starts(line, STR("+")))
        return true;
    (void)fprintf(stderr, "hikyaku %s: %.*s: %.*s\n", o->tool,
                  STR_ARG(words[count > 2 ? 2 : 1]), STR_ARG(line));
    o->failed = true;
    return false;
}

void orders_close(struct orders *o)
{
    int status = 0;
    client_close(&o->server);
    if (o->child > 0)
        (void)child_wait_for(o->child, clock_mono() + END_WAIT, &status);
    o->child = 0;
}
