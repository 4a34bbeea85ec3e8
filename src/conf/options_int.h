/* options_int.h - between options.c and options_cmdline.c. */
#ifndef HIKYAKU_CONF_OPTIONS_INT_H
#define HIKYAKU_CONF_OPTIONS_INT_H

#include "conf/options.h"

/* The command line's effect on a snapshot that server.tab has filled. */
void cmdline_apply(struct options *o);

#endif
