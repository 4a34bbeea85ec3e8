/* extauth.c - AUTH by the programs of smtpextauth.tab: what they are told, the files that they
 * get and leave. */
#include "smtpd/extauth.h"
#include "conf/options.h"
#include "smtpd/login.h"
#include "sys/file.h"
#include <fcntl.h>
#include <stdatomic.h>

#define FOLDER "hikyaku/auth"
#define SECRETS_MAX ((size_t)16 << 20)
#define SWEEP_EVERY 256u /* questions */
#define SWEEP_AGE (3600 * USEC_S)

/* --- files ------------------------------------------------------------------------------- */

/* What programs wrote after their session had ended, or a crash left behind. */
static void sweep(usec_t age)
{
    struct folder *folder = NULL;
    struct str name;
    unsigned char type = 0;
    if (folder_open(FOLDER, &folder, NULL) != RC_OK)
        return;
    while (folder_next(folder, &name, &type)) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct stat st;
        const char *path = arena_printf(&a, FOLDER "/%.*s", STR_ARG(name)).p;
        if (io_lstat(path, &st) == 0 && !S_ISDIR(st.st_mode) &&
            clock_wall() - (usec_t)st.st_mtim.tv_sec * USEC_S >= age)
            (void)io_unlink(path);
    }
    folder_close(&folder);
}

enum rc extauth_files_init(struct err *e)
{
    sweep(0);
    return folder_make(FOLDER, 0700, e);
}

static enum rc write_secrets(const char *path, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, SECRETS_MAX);
    enum rc rc = login_secrets(&text);
    if (rc != RC_OK)
        return err_temp(e, "4.3.0", "smtpauth.tab can't be read now, or is too large");
    int fd AUTO_CLOSE = io_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    struct iovec part = { text.p, text.n };
    rc = fd < 0 ? err_sys(e, "make %s", path) : RC_OK;
    if (rc == RC_OK && text.n > 0)
        rc = io_write_all(fd, &part, 1, e);
    mem_wipe(text.p, text.n);
    return rc;
}

enum rc extauth_begin(struct extauth_files *f, const struct extauth_method *m, struct arena *a,
                      struct err *e)
{
    static _Atomic unsigned last;
    unsigned number = ++last;
    struct str name = arena_printf(a, FOLDER "/%d-%x", (int)getpid(), number);
    if (number % SWEEP_EVERY == 0)
        sweep(SWEEP_AGE);
    f->answer = arena_printf(a, "%.*s.answer", STR_ARG(name));
    f->secrets = arena_printf(a, "%.*s.secrets", STR_ARG(name));
    return m->wants_secrets ? write_secrets(f->secrets.p, e) : RC_OK;
}

void extauth_end(struct extauth_files *f)
{
    if (f->answer.n == 0)
        return;
    (void)io_unlink(f->answer.p);
    (void)io_unlink(f->secrets.p);
    *f = (struct extauth_files){ .answer = STR("") };
}

/* --- questions --------------------------------------------------------------------------- */

enum step extauth_ask(struct session *s, const struct extauth_method *m,
                      const struct extauth_files *f, const struct sasl *x,
                      struct auth_question *q, session_fn *then)
{
    const struct str none = { NULL, 0 };
    const struct macro macros[] = {
        { "USER", sasl_login(x) },
        { "PASS", m->shows_password ? sasl_password(x) : none },
        { "AUTH", m->name },
        { "CHALL", sasl_challenge(x) },
        { "DGEST", sasl_digest(x) },
        { "RFILE", file_absolute(f->answer, &s->tmp) },
        { "SECRT", m->wants_secrets ? file_absolute(f->secrets, &s->tmp) : none },
    };
    return auth_ask(s, &m->program, macros, ARRAY_LEN(macros), q, then);
}

struct str extauth_perms(const struct extauth_files *f, struct arena *a)
{
    struct stat st;
    struct str text = STR("");
    struct rfile r;
    struct err e;
    int fd AUTO_CLOSE = io_open(f->answer.p, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
    if (fd < 0 || io_fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return (struct str){ NULL, 0 };
    if (file_read_open(fd, f->answer.p, RFILE_MAX, a, &text, NULL, &e) != RC_OK)
        log_warn(EV("what a program wrote about a login isn't used"), KE(&e));
    rfile_parse(text, &r);
    return r.has_perms ? arena_str(a, r.perms) : (struct str){ NULL, 0 };
}
