/* password_fuzz.c - stored forms from a hostile table: "stored" LF "clear". What parses must be
 * within its limits; nothing matches the empty password. */
#include "users/users.h"

#define SLOW_ITERATIONS 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_keys(struct str stored, struct str clear, struct arena *a)
{
    struct scram_keys keys;
    bool has_keys = password_scram_keys(STR("alice@x"), stored, a, &keys);
    if (!has_keys) {
        if (password_matches(stored, clear) && password_scheme_of(stored) == PASSWORD_SCRAM)
            BUG("matched what doesn't parse");
        return;
    }
    if (keys.iterations == 0 || keys.iterations > 1000000 || keys.salt.n == 0 ||
        keys.salt.n > 64)
        BUG("keys out of bounds");
    if (keys.iterations <= SLOW_ITERATIONS)
        (void)password_matches(stored, clear);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str rest = str_from((const char *)data, size), stored, clear, back, again;
    if (!str_cut(&rest, '\n', &stored))
        return 0;
    clear = rest.p == NULL ? str_from("", 0) : rest;
    if (password_matches(stored, str_from("", 0)))
        BUG("matched the empty password");
    /* crypt(5) settings can ask for any amount of work: not what is tested here. */
    if (password_scheme_of(stored) == PASSWORD_YESCRYPT)
        return 0;
    check_keys(stored, clear, &a);
    if (password_clear(stored, &a, &back)) {
        bool can_be_one = memchr(back.p, '\0', back.n) == NULL;
        if (password_matches(stored, back) != can_be_one)
            BUG("a clear password doesn't match its stored form");
    }
    if (password_make(PASSWORD_XMCRYPT, clear, &a, &again, NULL) == RC_OK &&
        (!password_matches(again, clear) || !password_clear(again, &a, &back) ||
         !str_eq(back, clear)))
        BUG("XMCrypt doesn't come back");
    return 0;
}
