/*
 * memfile.c - memory files (memfd_create) and their seals. A reader trusts the size of a file
 * only when it is sealed: a file that can shrink could end it with SIGBUS.
 */
#include "users/memfile.h"
#include "sys/io.h"
#include <sys/mman.h>

#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

enum rc memfile_make(const char *name, size_t size_bytes, int *out_fd, void **out_base,
                     struct err *e)
{
    int fd AUTO_CLOSE = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_sys(e, "make memory file %s", name);
    if (io_ftruncate(fd, size_bytes) < 0)
        return err_sys(e, "size memory file %s", name);
    void *base = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return err_sys(e, "map memory file %s", name);
    *out_fd = fd;
    *out_base = base;
    fd = -1;
    return RC_OK;
}

enum rc memfile_seal_size(int fd, struct err *e)
{
    if (fcntl(fd, F_ADD_SEALS, SIZE_SEALS | F_SEAL_SEAL) < 0)
        return err_sys(e, "seal memory file");
    return RC_OK;
}

enum rc memfile_seal_readers(int fd, struct err *e)
{
    if (fcntl(fd, F_ADD_SEALS, SIZE_SEALS | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
        return err_sys(e, "seal memory file");
    return RC_OK;
}

enum rc memfile_map(int fd, bool writable, size_t min_bytes, void **out_base, size_t *out_size,
                    struct err *e)
{
    struct stat st;
    if (io_fstat(fd, &st) < 0)
        return err_sys(e, "look at memory file");
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SIZE_SEALS) != SIZE_SEALS || st.st_size <= 0 ||
        (size_t)st.st_size < min_bytes)
        return err_temp(e, "4.3.0", "not a sealed memory file of the expected size");
    size_t size = (size_t)st.st_size;
    void *base =
        mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return err_sys(e, "map memory file");
    *out_base = base;
    *out_size = size;
    return RC_OK;
}

void memfile_unmap(void *base, size_t size)
{
    (void)munmap(base, size);
}
