/* header.h - the fields of a message's header, and the addresses in them (RFC 5322). Lines end
 * in LF; any octets are taken. Pure. */
#ifndef HIKYAKU_MAIL_HEADER_H
#define HIKYAKU_MAIL_HEADER_H

#include "base/base.h"

/* Offset of the blank line that ends the header; the message's length when there is none. */
size_t header_end(struct str message);
/* The next field of *rest, which isn't empty, with its folded lines and its line end, cut off.
 * *out_name: empty for a line that is none. */
struct str header_next_field(struct str *rest, struct str *out_name);
/* What stands behind the name of a field. */
struct str header_value(struct str field);
/*
 * The next address of a list of mailboxes (RFC 5322 3.4), as it is written there, in a; quotes,
 * comments, names and groups are passed over. *list: what follows. False: there are no more.
 */
bool header_next_address(struct str *list, struct arena *a, struct str *out);

#endif
