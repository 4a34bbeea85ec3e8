/* dmarc_test.c - records as domains publish them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/dmarc.h"

static void records(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is;
        enum dmarc_policy p, sp;
    } rows[] = {
        { "v=DMARC1; p=reject", true, DMARC_REJECT, DMARC_REJECT },
        { "v=DMARC1;p=none;sp=quarantine;rua=mailto:a@b.example", true, DMARC_NONE,
          DMARC_QUARANTINE },
        { " v = DMARC1 ; P=Reject ; sp = NONE ; ", true, DMARC_REJECT, DMARC_NONE },
        { "v=DMARC1; p=what", true, DMARC_NONE, DMARC_NONE },
        { "v=DMARC1", true, DMARC_NONE, DMARC_NONE },
        { "v=DMARC1; p=none; p=reject", true, DMARC_NONE, DMARC_NONE },
        { "v=dmarc1; p=reject", false, DMARC_NONE, DMARC_NONE },
        { "p=reject; v=DMARC1", false, DMARC_NONE, DMARC_NONE },
        { "v=spf1 -all", false, DMARC_NONE, DMARC_NONE },
        { "v=DMARC1; p", false, DMARC_NONE, DMARC_NONE },
        { "", false, DMARC_NONE, DMARC_NONE },
        { ";;", false, DMARC_NONE, DMARC_NONE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dmarc_record r = { .policy = DMARC_NONE };
        bool is = dmarc_parse(str_from_c(rows[i].text), &r);
        if (is != rows[i].is ||
            (is && (r.policy != rows[i].p || r.subdomain_policy != rows[i].sp)))
            fail_msg("%s", rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(records) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
