/* index_test.c - building, sizes, changes of tables, damaged files, and swaps under load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/lock.h"
#include "users/index_int.h"
#include "users/test_root.h"
#include <sys/mman.h>

#define ACCOUNTS 100000u
#define BYTES_PER_ACCOUNT_MAX 200u
#define STORED_SCRAM                                                                           \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"                                            \
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"                                            \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static int enter(void **state)
{
    (void)state;
    root_enter();
    root_put("domains.tab", "\"x.test\"\n");
    root_put("mailusers.tab", "\"x.test\"\t\"amy\"\t\"1d08040c09\"\t1\t\"amy\"\t\"U\"\n"
                              "\"x.test\"\t\"bob\"\t\"1d08040c09\"\t2\t\"bob\"\t\"U\"\n");
    struct err e;
    return options_load(&e) == RC_OK ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    root_leave();
    return 0;
}

static enum rc resolve(const char *local, const char *domain, enum recipient_kind *out)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct address to = { .local = str_from_c(local), .domain = str_from_c(domain) };
    struct recipient got = { .kind = RECIPIENT_REMOTE };
    struct err e;
    enum rc rc = users_resolve(&to, &a, &got, &e);
    *out = got.kind;
    return rc;
}

static void assert_resolves(const char *local, const char *domain, enum recipient_kind kind)
{
    enum recipient_kind got;
    print_message("%s@%s\n", local, domain);
    assert_int_equal(resolve(local, domain, &got), RC_OK);
    assert_int_equal(got, kind);
}

static void assert_temporary(const char *local, const char *domain)
{
    enum recipient_kind got;
    print_message("%s@%s\n", local, domain);
    assert_int_equal(resolve(local, domain, &got), RC_TEMP);
}

static void missing_optional_tables_are_empty(void **state)
{
    (void)state;
    struct users_report r = root_index();
    assert_int_equal(r.domains, 1);
    assert_int_equal(r.accounts, 2);
    assert_int_equal(r.problems, 0);
    assert_resolves("amy", "x.test", RECIPIENT_ACCOUNT);
    assert_resolves("eve", "x.test", RECIPIENT_UNKNOWN);
    assert_resolves("amy", "y.test", RECIPIENT_REMOTE);
}

static void without_an_index_nothing_is_final(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account;
    assert_temporary("amy", "x.test");
    assert_int_equal(users_login(STR("amy@x.test"), STR(""), &a, &account, NULL), RC_TEMP);
    assert_false(users_domain_is_local(STR("x.test")));
    assert_true(users_index_is_stale());
}

static void missing_required_tables_make_misses_temporary(void **state)
{
    (void)state;
    static const char *const paths[] = { "domains.tab", "mailusers.tab" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        (void)leave(state);
        (void)enter(state);
        assert_int_equal(io_unlink(paths[i]), 0);
        struct users_report r = root_index();
        print_message("without %s\n", paths[i]);
        assert_int_equal(r.problems, 1);
        assert_temporary("amy", "x.test");
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct account account;
        assert_int_equal(users_login(STR("amy@x.test"), STR(""), &a, &account, NULL), RC_TEMP);
    }
}

static void bad_lines_are_skipped_and_counted(void **state)
{
    (void)state;
    root_put("domains.tab", "\"x.test\"\n\"bad name\"\n\"x.test\"\n\"a/b\"\n");
    root_put("mailusers.tab", "\"x.test\"\t\"amy\"\t\"00\"\t1\t\"amy\"\t\"U\"\n"
                              "\"x.test\"\t\"columns\"\n"
                              "\"x.test\"\t\"\"\t\"00\"\t2\t\"d\"\t\"U\"\n"
                              "\"x.test\"\t\"up\"\t\"00\"\t3\t\"../up\"\t\"U\"\n"
                              "\"x.test\"\t\"root\"\t\"00\"\t3\t\"/etc\"\t\"U\"\n"
                              "\"y.test\"\t\"amy\"\t\"00\"\t4\t\"amy\"\t\"U\"\n"
                              "\"x.test\"\t\"noid\"\t\"00\"\tzero\t\"noid\"\t\"U\"\n"
                              "\"x.test\"\t\"AMY\"\t\"00\"\t5\t\"amy2\"\t\"U\"\n");
    root_put("aliases.tab", "\"x.test\"\t\"short\"\n\"x.test\"\t\"\"\t\"amy\"\n"
                            "\"x.test\"\t\"t\"\t\"@x.test\"\n\"x.test\"\t\"ok\"\t\"amy\"\n");
    root_put("aliasdomain.tab", "\"a.test\"\t\"x.test\"\n\"a.test\"\t\"x.test\"\n"
                                "\"b.test\"\t\"gone.test\"\n\"c.test\"\n");
    struct users_report r = root_index();
    assert_int_equal(r.domains, 1);
    assert_int_equal(r.accounts, 2); /* one without an id is kept */
    assert_int_equal(r.aliases, 1);
    assert_int_equal(r.alias_domains, 1);
    assert_int_equal(r.problems, 3 + 7 + 3 + 3);
    assert_resolves("noid", "x.test", RECIPIENT_ACCOUNT);
    assert_resolves("ok", "a.test", RECIPIENT_ACCOUNT);
}

/* --- changes ----------------------------------------------------------------------------- */

static void wait_ms(int ms)
{
    struct timespec ts = { .tv_nsec = (long)ms * 1000000 };
    (void)nanosleep(&ts, NULL);
}

static void a_change_counts_when_it_is_still_and_ends_in_a_line_end(void **state)
{
    (void)state;
    (void)root_index();
    wait_ms(250);
    assert_false(users_index_is_stale());
    root_put("aliases.tab", "\"x.test\"\t\"boss\"\t\"am");
    assert_false(users_index_is_stale());
    wait_ms(250);
    assert_false(users_index_is_stale()); /* somebody is still writing */
    root_put("aliases.tab", "\"x.test\"\t\"boss\"\t\"amy\"\n");
    assert_false(users_index_is_stale());
    wait_ms(250);
    assert_true(users_index_is_stale());
    assert_resolves("boss", "x.test", RECIPIENT_UNKNOWN);
    (void)root_index();
    assert_false(users_index_is_stale());
    assert_resolves("boss", "x.test", RECIPIENT_ACCOUNT);
    root_put("aliases.tab", "\"x.test\"\t\"boss\"\t\"amy\"\n\"x.test\"\t\"chief\"\t\"amy\"");
    wait_ms(250);
    assert_false(users_index_is_stale());
    clock_shift(61 * USEC_S);
    assert_true(users_index_is_stale()); /* somebody has forgotten the line end */
    (void)root_index();
    assert_resolves("chief", "x.test", RECIPIENT_ACCOUNT);
}

static void a_table_that_shrinks_is_doubted(void **state)
{
    (void)state;
    (void)root_index();
    root_put("mailusers.tab", "\n");
    wait_ms(250);
    assert_false(users_index_is_stale());
    assert_temporary("eve", "x.test");
    assert_resolves("amy", "x.test", RECIPIENT_ACCOUNT);
    clock_shift(3 * USEC_S);
    assert_true(users_index_is_stale());
    (void)root_index();
    assert_resolves("amy", "x.test", RECIPIENT_UNKNOWN);
}

static void a_required_table_that_goes_away_keeps_the_old_index(void **state)
{
    (void)state;
    (void)root_index();
    assert_int_equal(io_unlink("mailusers.tab"), 0);
    assert_int_equal(io_unlink("domains.tab"), 0);
    assert_false(users_index_is_stale());
    clock_shift(3600 * USEC_S);
    assert_false(users_index_is_stale());
    assert_resolves("amy", "x.test", RECIPIENT_ACCOUNT);
    assert_temporary("eve", "x.test");
    assert_temporary("amy", "remote.example");
}

static void an_optional_table_that_goes_away_counts_later(void **state)
{
    (void)state;
    root_put("aliases.tab", "\"x.test\"\t\"boss\"\t\"amy\"\n");
    (void)root_index();
    assert_int_equal(io_unlink("aliases.tab"), 0);
    assert_false(users_index_is_stale());
    assert_resolves("boss", "x.test", RECIPIENT_ACCOUNT);
    assert_temporary("eve", "x.test");
    clock_shift(61 * USEC_S);
    assert_true(users_index_is_stale());
    (void)root_index();
    assert_resolves("boss", "x.test", RECIPIENT_UNKNOWN);
}

/* --- size and speed ---------------------------------------------------------------------- */

static void put_many(unsigned count, const char *password)
{
    struct buf b AUTO_RELEASE_BUF = { 0 };
    buf_init(&b, (size_t)256 << 20);
    for (unsigned i = 0; i < count; i++)
        buf_addf(
            &b,
            "\"x.test\"\t\"firstname.surname%u\"\t\"%s\"\t%u\t\"firstname.surname%u\"\t\"U\"\n",
            i, password, i + 1, i);
    root_put("mailusers.tab", b.p);
}

static void many_accounts_are_small_and_fast(void **state)
{
    (void)state;
    put_many(ACCOUNTS, STORED_SCRAM);
    usec_t start = clock_mono();
    struct users_report r = root_index();
    usec_t built = clock_mono();
    assert_int_equal(r.accounts, ACCOUNTS);
    char name[64];
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        enum recipient_kind got;
        (void)snprintf(name, sizeof(name), "firstname.surname%u", i);
        assert_int_equal(resolve(name, "x.test", &got), RC_OK);
        assert_int_equal(got, RECIPIENT_ACCOUNT);
    }
    usec_t looked = clock_mono();
    print_message("%u accounts with SCRAM keys: built in %lld ms, %zu octets each; a look-up "
                  "takes %lld ns\n",
                  ACCOUNTS, (long long)((built - start) / USEC_MS), r.memory_bytes / ACCOUNTS,
                  (long long)((looked - built) * 1000 / ACCOUNTS));
    assert_true(r.memory_bytes / ACCOUNTS <= BYTES_PER_ACCOUNT_MAX);
    /* Ten times what a release build takes here, for slow machines and sanitizers. */
    assert_true(built - start < 10 * USEC_S);
}

static void many_catch_alls_are_found_by_their_domain(void **state)
{
    (void)state;
    struct buf d AUTO_RELEASE_BUF = { 0 }, m AUTO_RELEASE_BUF = { 0 },
                 al AUTO_RELEASE_BUF = { 0 };
    buf_init(&d, BUF_MAX_DEFAULT);
    buf_init(&m, BUF_MAX_DEFAULT);
    buf_init(&al, BUF_MAX_DEFAULT);
    for (unsigned i = 0; i < 10000; i++) {
        buf_addf(&d, "\"d%u.test\"\n", i);
        buf_addf(&m, "\"d%u.test\"\t\"all\"\t\"00\"\t%u\t\"all\"\t\"U\"\n", i, i + 1);
        buf_addf(&al, "\"d%u.test\"\t\"*\"\t\"all\"\n", i);
    }
    root_put("domains.tab", d.p);
    root_put("mailusers.tab", m.p);
    root_put("aliases.tab", al.p);
    struct users_report r = root_index();
    assert_int_equal(r.aliases, 10000);
    usec_t start = clock_mono();
    char domain[32];
    for (unsigned i = 0; i < 10000; i++) {
        enum recipient_kind got;
        (void)snprintf(domain, sizeof(domain), "d%u.test", i);
        assert_int_equal(resolve("whoever", domain, &got), RC_OK);
        assert_int_equal(got, RECIPIENT_ACCOUNT);
    }
    print_message("%lld ns each\n", (long long)((clock_mono() - start) * 1000 / 10000));
}

/* --- the memory file --------------------------------------------------------------------- */

static void readers_cannot_write(void **state)
{
    (void)state;
    struct users_report r;
    struct err e;
    int fd = -1;
    assert_int_equal(users_index_build(&fd, &r, &e), RC_OK);
    assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    assert_true(io_pwrite(fd, "x", 1, 0) < 0);
    assert_true(io_ftruncate(fd, 0) < 0);
    assert_true(io_ftruncate(fd, (uint64_t)1 << 32) < 0);
    assert_int_equal(users_index_use(fd, &e), RC_OK);
}

static void foreign_files_are_refused(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(users_index_use(-1, &e), RC_TEMP);
    assert_int_equal(users_index_use(io_open("domains.tab", O_RDONLY, 0), &e), RC_TEMP);
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(io_ftruncate(fd, 65536), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_int_equal(users_index_use(fd, &e), RC_TEMP); /* all zeros */
}

/* A copy of a good index with the octets from `from` on changed by rnd: look-ups must end and
 * stay inside. */
static void use_damaged(const char *good, size_t size, unsigned rnd)
{
    struct err e;
    size_t heap_at = ((const struct index_head *)(const void *)good)->heap_at;
    size_t first = offsetof(struct index_head, heap_end);
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char *copy = mem_new(size);
    memcpy(copy, good, size);
    for (unsigned i = 0; i < 400; i++) {
        rnd = rnd * 1103515245u + 12345u;
        size_t at = first + rnd % (heap_at - first + 2000);
        copy[at] = (char)(rnd >> 24);
    }
    assert_int_equal(io_write(fd, copy, size), (ssize_t)size);
    mem_free(&copy);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_int_equal(users_index_use(fd, &e), RC_OK);
}

static void a_damaged_index_gives_misses_only(void **state)
{
    (void)state;
    root_put("aliasdomain.tab", "\"a.test\"\t\"x.test\"\n\"*.w.test\"\t\"x.test\"\n");
    root_put("aliases.tab", "\"x.test\"\t\"boss\"\t\"amy\"\n\"*\"\t\"s*\"\t\"amy\"\n"
                            "\"x.test\"\t\"t*\"\t\"amy\"\n");
    struct users_report r;
    struct err e;
    int fd = -1;
    assert_int_equal(users_index_build(&fd, &r, &e), RC_OK);
    struct stat st;
    assert_int_equal(io_fstat(fd, &st), 0);
    size_t size = (size_t)st.st_size;
    char *good = mem_new(size);
    assert_int_equal(io_pread(fd, good, size, 0), (ssize_t)size);
    io_close(fd);
    for (unsigned i = 0; i < 300; i++) {
        static const char *const names[] = { "amy", "boss", "s1", "t1", "nobody" };
        static const char *const domains[] = { "x.test", "a.test", "q.w.test", "z.test" };
        enum recipient_kind got;
        use_damaged(good, size, i);
        for (size_t k = 0; k < ARRAY_LEN(names) * ARRAY_LEN(domains); k++)
            (void)resolve(names[k % 5], domains[k / 5], &got);
    }
    mem_free(&good);
}

/* --- threads ----------------------------------------------------------------------------- */

static _Atomic bool stop;
static _Atomic unsigned failures, lookups;

static void *look_up(void *arg)
{
    (void)arg;
    while (!stop) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct address to = { .local = STR("amy"), .domain = STR("x.test") };
        struct recipient got;
        struct account account;
        if (users_resolve(&to, &a, &got, NULL) != RC_OK || got.kind != RECIPIENT_ACCOUNT ||
            !str_eq(got.account.folder, STR("domains/x.test/amy")))
            failures++;
        if (users_login(STR("bob@x.test"), STR(""), &a, &account, NULL) != RC_OK ||
            !str_eq(account.password, STR("1d08040c09")))
            failures++;
        lookups++;
    }
    return NULL;
}

static void swaps_do_not_disturb_look_ups(void **state)
{
    (void)state;
    pthread_t threads[3];
    (void)root_index();
    stop = false;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(thread_start(look_up, NULL, "look-up", &threads[i], NULL), RC_OK);
    for (unsigned i = 0; i < 300 || lookups < 1000; i++) {
        (void)root_index();
        (void)users_index_is_stale();
    }
    stop = true;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    print_message("%u look-ups\n", (unsigned)lookups);
    assert_int_equal(failures, 0);
}

#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOT(missing_optional_tables_are_empty),
        IN_ROOT(without_an_index_nothing_is_final),
        IN_ROOT(missing_required_tables_make_misses_temporary),
        IN_ROOT(bad_lines_are_skipped_and_counted),
        IN_ROOT(a_change_counts_when_it_is_still_and_ends_in_a_line_end),
        IN_ROOT(a_table_that_shrinks_is_doubted),
        IN_ROOT(a_required_table_that_goes_away_keeps_the_old_index),
        IN_ROOT(an_optional_table_that_goes_away_counts_later),
        IN_ROOT(many_accounts_are_small_and_fast),
        IN_ROOT(many_catch_alls_are_found_by_their_domain),
        IN_ROOT(readers_cannot_write),
        IN_ROOT(foreign_files_are_refused),
        IN_ROOT(a_damaged_index_gives_misses_only),
        IN_ROOT(swaps_do_not_disturb_look_ups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
