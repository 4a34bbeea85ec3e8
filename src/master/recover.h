/* recover.h - the one-shot process before the roles; see recover.c. */
#ifndef HIKYAKU_MASTER_RECOVER_H
#define HIKYAKU_MASTER_RECOVER_H

#include "base/base.h"

/* 0: all is well; 1: the server must not start (the log says why). */
int recover_main(void);
/* For commit_recover: a tag of a message that was put says what is to be noted. */
enum rc recover_tag(void *ctx, struct str tag, const char *final_path, struct err *e);

#endif
