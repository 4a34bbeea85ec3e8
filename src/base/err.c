/* err.c - fills struct err. */
#include "base/base.h"
#include <errno.h>
#include <stdarg.h>

PRINTF(5, 0)
static enum rc fill(struct err *e, enum rc rc, int sys, const char *dsn, const char *fmt,
                    va_list ap)
{
    if (e == NULL)
        return rc;
    e->rc = rc;
    e->sys = sys;
    (void)snprintf(e->dsn, sizeof(e->dsn), "%s", dsn);
    int n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
    size_t used = n < 0 ? 0 : MIN((size_t)n, sizeof(e->text) - 1);
    if (sys != 0)
        (void)snprintf(e->text + used, sizeof(e->text) - used, ": %s", strerrordesc_np(sys));
    return rc;
}

enum rc err_temp(struct err *e, const char *dsn, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    enum rc rc = fill(e, RC_TEMP, 0, dsn, fmt, ap);
    va_end(ap);
    return rc;
}

enum rc err_perm(struct err *e, const char *dsn, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    enum rc rc = fill(e, RC_PERM, 0, dsn, fmt, ap);
    va_end(ap);
    return rc;
}

enum rc err_gone(struct err *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    enum rc rc = fill(e, RC_GONE, 0, "4.4.2", fmt, ap);
    va_end(ap);
    return rc;
}

enum rc err_sys(struct err *e, const char *fmt, ...)
{
    int sys = errno;
    bool perm = sys == ENAMETOOLONG || sys == EINVAL || sys == ELOOP;
    bool full = sys == ENOSPC || sys == EDQUOT;
    va_list ap;
    va_start(ap, fmt);
    enum rc rc = fill(e, perm ? RC_PERM : RC_TEMP, sys,
                      perm   ? "5.3.0"
                      : full ? "4.3.1"
                             : "4.3.0",
                      fmt, ap);
    va_end(ap);
    return rc;
}

enum rc err_wrap(struct err *e, const char *fmt, ...)
{
    if (e == NULL)
        return RC_TEMP;
    char inner[sizeof(e->text)];
    memcpy(inner, e->text, sizeof(inner));
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : MIN((size_t)n, sizeof(e->text) - 1);
    size_t room = sizeof(e->text) - used;
    if (room > 3)
        (void)snprintf(e->text + used, room, ": %.*s", (int)room - 3, inner);
    return e->rc;
}

const char *rc_name(enum rc rc)
{
    static const char *const names[] = {
        [RC_OK] = "OK",     [RC_AGAIN] = "AGAIN", [RC_TEMP] = "TEMP",
        [RC_PERM] = "PERM", [RC_GONE] = "GONE",
    };
    return names[rc];
}
