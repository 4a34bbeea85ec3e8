/* notify.h - systemd's protocols, by hand: readiness and watchdog messages, sockets that it
 * opened. */
#ifndef HIKYAKU_SYS_NOTIFY_H
#define HIKYAKU_SYS_NOTIFY_H

#include "base/base.h"

/* Sends "READY=1" and the like to NOTIFY_SOCKET, if there is one. */
void notify_send(const char *text);
/* How often the watchdog wants to hear "WATCHDOG=1"; 0: never. */
usec_t notify_watchdog_period(void);
/* Descriptors that were passed in (LISTEN_FDS), moved above 63 and close-on-exec; their number.
 * First thing in main: later descriptors could take their place. */
size_t notify_take_sockets(int *out_fds, size_t max);

#endif
