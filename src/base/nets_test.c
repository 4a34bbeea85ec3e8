/* nets_test.c - networks against the plain way of looking at each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

static struct ip ip_of(const char *text)
{
    struct ip ip;
    if (!ip_parse(str_from_c(text), &ip))
        fail_msg("%s", text);
    return ip;
}

static void add(struct nets *t, const char *ip, const char *mask, uint32_t rank)
{
    struct ip_net net;
    if (!ip_net_parse(str_from_c(ip), str_from_c(mask), &net))
        fail_msg("%s %s", ip, mask);
    nets_add(t, &net, rank);
}

static void test_shown(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "[192.0.2.7]:25", "192.0.2.7:25" },
        { "[192.0.2.7]", "192.0.2.7" },
        { "[2001:db8::1]:25", "[2001:db8::1]:25" },
        { "[x]:25", "[x]:25" },
        { "192.0.2.7:25", "192.0.2.7:25" },
        { "]", "]" },
        { "", "" },
    };
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    char text[IP_PORT_TEXT_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_true(str_eq(ip_port_reshow(str_from_c(rows[i][0]), &a), str_from_c(rows[i][1])));
    for (size_t i = 0; i < 3; i += 2) {
        struct ip ip = ip_of(i == 0 ? "192.0.2.7" : "2001:db8::1");
        assert_string_equal(ip_port_print(&ip, 25, text), rows[i][0]);
        assert_string_equal(ip_port_show(&ip, 25, text), rows[i][1]);
    }
}

static void test_rows(void **state)
{
    (void)state;
    static const struct {
        const char *ip, *mask;
    } nets[] = {
        { "10.0.0.0/8", "" },    { "10.1.0.0/16", "" },         { "10.1.2.3/32", "" },
        { "192.0.2.5/31", "" },  { "10.0.0.7", "255.0.0.255" }, { "2001:db8::/32", "" },
        { "2001:db8::1", "" },   { "10.1.0.0", "255.255.0.0" }, { "172.16.0.0/12", "" },
        { "172.16.0.0/13", "" },
    };
    static const struct {
        const char *client;
        uint32_t rank;
    } cases[] = {
        { "10.9.9.9", 1 },   { "10.1.2.3", 1 },        { "11.1.2.3", 0 },
        { "192.0.2.4", 4 },  { "192.0.2.5", 4 },       { "192.0.2.6", 0 },
        { "10.2.2.7", 1 },   { "2001:db8::1", 6 },     { "2001:db9::1", 0 },
        { "172.31.0.1", 9 }, { "::ffff:10.1.1.1", 1 }, { "::", 0 },
    };
    struct nets t = { .count = 0 };
    struct ip none = ip_of("1.2.3.4");
    assert_int_equal(nets_find(&t, &none), 0);
    for (size_t i = 0; i < ARRAY_LEN(nets); i++)
        add(&t, nets[i].ip, nets[i].mask, (uint32_t)i + 1);
    nets_finish(&t);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ip client = ip_of(cases[i].client);
        print_message("%s\n", cases[i].client);
        assert_int_equal(nets_find(&t, &client), cases[i].rank);
    }
    nets_release(&t);
}

/* A network of all of one family is one of all. */
static void test_all(void **state)
{
    (void)state;
    static const char *const all[][2] = { { "0.0.0.0", "0.0.0.0" },
                                          { "0.0.0.0/0", "" },
                                          { "::/0", "" } };
    static const char *const clients[] = { "10.0.0.1", "2001:db8::1", "::1" };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct nets t = { .count = 0 };
        add(&t, all[i][0], all[i][1], 7);
        nets_finish(&t);
        for (size_t k = 0; k < ARRAY_LEN(clients); k++) {
            struct ip client = ip_of(clients[k]);
            assert_int_equal(nets_find(&t, &client), 7);
        }
        nets_release(&t);
    }
}

#define MANY 3000u

static uint32_t next(uint64_t *x)
{
    *x = *x * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*x >> 33);
}

/* Random networks in few places, so that they lie in each other, some with holes. */
static struct ip_net random_net(uint64_t *x)
{
    struct ip_net net = { .ip = ip_of("10.0.0.0") };
    bool v6 = next(x) % 4 == 0;
    if (v6)
        net.ip = ip_of("2001:db8::");
    for (size_t i = 13; i < 16; i++)
        net.ip.b[i] = (uint8_t)(next(x) % 4 * 64 + next(x) % 4);
    memset(net.mask.b, 0, 16);
    unsigned bits = v6 ? next(x) % 129 : 96 + next(x) % 33;
    for (unsigned i = 0; i < bits; i++)
        net.mask.b[i / 8] |= (uint8_t)(0x80u >> i % 8);
    if (next(x) % 50 == 0)
        net.mask.b[14] ^= 0x10;
    return net;
}

static void test_like_a_list(void **state)
{
    (void)state;
    static struct ip_net nets[MANY];
    struct nets t = { .count = 0 };
    uint64_t x = 20261126;
    for (uint32_t i = 0; i < MANY; i++) {
        nets[i] = random_net(&x);
        nets_add(&t, &nets[i], MANY - i);
    }
    nets_finish(&t);
    for (unsigned n = 0; n < MANY; n++) {
        struct ip client = random_net(&x).ip;
        uint32_t want = 0;
        for (uint32_t i = MANY; i > 0 && want == 0; i--)
            if (ip_in_net(&client, &nets[i - 1]))
                want = MANY - i + 1;
        assert_int_equal(nets_find(&t, &client), want);
    }
    nets_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_like_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
