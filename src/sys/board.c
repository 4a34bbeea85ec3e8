/* board.c - the status page; see board.h. */
#include "sys/board.h"
#include "sys/file.h"
#include <sys/mman.h>

#define PATH "hikyaku/board"

static const char magic[8] = { 'H', 'K', 'Y', 'B', 'O', 'A', 'R', 'D' };

enum rc board_use(int fd, struct board **out, struct err *e)
{
    void *p = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return err_sys(e, "map %s", PATH);
    *out = p;
    return RC_OK;
}

enum rc board_make(struct board **out, int *out_fd, struct err *e)
{
    (void)io_unlink(PATH); /* a new file: old processes keep the old page */
    int fd = io_open(PATH, O_RDWR | O_CREAT | O_EXCL, 0640);
    if (fd < 0 || io_ftruncate(fd, sizeof(struct board)) < 0)
        return err_sys(e, "make %s", PATH);
    enum rc rc = board_use(fd, out, e);
    if (rc != RC_OK) {
        io_close(fd);
        return rc;
    }
    struct board *b = *out;
    memcpy(b->magic, magic, sizeof(magic));
    b->format = BOARD_FORMAT;
    (void)snprintf(b->version, sizeof(b->version), "%s", HIKYAKU_VERSION);
    b->master_pid = (uint32_t)getpid();
    b->started = clock_wall();
    *out_fd = fd;
    return RC_OK;
}

enum rc board_read(struct board *out, struct err *e)
{
    int fd AUTO_CLOSE = io_open(PATH, O_RDONLY, 0);
    if (fd < 0)
        return err_sys(e, "open %s", PATH);
    if (io_pread(fd, out, sizeof(*out), 0) != (ssize_t)sizeof(*out) ||
        memcmp(out->magic, magic, sizeof(magic)) != 0 || out->format != BOARD_FORMAT)
        return err_perm(e, "5.3.0", "%s is of another version", PATH);
    return RC_OK;
}
