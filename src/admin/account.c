/* account.c - accounts: made, removed, given passwords and variables. */
#include "admin/admin_int.h"

#define USERS_TABLE "mailusers.tab"
#define SETTLED_FILE "hikyaku/accounts-settled"

static bool unsettled;

/* --- looking ----------------------------------------------------------------------------- */

enum admin_result admin_account_find(struct str domain, struct str name, struct arena *a,
                                     struct account *out)
{
    struct str written;
    if (!users_domain_find(domain, a, &written))
        return ADMIN_NO_DOMAIN;
    return users_account_find(domain, name, a, out) ? ADMIN_OK : ADMIN_UNKNOWN_USER;
}

enum admin_result admin_password_check(struct str password, struct err *e)
{
    uint64_t least = (uint64_t)conf()->password_min_length;
    if (!value_is_good(password))
        return ADMIN_BAD_CHARACTERS;
    if (password.n >= least)
        return ADMIN_OK;
    (void)err_perm(e, "5.7.0", "passwords have at least %" PRIu64 " characters here", least);
    return ADMIN_BAD_PARAMETER;
}

static enum admin_result store_form(struct str password, struct arena *a, struct str *out,
                                    struct err *e)
{
    enum admin_result result = admin_password_check(password, e);
    if (result != ADMIN_OK)
        return result;
    return password_make(conf()->password_scheme, password, a, out, e) == RC_OK
               ? ADMIN_OK
               : ADMIN_BAD_PARAMETER;
}

/* --- folders ----------------------------------------------------------------------------- */

/* userdef.tab of the domain, else of the MailRoot; empty when there is neither. */
static struct str defaults_for(const struct account *account, struct arena *a)
{
    struct str text = STR("");
    struct err e;
    struct str own = arena_printf(a, "domains/%.*s/userdef.tab", STR_ARG(account->domain));
    if (file_read(own.p, TAB_LINE_MAX, a, &text, NULL, &e) != RC_OK &&
        file_read("userdef.tab", TAB_LINE_MAX, a, &text, NULL, &e) != RC_OK)
        return STR("");
    return text;
}

/* A list's user.tab when userdef.tab says nothing (specification 1, section 4). */
static const char list_defaults[] = "\"RealName\"\t\"??\"\n\"ClosedML\"\t\"1\"\n"
                                    "\"ReceiveEnable\"\t\"1\"\n\"UseReplyTo\"\t\"1\"\n";

/* Not synced: admin_settle does that for many at once. */
static enum rc write_if_missing(const char *path, struct str text, struct err *e)
{
    struct stat st;
    if (io_stat(path, &st) == 0 && (st.st_size > 0 || text.n == 0))
        return RC_OK;
    int fd AUTO_CLOSE = io_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return err_sys(e, "make %s", path);
    struct iovec part = { (void *)(uintptr_t)text.p, text.n };
    return text.n == 0 ? RC_OK : io_write_all(fd, &part, 1, e);
}

static enum rc make_folder(const char *path, struct err *e)
{
    if (io_mkdir(path, 0700) == 0 || (errno == EEXIST && folder_exists(path)))
        return RC_OK;
    return err_sys(e, "make folder %s", path);
}

static enum rc make_mailbox(const char *folder, struct arena *a, struct err *e)
{
    static const char *const maildir[] = { "Maildir", "Maildir/tmp", "Maildir/new",
                                           "Maildir/cur", NULL };
    static const char *const mailbox[] = { "mailbox", NULL };
    bool has_one = folder_exists(arena_printf(a, "%s/mailbox", folder).p);
    const char *const *names = has_one || !conf()->store_maildir ? mailbox : maildir;
    enum rc rc = RC_OK;
    for (; *names != NULL && rc == RC_OK; names++)
        rc = make_folder(arena_printf(a, "%s/%s", folder, *names).p, e);
    return rc;
}

enum rc account_make_folders(const struct account *account, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    const char *folder = arena_c(&a, account->folder);
    struct str defaults = defaults_for(account, &a);
    struct stat st;
    bool list = account->type == ACCOUNT_LIST;
    enum rc rc = make_folder(arena_printf(&a, "domains/%.*s", STR_ARG(account->domain)).p, e);
    if (rc == RC_OK)
        rc = make_folder(folder, e);
    if (rc == RC_OK && (io_lstat(folder, &st) < 0 || !S_ISDIR(st.st_mode)))
        return err_perm(e, "5.3.0", "%s is a link", folder);
    if (rc == RC_OK && !list)
        rc = make_mailbox(folder, &a, e);
    if (rc == RC_OK && list)
        rc = write_if_missing(arena_printf(&a, "%s/mlusers.tab", folder).p, STR(""), e);
    if (rc == RC_OK)
        rc =
            write_if_missing(arena_printf(&a, "%s/user.tab", folder).p,
                             defaults.n == 0 && list ? str_from_c(list_defaults) : defaults, e);
    return rc;
}

/* --- adding ------------------------------------------------------------------------------ */

static enum admin_result may_add(struct str domain, struct str name, struct arena *a,
                                 struct str *out_domain)
{
    struct account there;
    struct str written = { NULL, 0 };
    if (!users_domain_find(domain, a, &written))
        return written.p == NULL && !users_domain_is_local(domain) ? ADMIN_NO_DOMAIN
                                                                   : ADMIN_CANT_MAKE_FOLDER;
    if (!name_is_good(name))
        return ADMIN_BAD_USER_NAME;
    if (users_account_find(domain, name, a, &there))
        return ADMIN_USER_EXISTS;
    *out_domain = written;
    return users_alias_find(domain, name, a) ? ADMIN_ALIAS_EXISTS : ADMIN_OK;
}

enum admin_result admin_account_may_add(struct str domain, struct str name, struct str password,
                                        struct arena *a, struct account *out, struct err *e)
{
    enum admin_result result = may_add(domain, name, a, &out->domain);
    if (result == ADMIN_OK)
        result = admin_password_check(password, e);
    if (result != ADMIN_OK)
        return result;
    out->name = name;
    out->folder = arena_printf(a, "domains/%.*s/%.*s", STR_ARG(out->domain), STR_ARG(name));
    return ADMIN_OK;
}

enum admin_result admin_account_add(struct str domain, struct str name, struct str password,
                                    enum account_type type, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account = { .name = name, .id = users_index_next_id(), .type = type };
    enum admin_result result = may_add(domain, name, &a, &account.domain);
    if (result == ADMIN_OK)
        result = store_form(password, &a, &account.password, e);
    if (result != ADMIN_OK)
        return result;
    if (account.id == 0) {
        (void)err_perm(e, "5.3.0", "no id is left for another account");
        return ADMIN_CANT_WRITE;
    }
    account.folder =
        arena_printf(&a, "domains/%.*s/%.*s", STR_ARG(account.domain), STR_ARG(name));
    /* Folders first: a row always has its folder, a folder without a row hurts nobody. */
    accounts_unsettled();
    if (account_make_folders(&account, e) != RC_OK)
        return ADMIN_CANT_MAKE_FOLDER;
    const struct str row[] = { account.domain,
                               name,
                               account.password,
                               arena_printf(&a, "%" PRIu32, account.id),
                               name,
                               type == ACCOUNT_LIST ? STR("M") : STR("U") };
    result = table_add(USERS_TABLE, row, ARRAY_LEN(row), e);
    if (result == ADMIN_OK)
        index_follow(users_index_put_account(account.domain, name, account.password, account.id,
                                             name, type));
    return result;
}

/* --- changing ---------------------------------------------------------------------------- */

static struct row_match row_of(const struct account *account)
{
    return (struct row_match){ { account->domain, account->name }, 2 };
}

/* The folder column of mailusers.tab. */
static struct str folder_column(const struct account *account)
{
    return str_skip(account->folder, strlen("domains/") + account->domain.n + 1);
}

enum admin_result admin_account_password(struct str domain, struct str name,
                                         struct str password, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account;
    struct str stored;
    size_t changed = 0;
    enum admin_result result = admin_account_find(domain, name, &a, &account);
    if (result == ADMIN_OK)
        result = store_form(password, &a, &stored, e);
    if (result != ADMIN_OK)
        return result;
    struct row_match match = row_of(&account);
    result = table_set(USERS_TABLE, &match, 2, stored, &changed, e);
    if (result != ADMIN_OK)
        return result;
    index_follow(changed == 0
                     ? RC_AGAIN
                     : users_index_put_account(account.domain, account.name, stored, account.id,
                                               folder_column(&account), account.type));
    return changed == 0 ? ADMIN_UNKNOWN_USER : ADMIN_OK;
}

enum admin_result admin_account_remove(struct str domain, struct str name, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account;
    struct removal *r = NULL;
    enum admin_result result = admin_account_find(domain, name, &a, &account);
    if (result != ADMIN_OK)
        return result;
    struct str address =
        arena_printf(&a, "%.*s@%.*s", STR_ARG(account.name), STR_ARG(account.domain));
    const struct str any = { NULL, 0 };
    const struct row_match user = row_of(&account),
                           plain = { { account.domain, any, account.name }, 3 },
                           full = { { any, any, address }, 3 },
                           member = { { any, account.domain, account.name }, 3 };
    enum rc rc = removal_begin(address, &r, e);
    if (rc == RC_OK)
        rc = removal_rows(r, USERS_TABLE, &user, e);
    if (rc == RC_OK)
        rc = removal_rows(r, "aliases.tab", &plain, e);
    if (rc == RC_OK)
        rc = removal_rows(r, "aliases.tab", &full, e);
    if (rc == RC_OK)
        rc = removal_rows(r, "pop3links.tab", &user, e);
    if (rc == RC_OK)
        rc = removal_rows(r, "groupmembers.tab", &member, e);
    if (rc == RC_OK)
        removal_folder(r, account.folder);
    if (rc != RC_OK) {
        removal_free(&r);
        return ADMIN_CANT_WRITE;
    }
    return removal_commit(&r, e);
}

/* --- variables --------------------------------------------------------------------------- */

/* Names and values, all put into user.tab at once. */
struct vars {
    const struct str *pairs;
    size_t count;
    bool *done; /* by pair: its row was there, or has been added */
};

static bool is_removal(const struct vars *v, size_t i)
{
    return str_eq(v->pairs[2 * i + 1], STR(".|rm"));
}

/* The last pair of that name; count: there is none. */
static size_t pair_named(const struct vars *v, struct str name)
{
    for (size_t i = v->count; i > 0; i--)
        if (str_ieq(v->pairs[2 * (i - 1)], name))
            return i - 1;
    return v->count;
}

static enum tab_verdict edit_var(void *ctx, const struct tab_row *row, struct arena *a,
                                 const struct str **out_values, size_t *out_count)
{
    struct vars *v = ctx;
    size_t i = pair_named(v, tab_value(row, 0));
    if (i == v->count)
        return TAB_KEEP;
    v->done[i] = true;
    if (is_removal(v, i))
        return TAB_DROP;
    *out_count = MAX(row->count, (size_t)2);
    struct str *values = arena_new_array(a, struct str, *out_count);
    memcpy(values, row->values, row->count * sizeof(*values));
    values[1] = v->pairs[2 * i + 1];
    *out_values = values;
    return TAB_REPLACE;
}

static bool more_vars(void *ctx, const struct str **out_values, size_t *out_count)
{
    struct vars *v = ctx;
    for (size_t i = 0; i < v->count; i++) {
        if (v->done[i] || is_removal(v, i) || pair_named(v, v->pairs[2 * i]) != i)
            continue;
        v->done[i] = true;
        *out_values = &v->pairs[2 * i];
        *out_count = 2;
        return true;
    }
    memset(v->done, 0, v->count * sizeof(*v->done)); /* the edit may be tried again */
    return false;
}

/* Is there a row for each variable that is to be removed? */
static enum admin_result check_removals(const char *path, const struct vars *v, struct arena *a,
                                        struct err *e)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct row_match match = { { v->pairs[2 * i] }, 1 };
        bool found = true;
        if (is_removal(v, i) && table_find(path, &match, a, NULL, &found, e) != RC_OK)
            return ADMIN_CANT_OPEN;
        if (!found)
            return ADMIN_NO_VARIABLE;
    }
    return ADMIN_OK;
}

enum admin_result admin_vars_set(struct str domain, struct str name, const struct str *pairs,
                                 size_t pair_count, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account;
    struct vars v = { pairs, pair_count, arena_new_array(&a, bool, pair_count + 1) };
    size_t changed = 0;
    enum admin_result result = admin_account_find(domain, name, &a, &account);
    if (result != ADMIN_OK)
        return result;
    struct str path = arena_printf(&a, "%.*s/user.tab", STR_ARG(account.folder));
    for (size_t i = 0; i < 2 * pair_count; i++)
        if (!value_is_good(pairs[i]) || (i % 2 == 0 && pairs[i].n == 0))
            return ADMIN_BAD_CHARACTERS;
    result = check_removals(path.p, &v, &a, e);
    if (result != ADMIN_OK)
        return result;
    return tab_edit_more(path.p, edit_var, more_vars, &v, &changed, e) == RC_OK
               ? ADMIN_OK
               : ADMIN_CANT_WRITE;
}

/* --- members of lists -------------------------------------------------------------------- */

static enum admin_result find_list(struct str domain, struct str list, struct arena *a,
                                   struct str *out_path)
{
    struct account account;
    enum admin_result result = admin_account_find(domain, list, a, &account);
    if (result != ADMIN_OK)
        return result;
    *out_path = arena_printf(a, "%.*s/mlusers.tab", STR_ARG(account.folder));
    return account.type == ACCOUNT_LIST ? ADMIN_OK : ADMIN_NOT_A_LIST;
}

enum admin_result admin_member_add(struct str domain, struct str list, struct str address,
                                   struct str perms, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str path;
    struct address parsed;
    bool found = false;
    enum admin_result result = find_list(domain, list, &a, &path);
    const struct str row[] = { address, perms.n == 0 ? STR("RW") : perms };
    const struct row_match match = { { address }, 1 };
    if (result != ADMIN_OK)
        return result;
    if (address_parse(address, ADDRESS_LOOSE_DOTS | ADDRESS_UTF8, &a, &parsed, e) != RC_OK)
        return ADMIN_BAD_NAME;
    if (!str_eq(row[1], STR("R")) && !str_eq(row[1], STR("RW")) && !str_eq(row[1], STR("RA")))
        return ADMIN_BAD_PARAMETER;
    if (table_find(path.p, &match, &a, NULL, &found, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    return found ? ADMIN_MEMBER_EXISTS : table_add(path.p, row, 2, e);
}

enum admin_result admin_member_remove(struct str domain, struct str list, struct str address,
                                      struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str path;
    size_t dropped = 0;
    const struct row_match match = { { address }, 1 };
    enum admin_result result = find_list(domain, list, &a, &path);
    if (result == ADMIN_OK)
        result = table_drop(path.p, &match, &dropped, e);
    return result == ADMIN_OK && dropped == 0 ? ADMIN_NO_MEMBER : result;
}

/* --- settling ---------------------------------------------------------------------------- */

void accounts_unsettled(void)
{
    unsettled = true;
}

void admin_settle(void)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct err e;
    uint32_t next = users_index_next_id();
    if (!unsettled)
        return;
    int fd AUTO_CLOSE = io_open("domains", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || io_syncfs(fd) < 0 ||
        file_replace(SETTLED_FILE, arena_printf(&a, "%" PRIu32 "\n", next), 0640, &e) != RC_OK)
        log_warn(EV("folders of new accounts not synced yet"));
    else
        unsettled = false;
}

/* Is all there that an account needs? */
static bool is_complete(const struct account *account)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    const char *folder = arena_c(&a, account->folder);
    if (!file_exists(arena_printf(&a, "%s/user.tab", folder).p))
        return false;
    if (account->type == ACCOUNT_LIST)
        return file_exists(arena_printf(&a, "%s/mlusers.tab", folder).p);
    return folder_exists(arena_printf(&a, "%s/mailbox", folder).p) ||
           (folder_exists(arena_printf(&a, "%s/Maildir/tmp", folder).p) &&
            folder_exists(arena_printf(&a, "%s/Maildir/new", folder).p) &&
            folder_exists(arena_printf(&a, "%s/Maildir/cur", folder).p));
}

/* The accounts whose ids are at least that. */
static enum rc make_missing(uint64_t least_id, size_t *out_made, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct tab tab;
    enum rc rc = tab_read(USERS_TABLE, &a, &tab, e);
    for (size_t i = 0; rc == RC_OK && i < tab.row_count; i++) {
        const struct tab_row *row = &tab.rows[i];
        struct account account;
        uint64_t id = 0;
        if (!str_to_u64(tab_value(row, 3), &id) || id < least_id ||
            !users_account_find(tab_value(row, 0), tab_value(row, 1), &a, &account) ||
            is_complete(&account))
            continue;
        rc = account_make_folders(&account, e);
        *out_made += rc == RC_OK;
    }
    accounts_unsettled();
    return rc;
}

enum rc admin_make_missing_folders(size_t *out_made, struct err *e)
{
    *out_made = 0;
    return make_missing(0, out_made, e);
}

enum rc accounts_mend(struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str text;
    struct err none;
    uint64_t settled = 0;
    size_t made = 0;
    if (file_read(SETTLED_FILE, 64, &a, &text, NULL, &none) != RC_OK ||
        !str_to_u64(str_trim(text), &settled) || settled >= users_index_next_id())
        return RC_OK;
    return make_missing(settled, &made, e);
}
