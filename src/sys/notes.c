/*
 * notes.c - encoding, checking and carrying of notes. Frame: type (1 octet), then each field: 8
 * octets of a number, or 2 octets of a length and the text; nothing behind the last field.
 */
#include "sys/notes.h"
#include <poll.h>
#include <sys/socket.h>

static const struct {
    const char *name;
    unsigned from, to;
} rows[] = {
#define NOTE(name, from, to, fields, text) { #name, from, to },
#include "sys/notes.def"
#undef NOTE
};

const char *note_name(enum note_type type)
{
    return type < NOTE_TYPES ? rows[type].name : "?";
}

bool note_is_allowed(enum note_type type, enum role_id from, enum role_id to)
{
    return type < NOTE_TYPES && (rows[type].from & (unsigned)from) != 0 &&
           (rows[type].to & (unsigned)to) != 0;
}

/* --- fields ------------------------------------------------------------------------------ */

static enum rc put_u64(struct buf *b, uint64_t v)
{
    return buf_add(b, &v, sizeof(v));
}

static enum rc put_str(struct buf *b, struct str s)
{
    uint16_t n = (uint16_t)s.n;
    if (s.n > NOTE_TEXT_MAX)
        return RC_PERM;
    enum rc rc = buf_add(b, &n, sizeof(n));
    return rc == RC_OK ? buf_add_str(b, s) : rc;
}

static bool get_u64(struct str *rest, uint64_t *out)
{
    if (rest->n < sizeof(*out))
        return false;
    memcpy(out, rest->p, sizeof(*out));
    *rest = str_skip(*rest, sizeof(*out));
    return true;
}

static bool get_str(struct str *rest, struct str *out)
{
    uint16_t n = 0;
    if (rest->n < sizeof(n))
        return false;
    memcpy(&n, rest->p, sizeof(n));
    *rest = str_skip(*rest, sizeof(n));
    if (n > NOTE_TEXT_MAX || rest->n < n)
        return false;
    *out = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return true;
}

enum rc note_encode(const struct note *n, struct buf *frame, struct err *e)
{
    enum rc rc = buf_add_char(frame, (char)n->type);
    switch (n->type) {
#define N_STR(field) rc = rc == RC_OK ? put_str(frame, v->field) : rc;
#define N_U64(field) rc = rc == RC_OK ? put_u64(frame, v->field) : rc;
#define NOTE(name, from, to, fields, text)                                                     \
    case NOTE_##name: {                                                                        \
        __typeof__(&n->u.name) v = &n->u.name;                                                 \
        fields break;                                                                          \
    }
#include "sys/notes.def"
#undef NOTE
#undef N_STR
#undef N_U64
    case NOTE_TYPES:
        BUG("note type");
    }
    return rc == RC_OK ? RC_OK
                       : err_perm(e, "5.3.0", "note %s is too long", note_name(n->type));
}

enum rc note_decode(struct str frame, struct note *out, struct err *e)
{
    if (frame.n == 0 || (unsigned char)frame.p[0] >= NOTE_TYPES)
        return err_perm(e, "5.3.0", "unknown note");
    struct note n = { .type = (enum note_type)(unsigned char)frame.p[0] };
    struct str rest = str_skip(frame, 1);
    bool ok = true;
    switch (n.type) {
#define N_STR(field) ok = ok && get_str(&rest, &v->field);
#define N_U64(field) ok = ok && get_u64(&rest, &v->field);
#define NOTE(name, from, to, fields, text)                                                     \
    case NOTE_##name: {                                                                        \
        __typeof__(&n.u.name) v = &n.u.name;                                                   \
        fields break;                                                                          \
    }
#include "sys/notes.def"
#undef NOTE
#undef N_STR
#undef N_U64
    case NOTE_TYPES:
        BUG("note type");
    }
    if (!ok || rest.n > 0)
        return err_perm(e, "5.3.0", "malformed note %s", note_name(n.type));
    *out = n;
    return RC_OK;
}

/* --- channels ---------------------------------------------------------------------------- */

enum rc channel_pair(int out_fds[2], struct err *e)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, out_fds) == 0)
        return RC_OK;
    return err_sys(e, "make note channel");
}

enum rc channel_send(int channel, const struct note *n, int fd, struct err *e)
{
    struct buf frame AUTO_RELEASE_BUF;
    buf_init(&frame, NOTE_FRAME_MAX);
    enum rc rc = note_encode(n, &frame, e);
    if (rc != RC_OK)
        return rc;
    struct iovec part = { frame.p, frame.n };
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { .room = { 0 } };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    if (sendmsg(channel, &m, MSG_NOSIGNAL) < 0) {
        (void)err_sys(e, "send note %s", note_name(n->type));
        return RC_TEMP;
    }
    return RC_OK;
}

/* One listening end. */
struct ear {
    int channel;
    enum role_id from, self;
    note_fn *fn;
    void *ctx;
    pool_ticket ticket;
};

/* The descriptor that came along, or -1. */
static int passed_fd(struct msghdr *m)
{
    int fd = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
            c->cmsg_len == CMSG_LEN(sizeof(int)))
            memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

static void take_note(const struct ear *ear, struct str frame, int fd)
{
    struct note n = { .type = NOTE_TYPES };
    struct err e;
    enum rc rc = note_decode(frame, &n, &e);
    if (rc == RC_OK && !note_is_allowed(n.type, ear->from, ear->self))
        rc = err_perm(&e, "5.3.0", "note %s from a role that may not send it",
                      note_name(n.type));
    if (rc == RC_OK) {
        ear->fn(ear->ctx, &n, fd);
        return;
    }
    log_error(EV("note dropped"), KU("from", (unsigned)ear->from), KE(&e));
    if (fd >= 0)
        (void)close(fd);
}

/* One frame: its octets, 0 when the channel has closed, -1 with errno. A frame that is too long
 * has 0 octets in *out_n. */
static ssize_t receive(int channel, char *text, size_t *out_n, int *out_fd)
{
    struct iovec part = { text, NOTE_FRAME_MAX };
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr m = { .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control) };
    ssize_t n = 0;
    do
        n = recvmsg(channel, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        *out_fd = passed_fd(&m);
        *out_n = (m.msg_flags & MSG_TRUNC) != 0 ? 0 : (size_t)n;
    }
    return n;
}

/* Takes one note; false when there is none now. */
static bool hear(const struct ear *ear, bool *out_gone)
{
    char text[NOTE_FRAME_MAX];
    size_t frame_n = 0;
    int fd = -1;
    ssize_t n = receive(ear->channel, text, &frame_n, &fd);
    *out_gone = n == 0 || (n < 0 && errno != EAGAIN);
    if (n <= 0)
        return false;
    take_note(ear, str_from(text, frame_n), fd);
    return true;
}

enum rc channel_wait(int channel, usec_t deadline, char *frame, struct note *out, int *out_fd,
                     struct err *e)
{
    for (;;) {
        size_t frame_n = 0;
        ssize_t n = receive(channel, frame, &frame_n, out_fd);
        if (n > 0)
            return note_decode(str_from(frame, frame_n), out, e);
        if (n == 0 || errno != EAGAIN)
            return err_temp(e, "4.3.0", "note channel is broken");
        usec_t left = deadline - clock_mono();
        struct pollfd p = { .fd = channel, .events = POLLIN };
        if (left <= 0 || poll(&p, 1, (int)MIN(left / USEC_MS + 1, (usec_t)1000)) < 0)
            return err_temp(e, "4.3.0", "no answer from another role");
    }
}

static void ear_run(struct pool *pool, void *object, unsigned events)
{
    struct ear *ear = object;
    bool gone = (events & POOL_STOP) != 0;
    while (!gone && hear(ear, &gone))
        continue;
    if (!gone) {
        pool_park(pool, ear->ticket, POOL_WANT_READ, USEC_FOREVER);
        return;
    }
    pool_forget(pool, ear->ticket);
    mem_free(&ear);
}

enum rc channel_listen(struct pool *pool, int channel, enum role_id from, enum role_id self,
                       note_fn *fn, void *ctx, struct err *e)
{
    struct ear *ear = mem_new(sizeof(*ear));
    *ear = (struct ear){ .channel = channel, .from = from, .self = self, .fn = fn, .ctx = ctx };
    enum rc rc = pool_add(pool, ear, ear_run, channel, &ear->ticket, e);
    if (rc != RC_OK)
        mem_free(&ear);
    return rc;
}
