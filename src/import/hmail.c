/* hmail.c - hMailServer's tables and files. Its database says which file is which message; a
 * file it doesn't know of isn't one. */
#include "import/hmail.h"
#include "import/import_int.h"
#include <time.h>

#define DUMP_MAX ((size_t)4 << 30)
#define LEVELS_MAX 20u
#define DELIVERED STR("2") /* messagetype of what is in a mailbox */

static const struct sql_table wanted[HMAIL_TABLES] = {
    [HMAIL_DOMAINS] = { .name = "hm_domains",
                        .columns = { "domainid", "domainname", "domainactive" } },
    [HMAIL_DOMAIN_ALIASES] = { .name = "hm_domain_aliases",
                               .columns = { "dadomainid", "daalias" } },
    [HMAIL_ACCOUNTS] = { .name = "hm_accounts",
                         .columns = { "accountid", "accountdomainid", "accountaddress",
                                      "accountpassword", "accountactive", "accountmaxsize",
                                      "accountpwencryption", "accountforwardenabled",
                                      "accountforwardaddress", "accountvacationmessageon" } },
    [HMAIL_ALIASES] = { .name = "hm_aliases",
                        .columns = { "aliasname", "aliasvalue", "aliasactive" } },
    [HMAIL_LISTS] = { .name = "hm_distributionlists",
                      .columns = { "distributionlistid", "distributionlistaddress",
                                   "distributionlistenabled", "distributionlistmode",
                                   "distributionlistrequireaddress" } },
    [HMAIL_MEMBERS] = { .name = "hm_distributionlistsrecipients",
                        .columns = { "distributionlistrecipientlistid",
                                     "distributionlistrecipientaddress" } },
    [HMAIL_FOLDERS] = { .name = "hm_imapfolders",
                        .columns = { "folderid", "folderaccountid", "folderparentid",
                                     "foldername" } },
    [HMAIL_MESSAGES] = { .name = "hm_messages",
                         .columns = { "messageaccountid", "messagefolderid", "messagefilename",
                                      "messagetype", "messageflags", "messagecreatetime",
                                      "messageflagseen", "messageflagflagged",
                                      "messageflaganswered", "messageflagdraft",
                                      "messageflagdeleted" } },
};

/* The rows of one account. */
struct hmail_messages {
    size_t *rows, count, room;
};

static struct str value(const struct hmail *h, enum hmail_table t, size_t row,
                        const char *column)
{
    return sql_value(&h->tables[t], row, column);
}

static void add_message(struct hmail *h, size_t row)
{
    struct str account = value(h, HMAIL_MESSAGES, row, "messageaccountid");
    struct hmail_messages *m = map_get(&h->messages, account);
    if (m == NULL) {
        m = arena_new(&h->mem, sizeof(*m));
        (void)map_put(&h->messages, account, m);
    }
    if (m->count == m->room) {
        size_t room = m->room == 0 ? 16 : 2 * m->room;
        size_t *rows = arena_new_array(&h->mem, size_t, room);
        if (m->count > 0)
            memcpy(rows, m->rows, m->count * sizeof(*rows));
        m->rows = rows;
        m->room = room;
    }
    m->rows[m->count++] = row;
}

enum rc hmail_read(const char *dump, struct hmail *out, struct err *e)
{
    struct str text;
    *out = (struct hmail){ .mem = { .head = NULL } };
    memcpy(out->tables, wanted, sizeof(wanted));
    enum rc rc = file_read(dump, DUMP_MAX, &out->mem, &text, NULL, e);
    if (rc == RC_OK)
        rc = sql_read(text, out->tables, HMAIL_TABLES, &out->mem, e);
    if (rc != RC_OK)
        return err_wrap(e, "%s", dump);
    for (size_t i = 0; i < out->tables[HMAIL_MESSAGES].count; i++)
        if (str_eq(value(out, HMAIL_MESSAGES, i, "messagetype"), DELIVERED))
            add_message(out, i);
    for (size_t i = 0; i < out->tables[HMAIL_FOLDERS].count; i++) {
        size_t *row = arena_new(&out->mem, sizeof(*row));
        *row = i;
        (void)map_put(&out->folders, value(out, HMAIL_FOLDERS, i, "folderid"), row);
    }
    return RC_OK;
}

void hmail_release(struct hmail *h)
{
    map_release(&h->messages);
    map_release(&h->folders);
    arena_release(&h->mem);
}

size_t hmail_domain(const struct hmail *h, struct str id)
{
    for (size_t i = 0; i < h->tables[HMAIL_DOMAINS].count; i++)
        if (str_eq(value(h, HMAIL_DOMAINS, i, "domainid"), id))
            return i;
    return SIZE_MAX;
}

/* --- what a row says --------------------------------------------------------------------- */

struct str hmail_folder(const struct hmail *h, size_t row, struct arena *a)
{
    struct str path = STR("");
    for (unsigned i = 0; i < LEVELS_MAX; i++) {
        struct str name = value(h, HMAIL_FOLDERS, row, "foldername");
        char *clean = arena_c(a, name);
        for (size_t k = 0; k < name.n; k++)
            if (strchr("./\\", clean[k]) != NULL || (unsigned char)clean[k] < 0x20)
                clean[k] = '_';
        path = path.n == 0 ? str_from(clean, name.n)
                           : arena_printf(a, "%.*s.%.*s", (int)name.n, clean, STR_ARG(path));
        const size_t *parent =
            map_get(&h->folders, value(h, HMAIL_FOLDERS, row, "folderparentid"));
        if (parent == NULL)
            break;
        row = *parent;
    }
    return str_ieq(path, STR("INBOX")) ? STR("") : path;
}

struct str hmail_flags(const struct hmail *h, size_t row, struct arena *a)
{
    static const struct {
        unsigned bit; /* in messageflags; older ones have a column each */
        const char *column;
        char letter;
    } rows[] = { { 16, "messageflagdraft", 'D' },
                 { 4, "messageflagflagged", 'F' },
                 { 8, "messageflaganswered", 'R' },
                 { 1, "messageflagseen", 'S' },
                 { 2, "messageflagdeleted", 'T' } };
    uint64_t bits = 0;
    size_t n = 0;
    char *letters = arena_new(a, ARRAY_LEN(rows) + 1);
    (void)str_to_u64(value(h, HMAIL_MESSAGES, row, "messageflags"), &bits);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if ((bits & rows[i].bit) != 0 ||
            str_eq(value(h, HMAIL_MESSAGES, row, rows[i].column), STR("1")))
            letters[n++] = rows[i].letter;
    return n == 0 ? str_from(NULL, 0) : str_from(letters, n);
}

usec_t hmail_time(struct str text)
{
    static const size_t at[] = { 0, 5, 8, 11, 14, 17 };
    uint64_t n[6] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(at); i++)
        if (text.n < 19 || !str_to_u64(str_head(str_skip(text, at[i]), i == 0 ? 4 : 2), &n[i]))
            return 0;
    if (n[0] < 1970 || n[0] > 9999 || n[1] < 1 || n[1] > 12)
        return 0;
    struct tm tm = { .tm_year = (int)n[0] - 1900,
                     .tm_mon = (int)n[1] - 1,
                     .tm_mday = (int)n[2],
                     .tm_hour = (int)n[3],
                     .tm_min = (int)n[4],
                     .tm_sec = (int)n[5] };
    return (usec_t)timegm(&tm) * USEC_S;
}

/* --- files ------------------------------------------------------------------------------- */

/* The last part of "C:\...\{GUID}.eml"; empty: no name of a file. */
static struct str file_name(struct str name)
{
    for (size_t i = name.n; i > 0; i--)
        if (name.p[i - 1] == '\\' || name.p[i - 1] == '/') {
            name = str_skip(name, i);
            break;
        }
    bool good = name.n > 3 && name.n < 200 && name.p[0] != '.' && !str_has_control(name);
    return good ? name : STR("");
}

/* DATA/DOMAIN/USER/XX/NAME, XX the first digits of the GUID; older versions have no XX. */
static int open_message(const char *data, struct str address, struct str name)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    size_t at = str_rfind(address, '@');
    struct str user = str_head(address, at), domain = str_skip(address, at + 1);
    struct str digits = str_head(str_skip(name, name.p[0] == '{' ? 1 : 0), 2);
    const char *folder =
        arena_printf(&a, "%s/%.*s/%.*s", data, STR_ARG(domain), STR_ARG(user)).p;
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    if (at == SIZE_MAX || str_has_any(address, "/\\") || str_starts(domain, STR(".")) ||
        str_starts(user, STR(".")))
        return -1;
    int fd = io_open(arena_printf(&a, "%s/%.*s/%.*s", folder, STR_ARG(digits), STR_ARG(name)).p,
                     flags, 0);
    return fd >= 0 ? fd
                   : io_open(arena_printf(&a, "%s/%.*s", folder, STR_ARG(name)).p, flags, 0);
}

/* The GUID, which no other message has. */
static struct str base_of(struct str name, usec_t arrived, struct arena *a)
{
    char *p = arena_c(a, name);
    size_t n = 0;
    for (size_t i = 0; i < name.n && n < 60; i++)
        if (ascii_is_alnum(name.p[i]) || name.p[i] == '-')
            p[n++] = ascii_lower(name.p[i]);
    return arena_printf(a, "%" PRId64 ".I%.*s.hikyaku", arrived / USEC_S, (int)n, p);
}

static enum rc put(struct import_target *t, int fd, struct str base, struct str flags,
                   usec_t arrived, struct err *e)
{
    bool there = false;
    enum rc rc = import_has(t, base, &there, e);
    t->im->report.present += there;
    if (rc != RC_OK || there || !t->im->really)
        return rc;
    rc = import_begin(t, e);
    if (rc == RC_OK)
        rc = import_copy(t, fd, e);
    return rc == RC_OK ? import_end(t, base, flags, arrived, e) : rc;
}

static enum rc take(struct import_target *t, const struct hmail *h, size_t row,
                    const char *data, struct str address, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct stat st;
    struct str name = file_name(value(h, HMAIL_MESSAGES, row, "messagefilename"));
    int fd AUTO_CLOSE = name.n == 0 ? -1 : open_message(data, address, name);
    if (fd < 0 || io_fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        t->im->say(t->im->ctx, address,
                   arena_printf(&a, "the file of a message is missing: %.*s", STR_ARG(name)));
        t->im->report.bad++;
        return RC_OK;
    }
    usec_t arrived = hmail_time(value(h, HMAIL_MESSAGES, row, "messagecreatetime"));
    t->im->report.messages++;
    t->im->report.octets += (uint64_t)st.st_size;
    return put(t, fd, base_of(name, arrived, &a), hmail_flags(h, row, &a),
               arrived > 0 ? arrived : (usec_t)st.st_mtim.tv_sec * USEC_S, e);
}

/* Those of one folder; done[i] is set for each. */
static enum rc take_folder(struct import *im, const struct hmail *h,
                           const struct hmail_messages *m, size_t first, bool *done,
                           const char *data, struct str address, const struct account *account,
                           struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err later;
    struct str id = value(h, HMAIL_MESSAGES, m->rows[first], "messagefolderid");
    const size_t *row = map_get(&h->folders, id);
    struct import_target t = { .im = im,
                               .account = account,
                               .folder = row == NULL ? STR("") : hmail_folder(h, *row, &a) };
    enum rc rc = RC_OK;
    for (size_t i = first; i < m->count && rc == RC_OK; i++) {
        if (done[i] || !str_eq(value(h, HMAIL_MESSAGES, m->rows[i], "messagefolderid"), id))
            continue;
        done[i] = true;
        rc = take(&t, h, m->rows[i], data, address, e);
    }
    if (rc == RC_OK)
        return import_finish(&t, e);
    (void)!import_finish(&t, &later);
    return rc;
}

enum rc hmail_import(struct import *im, const struct hmail *h, size_t row, const char *data,
                     const struct account *account, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct hmail_messages *m =
        map_get(&h->messages, value(h, HMAIL_ACCOUNTS, row, "accountid"));
    if (m == NULL)
        return RC_OK;
    bool *done = arena_new_array(&a, bool, m->count);
    enum rc rc = RC_OK;
    for (size_t i = 0; i < m->count && rc == RC_OK; i++)
        if (!done[i])
            rc = take_folder(im, h, m, i, done, data,
                             value(h, HMAIL_ACCOUNTS, row, "accountaddress"), account, e);
    return rc;
}
