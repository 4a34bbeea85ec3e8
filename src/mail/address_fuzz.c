/* address_fuzz.c - whatever is taken as a path is printed and taken again as the same one, and
 * holds nothing that could harm a header, a log or a file name. */
#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct address *found, unsigned rules, struct arena *a)
{
    struct address again = { .is_null = false };
    struct str rest, text = address_print(found, a);
    if (str_has_control(found->local) || str_has_control(found->domain))
        BUG("control character in an address");
    if (!str_is_ascii(found->domain) || str_has_any(found->domain, "/<>@\" "))
        BUG("character in a domain");
    if (text.n > 2 * 64 + 2 + 1 + 255 || found->local.n > 64 || found->domain.n > 255)
        BUG("address too long");
    struct str path = arena_printf(a, "<%.*s>", STR_ARG(text));
    if (path.n > 256)
        return; /* quoting or A-labels made it longer than a path may be */
    if (address_parse_path(path, rules, a, &again, &rest, NULL) != RC_OK || rest.n != 0)
        BUG("a printed path isn't taken");
    if (!address_eq(found, &again) || !str_eq(text, address_print(&again, a)))
        BUG("a printed path is another one");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct address found = { .is_null = false };
    struct err e;
    struct str rest;
    if (size == 0)
        return 0;
    unsigned rules = data[0] & 7;
    struct str in = str_from((const char *)data + 1, size - 1);
    if (address_parse_path(in, rules, &a, &found, &rest, &e) == RC_OK)
        check(&found, rules, &a);
    if (address_parse(in, rules, &a, &found, &e) == RC_OK)
        check(&found, rules, &a);
    if (domain_parse(in, (data[0] & 8) != 0, &a, &rest, &e) == RC_OK && rest.n > 255)
        BUG("domain too long");
    return 0;
}
