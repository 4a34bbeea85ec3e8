/*
 * members.c - the members of a mailing list that have their mailbox here: they share one file.
 * Called by attempt.c on a worker, for the entries that lists make.
 */
#include "lists/lists.h"
#include "queue/queue_int.h"
#include "store/delivery_headers.h"
#include "store/store.h"

/* The account, when its mail goes into a mailbox and nowhere else. */
static bool find_member(const struct address *to, struct arena *a, struct store_link *out)
{
    struct recipient r;
    struct user_options options;
    struct err e;
    if (users_resolve(to, a, &r, &e) != RC_OK || r.kind != RECIPIENT_ACCOUNT ||
        users_options(&r.account, a, &options, &e) != RC_OK || !options.receive_enable)
        return false;
    out->account = r.account;
    out->max_mailbox_kb = options.max_mb_size;
    return true;
}

enum rc deliver_members(struct spool_entry *entry, struct member *members, size_t count,
                        struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct buf front AUTO_RELEASE_BUF;
    struct spool_body body;
    struct store_link *links = arena_new_array(&mem, struct store_link, count + 1);
    size_t *of = arena_new_array(&mem, size_t, count + 1), n = 0;
    buf_init(&front, 64 * 1024);
    if (delivery_headers_front(&entry->env.reverse_path, NULL, &front) != RC_OK)
        return err_temp(e, "4.3.0", "header fields can't be made");
    enum rc rc = spool_body(entry, buf_str(&front), &body, e);
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < count; i++) {
        members[i].result = MEMBER_APART;
        if (!find_member(&entry->env.recipients[members[i].rcpt].resolved, &mem, &links[n]))
            continue;
        links[n].name = deliver_name(entry, members[i].rcpt, &mem);
        of[n++] = i;
    }
    const struct store_link_file file = { .path = body.path.p,
                                          .disk_octets = body.disk_octets,
                                          .wire_octets = body.wire_octets,
                                          .may_stand = !body.made };
    store_link_all(links, n, &file);
    for (size_t i = 0; i < n; i++) {
        static const enum member_result results[] = { [STORE_LINK_DONE] = MEMBER_DONE,
                                                      [STORE_LINK_FAILED] = MEMBER_FAILED,
                                                      [STORE_LINK_APART] = MEMBER_APART };
        members[of[i]].result = results[links[i].result];
        members[of[i]].e = links[i].e;
    }
    return RC_OK;
}
