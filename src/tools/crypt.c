/* crypt.c - `hikyaku crypt`, also installed as XMCrypt: a password in XMail's form, or with
 * --scram or --yescrypt in one that can't be read back. */
#include "tools/tools.h"
#include "users/users.h"

int tool_crypt(int argc, char **argv)
{
    struct arena mem = { .head = NULL };
    struct err e;
    struct str stored;
    enum password_scheme scheme = PASSWORD_XMCRYPT;
    if (argc == 2 && strcmp(argv[0], "--scram") == 0)
        scheme = PASSWORD_SCRAM;
    else if (argc == 2 && strcmp(argv[0], "--yescrypt") == 0)
        scheme = PASSWORD_YESCRYPT;
    else if (argc != 1 || argv[0][0] == '-') {
        (void)fprintf(stderr, "usage: XMCrypt [--scram | --yescrypt] password\n");
        return 1;
    }
    enum rc rc = password_make(scheme, str_from_c(argv[argc - 1]), &mem, &stored, &e);
    if (rc == RC_OK)
        (void)printf("%.*s\n", STR_ARG(stored));
    else
        (void)fprintf(stderr, "XMCrypt: %s\n", e.text);
    arena_wipe(&mem);
    return rc == RC_OK ? 0 : 1;
}
