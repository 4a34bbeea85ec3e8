/*
 * gates.c - what the gates of a connection cost with a long spammers.tab, and a look-up among
 * many networks. Called by bench.py with an empty folder, which becomes a MailRoot.
 */
#include "base/nets.h"
#include "conf/options.h"
#include "gates/gates.h"
#include "sys/file.h"

#define LINES 100000u
#define NETWORKS 1000000u
#define CLIENTS 1000000u

static uint64_t state = 88172645463325252u;

/* xorshift64: the same numbers in each run. */
static uint32_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static struct ip v4(uint32_t n)
{
    struct ip ip = { .b = { [10] = 0xff, [11] = 0xff } };
    for (unsigned i = 0; i < 4; i++)
        ip.b[12 + i] = (uint8_t)(n >> (24 - 8 * i));
    return ip;
}

static void put(const char *path, struct str text)
{
    struct err e;
    if (file_replace(path, text, 0600, &e) != RC_OK)
        BUG(e.text);
}

/* Microseconds of a connection's gates. */
static double connections(unsigned *refused)
{
    usec_t began = clock_mono();
    struct arena tmp AUTO_RELEASE_ARENA = { 0 };
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct gate_memory memory = { .properties = 0 };
        struct gate_subject s = { .memory = &memory, .tmp = &tmp, .client = v4(next()) };
        struct gate_decision d;
        *refused += gates_run(GATE_CONNECT, &s, NULL, NULL, &d) == GATE_REFUSE;
        arena_reset(&tmp);
    }
    return (double)(clock_mono() - began) / CLIENTS;
}

static void measure_gates(void)
{
    struct buf text AUTO_RELEASE_BUF;
    struct err e;
    unsigned refused = 0;
    put("server.tab", STR("\"RootDomain\"\t\"load.example\"\n"));
    put("spammers.tab", STR(""));
    if (options_load(&e) != RC_OK)
        BUG(e.text);
    gates_init();
    double empty = connections(&refused);
    buf_init(&text, (size_t)64 << 20);
    for (unsigned i = 0; i < LINES; i++) {
        char ip[IP_TEXT_BYTES];
        unsigned bits = 16 + next() % 17;
        struct ip net = v4(next() & (uint32_t)(0xffffffffu << (32 - bits)));
        buf_must(buf_printf(&text, "\"%s/%u\"\t\"code=%d\"\n", ip_print(&net, ip), bits,
                            (int)(next() % 3)));
    }
    put("spammers.tab", buf_str(&text));
    for (usec_t until = clock_mono() + 60 * USEC_S; refused == 0 && clock_mono() < until;)
        (void)connections(&refused); /* until the table is read again */
    refused = 0;
    double full = connections(&refused);
    printf("gates of a connection: %.2f us; with %u lines in spammers.tab %.2f us (%u of %u "
           "refused)\n",
           empty, LINES, full, refused, CLIENTS);
}

static void measure_networks(void)
{
    struct nets t = { .count = 0 };
    uint64_t found = 0;
    usec_t began = clock_mono();
    for (uint32_t i = 0; i < NETWORKS; i++) {
        unsigned bits = 16 + next() % 17;
        struct ip_net net;
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        char text[IP_TEXT_BYTES];
        struct ip ip = v4(next() & (uint32_t)(0xffffffffu << (32 - bits)));
        if (i % 4 == 0) { /* a /48 to /64 of IPv6 */
            ip = (struct ip){ .b = { 0x20, 0x01 } };
            for (unsigned k = 2; k < 6; k++)
                ip.b[k] = (uint8_t)next();
            bits = 48 + next() % 17;
        }
        if (!ip_net_parse(arena_printf(&a, "%s/%u", ip_print(&ip, text), bits), STR(""), &net))
            BUG("not a network");
        nets_add(&t, &net, i + 1);
    }
    nets_finish(&t);
    double made = (double)(clock_mono() - began) / USEC_S;
    began = clock_mono();
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct ip ip = v4(next());
        found += nets_find(&t, &ip) > 0;
    }
    printf("a look-up among %u networks: %.2f us (%" PRIu64 " of %u found; made in %.1f s)\n",
           NETWORKS, (double)(clock_mono() - began) / CLIENTS, found, CLIENTS, made);
    nets_release(&t);
}

int main(int argc, char **argv)
{
    log_set_level(LOG_LEVEL_ERROR);
    if (argc != 2 || chdir(argv[1]) != 0) {
        (void)fputs("usage: gates FOLDER\n", stderr);
        return 2;
    }
    measure_gates();
    measure_networks();
    return 0;
}
