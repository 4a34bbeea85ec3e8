/* user.c - see user.h. */
#include "sys/user.h"
#include "sys/file.h"

struct str user_name(uint32_t uid, struct arena *a)
{
    struct str text, line;
    struct err e;
    if (file_read("/etc/passwd", (size_t)16 << 20, a, &text, NULL, &e) != RC_OK)
        text = STR("");
    while (text.n > 0 && str_cut(&text, '\n', &line)) {
        struct str rest = line, name = { "", 0 }, password, number = { "", 0 };
        uint64_t n = 0;
        if (str_cut(&rest, ':', &name) && str_cut(&rest, ':', &password) &&
            str_cut(&rest, ':', &number) && str_to_u64(number, &n) && n == uid)
            return name;
    }
    return arena_printf(a, "uid%u", uid);
}
