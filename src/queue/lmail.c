/*
 * lmail.c - files in spool/local (specification 2, section 3): "mail from:<..>", one or more
 * "rcpt to:<..>", an empty line, the message, not dot-stuffed. Old scripts and XMail's sendmail
 * put them there by a rename. Each becomes a queue entry; a crash between the two sends it
 * twice, never not at all.
 */
#include "conf/logfiles.h"
#include "mail/date.h"
#include "mail/trace.h"
#include "queue/queue_int.h"
#include "sys/file.h"
#include "users/users.h"
#include <dirent.h>

#define FOLDER "spool/local"
#define ASIDE "spool/local-damaged"
#define FILE_MAX_BYTES ((size_t)256 << 20)
#define RCPTS_MAX ((size_t)10000)

static bool take_path(struct str line, struct str word, struct arena *a, struct address *out)
{
    struct str rest;
    struct err e;
    if (!str_istarts(line, word))
        return false;
    return address_parse_path(str_trim(str_skip(line, word.n)),
                              ADDRESS_LOOSE_DOTS | ADDRESS_QUOTED | ADDRESS_UTF8, a, out, &rest,
                              &e) == RC_OK;
}

enum rc lmail_parse(struct str text, struct lmail *f, struct err *e)
{
    struct str line;
    bool has_sender = false;
    f->rcpts = arena_new_array(&f->mem, struct envelope_recipient, RCPTS_MAX);
    while (text.n > 0 && str_cut(&text, '\n', &line)) {
        struct address to;
        line = str_trim(line);
        if (line.n == 0)
            break;
        if (!has_sender && take_path(line, STR("mail from:"), &f->mem, &f->sender)) {
            has_sender = true;
            continue;
        }
        if (!has_sender || f->count == RCPTS_MAX ||
            !take_path(line, STR("rcpt to:"), &f->mem, &to) || to.is_null)
            return err_perm(e, "5.5.2", "not a line of an envelope: %.*s",
                            (int)MIN(line.n, 80u), line.p);
        f->rcpts[f->count++] = (struct envelope_recipient){
            .address = to, .resolved = users_meaning(&to, &f->mem), .orcpt = STR("")
        };
    }
    f->message = text.p == NULL ? STR("") : text;
    return has_sender && f->count > 0 ? RC_OK
                                      : err_perm(e, "5.5.2", "no sender, or no recipients");
}

struct str lmail_clean(struct str message, struct arena *a)
{
    char *p = arena_new(a, message.n + 2);
    size_t n = 0;
    for (size_t i = 0; i < message.n; i++) {
        char c = message.p[i];
        if (c == '\r' && i + 1 < message.n && message.p[i + 1] == '\n')
            continue;
        if (c != '\0')
            p[n++] = c == '\r' ? '\n' : c;
    }
    if (n > 0 && p[n - 1] != '\n')
        p[n++] = '\n';
    return str_from(p, n);
}

static enum rc put(struct lmail *f, struct str *out_id, struct err *e)
{
    struct arena *a = &f->mem;
    struct buf front AUTO_RELEASE_BUF;
    struct spool_put *spool = NULL;
    struct str server = options_server_name();
    struct str message = lmail_clean(f->message, a);
    char date[DATE_TEXT_BYTES];
    bool eight_bit = !str_is_ascii(message), utf8 = false;
    for (size_t i = 0; i < f->count; i++)
        utf8 = utf8 || f->rcpts[i].address.needs_utf8;
    struct envelope env = {
        .reverse_path = f->sender,
        .auth_user = STR(""),
        .client = STR(""),
        .server = STR(""),
        .helo = STR(""),
        .received_at = clock_wall(),
        .smtputf8 = utf8 || f->sender.needs_utf8,
        .body_8bit = eight_bit,
        .envid = STR(""),
        .recipient_count = f->count,
        .recipients = f->rcpts,
    };
    buf_init(&front, 65536);
    enum rc rc = spool_put_begin(&env, &spool, e);
    if (rc != RC_OK)
        return rc;
    buf_must(buf_printf(&front, "Received: by %.*s with local (Hikyaku) id %.*s;\n\t%s\n",
                        STR_ARG(server), STR_ARG(spool_put_id(spool)),
                        date_print(env.received_at, date)));
    uint64_t lines = 2;
    for (size_t i = 0; i < message.n; i++)
        lines += message.p[i] == '\n';
    rc = spool_put_write(spool, buf_str(&front), front.n, e);
    if (rc == RC_OK)
        rc = spool_put_write(spool, message, message.n + lines, e);
    if (rc == RC_OK)
        return spool_put_commit(&spool, a, out_id, e);
    spool_put_abort(&spool);
    return rc;
}

static void record(struct str file, struct str id)
{
    char time[CLOCK_TEXT_BYTES];
    const struct str values[] = { options_server_name(), file, id,
                                  str_from_c(clock_print(clock_wall(), time)) };
    logfile_add(LOGFILE_LMAIL, values, ARRAY_LEN(values));
}

static void take_file(struct str name, notify_fn *notify, void *ctx)
{
    struct lmail f = { .count = 0 };
    struct err e;
    struct str text, id;
    struct str path = arena_printf(&f.mem, FOLDER "/%.*s", STR_ARG(name));
    enum rc rc = file_read(path.p, FILE_MAX_BYTES, &f.mem, &text, NULL, &e);
    if (rc == RC_OK)
        rc = lmail_parse(text, &f, &e);
    if (rc == RC_OK)
        rc = put(&f, &id, &e);
    if (rc == RC_OK) {
        log_info(EV("message accepted"), KS("id", id), KV("via", "spool/local"),
                 KS("file", name), KS("from", address_print(&f.sender, &f.mem)),
                 KU("rcpts", f.count));
        record(name, id);
        if (io_unlink(path.p) < 0)
            log_error(EV("file of spool/local not removed: it will be sent again"),
                      KS("file", name));
        notify(ctx, id);
    } else if (rc == RC_PERM && e.sys != ENOENT) {
        log_error(EV("file of spool/local set aside"), KS("file", name), KE(&e));
        (void)io_mkdir(ASIDE, 0700);
        (void)io_rename(path.p, arena_printf(&f.mem, ASIDE "/%.*s", STR_ARG(name)).p);
    } else if (e.sys != ENOENT) {
        log_warn(EV("file of spool/local waits"), KS("file", name), KE(&e));
    }
    arena_release(&f.mem);
}

void lmail_take(notify_fn *notify, void *ctx)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    if (!folder_exists(FOLDER) || folder_open(FOLDER, &f, NULL) != RC_OK)
        return;
    while (folder_next(f, &name, &type))
        if (type == DT_REG && name.p[0] != '.')
            take_file(name, notify, ctx);
    folder_close(&f);
}
