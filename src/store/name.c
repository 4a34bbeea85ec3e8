/*
 * name.c - message file names. Ours are "seconds.MmicrosPpidQseq.host,S=disk,W=wire" (Maildir);
 * XMail's "milliseconds.thread.seq.host"; other programs' are anything. Pure; every octet of a
 * name read from a folder is foreign.
 */
#include "store/store_int.h"
#include <openssl/sha.h>
#include <stdatomic.h>

#define FIXED_NAME_MAX 160
#define UID_MAX 70
#define COMPONENT_MAX 200
/* Numbers at the head of a name: below the first no time, above the second milliseconds. */
#define EARLIEST_SECONDS UINT64_C(100000000)
#define EARLIEST_MILLISECONDS UINT64_C(100000000000)
#define LATEST_MILLISECONDS UINT64_C(1000000000000000)
/* A size beyond this in a name is no size. */
#define OCTETS_MAX (UINT64_C(1) << 48)

/* The name without ":2,flags" (or ":1,"). */
static struct str without_flags(struct str file)
{
    size_t colon = str_rfind(file, ':');
    if (colon == SIZE_MAX)
        return file;
    struct str info = str_skip(file, colon + 1);
    if (!str_starts(info, STR("2,")) && !str_starts(info, STR("1,")))
        return file;
    return str_head(file, colon);
}

/* The digits at the head of s. */
static struct str leading_digits(struct str s)
{
    size_t n = 0;
    while (n < s.n && ascii_is_digit(s.p[n]))
        n++;
    return str_head(s, n);
}

static void parse_time(struct message_name *name)
{
    struct str digits = leading_digits(name->base);
    struct str rest = str_skip(name->base, digits.n);
    uint64_t head = 0;
    if (!str_starts(rest, STR(".")) || !str_to_u64(digits, &head))
        return;
    if (head < EARLIEST_SECONDS || head >= LATEST_MILLISECONDS)
        return;
    name->has_time = true;
    if (head >= EARLIEST_MILLISECONDS) {
        name->time = (usec_t)head * USEC_MS;
        return;
    }
    uint64_t micros = 0;
    name->time = (usec_t)head * USEC_S;
    if (str_starts(rest, STR(".M")) && str_to_u64(leading_digits(str_skip(rest, 2)), &micros) &&
        micros < (uint64_t)USEC_S)
        name->time += (usec_t)micros;
}

static void parse_sizes(struct message_name *name)
{
    struct str rest = name->base, field;
    (void)str_cut(&rest, ',', &field);
    while (str_cut(&rest, ',', &field)) {
        uint64_t n = 0;
        if (field.n < 3 || field.p[1] != '=' || !str_to_u64(str_skip(field, 2), &n) ||
            n > OCTETS_MAX)
            continue;
        if (field.p[0] == 'S') {
            name->disk_octets = n;
            name->has_disk = true;
        } else if (field.p[0] == 'W') {
            name->wire_octets = n;
            name->has_wire = true;
        }
    }
}

bool name_parse(struct str file, struct message_name *out)
{
    if (file.n == 0 || file.p[0] == '.' || str_has_any(file, "/"))
        return false;
    struct message_name name = { .base = without_flags(file) };
    if (name.base.n == 0)
        return false;
    parse_time(&name);
    parse_sizes(&name);
    *out = name;
    return true;
}

struct str name_make(usec_t now, struct arena *a)
{
    static _Atomic unsigned sequence;
    unsigned seq = atomic_fetch_add(&sequence, 1) % 10000;
    return arena_printf(a, "%lld.M%06dP%dQ%u.%s", (long long)(now / USEC_S),
                        (int)(now % USEC_S), (int)getpid(), seq, store.host);
}

bool name_is_base(struct str base)
{
    return base.n > 0 && base.n <= FIXED_NAME_MAX && base.p[0] != '.' &&
           !str_has_any(base, "/:,\\") && !str_has_control(base);
}

struct str name_with_sizes(struct str base, uint64_t disk, uint64_t wire, struct arena *a)
{
    return arena_printf(a, "%.*s,S=%llu,W=%llu", STR_ARG(base), (unsigned long long)disk,
                        (unsigned long long)wire);
}

/* Text whose SHA-256 stands for s where s itself can't be used. */
static struct str hashed(struct str s, struct arena *a)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char hex[41];
    (void)SHA256((const unsigned char *)s.p, s.n, digest);
    for (size_t i = 0; i < 20; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return arena_printf(a, "h-%s", hex);
}

struct str name_uid(struct str base, struct arena *a)
{
    bool fits = base.n >= 1 && base.n <= UID_MAX;
    for (size_t i = 0; fits && i < base.n; i++)
        fits = base.p[i] >= 0x21 && base.p[i] <= 0x7e;
    return fits ? base : hashed(base, a);
}

static bool is_plain(struct str text, size_t i)
{
    unsigned char c = (unsigned char)text.p[i];
    if (c == '/' || c == '%' || c == '\\' || c < 0x21 || c == 0x7f)
        return false;
    return c != '.' || i > 0;
}

struct str name_component(struct str text, struct arena *a)
{
    static const char hex[] = "0123456789ABCDEF";
    if (text.n == 0)
        return STR("%");
    if (text.n > COMPONENT_MAX / 3)
        return hashed(text, a);
    char *p = arena_new(a, text.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (is_plain(text, i)) {
            p[n++] = (char)c;
            continue;
        }
        p[n++] = '%';
        p[n++] = hex[c >> 4];
        p[n++] = hex[c & 15];
    }
    return str_from(p, n);
}

void name_host(struct str host, char out[HOST_PART_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        const char *text = c == '/' ? "\\057" : c == ':' ? "\\072" : NULL;
        char plain[2] = { c <= ' ' || c == ',' || c == 0x7f ? '_' : c, '\0' };
        struct str part = str_from_c(text != NULL ? text : plain);
        if (n + part.n > HOST_PART_MAX)
            break;
        memcpy(out + n, part.p, part.n);
        n += part.n;
    }
    out[n] = '\0';
}
