/*
 * work.h - backups and restores that administrators order while the server runs. The control
 * role writes the order, the master starts a process of its own for it (backup_work_main), and
 * removes the order when that has ended: so there is one at a time. The web role shows what the
 * process writes into hikyaku/backup/.
 */
#ifndef HIKYAKU_BACKUP_WORK_H
#define HIKYAKU_BACKUP_WORK_H

#include "conf/tab.h"

/*
 * One line of a table: what, SNAPSHOT, WHAT of it, where to, who ordered it; empty where it
 * doesn't matter. What: look (for the list only), make, verify, restore. WHAT: all, DOMAIN,
 * USER@DOMAIN, USER@DOMAIN/FOLDER. Where to: back, aside.
 */
#define BACKUP_ORDER_PATH ".backup"
#define BACKUP_ORDER_VALUES 5u

/* Lines of the last work, but not of "look": name and value; "note", file and what about it. */
#define BACKUP_STATE_PATH "hikyaku/backup/state"
/* Lines: "snapshot", its name and number of files; "aside", a folder with what was restored
 * there; "trouble" and why there is no list. */
#define BACKUP_LIST_PATH "hikyaku/backup/list"
/* Asks the process to end; what it did stays, and doing it again goes on. */
#define BACKUP_STOP_PATH "hikyaku/backup/stop"

/* Below BackupFolder: a folder for each restore aside. */
#define BACKUP_ASIDE "restored"

/* The process; its exit code. */
int backup_work_main(void);

/* A value of BACKUP_STATE_PATH; empty: it isn't told. */
struct str backup_told(const struct tab *state, const char *name);

/* "03:30" in minutes since midnight; false: it isn't such a time. Pure. */
bool backup_time_parse(struct str text, unsigned *out_minutes);

#endif
