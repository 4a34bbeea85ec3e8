/*
 * control.h - the only writer of tables and account folders. In this version: builds the index
 * of accounts when a table changes, and notes last logins.
 */
#ifndef HIKYAKU_CONTROL_CONTROL_H
#define HIKYAKU_CONTROL_CONTROL_H

#include "users/users.h"

/* Builds the index and makes it this process's own. *out_fd: the memory file, for the other
 * roles. */
enum rc control_build_index(int *out_fd, struct users_report *out, struct err *e) CHECK_RESULT;

/* domains/D/U/.ipconn: the address of the account's last POP3 login; its time is the login's.
 * Nothing happens for an account that isn't in the tables. */
enum rc control_note_login(struct str domain, struct str user, struct str address,
                           struct err *e) CHECK_RESULT;

#endif
