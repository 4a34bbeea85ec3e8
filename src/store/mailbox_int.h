/* mailbox_int.h - an open mailbox, for mailbox.c and reader.c. */
#ifndef HIKYAKU_STORE_MAILBOX_INT_H
#define HIKYAKU_STORE_MAILBOX_INT_H

#include "store/store_int.h"

struct mailbox_entry {
    struct mailbox_message message;
    struct str base; /* file name up to the flags */
    struct str file; /* NUL-terminated file name */
    usec_t time;     /* of arrival */
    bool in_cur, stuffed, removed;
};

/* The entry of message i; i must be below mailbox_count. */
struct mailbox_entry *mailbox_entry(struct mailbox *m, size_t i);
/* Where its file lies. */
const char *mailbox_path(const struct mailbox *m, const struct mailbox_entry *entry,
                         struct arena *a);
/* Other programs move messages from new/ to cur/ and change their flags: when cur/ has changed,
 * finds the entries' files again. */
void mailbox_follow(struct mailbox *m);

#endif
