/* name_fuzz.c - file names and what is made from them. */
#include "store/store_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_uid(struct str uid)
{
    if (uid.n < 1 || uid.n > 70)
        BUG("length of a uid");
    for (size_t i = 0; i < uid.n; i++)
        if (uid.p[i] < 0x21 || uid.p[i] > 0x7e)
            BUG("octet of a uid");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str text = str_from((const char *)data, size);
    struct message_name name, again;
    struct str component = name_component(text, &mem);
    if (component.n == 0 || component.n > 255 || component.p[0] == '.' ||
        str_find(component, '/') != SIZE_MAX)
        BUG("component");
    char host[HOST_PART_MAX + 1];
    name_host(text, host);
    if (strlen(host) > HOST_PART_MAX)
        BUG("host");
    if (!name_parse(text, &name))
        return 0;
    check_uid(name_uid(name.base, &mem));
    if (!str_starts(text, name.base) || name.time < 0)
        BUG("name");
    if (name_is_base(text)) {
        struct str full = name_with_sizes(text, 7, 9, &mem);
        if (!name_parse(full, &again) || again.wire_octets != 9 || again.disk_octets != 7 ||
            !str_eq(again.base, full))
            BUG("sizes in a name");
    }
    return 0;
}
