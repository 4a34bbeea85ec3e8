/* proxy_test.c - headers of both versions, whole, in parts, and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/proxy.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define TEXT(s)                                                                                \
    {                                                                                          \
        s, sizeof(s) - 1                                                                       \
    }
#define V4_ENDS "\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x00\x19"
#define V6_ENDS                                                                                \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"     \
    "\x9c\x40\x00\x19"

static const struct {
    const char *name;
    struct str octets;
    enum rc rc;
    size_t behind; /* octets of the client after it */
    const char *client, *server;
} cases[] = {
    { "v1", TEXT("PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\nEHLO"), RC_OK, 4,
      "[192.0.2.7]:40000", "[198.51.100.1]:25" },
    { "v1 IPv6", TEXT("PROXY TCP6 2001:db8::7 2001:db8::1 40000 25\r\n"), RC_OK, 0,
      "[2001:db8::7]:40000", "[2001:db8::1]:25" },
    { "v1 unknown", TEXT("PROXY UNKNOWN\r\nx"), RC_OK, 1, NULL, NULL },
    { "v1 unknown, with what it thinks", TEXT("PROXY UNKNOWN ff:: ::1 1 2\r\n"), RC_OK, 0, NULL,
      NULL },
    { "v1 families mixed", TEXT("PROXY TCP4 2001:db8::7 2001:db8::1 4 5\r\n"), RC_PERM, 0, NULL,
      NULL },
    { "v1 families mixed, 2", TEXT("PROXY TCP6 192.0.2.7 192.0.2.8 4 5\r\n"), RC_PERM, 0, NULL,
      NULL },
    { "v1 port", TEXT("PROXY TCP4 192.0.2.7 192.0.2.8 65536 5\r\n"), RC_PERM, 0, NULL, NULL },
    { "v1 sign", TEXT("PROXY TCP4 192.0.2.7 192.0.2.8 +4 5\r\n"), RC_PERM, 0, NULL, NULL },
    { "v1 word too many", TEXT("PROXY TCP4 192.0.2.7 192.0.2.8 4 5 6\r\n"), RC_PERM, 0, NULL,
      NULL },
    { "v1 blanks", TEXT("PROXY TCP4  192.0.2.7 192.0.2.8 4 5\r\n"), RC_PERM, 0, NULL, NULL },
    { "v1 brackets", TEXT("PROXY TCP6 [::2] [::3] 4 5\r\n"), RC_PERM, 0, NULL, NULL },
    { "v1 bare LF", TEXT("PROXY TCP4 192.0.2.7 192.0.2.8 4 5\n"), RC_PERM, 0, NULL, NULL },
    { "v1 short", TEXT("PROXY \r\n"), RC_PERM, 0, NULL, NULL },
    { "v1 lower case", TEXT("proxy TCP4 192.0.2.7 192.0.2.8 4 5\r\n"), RC_PERM, 0, NULL, NULL },
    { "v1 endless",
      TEXT("PROXY UNKNOWN "
           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"),
      RC_PERM, 0, NULL, NULL },
    { "a client's command", TEXT("EHLO x\r\n"), RC_PERM, 0, NULL, NULL },
    { "v2", TEXT(V2 "\x21\x11\x00\x0c" V4_ENDS "EHLO"), RC_OK, 4, "[192.0.2.7]:40000",
      "[198.51.100.1]:25" },
    { "v2 IPv6", TEXT(V2 "\x21\x21\x00\x24" V6_ENDS), RC_OK, 0, "[2001:db8::7]:40000",
      "[2001:db8::1]:25" },
    { "v2 extensions", TEXT(V2 "\x21\x11\x00\x10" V4_ENDS "\x04\x00\x01\x00"), RC_OK, 0,
      "[192.0.2.7]:40000", "[198.51.100.1]:25" },
    { "v2 local", TEXT(V2 "\x20\x00\x00\x00"), RC_OK, 0, NULL, NULL },
    { "v2 unspecified", TEXT(V2 "\x21\x00\x00\x02xy"), RC_OK, 0, NULL, NULL },
    { "v2 UDP", TEXT(V2 "\x21\x12\x00\x0c" V4_ENDS), RC_PERM, 0, NULL, NULL },
    { "v2 short addresses", TEXT(V2 "\x21\x11\x00\x08\0\0\0\0\0\0\0\0"), RC_PERM, 0, NULL,
      NULL },
    { "v2 version 3", TEXT(V2 "\x31\x11\x00\x0c" V4_ENDS), RC_PERM, 0, NULL, NULL },
    { "v2 command", TEXT(V2 "\x22\x11\x00\x0c" V4_ENDS), RC_PERM, 0, NULL, NULL },
    { "v2 length", TEXT(V2 "\x21\x11\xff\xff"), RC_PERM, 0, NULL, NULL },
};

static void headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct proxy_header h;
        struct err e;
        size_t used = 99;
        char text[IP_PORT_TEXT_BYTES];
        print_message("%s\n", cases[i].name);
        assert_int_equal(proxy_parse(cases[i].octets, &h, &used, &e), cases[i].rc);
        if (cases[i].rc != RC_OK)
            continue;
        assert_int_equal(used, cases[i].octets.n - cases[i].behind);
        assert_int_equal(h.has_ends, cases[i].client != NULL);
        if (cases[i].client == NULL)
            continue;
        assert_string_equal(ip_port_print(&h.client, h.client_port, text), cases[i].client);
        assert_string_equal(ip_port_print(&h.server, h.server_port, text), cases[i].server);
    }
}

/* Of a good header each part asks for more. */
static void parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct proxy_header h;
        struct err e;
        size_t used = 0;
        print_message("%s\n", cases[i].name);
        for (size_t n = 0; cases[i].rc == RC_OK && n < cases[i].octets.n - cases[i].behind; n++)
            assert_int_equal(proxy_parse(str_head(cases[i].octets, n), &h, &used, &e),
                             RC_AGAIN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(headers), cmocka_unit_test(parts) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
