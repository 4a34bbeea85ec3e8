/* job_fuzz.c - any octets as a verdict, and as the URL of a hook. */
#include "process/process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct verdict v = { .id = 0 };
    struct buf out AUTO_RELEASE_BUF;
    struct str text = str_from((const char *)data, size);
    buf_init(&out, 8 * size + 1000);
    if (verdict_parse(text, &a, &v) == NULL &&
        (v.code > PROGRAM_CODE_MAX || str_has_control(v.reply)))
        abort();
    /* Whatever an address holds, a job is one line of JSON. */
    const struct macro macros[] = { { "FROM", text } };
    if (memchr(data, 0, size) == NULL && (job_print(1, STR("t"), macros, 1, &out) != RC_OK ||
                                          str_find(buf_str(&out), '\n') != out.n - 1))
        abort();
    struct hook_url url;
    if (hook_url_parse(text, &url) == NULL && (str_has_control(url.path) || url.host.n == 0))
        abort();
    return 0;
}
