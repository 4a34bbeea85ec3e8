/*
 * options.h - every setting once: server.tab variables, user.tab variables and command-line
 * switches are rows of options.def; struct options, parser, checks, manual and sample file come
 * from the rows.
 */
#ifndef HIKYAKU_CONF_OPTIONS_H
#define HIKYAKU_CONF_OPTIONS_H

#include "base/base.h"
#include "conf/tab.h"

#include "conf/options_gen.h" /* struct options and struct user_options, made from options.def */

/* The settings in force. Never NULL after options_load; a snapshot stays valid for ever. Any
 * thread. */
const struct options *conf(void);

/* The MailRoot marker: was it made by `hikyaku init` (safe defaults) or taken over (XMail's)?
 */
enum conf_origin { CONF_TAKEN_OVER, CONF_NEW };
enum conf_origin conf_origin_read(void);

/* Reads server.tab of the MailRoot that is the working directory plus the command line given
 * before, and makes it the settings in force. A bad value is reported, its default used. */
enum rc options_load(struct err *e) CHECK_RESULT;
/* Looks whether server.tab changed (as tab_cache does) and takes over what is live. Cheap; call
 * often. */
void options_refresh(void);

/* The command line (argv without the program), MAIL_CMD_LINE's words appended. Unknown switches
 * and bad values are errors with the switch named. Must be called before options_load when
 * used. */
enum rc options_command_line(int argc, char **argv, struct err *e) CHECK_RESULT;
/* The command line again as words, for handing it to a role process. */
size_t options_command_words(struct arena *a, const char *const **out_words);

#endif
