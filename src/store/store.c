/*
 * store.c - what the store needs to know once, at the start of a role: the commit log, which
 * run of the server this is (hikyaku/run), when the MailRoot was taken over (hikyaku/marker),
 * and the host's name for file names.
 */
#include "conf/marker.h"
#include "store/store_int.h"
#include "sys/file.h"

#define STATE_FILE_MAX 4096

struct store_state store;

static struct str state_file(const char *path, struct arena *a)
{
    struct str text = STR("");
    if (file_read(path, STATE_FILE_MAX, a, &text, NULL, NULL) != RC_OK)
        return STR("");
    return text;
}

/* When XMail's last message was written; 0: no message is XMail's. */
static int64_t read_takeover(void)
{
    struct marker marker;
    (void)!marker_read(&marker, NULL);
    return marker.origin == CONF_TAKEN_OVER ? marker.made_s : 0;
}

/* The id is opaque text; no file is run 0. */
static uint64_t read_run(struct arena *a)
{
    struct str id = str_trim(state_file("hikyaku/run", a));
    return id.n == 0 ? 0 : hash_text(id, false, 1);
}

void store_init(struct commit *commit)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    char host[256] = "";
    if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0')
        memcpy(host, "localhost", sizeof("localhost"));
    name_host(str_from_c(host), store.host);
    store.commit = commit;
    store.run = read_run(&mem);
    store.takeover_s = read_takeover();
}
