/* terminal.h - asking a person. */
#ifndef HIKYAKU_SYS_TERMINAL_H
#define HIKYAKU_SYS_TERMINAL_H

#include "base/base.h"

/* Prints the question on the terminal and reads a line without echo. RC_PERM: standard input is
 * no terminal. */
enum rc terminal_ask(const char *question, struct arena *a, struct str *out,
                     struct err *e) CHECK_RESULT;

#endif
