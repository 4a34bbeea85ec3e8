/* policy_sender_test.c - a MailRoot of ours, where 465 takes mail of its users only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtpd/dialogue.h"

/* A MailRoot of ours: 465 is for users only, and AUTH needs TLS. */
static void test_new_mailroot(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    scratch_options("\"SmtpNoTLSAuths\"\t\"PLAIN\"\n\"PasswordScheme\"\t\"xmcrypt\"\n");
    struct session *s = open_session(SMTPS, NULL);
    struct str sent = talk(s, STR(EHLO FROM ALICE FROM), SIZE_MAX, &a);
    assert_has(sent, "\r\n530 5.7.0 Authentication required\r\n235 2.7.0");
    assert_has(sent, "\r\n553 5.7.1");
    session_test_free(&s);
    s = open_session(SMTP, NULL);
    sent = talk(s, STR(EHLO FROM), SIZE_MAX, &a);
    assert_has(sent, "\r\n250 2.1.0");
    session_test_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_mailroot),
    };
    return dialogue_run(tests, ARRAY_LEN(tests), "origin new\n");
}
