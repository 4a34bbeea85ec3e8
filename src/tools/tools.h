/* tools.h - the commands for people, one function each; argv without "hikyaku COMMAND". They
 * return the program's exit code. */
#ifndef HIKYAKU_TOOLS_TOOLS_H
#define HIKYAKU_TOOLS_TOOLS_H

/* `hikyaku init`: makes a MailRoot for a domain, with safe tables. 0 made, 1 failed, 2 wrong
 * usage. */
int tool_init(int argc, char **argv);
/* `hikyaku check`: reads a whole MailRoot and reports. 0 nothing wrong, 1 warnings, 2 errors, 3
 * usage. */
int tool_check(int argc, char **argv);

/* `hikyaku takeover [--do]`: rehearses, or does, the takeover of XMail's MailRoot. 0; 1 failed;
 * 3 usage. */
int tool_takeover(int argc, char **argv);
/* `hikyaku export-spool`: the queue becomes files of XMail's spool. The same codes. */
int tool_export_spool(int argc, char **argv);

/* `hikyaku options [--ja | --mdoc]`: prints every setting. */
int tool_options(int argc, char **argv);

/* `hikyaku ctrl`, CtrlClnt: one command of the control protocol. 0 done, 4 refused, 3 wrong
 * usage, 2 no connection. */
int tool_ctrl(int argc, char **argv);

/* `hikyaku users|lists|domains|aliases|tls VERB ...`: tables and account folders for people,
 * with or without a running server. 0 done, 4 refused, 2 no connection, 3 wrong usage. */
int tool_users(int argc, char **argv);
int tool_lists(int argc, char **argv);
int tool_domains(int argc, char **argv);
int tool_aliases(int argc, char **argv);
int tool_tls(int argc, char **argv);
/* `hikyaku undelete [ID]`: brings a removed account or domain back; without ID: lists them. */
int tool_undelete(int argc, char **argv);

/* `hikyaku passwords [upgrade [--apply]]`: how passwords are stored, and better forms. 0 or 1;
 * 3 wrong usage. */
int tool_passwords(int argc, char **argv);
/* `hikyaku admins list|add|passwd|remove`: control accounts. The same codes. */
int tool_admins(int argc, char **argv);
/* `hikyaku mkusers`, MkUsers: a first mailusers.tab. 0; 1 wrong usage; 2 failed. */
int tool_mkusers(int argc, char **argv);

/* `hikyaku queue list|show|try|hold|release|delete|reroute|submit|drop`. 0; 1 failed; 3 usage.
 */
int tool_queue(int argc, char **argv);
int tool_fetch(int argc, char **argv);
int tool_verify(int argc, char **argv);
int tool_backup(int argc, char **argv);
int tool_restore(int argc, char **argv);
int tool_import(int argc, char **argv);

/* `hikyaku trace ID|ADDRESS|MESSAGE-ID`. 0; 1 nothing found, or failed; 3 usage. */
int tool_trace(int argc, char **argv);

/* `hikyaku history [list]|show|undo|confirm`. 0; 1 failed; 3 usage; 4 refused. */
int tool_history(int argc, char **argv);
/* `hikyaku statistics`. 0; 1 failed; 3 usage. */
int tool_statistics(int argc, char **argv);

/* `hikyaku limits [list]|release WHO`. 0; 1 failed; 3 usage; 4 nobody of that name. */
int tool_limits(int argc, char **argv);

/* `hikyaku filter-test FILE...`: what filters do to messages. 0 all get through; 4 one doesn't;
 * 1 failed; 3 usage. */
int tool_filter_test(int argc, char **argv);
/* The test that FILTER_TEST_ORDER orders (process/process.h), in the MailRoot. */
int tool_filter_test_ordered(void);

/* `hikyaku explain --client IP ...`: what the gates of SMTP say. 0 passed; 4 refused; 1 failed;
 * 3 usage. */
int tool_explain(int argc, char **argv);

/* `hikyaku sendmail`, sendmail: codes of sysexits.h; 2: no recipients. */
int tool_sendmail(int argc, char **argv);

/* `hikyaku crypt`, XMCrypt: prints the stored form of a password. 0 or 1. */
int tool_crypt(int argc, char **argv);

#endif
