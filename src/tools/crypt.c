/* crypt.c - `hikyaku crypt`, also installed as XMCrypt: a password in XMail's form, or with
 * --scram or --yescrypt in one that can't be read back. */
#include "tools/tools.h"
#include "tools/tools_int.h"
#include "users/users.h"

static const char usage[] =
    "usage: hikyaku crypt [--scram | --yescrypt] [--password-file FILE | password]\n"
    "Prints the stored form of a password (also called XMCrypt). Without a password it is "
    "asked\n"
    "for; on the command line others can see it. FILE -: standard input.\n";

int tool_crypt(int argc, char **argv)
{
    struct arena mem = { .head = NULL };
    struct err e;
    struct str stored, clear = STR("");
    const char *file = NULL;
    enum password_scheme scheme = PASSWORD_XMCRYPT;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--scram") == 0) {
            scheme = PASSWORD_SCRAM;
        } else if (strcmp(argv[i], "--yescrypt") == 0) {
            scheme = PASSWORD_YESCRYPT;
        } else if (strcmp(argv[i], "--password-file") == 0 && i + 1 < argc) {
            file = argv[++i];
        } else if (argv[i][0] != '-' && clear.n == 0 && file == NULL) {
            clear = str_from_c(argv[i]);
        } else {
            (void)fputs(usage, stderr);
            return 1;
        }
    }
    enum rc rc = clear.n > 0 ? RC_OK : tool_ask_password(file, &mem, &clear, &e);
    if (rc == RC_OK)
        rc = password_make(scheme, clear, &mem, &stored, &e);
    if (rc == RC_OK)
        (void)printf("%.*s\n", STR_ARG(stored));
    else
        (void)fprintf(stderr, "hikyaku crypt: %s\n", e.text);
    arena_wipe(&mem);
    return rc == RC_OK ? 0 : 1;
}
