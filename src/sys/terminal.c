/* terminal.c - see terminal.h. */
#include "sys/terminal.h"
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

enum rc terminal_ask(const char *question, struct arena *a, struct str *out, struct err *e)
{
    char line[1024];
    struct termios before, quiet;
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || tcgetattr(fd, &before) != 0) {
        if (fd >= 0)
            (void)close(fd);
        return err_perm(e, "5.7.0", "there is no terminal to ask for a password");
    }
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    quiet.c_lflag |= ECHONL;
    (void)tcsetattr(fd, TCSAFLUSH, &quiet);
    (void)!write(fd, question, strlen(question));
    ssize_t n = read(fd, line, sizeof(line));
    (void)tcsetattr(fd, TCSAFLUSH, &before);
    (void)close(fd);
    if (n <= 0)
        return err_perm(e, "5.7.0", "no password was given");
    *out = arena_str(a, str_trim(str_from(line, (size_t)n)));
    mem_wipe(line, sizeof(line));
    return RC_OK;
}
