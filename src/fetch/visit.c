/* visit.c - what a visit needs to know at home: where its mail goes, what is known of the
 * source, which of its messages are wanted. Called by home.c, by one worker a visit at a time.
 */
#include "fetch/fetch_int.h"
#include "store/store.h"
#include "sys/file.h"

#define LIST_BYTES_MAX (LISTED_MAX * (UIDL_MAX + 24))

enum rc visit_check_target(struct visit *v, struct err *e)
{
    const struct fetch_link *l = &v->link;
    struct recipient r = { .kind = RECIPIENT_UNKNOWN };
    if (l->form != LINK_ACCOUNT)
        return RC_OK;
    const struct address to = { .local = l->columns[LINK_ACCOUNT_NAME], .domain = l->target };
    enum rc rc = users_resolve(&to, &v->mem, &r, e);
    if (rc != RC_OK)
        return rc;
    if (r.kind == RECIPIENT_UNKNOWN || r.kind == RECIPIENT_REMOTE)
        return err_perm(e, "5.1.1", "there is no account %.*s@%.*s here", STR_ARG(to.local),
                        STR_ARG(to.domain));
    v->into_mailbox =
        r.kind == RECIPIENT_ACCOUNT && !users_needs_processing(&r.account, &v->mem);
    if (!v->into_mailbox)
        return RC_OK;
    v->account = r.account;
    rc = users_options(&v->account, &v->mem, &v->user, e);
    if (rc == RC_OK && !v->user.receive_enable)
        return err_perm(e, "5.2.1", "the account doesn't take mail");
    return rc == RC_OK ? store_fits(&v->account, v->user.max_mb_size, 0, e) : rc;
}

/* "OCTETS UIDL", "OCTETS UIDL marked", or "OCTETS" when the source has no ids. */
static enum rc take_line(struct visit *v, struct str line, struct err *e)
{
    struct listed *m = &v->list[v->list_count];
    struct str octets, uidl = STR("");
    if (v->list_count == LISTED_MAX || !str_cut(&line, ' ', &octets) ||
        !str_to_u64(octets, &m->octets))
        return err_perm(e, "5.3.0", "a list of messages isn't whole");
    (void)str_cut(&line, ' ', &uidl);
    m->marked = str_eq(line, STR("marked"));
    if (uidl.n > UIDL_MAX || (line.n > 0 && !m->marked))
        return err_perm(e, "5.3.0", "a list of messages isn't whole");
    m->has_uidl = uidl.n > 0;
    m->uidl = m->has_uidl ? arena_str(&v->mem, uidl) : STR("-");
    v->list_count++;
    return RC_OK;
}

static bool is_wanted(struct visit *v, const struct listed *m)
{
    struct known *k = m->has_uidl ? memory_find(v->memory, m->uidl) : NULL;
    if (k != NULL)
        k->listed = true;
    if (m->has_uidl && visit_is_refused(v, m))
        return false;
    if (m->marked && (k == NULL || v->link.leave))
        return false; /* what we marked ourselves is still to be removed */
    return k == NULL || k->state != KNOWN_STORED || !v->link.leave;
}

enum rc visit_take_list(struct visit *v, int fd, int *out_fd, struct err *e)
{
    struct str text, line;
    size_t lines = 0;
    enum rc rc = v->has_list ? err_perm(e, "5.3.0", "a second list") : RC_OK;
    if (rc == RC_OK)
        rc = file_read_open(fd, "the list", LIST_BYTES_MAX, &v->mem, &text, NULL, e);
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    v->list = arena_new_array(&v->mem, struct listed, lines + 1);
    while (rc == RC_OK && text.n > 0 && str_cut(&text, '\n', &line))
        rc = take_line(v, line, e);
    if (rc != RC_OK)
        return rc;
    v->has_list = true;
    char *wants = arena_new(&v->mem, v->list_count + 1);
    bool has_uidls = true;
    for (size_t i = 0; i < v->list_count; i++) {
        wants[i] = (char)(is_wanted(v, &v->list[i]) ? WANT_IT : WANT_NOT);
        has_uidls = has_uidls && v->list[i].has_uidl;
    }
    if (v->link.leave && !has_uidls)
        return err_perm(e, "5.3.5", "the server has no UIDL, without which Leave can't work");
    if (has_uidls)
        memory_sweep(v->memory, v->link.leave);
    return file_in_memory(str_from(wants, v->list_count), out_fd, e);
}
