/* notify.c - sd_notify(3) and sd_listen_fds(3) without the library. */
#include "sys/notify.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

void notify_send(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (path == NULL || (path[0] != '/' && path[0] != '@') ||
        strlen(path) >= sizeof(to.sun_path))
        return;
    memcpy(to.sun_path, path, strlen(path));
    if (path[0] == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to, n);
    (void)close(fd);
}

static bool is_ours(const char *pid_variable)
{
    uint64_t pid = 0;
    const char *text = getenv(pid_variable);
    return text == NULL || (str_to_u64(str_from_c(text), &pid) && pid == (uint64_t)getpid());
}

usec_t notify_watchdog_period(void)
{
    uint64_t usec = 0;
    const char *text = getenv("WATCHDOG_USEC");
    if (text == NULL || !is_ours("WATCHDOG_PID") || !str_to_u64(str_from_c(text), &usec))
        return 0;
    return (usec_t)(usec / 3);
}

size_t notify_take_sockets(int *out_fds, size_t max)
{
    uint64_t count = 0;
    const char *text = getenv("LISTEN_FDS");
    size_t n = 0;
    if (text == NULL || getenv("LISTEN_PID") == NULL || !is_ours("LISTEN_PID") ||
        !str_to_u64(str_from_c(text), &count))
        return 0;
    for (int fd = 3; fd < 3 + (int)MIN(count, (uint64_t)max); fd++) {
        int moved = fcntl(fd, F_DUPFD_CLOEXEC, 64);
        (void)close(fd);
        if (moved >= 0)
            out_fds[n++] = moved;
    }
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_PID");
    return n;
}
