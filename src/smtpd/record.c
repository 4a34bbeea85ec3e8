/* record.c - lines of XMail's smtp and smail logs (specification 2, section 4). */
#include "conf/logfiles.h"
#include "smtpd/smtpd_int.h"

void smtp_record(struct smtp *c, const struct address *rcpt, const char *status,
                 const char *detail)
{
    char client[IP_TEXT_BYTES], time[CLOCK_TEXT_BYTES];
    struct arena *a = &c->s.tmp;
    const struct transaction *tx = c->tx;
    if (!logfile_is_on(LOGFILE_SMTP))
        return;
    const struct str values[] = {
        smtp_domain(),
        smtp_domain(),
        str_from_c(ip_print(&c->s.client_ip, client)),
        str_from_c(clock_print(clock_wall(), time)),
        str_from_c(c->helo),
        rcpt == NULL ? STR("") : rcpt->domain,
        tx == NULL ? STR("") : address_print(&tx->sender, a),
        rcpt == NULL ? STR("") : address_print(rcpt, a),
        tx == NULL ? STR("") : tx->id,
        detail == NULL ? str_from_c(status) : arena_printf(a, "%s:TYPE=%s", status, detail),
        c->login == NULL ? STR("") : c->login->name,
        tx == NULL || tx->id.n == 0 ? STR("")
                                    : arena_printf(a, "%" PRIu64, tx->data.wire_octets),
        STR(""), /* no reverse names: this version has no resolver */
    };
    logfile_add(LOGFILE_SMTP, values, ARRAY_LEN(values));
}

void smtp_record_delivery(struct smtp *c)
{
    const struct transaction *tx = c->tx;
    if (!logfile_is_on(LOGFILE_SMAIL))
        return;
    const struct account *to = &tx->rcpts[0].account;
    struct arena *a = &c->s.tmp;
    logfile_add_delivery(smtp_domain(), tx->id, address_print(&tx->sender, a),
                         address_print(&tx->rcpts[0].given, a), "LOCAL",
                         arena_printf(a, "%.*s@%.*s", STR_ARG(to->name), STR_ARG(to->domain)),
                         STR(""));
}
