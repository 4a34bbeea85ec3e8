/*
 * list.c - a mailing list as its tables describe it: user.tab, and the rights in mlusers.tab.
 * Called by smtpd at RCPT TO and by the queue.
 */
#include "lists/lists_int.h"

#define TAG_MAX 200u
#define TEXT_MAX ((size_t)64 << 10)
#define ADDRESS_ANY (ADDRESS_LOOSE_DOTS | ADDRESS_QUOTED | ADDRESS_UTF8)

bool list_address(struct str text, struct arena *a, struct address *out)
{
    struct err e;
    text = str_trim(text);
    if (text.n > 1 && text.p[0] == '<' && text.p[text.n - 1] == '>')
        text = str_head(str_skip(text, 1), text.n - 2);
    return text.n > 0 && address_parse(text, ADDRESS_ANY, a, out, &e) == RC_OK;
}

enum rc list_load(const struct account *account, struct arena *a, struct list *out,
                  struct err *e)
{
    struct list l = { .account = *account,
                      .address = { .local = account->name, .domain = account->domain },
                      .sender = { .is_null = true } };
    enum rc rc = users_options(account, a, &l.options, e);
    if (rc != RC_OK)
        return rc;
    struct str sender = l.options.list_sender;
    if (str_trim(sender).n > 0 && !list_address(sender, a, &l.sender)) {
        l.sender = (struct address){ .is_null = true };
        log_warn(EV("ListSender is no address"), KS("list", address_print(&l.address, a)),
                 KS("value", sender));
    }
    l.tag = str_trim(l.options.list_tag);
    if (l.tag.n > TAG_MAX || !str_is_utf8(l.tag) || str_has_control(l.tag)) {
        l.tag = STR("");
        log_warn(EV("ListTag is too long, or no text in UTF-8"),
                 KS("list", address_print(&l.address, a)));
    }
    *out = l;
    return RC_OK;
}

/* --- who may post ------------------------------------------------------------------------ */

/* The address that a login stands for: its account's, else as it is written. */
static bool login_address(struct str login, struct arena *a, struct address *out)
{
    struct account account;
    struct err e;
    if (login.n == 0)
        return false;
    if (users_login(login, STR(""), a, &account, &e) != RC_OK)
        return list_address(login, a, out);
    *out = (struct address){ .local = account.name, .domain = account.domain };
    return true;
}

static bool same(const struct address *x, const struct address *y)
{
    return str_ieq(x->local, y->local) && str_ieq(x->domain, y->domain);
}

static bool is_moderator(const struct list *l, const struct address *login, struct arena *a)
{
    struct str rest = l->options.list_moderators, word;
    struct address moderator;
    while (rest.n > 0 && str_cut(&rest, ',', &word))
        if (list_address(word, a, &moderator) && same(&moderator, login))
            return true;
    return false;
}

/* Does one of the members' lines give the right? */
static enum rc may_as_member(const struct list *l, const struct address *from,
                             const struct address *login, struct arena *a, bool *out,
                             struct err *e)
{
    struct list_members m;
    enum rc rc = list_members_read(l, a, &m, e);
    *out = false;
    for (size_t i = 0; rc == RC_OK && i < m.count && !*out; i++) {
        const struct list_member *member = &m.members[i];
        *out = (member->writes && same(&member->address, from)) ||
               (member->writes_logged_in && login != NULL && same(&member->address, login));
    }
    return rc;
}

enum rc list_may_post(const struct list *l, const struct address *from, struct str login,
                      enum list_post *out, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct address user;
    bool has_login = login_address(login, &mem, &user), may = !l->options.closed_ml;
    *out = LIST_POST_NO;
    if (from->is_null)
        return RC_OK;
    enum rc rc = may ? RC_OK : may_as_member(l, from, has_login ? &user : NULL, &mem, &may, e);
    if (rc != RC_OK)
        return rc;
    uint64_t moderation = l->options.list_moderation;
    bool trusted = has_login && is_moderator(l, &user, &mem);
    if (trusted || (may && moderation != MODERATE_ALL))
        *out = LIST_POST_YES;
    else if (moderation != MODERATE_NOTHING)
        *out = LIST_POST_HELD;
    return RC_OK;
}

/* --- mlusers.tab ------------------------------------------------------------------------- */

enum rc list_members_read(const struct list *l, struct arena *a, struct list_members *out,
                          struct err *e)
{
    struct tab tab;
    struct str path = arena_printf(a, "%.*s/mlusers.tab", STR_ARG(l->account.folder));
    enum rc rc = tab_read(path.p, a, &tab, e);
    if (rc != RC_OK)
        return rc;
    struct list_member *members = arena_new_array(a, struct list_member, tab.row_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < tab.row_count; i++) {
        struct list_member m = { .receives = true };
        struct str perms = tab.rows[i].count < 2 ? STR("RW") : tab_value(&tab.rows[i], 1);
        if (!list_address(tab_value(&tab.rows[i], 0), a, &m.address)) {
            tab_say_skipped(path.p, tab.rows[i].line, STR("no address"));
            continue;
        }
        m.receives = str_has_any(perms, "Rr");
        m.writes = str_has_any(perms, "Ww");
        m.writes_logged_in = str_has_any(perms, "Aa");
        members[count++] = m;
    }
    *out = (struct list_members){ members, count };
    return RC_OK;
}

/* --- header.tab and footer.tab ------------------------------------------------------------ */

static enum rc read_text(const struct list *l, const char *name, struct arena *a,
                         struct str *out, struct err *e)
{
    struct tab tab;
    struct buf text AUTO_RELEASE_BUF;
    struct str path = arena_printf(a, "%.*s/%s", STR_ARG(l->account.folder), name);
    enum rc rc = tab_read(path.p, a, &tab, e);
    bool good = true;
    buf_init(&text, TEXT_MAX);
    for (size_t i = 0; rc == RC_OK && good && i < tab.row_count; i++) {
        struct str line = tab_value(&tab.rows[i], 0);
        good = str_is_utf8(line) && !str_has_control(line) &&
               buf_printf(&text, "%.*s\n", STR_ARG(line)) == RC_OK;
    }
    if (rc != RC_OK)
        return rc;
    if (!good)
        log_warn(EV("text of a list is too long, or not in UTF-8"), KS("file", path));
    *out = good ? arena_str(a, buf_str(&text)) : STR("");
    return RC_OK;
}

enum rc list_texts_read(const struct list *l, struct arena *a, struct list_texts *out,
                        struct err *e)
{
    enum rc rc = read_text(l, "header.tab", a, &out->header, e);
    return rc == RC_OK ? read_text(l, "footer.tab", a, &out->footer, e) : rc;
}
