/* master.h - the server's processes: the master, its roles, the command that looks at them. */
#ifndef HIKYAKU_MASTER_MASTER_H
#define HIKYAKU_MASTER_MASTER_H

#include "base/base.h"

/* `hikyaku serve [--mailroot DIR] [XMail's switches]`; the program's exit code. */
int master_serve(int argc, char **argv);
/* `hikyaku role NAME [-d] ...`: one role; started by the master, or alone with -d. */
int master_role(int argc, char **argv);
/* What carries out FILTER_TEST_ORDER (process/process.h), in a process of its own; main sets
 * it.
 */
extern int (*master_filter_test)(void);
/* `hikyaku status [--mailroot DIR] [--json]`: 0 running, 1 trouble, 3 not running. */
int master_status(int argc, char **argv);

/* Serves the control protocol to one client on this machine, then ends: for tools, while no
 * server runs. The working directory is the MailRoot. Exit code: 0, or 1 with the reason
 * logged. */
int master_control_once(int fd);
/* Where the running server serves them. */
extern const char master_control_socket[];

/* `hikyaku metrics [--mailroot DIR]`: all counters, for Prometheus; 0 or 1. */
int master_metrics(int argc, char **argv);

/* For tests: the pause before a role that lived so long is started again, after a pause of
 * `before`. */
usec_t master_next_pause(usec_t before, usec_t lived);

#endif
