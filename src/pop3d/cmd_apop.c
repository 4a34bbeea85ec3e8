/*
 * cmd_apop.c - APOP (RFC 1939 7): an MD5 digest over the greeting's timestamp and the password.
 * Only passwords kept in a reversible form can be checked so; it's offered where the MailRoot
 * keeps them (no PasswordScheme, or xmcrypt).
 */
#include "pop3d/pop3d_int.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>

static bool check_digest(struct session *s, struct str stored, struct str digest)
{
    struct str stamp = login_stamp(s), clear;
    unsigned char md5[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char hex[33];
    bool known = password_clear(stored, &s->tmp, &clear);
    if (!known)
        clear = STR("");
    struct str all = arena_printf(&s->tmp, "%.*s%.*s", STR_ARG(stamp), STR_ARG(clear));
    if (EVP_Digest(all.p, all.n, md5, &n, EVP_md5(), NULL) != 1 || n != 16 || digest.n != 32)
        return false;
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", md5[i]);
    bool good = known && CRYPTO_memcmp(hex, digest.p, 32) == 0;
    if (good)
        users_weak_login(login_name(s), "APOP");
    return good;
}

enum step pop3_apop(struct session *s, struct str args)
{
    struct str name, digest = str_trim(args);
    if (login_stamp(s).n == 0) {
        session_refuse(s, "-ERR [AUTH] APOP is not offered here");
        return STEP_NEXT;
    }
    if (!str_cut(&digest, ' ', &name) || digest.p == NULL || digest.n != 32) {
        session_refuse(s, "-ERR syntax: APOP name digest");
        return STEP_NEXT;
    }
    return login_try(s, name, digest, check_digest);
}
