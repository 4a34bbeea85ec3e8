/*
 * delivery_headers.c - what a local delivery adds to a message. Called once a delivery, by
 * smtpd and by the queue, so that a message looks the same whichever way it took.
 */
#include "store/delivery_headers.h"
#include "mail/trace.h"

/* The local address that stands for the sender, if there is one. */
static bool local_sender(const struct address *sender, struct arena *a, struct address *out)
{
    return !sender->is_null && users_external_alias(sender, a, out);
}

enum rc delivery_headers_front(const struct address *sender, const struct account *account,
                               struct buf *out)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct address local;
    const struct address *shown = local_sender(sender, &a, &local) ? &local : sender;
    enum rc rc = trace_print_return_path(shown, out);
    return rc == RC_OK && account != NULL
               ? trace_print_delivered_to(account->name, account->domain, out)
               : rc;
}

enum rc delivery_headers_end(const struct address *sender, struct buf *out)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct address local;
    if (!local_sender(sender, &a, &local))
        return RC_OK;
    struct str text = address_print(&local, &a);
    return str_has_control(text) ? RC_OK : buf_printf(out, "Reply-To: %.*s\n", STR_ARG(text));
}
