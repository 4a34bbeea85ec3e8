/*
 * policy_memory.c - SmtpMinVirtMemSpace: below that much free memory no new session is taken.
 * Asks the kernel at most once a second. Where it can't be asked there is memory enough.
 */
#include "smtpd/smtpd_int.h"
#include "sys/io.h"
#include <stdatomic.h>

static _Atomic int64_t asked_at;
static _Atomic uint64_t free_kb = UINT64_MAX;

/* "MemAvailable:   12345 kB" */
static uint64_t parse(struct str text)
{
    struct str line, number;
    uint64_t kb = 0;
    while (str_cut(&text, '\n', &line)) {
        if (!str_starts(line, STR("MemAvailable:")))
            continue;
        line = str_trim(str_skip(line, 13));
        if (str_cut(&line, ' ', &number) && str_to_u64(number, &kb))
            return kb;
    }
    return UINT64_MAX;
}

static void ask(void)
{
    char text[2048];
    int64_t now = clock_mono(), last = asked_at;
    if (last != 0 && now - last < USEC_S && now >= last)
        return;
    if (!atomic_compare_exchange_strong(&asked_at, &last, now))
        return;
    int fd AUTO_CLOSE = io_open("/proc/meminfo", O_RDONLY, 0);
    ssize_t n = fd < 0 ? -1 : io_read(fd, text, sizeof(text));
    free_kb = n < 0 ? UINT64_MAX : parse(str_from(text, (size_t)n));
}

bool policy_memory_is_free(void)
{
    uint64_t need_kb = conf()->smtp_min_virt_mem_space_kb;
    if (need_kb == 0)
        return true;
    ask();
    return free_kb >= need_kb;
}
