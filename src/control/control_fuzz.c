/*
 * control_fuzz.c - libFuzzer walks the control protocol over a memory stream, logged in: octets
 * from 0x80 on stand for whole lines; all others are sent as they are. Checked: every reply
 * outside of lists begins with a sign and a number, nothing leaves the MailRoot, and the tables
 * that the server needs stay readable.
 */
#include "control/control_int.h"
#include "store/store.h"
#include "sys/file.h"
#include <ftw.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char home[4096]; /* where libFuzzer's own paths are relative to */
static char outer[128], root[160];
static struct engine *engine;
static struct listener listener = { .protocol = &control_protocol,
                                    .service = "ctrl",
                                    .fd = -1 };
static int index_fd = -1;

static const char *const words[] = {
    "\"admin\"\t\"secret\"\r\n",
    "\"useradd\"\t\"x.test\"\t\"u1\"\t\"long-password\"\t\"U\"\r\n",
    "\"useradd\"\t\"x.test\"\t\"l1\"\t\"long-password\"\t\"M\"\r\n",
    "\"userdel\"\t\"x.test\"\t\"u1\"\r\n",
    "\"userlist\"\r\n",
    "\"userstat\"\t\"x.test\"\t\"amy\"\r\n",
    "\"uservars\"\t\"x.test\"\t\"amy\"\r\n",
    "\"uservarsset\"\t\"x.test\"\t\"amy\"\t\"A\"\t\"b\"\r\n",
    "\"usersetmproc\"\t\"x.test\"\t\"amy\"\r\n",
    "\"usergetmproc\"\t\"x.test\"\t\"amy\"\t\"DU\"\r\n",
    "\"aliasadd\"\t\"x.test\"\t\"a*\"\t\"amy\"\r\n",
    "\"aliasdel\"\t\"x.test\"\t\"a*\"\r\n",
    "\"aliaslist\"\t\"*\"\r\n",
    "\"domainadd\"\t\"y.test\"\r\n",
    "\"domaindel\"\t\"y.test\"\r\n",
    "\"domainlist\"\t\"*\"\r\n",
    "\"removedlist\"\r\n",
    "\"undelete\"\t\"1\"\r\n",
    "\"cfgfileget\"\t\"server.tab\"\r\n",
    "\"cfgfileset\"\t\"filters/f\"\r\n",
    "\"cfgfileset\"\t\"",
    "\"cfgfileget\"\t\"",
    "\"filelist\"\t\"",
    "..",
    "/",
    "\"\r\n",
    "\"\t\"*\"\r\n",
    ".\r\n",
    "\"mluseradd\"\t\"x.test\"\t\"l1\"\t\"a@b.test\"\r\n",
    "\"poplnkadd\"\t\"x.test\"\t\"amy\"\t\"h\"\t\"u\"\t\"p\"\t\"CLR\"\r\n",
    "\"poplnkenable\"\t\"0\"\t\"x.test\"\t\"amy\"\r\n",
    "\"noop\"\r\n",
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void must(enum rc rc, const struct err *e)
{
    if (rc == RC_OK)
        return;
    (void)fprintf(stderr, "scratch MailRoot: %s\n", e->text);
    abort();
}

static void put(const char *path, const char *text)
{
    struct err e;
    must(file_replace(path, str_from_c(text), 0600, &e), &e);
}

static void refresh(void)
{
    struct err e;
    struct users_report report;
    if (index_fd >= 0)
        io_close(index_fd);
    must(admin_build_index(&index_fd, &report, &e), &e);
}

static bool visible(void)
{
    return true;
}

/* The MailRoot as each input finds it; outside/ must stay empty. */
static void make_root(void)
{
    struct err e;
    if (chdir("/") != 0 ||
        (outer[0] != '\0' && nftw(outer, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0))
        abort();
    (void)snprintf(outer, sizeof(outer), "/dev/shm/hikyaku-control-XXXXXX");
    if (mkdtemp(outer) == NULL)
        abort();
    (void)snprintf(root, sizeof(root), "%s/MailRoot", outer);
    must(folder_make(root, 0700, &e), &e);
    if (chdir(root) != 0)
        abort();
    must(folder_make("hikyaku", 0700, &e), &e);
    must(folder_make("filters", 0700, &e), &e);
    must(folder_make("domains/x.test/amy/Maildir/new", 0700, &e), &e);
    put("hikyaku/marker", "origin taken-over\n");
    put("hikyaku/run", "run\n");
    put("server.tab",
        "\"RootDomain\"\t\"x.test\"\n\"LoginDelay\"\t\"0\"\n\"LogLevel\"\t\"error\"\n");
    put("domains.tab", "\"x.test\"\n");
    put("mailusers.tab", "\"x.test\"\t\"amy\"\t\"00\"\t1\t\"amy\"\t\"U\"\n");
    put("ctrlaccounts.tab", "\"admin\"\t\"160006170011\"\n");
    must(options_load(&e), &e);
    refresh();
}

static void start(void)
{
    static const struct control_hooks hooks = { refresh, visible, NULL, NULL };
    struct err e;
    log_set_level(LOG_LEVEL_ERROR);
    if (getcwd(home, sizeof(home)) == NULL)
        abort();
    make_root();
    store_init(NULL);
    control_init(&hooks);
    must(engine_new(&(struct engine_limits){ 10, 0, 1 }, &engine, &e), &e);
}

/* Replies outside of lists: a sign and five digits. */
static void check_replies(struct str sent)
{
    struct str line;
    bool in_list = false;
    while (sent.n > 0 && str_cut(&sent, '\n', &line)) {
        if (line.n == 0 || line.p[line.n - 1] != '\r')
            abort();
        if (in_list) {
            in_list = !str_eq(line, STR(".\r"));
            continue;
        }
        uint64_t number = 0;
        if (line.n < 7 || (line.p[0] != '+' && line.p[0] != '-') ||
            !str_to_u64(str_head(str_skip(line, 1), 5), &number))
            abort();
        in_list = line.p[0] == '+' && number == 100;
    }
}

static bool feed(struct session *s, const uint8_t *p)
{
    struct str text = *p >= 0x80 ? str_from_c(words[(*p - 0x80u) % ARRAY_LEN(words)])
                                 : str_from((const char *)p, 1);
    stream_mem_feed(&s->st, text);
    return session_test_step(s);
}

/* One input: logged in, then its octets. */
static void run(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct session *s = session_test_new(engine, &listener);
    (void)ip_parse(STR("127.0.0.1"), &s->client_ip);
    bool open = session_test_step(s);
    if (size % 8 != 0) {
        static const uint8_t login = 0x80;
        open = open && feed(s, &login);
    }
    for (size_t i = 0; open && i < size; i++) {
        open = feed(s, &data[i]);
        if (admin_index_due())
            refresh();
    }
    check_replies(stream_mem_sent(&s->st, &a));
    session_test_free(&s);
}

static void check_outside(void)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    unsigned n = 0;
    if (folder_open(outer, &f, NULL) != RC_OK)
        abort();
    while (folder_next(f, &name, &type))
        n++;
    folder_close(&f);
    if (n != 1 || !file_exists("server.tab"))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned runs;
    if (engine == NULL)
        start();
    if (++runs % 50 == 0)
        make_root();
    else if (chdir(root) != 0)
        abort();
    run(data, MIN(size, (size_t)2000));
    check_outside();
    if (chdir(home) != 0)
        abort();
    return 0;
}
