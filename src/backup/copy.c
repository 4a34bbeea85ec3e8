/* copy.c - one file, with the checksum of what was read. */
#include "backup/backup_int.h"
#include <openssl/evp.h>

#define CHUNK_BYTES ((size_t)256 * 1024)

static enum rc copy_octets(int from, int to, EVP_MD_CTX *sum, char *chunk, uint64_t *out_octets,
                           struct err *e)
{
    uint64_t at = 0;
    for (;;) {
        ssize_t n = io_pread(from, chunk, CHUNK_BYTES, at);
        if (n < 0)
            return err_sys(e, "read it");
        if (n == 0)
            break;
        struct iovec part = { chunk, (size_t)n };
        if (EVP_DigestUpdate(sum, chunk, (size_t)n) != 1)
            return err_temp(e, "4.3.0", "no checksum");
        enum rc rc = to < 0 ? RC_OK : io_write_all(to, &part, 1, e);
        if (rc != RC_OK)
            return rc;
        at += (uint64_t)n;
    }
    *out_octets = at;
    return RC_OK;
}

enum rc copy_file(int from, const char *to, const struct stat *st, uint8_t *out_sum,
                  uint64_t *out_octets, struct err *e)
{
    char *chunk AUTO_FREE = mem_try(CHUNK_BYTES);
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    enum rc rc = RC_OK;
    int fd AUTO_CLOSE = -1;
    if (chunk == NULL || sum == NULL || EVP_DigestInit_ex(sum, EVP_sha256(), NULL) != 1)
        rc = err_temp(e, "4.3.1", "out of memory");
    if (rc == RC_OK && to != NULL) {
        fd = io_open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (fd < 0)
            rc = err_sys(e, "make %s", to);
    }
    if (rc == RC_OK)
        rc = copy_octets(from, fd, sum, chunk, out_octets, e);
    if (rc == RC_OK && EVP_DigestFinal_ex(sum, out_sum, NULL) != 1)
        rc = err_temp(e, "4.3.0", "no checksum");
    if (rc == RC_OK && fd >= 0 && io_set_like(fd, st) < 0)
        rc = err_sys(e, "set mode and time of %s", to);
    EVP_MD_CTX_free(sum);
    if (rc != RC_OK && fd >= 0)
        (void)io_unlink(to);
    return rc;
}

bool path_is_messages(struct str path)
{
    struct str last = str_skip(path, str_rfind(path, '/') + 1);
    bool in_maildir = str_find_str(path, STR("/Maildir/")) != SIZE_MAX;
    return in_maildir && (str_eq(last, STR("new")) || str_eq(last, STR("cur")));
}

struct str message_base(struct str name)
{
    return str_head(name, MIN(str_find(name, ':'), name.n));
}
