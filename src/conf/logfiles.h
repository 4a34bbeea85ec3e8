/*
 * logfiles.h - XMail's log files (specification 2, section 4): logs/SERVICE-YYYYMMDDHHMM, one
 * TAB line a record, every value in quotes. They are beside the log of events (base/log.h), for
 * administrators who read them with scripts of their own. A record that can't be written is
 * lost and counted; nothing else stops for it.
 */
#ifndef HIKYAKU_CONF_LOGFILES_H
#define HIKYAKU_CONF_LOGFILES_H

#include "base/base.h"

enum logfile {
    LOGFILE_SMTP,
    LOGFILE_POP3,
    LOGFILE_SMAIL,
    LOGFILE_CTRL,
    LOGFILE_FINGER,
    LOGFILE_LMAIL,
    LOGFILE_FILTERS,
    LOGFILE_PSYNC,
    LOGFILE_TRACE
};
#define LOGFILE_COUNT 9

/* Is the file switched on, by a switch (-Sl ...) or by LogFiles? Any thread. */
bool logfile_is_on(enum logfile f);
/* Appends a record to the file of the present period (-Mr, LogRotateHours). Values may hold
 * anything: control octets become "?", a quote gets a backslash. Any thread; nothing happens
 * when the file is off. */
void logfile_add(enum logfile f, const struct str *values, size_t count);

/* A record of the smail log: one recipient's message went where `medium` says (LOCAL, SMTP
 * ...).
 */
void logfile_add_delivery(struct str server, struct str id, struct str from, struct str to,
                          const char *medium, struct str parameter, struct str reply);

/* From now on events about messages are kept in logs/trace-*, for TraceDays: time, role, event,
 * then "key=value" each. `hikyaku trace` reads them. */
void logfile_trace_start(void);
/* Removes the trace files that are older. Waits for the disk. */
void logfile_trace_expire(void);

/* The start of the period of `hours` that `now` (seconds since 1970) is in, as the end of a
 * file's name: "202611230000". Periods count from local midnight of 1970-01-01. Pure but for
 * the time zone. */
const char *logfile_period(int64_t now, int64_t hours, char text[16]);

#endif
