/* orders.c - orders to the running server over its local socket, for `hikyaku queue` and
 * `hikyaku lists`. */
#include "conf/tab.h"
#include "master/master.h"
#include "tools/tools_int.h"

static bool connect_server(struct orders *o)
{
    struct err e;
    struct str line;
    if (o->server != NULL)
        return true;
    if (client_open_local(master_control_socket, 60 * USEC_S, &o->server, &e) == RC_OK &&
        client_line(o->server, &line, &e) == RC_OK)
        return true;
    (void)fprintf(stderr, "hikyaku %s: no running server takes orders: %s\n", o->tool, e.text);
    o->failed = true;
    return false;
}

bool orders_send(struct orders *o, const struct str *words, size_t count)
{
    struct buf row AUTO_RELEASE_BUF;
    struct err e;
    struct str line;
    buf_init(&row, TAB_LINE_MAX);
    if (!connect_server(o))
        return false;
    enum rc rc = tab_print_row(&row, words, count, "\r\n", &e);
    if (rc == RC_OK)
        rc = client_write(o->server, buf_str(&row), &e);
    if (rc == RC_OK)
        rc = client_line(o->server, &line, &e);
    if (rc == RC_OK && str_starts(line, STR("+")))
        return true;
    (void)fprintf(
        stderr, "hikyaku %s: %.*s: %.*s\n", o->tool, STR_ARG(words[count > 2 ? 2 : 1]),
        rc == RC_OK ? (int)line.n : (int)strlen(e.text), rc == RC_OK ? line.p : e.text);
    o->failed = true;
    return false;
}
