/*
 * file.c - whole files and folders. file_replace is the only way a table or state file is
 * rewritten: a reader sees the old version or the new one, also after a power cut.
 */
#include "sys/file.h"
#include <dirent.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

struct folder {
    DIR *dir;
};

static int64_t nanoseconds(struct timespec ts)
{
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static struct file_id id_from_stat(const struct stat *st)
{
    return (struct file_id){
        .dev = st->st_dev,
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = nanoseconds(st->st_mtim),
        .ctime_ns = nanoseconds(st->st_ctim),
    };
}

enum rc file_id_get(const char *path, struct file_id *out, struct err *e)
{
    struct stat st;
    if (io_stat(path, &st) == 0) {
        *out = id_from_stat(&st);
        return RC_OK;
    }
    if (errno != ENOENT && errno != ENOTDIR)
        return err_sys(e, "stat %s", path);
    *out = (struct file_id){ .dev = 0 };
    return RC_OK;
}

bool file_id_eq(const struct file_id *a, const struct file_id *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

enum rc file_read_open(int fd, const char *path, size_t max_bytes, struct arena *a,
                       struct str *out, struct file_id *out_id, struct err *e)
{
    struct stat st;
    if (io_fstat(fd, &st) < 0)
        return err_sys(e, "stat %s", path);
    if (!S_ISREG(st.st_mode))
        return err_temp(e, "4.3.0", "%s is not a file", path);
    if ((uint64_t)st.st_size > max_bytes) {
        errno = EFBIG;
        (void)err_sys(e, "read %s", path);
        return RC_PERM;
    }
    size_t size = (size_t)st.st_size, n = 0;
    char *p = arena_new(a, size + 1);
    while (n < size) {
        ssize_t got = io_read(fd, p + n, size - n);
        if (got < 0)
            return err_sys(e, "read %s", path);
        if (got == 0)
            break;
        n += (size_t)got;
    }
    p[n] = '\0';
    *out = str_from(p, n);
    if (out_id != NULL)
        *out_id = id_from_stat(&st);
    return RC_OK;
}

enum rc file_read(const char *path, size_t max_bytes, struct arena *a, struct str *out,
                  struct file_id *out_id, struct err *e)
{
    int fd AUTO_CLOSE = io_open(path, O_RDONLY, 0);
    if (fd < 0) {
        enum rc rc = err_sys(e, "open %s", path);
        return errno == ENOENT || errno == ENOTDIR ? RC_PERM : rc;
    }
    return file_read_open(fd, path, max_bytes, a, out, out_id, e);
}

/* "a/b/c" -> "a/b", "c" -> "." */
static const char *folder_of(const char *path, struct arena *a)
{
    size_t slash = str_rfind(str_from_c(path), '/');
    if (slash == SIZE_MAX)
        return ".";
    return slash == 0 ? "/" : arena_c(a, str_from(path, slash));
}

enum rc file_in_memory(struct str content, int *out_fd, struct err *e)
{
    char *octets = NULL;
    memcpy(&octets, &content.p, sizeof(octets));
    struct iovec part = { octets, content.n };
    int fd = memfd_create("content", MFD_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "make a memory file");
    enum rc rc = io_write_all(fd, &part, 1, e);
    if (rc == RC_OK && lseek(fd, 0, SEEK_SET) != 0) /* whoever gets it reads from its start */
        rc = err_sys(e, "rewind a memory file");
    if (rc != RC_OK)
        io_close(fd);
    else
        *out_fd = fd;
    return rc;
}

enum rc folder_sync(const char *path, struct err *e)
{
    int fd AUTO_CLOSE = io_open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return err_sys(e, "open folder %s", path);
    if (io_fsync(fd) < 0)
        return err_sys(e, "sync folder %s", path);
    return RC_OK;
}

static enum rc write_synced(const char *tmp, const char *path, struct str content, mode_t mode,
                            struct err *e)
{
    struct stat old;
    bool existed = io_stat(path, &old) == 0;
    int fd AUTO_CLOSE =
        io_open(tmp, O_WRONLY | O_CREAT | O_EXCL, existed ? old.st_mode & 07777 : mode);
    if (fd < 0)
        return err_sys(e, "make %s", tmp);
    if (existed) {
        (void)fchmod(fd, old.st_mode & 07777);
        (void)!fchown(fd, old.st_uid, old.st_gid);
    }
    char *bytes = NULL;
    memcpy(&bytes, &content.p, sizeof(bytes));
    struct iovec part = { .iov_base = bytes, .iov_len = content.n };
    enum rc rc = io_write_all(fd, &part, 1, e);
    if (rc != RC_OK)
        return err_wrap(e, "%s", tmp);
    if (io_fsync(fd) < 0)
        return err_sys(e, "sync %s", tmp);
    return RC_OK;
}

enum rc file_replace(const char *path, struct str content, mode_t mode, struct err *e)
{
    static _Atomic unsigned sequence;
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str tmp = arena_printf(&mem, "%s.tmp-%d-%u", path, (int)getpid(), ++sequence);
    enum rc rc = write_synced(tmp.p, path, content, mode, e);
    if (rc == RC_OK && io_rename(tmp.p, path) < 0)
        rc = err_sys(e, "rename %s", tmp.p);
    if (rc != RC_OK) {
        (void)io_unlink(tmp.p);
        return rc;
    }
    return folder_sync(folder_of(path, &mem), e);
}

enum rc file_remove(const char *path, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    if (io_unlink(path) == 0)
        return folder_sync(folder_of(path, &mem), e);
    return errno == ENOENT ? RC_OK : err_sys(e, "remove %s", path);
}

enum rc folder_make(const char *path, mode_t mode, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    if (folder_exists(path) || io_mkdir(path, mode) == 0 ||
        (errno == EEXIST && folder_exists(path)))
        return RC_OK;
    if (errno != ENOENT)
        return err_sys(e, "make folder %s", path);
    const char *parent = folder_of(path, &mem);
    enum rc rc = folder_make(parent, mode, e);
    if (rc != RC_OK)
        return rc;
    if (io_mkdir(path, mode) < 0 && errno != EEXIST)
        return err_sys(e, "make folder %s", path);
    return folder_sync(parent, e);
}

void folder_spread(const char *path)
{
    int flags = 0;
    int fd AUTO_CLOSE = io_open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
        return;
    flags |= FS_TOPDIR_FL;
    (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

#define DEPTH_MAX 32u

static enum rc remove_below(const char *path, unsigned depth, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = DT_UNKNOWN;
    if (depth > DEPTH_MAX)
        return err_perm(e, "5.3.0", "%s has folders too deep", path);
    enum rc rc = folder_open(path, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        const char *child = arena_printf(&mem, "%s/%.*s", path, STR_ARG(name)).p;
        struct stat st;
        bool is_folder = io_lstat(child, &st) == 0 && S_ISDIR(st.st_mode);
        if (is_folder)
            rc = remove_below(child, depth + 1, e);
        else if (io_unlink(child) < 0 && errno != ENOENT)
            rc = err_sys(e, "delete %s", child);
        arena_reset(&mem);
    }
    folder_close(&f);
    if (rc == RC_OK && io_rmdir(path) < 0 && errno != ENOENT)
        rc = err_sys(e, "delete folder %s", path);
    return rc;
}

enum rc folder_remove(const char *path, struct err *e)
{
    struct stat st;
    if (io_lstat(path, &st) < 0)
        return errno == ENOENT ? RC_OK : err_sys(e, "look at %s", path);
    return remove_below(path, 0, e);
}

bool file_exists(const char *path)
{
    struct stat st;
    return io_stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool folder_exists(const char *path)
{
    struct stat st;
    return io_stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum rc folder_open(const char *path, struct folder **out, struct err *e)
{
    int fd = io_open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return err_sys(e, "open folder %s", path);
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        enum rc rc = err_sys(e, "read folder %s", path);
        io_close(fd);
        return rc;
    }
    *out = mem_new(sizeof(**out));
    (*out)->dir = dir;
    return RC_OK;
}

bool folder_next(struct folder *f, struct str *out_name, unsigned char *out_type)
{
    const struct dirent *d = NULL;
    if (f == NULL)
        return false;
    do
        d = readdir(f->dir);
    while (d != NULL && (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0));
    if (d == NULL)
        return false;
    *out_name = str_from_c(d->d_name);
    *out_type = d->d_type;
    return true;
}

void folder_close(struct folder **f)
{
    if (*f != NULL)
        (void)closedir((*f)->dir);
    mem_free(f);
}

enum rc file_lock(const char *path, bool wait, int *out_fd, struct err *e)
{
    int fd = io_open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0)
        return err_sys(e, "open %s", path);
    int rc = 0;
    do
        rc = flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
    while (rc < 0 && errno == EINTR);
    if (rc == 0) {
        *out_fd = fd;
        return RC_OK;
    }
    enum rc failed = errno == EWOULDBLOCK ? err_temp(e, "4.2.0", "%s is locked", path)
                                          : err_sys(e, "lock %s", path);
    io_close(fd);
    return failed;
}

struct str file_absolute(struct str path, struct arena *a)
{
    char here[4096];
    return path.n == 0 || path.p[0] == '/' || getcwd(here, sizeof(here)) == NULL
               ? path
               : arena_printf(a, "%s/%.*s", here, STR_ARG(path));
}

bool memory_is_free(uint64_t least_kb)
{
    static _Atomic int64_t look_at;
    static _Atomic uint64_t free_kb = UINT64_MAX;
    char text[2048];
    uint64_t kb = 0;
    if (least_kb == 0)
        return true;
    if (clock_mono() >= look_at) {
        look_at = clock_mono() + USEC_S;
        int fd AUTO_CLOSE = io_open("/proc/meminfo", O_RDONLY, 0);
        ssize_t n = fd < 0 ? -1 : io_read(fd, text, sizeof(text));
        struct str all = str_from(text, n < 0 ? 0 : (size_t)n);
        size_t at = str_find_str(all, STR("MemAvailable:"));
        struct str rest = at == SIZE_MAX ? STR("") : str_trim(str_skip(all, at + 13)),
                   number = STR("");
        if (str_cut(&rest, ' ', &number) && str_to_u64(number, &kb))
            free_kb = kb;
    }
    return free_kb >= least_kb;
}
