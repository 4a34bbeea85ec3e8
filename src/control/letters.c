/*
 * letters.c - letters of the server to people: to the postmaster about the server, and what an
 * administrator writes. They lie in spool/local, from where the queue role takes them.
 */
#include "conf/options.h"
#include "control/control_int.h"
#include "mail/date.h"
#include "mail/encoded.h"
#include "sys/file.h"
#include "sys/io.h"

#define LETTER_MAX ((size_t)128 << 10)
#define LINE_MAX_OCTETS 990u /* RFC 5322 2.1.1 */

struct str letter_postmaster(struct arena *a)
{
    const struct options *o = conf();
    return o->post_master.n > 0 ? o->post_master
                                : arena_printf(a, "postmaster@%.*s", STR_ARG(o->root_domain));
}

static enum rc put_text(struct str text, struct buf *out)
{
    struct str line;
    enum rc rc = RC_OK;
    while (rc == RC_OK && text.n > 0 && str_cut(&text, '\n', &line)) {
        line = str_ends(line, STR("\r")) ? str_head(line, line.n - 1) : line;
        if (line.n > LINE_MAX_OCTETS || str_find(line, '\r') != SIZE_MAX ||
            str_find(line, '\0') != SIZE_MAX)
            return RC_PERM;
        rc = buf_printf(out, "%.*s\r\n", STR_ARG(line));
    }
    return rc;
}

static enum rc print(struct str to, struct str subject, struct str text, struct buf *out)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    char date[DATE_TEXT_BYTES];
    struct str from = letter_postmaster(&a);
    enum rc rc =
        buf_printf(out,
                   "mail from:<>\r\nrcpt to:<%.*s>\r\n\r\nFrom: <%.*s>\r\nTo: <%.*s>\r\n"
                   "Date: %s\r\n",
                   STR_ARG(to), STR_ARG(from), STR_ARG(to), date_print(clock_wall(), date));
    if (rc == RC_OK)
        rc = buf_add_str(out, STR("Subject:"));
    if (rc == RC_OK)
        rc = encoded_print(subject, out);
    if (rc == RC_OK)
        rc = buf_add_str(out, STR("\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                                  "Content-Type: text/plain; charset=utf-8\r\n"
                                  "Content-Transfer-Encoding: 8bit\r\n\r\n"));
    return rc == RC_OK ? put_text(text, out) : rc;
}

/* Where a letter lies until it is sent. */
static const char *staged(struct str name, struct arena *a)
{
    return arena_printf(a, "spool/temp/%.*s", STR_ARG(name)).p;
}

enum rc letter_stage(struct str name, struct str to, struct str subject, struct str text,
                     struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, LETTER_MAX);
    if (print(to, subject, text, &out) != RC_OK)
        return err_perm(e, "5.6.0", "the letter is too long, or has a line that is");
    return file_replace(staged(name, &a), buf_str(&out), 0600, e);
}

bool letter_is_staged(struct str name)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    return file_exists(staged(name, &a));
}

enum rc letter_send(struct str name, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const char *made = staged(name, &a);
    if (io_rename(made, arena_printf(&a, "spool/local/%.*s", STR_ARG(name)).p) < 0)
        return err_sys(e, "rename %s", made);
    return RC_OK;
}

enum rc letter_write(struct str to, struct str subject, struct str text, struct err *e)
{
    static _Atomic unsigned number;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str name = arena_printf(&a, "%" PRId64 ".%u.letter", clock_wall(), ++number);
    enum rc rc = letter_stage(name, to, subject, text, e);
    return rc == RC_OK ? letter_send(name, e) : rc;
}

/* --- "letter" "to" "subject", then its text ----------------------------------------------- */

static enum admin_result send_text(struct ctrl *c, struct str content, struct err *e)
{
    enum rc rc = letter_write(ctrl_param(c, 1), ctrl_param(c, 2), content, e);
    return rc == RC_OK ? ADMIN_OK : rc == RC_PERM ? ADMIN_BAD_PARAMETER : ADMIN_CANT_WRITE;
}

enum admin_result ctrl_letter(struct ctrl *c, struct err *e)
{
    struct address to;
    struct str subject = ctrl_param(c, 2);
    if (address_parse(ctrl_param(c, 1), ADDRESS_LOOSE_DOTS, &c->line_mem, &to, e) != RC_OK ||
        subject.n == 0 || subject.n > 200 || !str_is_utf8(subject) || str_has_control(subject))
        return ADMIN_BAD_PARAMETER;
    return ctrl_upload(c, STR(""), send_text);
}
