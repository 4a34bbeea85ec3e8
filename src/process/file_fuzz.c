/* file_fuzz.c - any octets as FILE and as FILE.rej. */
#include "process/process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum rc look(void *ctx, struct str lines, uint64_t wire_octets, struct err *e)
{
    (void)e;
    *(uint64_t *)ctx += wire_octets;
    if (str_has_any(lines, "\r") || wire_octets < lines.n)
        abort();
    return RC_OK;
}

static void write_text(const char *path, const uint8_t *data, size_t size)
{
    int fd AUTO_CLOSE = io_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || io_write(fd, data, size) != (ssize_t)size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[128];
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str code, text;
    uint64_t octets = 0;
    const char *folder = getenv("TMPDIR");
    if (path[0] == '\0')
        (void)snprintf(path, sizeof(path), "%s/file-%d", folder == NULL ? "/tmp" : folder,
                       (int)getpid());
    write_text(path, data, size);
    if (filter_file_read(path, STR("A\r\nB\r\n"), look, &octets, NULL) == RC_OK && octets == 0)
        abort();
    write_text(arena_printf(&a, "%s.rej", path).p, data, size);
    if (filter_rej_read(path, &a, &code, &text) && (str_has_control(text) || code.n > 3))
        abort();
    return 0;
}
