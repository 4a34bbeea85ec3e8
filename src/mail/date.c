/* date.c - dates and message ids of headers. */
#include "mail/date.h"
#include <stdatomic.h>
#include <sys/random.h>

const char *date_print(usec_t wall, char text[DATE_TEXT_BYTES])
{
    static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t seconds = (time_t)(wall / USEC_S);
    struct tm tm = { .tm_mday = 1 };
    if (localtime_r(&seconds, &tm) == NULL)
        BUG("a wall clock beyond all years");
    int64_t minutes = tm.tm_gmtoff / 60;
    int64_t offset = minutes < 0 ? -minutes : minutes;
    (void)snprintf(text, DATE_TEXT_BYTES, "%s, %d %s %lld %02d:%02d:%02d %c%02d%02d",
                   days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900LL,
                   tm.tm_hour, tm.tm_min, tm.tm_sec, minutes < 0 ? '-' : '+',
                   (int)(offset / 60), (int)(offset % 60));
    return text;
}

/* host without what a domain or an address literal can't hold: it may come from a table. */
static struct str clean_host(struct str host, struct arena *a)
{
    char *p = arena_new(a, host.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < host.n; i++)
        if (ascii_is_alnum(host.p[i]) || (host.p[i] != '\0' && strchr(".-_", host.p[i])))
            p[n++] = host.p[i];
    return n > 0 ? str_from(p, n) : STR("localhost");
}

struct str message_id_new(struct str host, struct arena *a)
{
    static atomic_uint counter;
    uint64_t noise = 0;
    if (getrandom(&noise, sizeof(noise), 0) != (ssize_t)sizeof(noise))
        noise = hash_seed();
    host = clean_host(host, a);
    return arena_printf(a, "<%llx.%x.%x.%016llx@%.*s>", (unsigned long long)clock_wall(),
                        (unsigned)getpid(), atomic_fetch_add(&counter, 1u),
                        (unsigned long long)noise, STR_ARG(host));
}
