/* files.c - files below the MailRoot that a client names: no way out of it, no keys, nothing of
 * the server's own. */
#include "admin/admin_int.h"
#include "conf/tab.h"
#include <openssl/evp.h>

#define PATH_OCTETS_MAX ((size_t)512)

static const char *const index_tables[] = { "domains.tab", "aliasdomain.tab", "mailusers.tab",
                                            "aliases.tab" };

static bool part_is_good(struct str part)
{
    return part.n > 0 && part.n <= 255 && part.p[0] != '.' && !str_has_control(part);
}

/* Folders of the server itself, and keys, by name. */
static bool is_closed(struct str path)
{
    static const char *const folders[] = { "hikyaku", "queue" };
    struct str first = str_head(path, str_find(path, '/'));
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        if (str_ieq(first, str_from_c(folders[i])))
            return true;
    return str_iends(path, STR(".key"));
}

enum admin_result admin_path(struct str given, enum admin_file what, struct arena *a,
                             struct str *out)
{
    if (given.n == 0 || given.n > PATH_OCTETS_MAX || str_find(given, '\0') != SIZE_MAX)
        return what == ADMIN_FILE_LIST && given.n == 0 ? ADMIN_NO_FOLDER : ADMIN_BAD_PATH;
    char *p = arena_c(a, given);
    for (size_t i = 0; i < given.n; i++)
        p[i] = p[i] == '\\' ? '/' : p[i];
    if (p[0] == '/' || (given.n > 1 && p[1] == ':'))
        return ADMIN_CANT_OPEN;
    struct str path = str_from(p, given.n), rest = path, part;
    while (path.n > 1 && path.p[path.n - 1] == '/') {
        path.n--;
        p[path.n] = '\0';
    }
    rest = path;
    if (what == ADMIN_FILE_LIST && str_eq(path, STR("."))) {
        *out = path;
        return ADMIN_OK;
    }
    while (str_cut(&rest, '/', &part))
        if (!part_is_good(part))
            return ADMIN_BAD_PATH;
    if (is_closed(path))
        return ADMIN_BAD_PATH;
    *out = path;
    return ADMIN_OK;
}

/* Folders that are made when their first file comes. */
static void make_parent(struct str parent, struct arena *a)
{
    struct str domain = str_starts(parent, STR("cmdaliases/"))
                            ? str_skip(parent, strlen("cmdaliases/"))
                            : STR("");
    struct err e;
    if (!str_eq(parent, STR("custdomains")) && !str_eq(parent, STR("filters")) &&
        !str_eq(parent, STR("groups")) &&
        (domain.n == 0 || str_find(domain, '/') != SIZE_MAX || !users_domain_is_local(domain)))
        return;
    if (domain.n > 0 && folder_make("cmdaliases", 0750, &e) != RC_OK)
        return;
    if (folder_make(arena_c(a, parent), 0750, &e) != RC_OK)
        log_warn(EV("folder can't be made"), KS("folder", parent), KE(&e));
}

/* The folder that holds the file, reached without a link. */
static bool parent_is_plain(struct str path, struct arena *a)
{
    size_t at = str_rfind(path, '/');
    const char *parent = at == SIZE_MAX ? "." : arena_c(a, str_head(path, at));
    make_parent(str_from_c(parent), a);
    int fd AUTO_CLOSE = io_open_beneath(parent, O_RDONLY | O_DIRECTORY, 0);
    return fd >= 0;
}

void admin_file_version(struct str text, char out[ADMIN_VERSION_BYTES])
{
    uint8_t sum[32] = { 0 };
    unsigned n = 0;
    if (EVP_Digest(text.p, text.n, sum, &n, EVP_sha256(), NULL) != 1)
        BUG("no SHA-256");
    for (size_t i = 0; i < sizeof(sum); i++)
        (void)snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* Is the file the version that the client has seen? */
static bool is_version(const char *path, struct str version)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str text;
    struct err e = { .sys = 0 };
    char hex[ADMIN_VERSION_BYTES];
    if (version.n == 0)
        return true;
    if (file_read(path, TAB_FILE_MAX, &a, &text, NULL, &e) != RC_OK)
        return e.sys == ENOENT && str_eq(version, STR("none"));
    admin_file_version(text, hex);
    return str_ieq(version, str_from_c(hex));
}

enum admin_result admin_file_set(struct str path, struct str content, struct str version,
                                 struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct stat st;
    const char *name = arena_c(&a, path);
    if (!parent_is_plain(path, &a))
        return ADMIN_CANT_CREATE;
    if (io_lstat(name, &st) == 0 && !S_ISREG(st.st_mode))
        return ADMIN_BAD_PATH;
    if (!is_version(name, version))
        return ADMIN_CHANGED;
    if (tab_replace(name, content, e) != RC_OK)
        return ADMIN_CANT_WRITE;
    for (size_t i = 0; i < ARRAY_LEN(index_tables); i++)
        if (str_eq(path, str_from_c(index_tables[i])))
            index_follow(RC_AGAIN);
    return ADMIN_OK;
}

enum admin_result admin_mailproc_path(struct str domain, struct str name, char whose,
                                      struct arena *a, struct str *out)
{
    struct account account;
    enum admin_result result = admin_account_find(domain, name, a, &account);
    if (result != ADMIN_OK)
        return result;
    *out = whose == 'D' ? arena_printf(a, "domains/%.*s/mailproc.tab", STR_ARG(account.domain))
                        : arena_printf(a, "%.*s/mailproc.tab", STR_ARG(account.folder));
    return ADMIN_OK;
}

enum admin_result admin_custom_path(struct str domain, struct arena *a, struct str *out)
{
    bool below = domain.n > 0 && domain.p[0] == '.';
    struct str name = str_skip(domain, below ? 1 : 0), key;
    if (!file_name_is_good(name) || str_has_any(name, " \"*?@"))
        return ADMIN_BAD_NAME;
    *out = arena_printf(a, "custdomains/%.*s.tab", STR_ARG(domain));
    if (file_exists(out->p))
        return ADMIN_OK;
    /* A new one is named as look-ups name it: in A-labels and lower case. */
    if (domain_parse(name, true, a, &key, NULL) != RC_OK)
        return ADMIN_BAD_NAME;
    *out = arena_printf(a, "custdomains/%s%.*s.tab", below ? "." : "", STR_ARG(key));
    return ADMIN_OK;
}
