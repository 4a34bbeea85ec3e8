/* cmd_misc.c - RSET, NOOP, HELP, QUIT; EXPN and ETRN, which aren't served. */
#include "smtpd/smtpd_int.h"

enum step cmd_rset(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    if (str_trim(args).n > 0)
        return smtp_refuse(c, "501 5.5.4", "RSET takes no parameters");
    transaction_reset(c);
    return smtp_ok(c, "250 2.0.0", "Reset");
}

enum step cmd_noop(struct session *s, struct str args)
{
    (void)args;
    return smtp_ok(smtp_of(s), "250 2.0.0", "Ok");
}

enum step cmd_quit(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    if (str_trim(args).n > 0)
        return smtp_refuse(c, "501 5.5.4", "QUIT takes no parameters");
    (void)smtp_ok(c, "221 2.0.0", "%.*s closing the connection", STR_ARG(smtp_domain()));
    return STEP_CLOSE;
}

static enum step not_served(struct session *s)
{
    return smtp_refuse(smtp_of(s), "502 5.5.1", "Command not served");
}

enum step cmd_expn(struct session *s, struct str args)
{
    (void)args;
    return not_served(s);
}

/* RFC 1985: a domain, "@domain" for all below it too. "#queue" names nothing here. */
enum step cmd_etrn(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    struct str name = str_trim(args), domain;
    if (!smtp_etrn_is_allowed(c)) {
        smtp_record(c, NULL, "ETRN=EACCESS", NULL);
        return smtp_refuse(c, "502 5.5.1", "Command not served");
    }
    bool below = str_starts(name, STR("@"));
    if (name.n == 0 ||
        domain_parse(str_skip(name, below), true, &s->tmp, &domain, NULL) != RC_OK)
        return smtp_refuse(c, "501 5.5.4", "Syntax: ETRN domain");
    bool told = smtp_flush_queue(domain);
    if (below)
        told = smtp_flush_queue(arena_printf(&s->tmp, "*.%.*s", STR_ARG(domain))) && told;
    return told ? smtp_ok(c, "250 2.0.0", "Queuing for %.*s started", STR_ARG(domain))
                : smtp_refuse(c, "458 4.3.0", "Unable to queue messages now");
}

/* All verbs, ten a line. */
static enum step help_list(struct smtp *c)
{
    struct buf line AUTO_RELEASE_BUF;
    buf_init(&line, 512);
    buf_addf(&line, "214-2.0.0");
    for (size_t i = 0; i < smtp_command_count; i++)
        if ((smtp_commands[i].flags & CMD_HIDDEN) == 0)
            buf_addf(&line, " %s", smtp_commands[i].name);
    session_reply(&c->s, "%.*s", STR_ARG(buf_str(&line)));
    return smtp_ok(c, "214 2.0.0", "HELP command tells more");
}

enum step cmd_help(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    args = str_trim(args);
    if (args.n == 0)
        return help_list(c);
    for (size_t i = 0; i < smtp_command_count; i++) {
        const struct command *cmd = &smtp_commands[i];
        if (str_ieq(args, str_from_c(cmd->name)))
            return smtp_ok(c, "214 2.0.0", "%s %s (RFC %s)", cmd->name, cmd->syntax, cmd->rfc);
    }
    return smtp_refuse(c, "504 5.5.4", "No such command");
}
