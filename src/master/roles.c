/* roles.c - the table of roles. */
#include "master/roles.h"

static const char *const control_writes[] = { ".", NULL };
static const char *const smtpd_writes[] = { "domains", "queue", "hikyaku", "logs", NULL };
static const char *const queue_writes[] = { "domains", "queue",   "hikyaku", "logs",
                                            "spool",   "msgsync", NULL };
static const char *const relay_writes[] = { "logs", NULL };
static const char *const web_writes[] = { "logs", NULL };
static const char *const access_writes[] = { "domains", "pop3locks", "hikyaku", "logs", NULL };

/* clang-format off */
const struct role roles[] = {
    { "control", ROLE_CONTROL, role_control, " ctrl ctrls ",             { true,  false, control_writes, false } },
    { "smtpd",   ROLE_SMTPD,   role_network, " smtp smtps submission ",  { true,  false, smtpd_writes, false } },
    { "access",  ROLE_ACCESS,  role_network, " pop3 pop3s finger ",      { true,  false, access_writes, false } },
    { "queue",   ROLE_QUEUE,   role_queue,   "",                         { false, false, queue_writes, false } },
    { "relay",   ROLE_RELAY,   role_relay,   "",                         { false, true,  relay_writes, false } },
    { "web",     ROLE_WEB,     role_web,     " http https ",             { true,  false, web_writes, false } },
    { "runner",  ROLE_RUNNER,  role_runner,  "",                         { false, false, NULL,       true } },
};
/* clang-format on */
const size_t role_count = ARRAY_LEN(roles);

unsigned role_number(enum role_id id)
{
    return (unsigned)__builtin_ctz((unsigned)id);
}

const struct role *role_by_name(const char *name)
{
    for (size_t i = 0; i < role_count; i++)
        if (strcmp(roles[i].name, name) == 0)
            return &roles[i];
    return NULL;
}

bool role_serves(const struct role *r, const char *service)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    return str_find_str(str_from_c(r->services), arena_printf(&mem, " %s ", service)) !=
           SIZE_MAX;
}
