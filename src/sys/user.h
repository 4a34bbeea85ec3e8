/* user.h - users of the system. */
#ifndef HIKYAKU_SYS_USER_H
#define HIKYAKU_SYS_USER_H

#include "base/base.h"

/* The name of a uid by /etc/passwd, which also a sealed role may read; "uid1234" when it has
 * none there. In a. */
struct str user_name(uint32_t uid, struct arena *a);

#endif
