/* weak.c - good logins by methods that need a password which can be read back: told to whoever
 * keeps the list of them. */
#include "users/users.h"

static users_weak_login_fn *hook;

void users_on_weak_login(users_weak_login_fn *fn)
{
    hook = fn;
}

void users_weak_login(struct str login, const char *method)
{
    if (hook != NULL)
        hook(login, method);
}
