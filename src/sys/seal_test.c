/* seal_test.c - what a sealed process may and may not do, each act in a child of its own. In
 * sanitizer builds nothing is sealed, and the test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/board.h"
#include "sys/io.h"
#include "sys/seal.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char root[] = "/tmp/hikyaku-seal-XXXXXX";

/* 0: it went well. */
static int write_inside(void)
{
    int fd = io_open("inside/new", O_WRONLY | O_CREAT, 0600);
    return fd < 0 || io_write(fd, "x", 1) != 1;
}

static int sync_inside(void)
{
    int fd = io_open("inside/synced", O_WRONLY | O_CREAT, 0600);
    struct iovec part = { (void *)(uintptr_t) "x", 1 };
    return fd < 0 || io_pwrite_all(fd, &part, 1, 0, NULL) != RC_OK || io_fdatasync(fd) != 0 ||
           io_rename("inside/synced", "inside/renamed") != 0;
}

static int write_outside(void)
{
    return io_open("outside/new", O_WRONLY | O_CREAT, 0600) < 0;
}

static int write_elsewhere(void)
{
    return open("/tmp/hikyaku-seal-escape", O_WRONLY | O_CREAT, 0600) < 0;
}

static int read_inside(void)
{
    return io_open("outside/there", O_RDONLY, 0) < 0;
}

static int read_elsewhere(void)
{
    return open("/etc/group", O_RDONLY) < 0;
}

static int connect_out(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0;
}

static int run_program(void)
{
    char *const argv[] = { NULL };
    return execve("/bin/true", argv, argv) < 0;
}

static int trace_parent(void)
{
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) < 0;
}

static int accept_nothing(void)
{
    return accept4(-1, NULL, NULL, 0) < 0 && errno == EPERM;
}

static const struct {
    const char *name;
    int (*act)(void);
    bool network;  /* of the seal */
    bool connects; /* of the seal */
    bool allowed;  /* the act ends with 0 */
} acts[] = {
    { "write in its folder", write_inside, false, false, true },
    { "sync and rename in its folder", sync_inside, false, false, true },
    { "write in another folder", write_outside, false, false, false },
    { "write outside the MailRoot", write_elsewhere, false, false, false },
    { "read in the MailRoot", read_inside, false, false, true },
    { "read outside the MailRoot", read_elsewhere, false, false, false },
    { "open a connection", connect_out, true, false, false },
    { "open a connection where the role may", connect_out, false, true, true },
    { "run a program", run_program, true, false, false },
    { "trace another process", trace_parent, true, false, false },
    { "accept with the network", accept_nothing, true, false, true },
    { "accept without the network", accept_nothing, false, false, false },
};

/* 0 done, 1 refused, 2 ended by the kernel, 3 couldn't be sealed. */
static int try_act(int (*act)(void), bool network, bool connects)
{
    static const char *const folders[] = { "inside", NULL };
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct seal seal = { .network = network, .connects = connects, .write_below = folders };
        struct err e;
        unsigned bits = 0;
        if (seal_apply(&seal, &bits, &e) != RC_OK || (bits & SEAL_SECCOMP) == 0)
            _exit(3);
        if ((bits & SEAL_LANDLOCK) == 0 && act != run_program && act != trace_parent)
            _exit(4);
        _exit(act() != 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 2 : WEXITSTATUS(status);
}

static void acts_are_allowed_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        int end = try_act(acts[i].act, acts[i].network, acts[i].connects);
        if (end == 4) {
            print_message("no Landlock here: \"%s\" not tried\n", acts[i].name);
            continue;
        }
        if (end == 3 || (end == 0) != acts[i].allowed)
            fail_msg("%s: ends with %d", acts[i].name, end);
    }
    assert_int_equal(access("/tmp/hikyaku-seal-escape", F_OK), -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(acts_are_allowed_or_not) };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)printf(
        "[  SKIPPED ] a sanitizer build isn't sealed; BUILD=debug has this test, too\n");
    return 0;
#endif
    if (mkdtemp(root) == NULL || chdir(root) != 0 || mkdir("inside", 0700) != 0 ||
        mkdir("outside", 0700) != 0 ||
        close(open("outside/there", O_CREAT | O_RDWR, 0600)) != 0)
        return 1;
    int failed = cmocka_run_group_tests_name("seal", tests, NULL, NULL);
    (void)unlink("inside/new"), (void)unlink("inside/renamed"), (void)unlink("outside/there");
    (void)rmdir("inside"), (void)rmdir("outside");
    (void)(chdir("/") == 0 && rmdir(root) == 0);
    return failed;
}
