/*
 * commands.c - the table of SMTP's verbs. Dispatch, HELP and "bad sequence" replies come from
 * it; and the protocol with its fixed
 * replies.
 */
#include "smtpd/smtpd_int.h"

#define ON(state) (1u << (state))

/* clang-format off */
const struct command smtp_commands[] = {
    { .name = "HELO", .start = cmd_helo, .flags = CMD_ANY_STATE,
      .syntax = "domain", .rfc = "5321 4.1.1.1" },
    { .name = "EHLO", .start = cmd_ehlo, .flags = CMD_ANY_STATE,
      .syntax = "domain", .rfc = "5321 4.1.1.1" },
    { .name = "MAIL", .start = cmd_mail, .states = ON(SMTP_GREETED),
      .syntax = "FROM:<path> [SIZE=n] [BODY=7BIT|8BITMIME] [SMTPUTF8] [AUTH=mailbox]",
      .rfc = "5321 4.1.1.2" },
    { .name = "RCPT", .start = cmd_rcpt, .states = ON(SMTP_MAIL) | ON(SMTP_RCPT),
      .syntax = "TO:<path>", .rfc = "5321 4.1.1.3" },
    { .name = "DATA", .start = cmd_data, .states = ON(SMTP_MAIL) | ON(SMTP_RCPT),
      .syntax = "", .rfc = "5321 4.1.1.4" },
    { .name = "BDAT", .start = cmd_bdat, .flags = CMD_ANY_STATE, /* its octets follow anyway */
      .syntax = "size [LAST]", .rfc = "3030 2" },
    { .name = "RSET", .start = cmd_rset, .flags = CMD_ANY_STATE,
      .syntax = "", .rfc = "5321 4.1.1.5" },
    { .name = "VRFY", .start = cmd_vrfy, .flags = CMD_ANY_STATE,
      .syntax = "address", .rfc = "5321 4.1.1.6" },
    { .name = "EXPN", .start = cmd_expn, .flags = CMD_ANY_STATE | CMD_HIDDEN,
      .syntax = "list", .rfc = "5321 4.1.1.7" },
    { .name = "HELP", .start = cmd_help, .flags = CMD_ANY_STATE,
      .syntax = "[command]", .rfc = "5321 4.1.1.8" },
    { .name = "NOOP", .start = cmd_noop, .flags = CMD_ANY_STATE,
      .syntax = "[text]", .rfc = "5321 4.1.1.9" },
    { .name = "QUIT", .start = cmd_quit, .flags = CMD_ANY_STATE,
      .syntax = "", .rfc = "5321 4.1.1.10" },
    { .name = "AUTH", .start = cmd_auth, .states = ON(SMTP_GREETED), .flags = CMD_SECRET,
      .syntax = "mechanism [initial-response]", .rfc = "4954 4" },
    { .name = "STARTTLS", .start = cmd_starttls, .states = ON(SMTP_GREETED), .flags = CMD_LAST,
      .syntax = "", .rfc = "3207 4" },
    { .name = "ETRN", .start = cmd_etrn, .flags = CMD_ANY_STATE | CMD_HIDDEN,
      .syntax = "node", .rfc = "1985 5" },
};
/* clang-format on */

const size_t smtp_command_count = ARRAY_LEN(smtp_commands);

static const char *const state_names[] = {
    [SMTP_CONNECTED] = "CONNECTED", [SMTP_GREETED] = "GREETED", [SMTP_MAIL] = "MAIL",
    [SMTP_RCPT] = "RCPT",           [SMTP_CHUNKS] = "CHUNKS",
};

const struct protocol smtp_protocol = {
    .name = "smtp",
    .session_bytes = sizeof(struct smtp),
    .commands = smtp_commands,
    .command_count = ARRAY_LEN(smtp_commands),
    .state_names = state_names,
    .line_max = SASL_LINE_MAX + 64, /* AUTH with its first response is the longest */
    .greet = smtp_greet,
    .end = smtp_end,
    .idle = smtp_idle,
    .max_errors = smtp_max_errors,
    .words = {
        .unknown = "500 5.5.1 Command not known",
        .bad_sequence = "503 5.5.1 Bad sequence of commands",
        .line_too_long = "500 5.5.6 Line too long",
        .pipelined = "503 5.5.1 Nothing may be sent behind this command",
        .timeout = "421 4.4.2 Timeout, closing the connection",
        .busy = "421 4.3.2 Too busy or short of disk, try again later",
        .busy_address = "421 4.7.0 Too many connections from your address",
        .stopping = "421 4.3.2 The server is stopping, try again later",
        .too_many_errors = "421 4.7.0 Too many errors, closing the connection",
        .tls_unavailable = "454 4.7.0 TLS is not available now",
    },
};
