/* date.h - dates and message ids of headers (RFC 5322 3.3 and 3.6.4). Any thread. */
#ifndef HIKYAKU_MAIL_DATE_H
#define HIKYAKU_MAIL_DATE_H

#include "base/base.h"

/* Longest date with its NUL. */
#define DATE_TEXT_BYTES 64

/* "Sat, 1 Aug 2026 12:34:56 +0900" for a wall clock time, in the local time zone with the
 * offset that it had then; returns text. */
const char *date_print(usec_t wall, char text[DATE_TEXT_BYTES]);

/*
 * A message id, "<1754.3039.6af0...@host>": time, process, a counter and 64 random bits make it
 * unique for ever and over all processes of this host. host: a domain name; octets that an id
 * can't hold are left out, and an empty one becomes "localhost".
 */
struct str message_id_new(struct str host, struct arena *a);

#endif
