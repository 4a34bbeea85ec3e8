/* options_tool.c - `hikyaku options`: every setting with its meaning, as a server.tab to start
 * from. */
#include "conf/options.h"
#include "tools/tools.h"

static const char usage[] =
    "usage: hikyaku options [--ja | --mdoc]\n"
    "Prints every setting with its meaning and default, as a server.tab to start from.\n"
    "  --ja    in Japanese\n"
    "  --mdoc  as a part of a manual page\n";

int tool_options(int argc, char **argv)
{
    struct buf out AUTO_RELEASE_BUF;
    bool japanese = false, mdoc = false;
    buf_init(&out, (size_t)1 << 20);
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--ja") == 0) {
            japanese = true;
        } else if (strcmp(argv[i], "--mdoc") == 0) {
            mdoc = true;
        } else {
            bool asked = strcmp(argv[i], "--help") == 0;
            (void)fputs(usage, asked ? stdout : stderr);
            return asked ? 0 : 2;
        }
    }
    if (mdoc)
        options_print_mdoc(&out);
    else
        options_print_sample(&out, japanese);
    (void)fwrite(out.p, 1, out.n, stdout);
    return 0;
}
