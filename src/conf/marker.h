/*
 * marker.h - hikyaku/marker: who made this MailRoot, when we took it over, and the number of
 * the form of what we keep below hikyaku/ and queue/ and of our names of messages. The number
 * is raised when an older program would misread what a newer one writes.
 */
#ifndef HIKYAKU_CONF_MARKER_H
#define HIKYAKU_CONF_MARKER_H

#include "conf/options.h"

#define MARKER_PATH "hikyaku/marker"
#define MARKER_FORMAT 2u /* 2: steps in journals, routes and steps in envelopes */

struct marker {
    bool exists;
    enum conf_origin origin; /* CONF_TAKEN_OVER without a marker */
    uint64_t format;
    int64_t made_s; /* when it was made or taken over; 0: unknown */
};
/* A MailRoot without marker is XMail's. RC_PERM with advice: a newer version wrote it, or its
 * number can't be read; *out is filled all the same. */
enum rc marker_read(struct marker *out, struct err *e) CHECK_RESULT;
/* A new one. */
enum rc marker_write(enum conf_origin origin, struct err *e) CHECK_RESULT;
/* The one that was read, of an older format, says ours from now on. */
enum rc marker_raise(const struct marker *m, struct err *e) CHECK_RESULT;

#endif
