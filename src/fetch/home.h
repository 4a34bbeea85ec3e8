/* home.h - the links of pop3links.tab and how their visits went (links.c), for home.c. */
#ifndef HIKYAKU_FETCH_HOME_H
#define HIKYAKU_FETCH_HOME_H

#include "fetch/fetch_int.h"

/* One row of the table. Text in it lives as long as it. */
struct link_state {
    struct arena mem;
    struct str *values; /* LINK_COLUMNS */
    size_t count;
    struct str key;    /* the first four */
    struct str source; /* server, port and login: one visit at a time */
    bool broken;       /* error says why; it is never visited */
    bool off, asked, running, kept;
    usec_t next_at; /* clock_mono; USEC_FOREVER: only when asked for */
    usec_t last_at; /* wall clock; 0: never */
    uint64_t failures, messages, bad;
    char error[200];
};

struct links {
    struct link_state **all;
    size_t count, turn;
    struct map by_key;   /* struct link_state */
    struct map busy;     /* sources that are visited */
    bool changed;        /* what links_write would say */
    struct file_id seen; /* the table's version */
    struct tab_watch watch;
    bool stale; /* not read yet */
};

/* A message that isn't asked for again for a while. */
struct refused {
    usec_t until; /* clock_mono */
    char why[160];
    char key[];
};

/* Reads the table when it has changed. */
void links_refresh(struct links *all);
/* By its first four columns; NULL: it is gone. */
struct link_state *links_find(const struct links *all, const struct str *columns);
/* Is it due, switched on, and is no link of its source under way? */
bool links_may_start(struct links *all, struct link_state *s, usec_t now);
/* A visit begins; it is over (the link may be gone by then). source: lives until then. */
void links_begin(struct links *all, struct link_state *s, struct str source);
void links_end(struct links *all, struct str source);
/* Writes what `hikyaku fetch` shows, when that has changed. */
void links_write(struct links *all);

#endif
