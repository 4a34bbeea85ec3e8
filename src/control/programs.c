/*
 * programs.c - programs of userauth/pop3 that follow changes of accounts: useradd, useredit,
 * userdel, domaindrop; and userauth, which decides about the command of that name. A program is
 * asked when the change could be made, and it is made when the program ended with 0; the
 * session is parked between.
 */
#include "control/control_int.h"

/* Could the change be made? *out: whom it is about; *out_password: p NULL when it isn't about
 * one. */
typedef enum admin_result look_fn(struct ctrl *c, struct account *out, struct str *out_password,
                                  struct err *e);

static enum admin_result look_user(struct ctrl *c, struct account *out,
                                   struct str *out_password, struct err *e)
{
    enum admin_result result =
        admin_account_find(ctrl_param(c, 1), ctrl_param(c, 2), &c->line_mem, out);
    (void)e;
    *out_password = c->count > 3 ? ctrl_param(c, 3) : (struct str){ NULL, 0 };
    return result;
}

static enum admin_result look_edit(struct ctrl *c, struct account *out,
                                   struct str *out_password, struct err *e)
{
    enum admin_result result = look_user(c, out, out_password, e);
    return result == ADMIN_OK ? admin_password_check(*out_password, e) : result;
}

static enum admin_result look_add(struct ctrl *c, struct account *out, struct str *out_password,
                                  struct err *e)
{
    *out_password = ctrl_param(c, 3);
    out->type = str_ieq(ctrl_param(c, 4), STR("M")) ? ACCOUNT_LIST : ACCOUNT_USER;
    return admin_account_may_add(ctrl_param(c, 1), ctrl_param(c, 2), *out_password,
                                 &c->line_mem, out, e);
}

static enum admin_result look_domain(struct ctrl *c, struct account *out,
                                     struct str *out_password, struct err *e)
{
    (void)e;
    *out_password = (struct str){ NULL, 0 };
    if (!users_domain_find(ctrl_param(c, 1), &c->line_mem, &out->domain))
        return ADMIN_NO_DOMAIN;
    out->folder = arena_printf(&c->line_mem, "domains/%.*s", STR_ARG(out->domain));
    return ADMIN_OK;
}

static const struct follower {
    const char *command;
    enum userauth_action action;
    look_fn *look;
} followers[] = {
    { "useradd", USERAUTH_ADD, look_add },     { "userpasswd", USERAUTH_EDIT, look_edit },
    { "userdel", USERAUTH_DELETE, look_user }, { "domaindel", USERAUTH_DROP, look_domain },
    { "userauth", USERAUTH_LOGIN, look_user },
};

static const struct follower *follower_of(const struct ctrl *c)
{
    for (size_t i = 0; i < ARRAY_LEN(followers); i++)
        if (strcmp(c->command->name, followers[i].command) == 0)
            return &followers[i];
    return NULL;
}

enum admin_result ctrl_program_begin(struct ctrl *c, session_fn *then, bool *out_asked,
                                     enum step *out, struct err *e)
{
    struct account account = { .type = ACCOUNT_USER };
    struct auth_program program;
    struct str password = { NULL, 0 };
    const struct follower *f = follower_of(c);
    *out_asked = false;
    if (f == NULL || c->agreed)
        return ADMIN_OK;
    enum admin_result result = f->look(c, &account, &password, e);
    if (result != ADMIN_OK || account.type == ACCOUNT_LIST) /* lists don't log in */
        return ADMIN_OK;                                    /* the command says it itself */
    enum rc rc = userauth_find(account.domain, f->action, &program, e);
    if (rc != RC_OK)
        return rc == RC_GONE ? ADMIN_OK : ADMIN_NOT_AGREED;
    *out_asked = true;
    *out = userauth_ask(&c->s, &program, &account, password, &c->question, then);
    return ADMIN_OK;
}

enum admin_result ctrl_program_end(struct ctrl *c, bool *out_waits, enum step *out,
                                   struct err *e)
{
    enum auth_answer answer = auth_answer(&c->s, &c->question, out);
    *out_waits = answer == AUTH_WAIT;
    c->agreed = answer == AUTH_YES;
    if (answer == AUTH_YES || answer == AUTH_WAIT)
        return ADMIN_OK;
    if (answer == AUTH_NO && !c->command->changes)
        return ADMIN_BAD_PASSWORD;
    (void)err_perm(e, "5.7.0",
                   answer == AUTH_NO ? "it said no" : "it couldn't be run to its end");
    return ADMIN_NOT_AGREED;
}
