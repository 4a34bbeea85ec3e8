/* check_files.c - modes, folders of accounts, the certificate. */
#include "sys/file.h"
#include "sys/tls.h"
#include "takeover/takeover.h"
#include "tools/check_int.h"

#define RENEW_BEFORE (30 * 86400 * USEC_S)

/* --- modes ------------------------------------------------------------------------------- */

static void check_secret(struct check *c, const char *path)
{
    struct stat st;
    if (io_stat(path, &st) == 0 && (st.st_mode & 07) != 0)
        check_say(c, CHECK_WARNING, path, 0, "chmod o= on it",
                  "it holds secrets and every user of this machine can read it");
}

static void check_modes(struct check *c)
{
    static const char *const secrets[] = { "mailusers.tab", "ctrlaccounts.tab",
                                           "smtpauth.tab",  "pop3links.tab",
                                           "server.key",    "smtpextauth.tab",
                                           "acmekeys.tab" };
    struct stat st;
    if (io_stat(".", &st) == 0 && (st.st_mode & 02) != 0)
        check_say(c, CHECK_ERROR, ".", 0, "chmod o-w on the MailRoot",
                  "every user of this machine can change the tables");
    bool closed = io_stat(".", &st) == 0 && (st.st_mode & 07) == 0;
    for (size_t i = 0; i < ARRAY_LEN(secrets) && !closed; i++)
        check_secret(c, secrets[i]);
}

/* --- accounts' folders ------------------------------------------------------------------- */

static void check_folder(struct check *c, const struct check_account *account)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    const char *folder = arena_c(&a, account->folder);
    struct stat st;
    if (io_lstat(folder, &st) < 0) {
        check_say(c, CHECK_WARNING, "mailusers.tab", account->line,
                  "it is made with the first message", "there is no folder %s", folder);
        return;
    }
    if (account->is_list)
        return;
    bool maildir = folder_exists(arena_printf(&a, "%s/Maildir", folder).p);
    bool mailbox = folder_exists(arena_printf(&a, "%s/mailbox", folder).p);
    if (maildir && mailbox)
        check_say(c, CHECK_WARNING, "mailusers.tab", account->line,
                  "Maildir counts; move the messages of mailbox/ into Maildir/new",
                  "%s has both Maildir and mailbox", folder);
}

static void check_folders(struct check *c)
{
    size_t at = 0;
    void *value = NULL;
    struct str key;
    while (map_next(&c->accounts, &at, &key, &value))
        check_folder(c, value);
}

/* --- certificate ------------------------------------------------------------------------- */

/* Those that verifying the other side's certificates needs. */
static void check_authorities(struct check *c)
{
    const struct options *o = conf();
    const struct tls_trust trust = options_tls_trust(o);
    struct tls_clients clients = { .verify = true };
    struct tls_ctx *ctx = NULL;
    struct err e;
    if (o->ssl_use_certs_file && trust.ca_file == NULL)
        check_say(c, CHECK_WARNING, "certs.pem", 0, "put the certificates of authorities there",
                  "SSLUseCertsFile is set, but there is no such file");
    if (o->ssl_use_certs_dir && trust.ca_folder == NULL)
        check_say(c, CHECK_WARNING, "certs", 0,
                  "put certificates of authorities there, and run openssl rehash on it",
                  "SSLUseCertsDir is set, but there is no such folder");
    clients.trust.ca_file = trust.ca_file;
    if (trust.ca_file != NULL &&
        tls_ctx_load("server.cert", "server.key", &clients, &ctx, &e) != RC_OK)
        check_say(c, CHECK_ERROR, "certs.pem", 0, "it must have certificates, in PEM", "%s",
                  e.text);
    tls_ctx_put(&ctx);
}

static void check_certificate(struct check *c)
{
    static const char *const cert = "server.cert";
    struct tls_ctx *ctx = NULL;
    struct err e;
    if (!file_exists(cert)) {
        check_say(c, CHECK_WARNING, cert, 0,
                  "put a certificate and its key there; without them no encryption is offered",
                  "there is no certificate");
        return;
    }
    if (tls_ctx_load(cert, "server.key", NULL, &ctx, &e) != RC_OK) {
        check_say(c, CHECK_ERROR, cert, 0, "the two must belong together, in PEM", "%s",
                  e.text);
        return;
    }
    usec_t left = tls_ctx_expires(ctx) - clock_wall();
    struct str host = conf()->smtp_server_domain;
    if (left <= 0)
        check_say(c, CHECK_ERROR, cert, 0, "renew it", "the certificate has expired");
    else if (left < RENEW_BEFORE)
        check_say(c, CHECK_WARNING, cert, 0, "renew it",
                  "the certificate expires in %" PRId64 " days", left / (86400 * USEC_S));
    if (host.n > 0 && !tls_ctx_covers(ctx, host))
        check_say(c, CHECK_WARNING, cert, 0,
                  "mail programs that know the server by this name will warn or refuse",
                  "the certificate is not for %.*s", STR_ARG(host));
    tls_ctx_put(&ctx);
    check_authorities(c);
}

/* --- XMail's spool ----------------------------------------------------------------------- */

static void check_spool(struct check *c)
{
    struct takeover_spool found = { 0 };
    struct err e;
    if (takeover_spool_look(NULL, &found, &e) != RC_OK)
        return;
    size_t count = found.fresh + found.retried + found.frozen + found.local;
    if (count + found.damaged > 0)
        check_say(c, CHECK_NOTE, "spool", 0,
                  "the next start takes them into the queue; hikyaku takeover says more",
                  "XMail left %zu messages here, and %zu files that are no messages", count,
                  found.damaged);
}

void check_files(struct check *c)
{
    check_modes(c);
    check_spool(c);
    check_folders(c);
    check_certificate(c);
}
