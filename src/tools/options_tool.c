/* options_tool.c - `hikyaku options`: every setting with its meaning, as a server.tab to start
 * from. */
#include "conf/options.h"
#include "tools/tools.h"

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
            (void)fprintf(stderr, "usage: hikyaku options [--ja | --mdoc]\n");
            return 2;
        }
    }
    if (mdoc)
        options_print_mdoc(&out);
    else
        options_print_sample(&out, japanese);
    (void)fwrite(out.p, 1, out.n, stdout);
    return 0;
}
