/*
 * verify.c - is a mailbox as it should be? Sizes against names, the counter against a count,
 * what interrupted deliveries left. For `hikyaku verify`; no message is opened or removed.
 */
#include "store/store_int.h"
#include "sys/file.h"
#include <dirent.h>

#define LEFTOVER_AGE_S (36 * 3600) /* as place_sweep */

struct verifying {
    struct store_verified *out;
    store_bad_fn *bad;
    void *ctx;
};

/* A file whose name says another size was cut short, or changed, by somebody. */
static void look_at_sizes(struct verifying *v, const char *folder)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = DT_UNKNOWN;
    if (folder == NULL || folder_open(folder, &f, NULL) != RC_OK)
        return;
    while (folder_next(f, &name, &type)) {
        struct arena mem AUTO_RELEASE_ARENA = { 0 };
        struct message_name n;
        struct stat st;
        const char *path = arena_printf(&mem, "%s/%.*s", folder, STR_ARG(name)).p;
        if (type != DT_REG || !name_parse(name, &n) || io_lstat(path, &st) < 0)
            continue;
        v->out->messages++;
        v->out->octets += (uint64_t)st.st_size;
        if (!n.has_disk || n.disk_octets == (uint64_t)st.st_size)
            continue;
        v->out->bad++;
        v->bad(v->ctx, path,
               arena_printf(&mem, "it has %lld octets, its name says %llu",
                            (long long)st.st_size, (unsigned long long)n.disk_octets)
                   .p);
    }
    folder_close(&f);
}

static uint64_t count_leftovers(const char *folder)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = DT_UNKNOWN;
    uint64_t n = 0;
    usec_t now = clock_wall() / USEC_S;
    if (folder_open(folder, &f, NULL) != RC_OK)
        return 0;
    while (folder_next(f, &name, &type)) {
        struct arena mem AUTO_RELEASE_ARENA = { 0 };
        struct stat st;
        const char *path = arena_printf(&mem, "%s/%.*s", folder, STR_ARG(name)).p;
        n += type == DT_REG && io_lstat(path, &st) == 0 &&
             now - st.st_mtim.tv_sec > LEFTOVER_AGE_S;
    }
    folder_close(&f);
    return n;
}

void store_verify(const struct account *account, bool repair, store_bad_fn *bad, void *ctx,
                  struct store_verified *out)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct place place = place_find(account);
    struct verifying v = { .out = out, .bad = bad, .ctx = ctx };
    *out = (struct store_verified){ .messages = 0 };
    look_at_sizes(&v, place_new(&place, &mem));
    look_at_sizes(&v, place_cur(&place, &mem));
    if (place.kind == PLACE_MAILDIR)
        out->leftovers =
            count_leftovers(arena_printf(&mem, "%.*s/Maildir/tmp", STR_ARG(place.folder)).p);
    out->counter_off = usage_is_off(account, &place);
    if (!repair)
        return;
    if (out->leftovers > 0)
        place_sweep(&place);
    if (out->counter_off)
        usage_forget(account);
}
