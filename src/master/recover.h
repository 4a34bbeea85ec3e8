/* recover.h - the one-shot process before the roles; see recover.c. */
#ifndef HIKYAKU_MASTER_RECOVER_H
#define HIKYAKU_MASTER_RECOVER_H

/* 0: all is well; 1: the server must not start (the log says why). */
int recover_main(void);

#endif
