/* api_filtertest.c - a message through the filters, by order of control (process/process.h).
 */
#include "process/process.h"
#include "sys/file.h"
#include "web/web_int.h"

#define RECIPIENTS_MOST 50u
#define RESULT_MAX ((size_t)16 << 20)

/* A member without control characters, or "". */
static bool word_member(struct web *w, const char *name, struct str *out)
{
    if (!web_member_or_empty(w, name, out))
        return false;
    if (!str_has_control(*out))
        return true;
    web_fail(w, 422, "invalid", "%s holds control characters", name);
    return false;
}

/* The message as lines for control; false: it was answered. */
static bool message_member(struct web *w, struct str *out)
{
    const json_t *value = json_object_get(w->body, "message");
    *out = str_from(json_string_value(value), json_string_length(value));
    if (value != NULL && out->n > 0)
        return true;
    web_fail(w, 422, "invalid", "message must be a text");
    return false;
}

void api_filter_test_begin(struct web *w)
{
    static const char *const names[] = { "from", "client", "helo", "auth" };
    struct str words[1 + ARRAY_LEN(names) + RECIPIENTS_MOST] = { STR("filtertest") };
    const json_t *to = json_object_get(w->body, "to");
    struct control_answer answer;
    struct str message;
    size_t n = 1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!word_member(w, names[i], &words[n++]))
            return;
    if (!message_member(w, &message))
        return;
    size_t count = json_array_size(to);
    bool good = (to == NULL || json_is_array(to)) && count <= RECIPIENTS_MOST;
    for (size_t i = 0; i < count && good; i++) {
        const json_t *address = json_array_get(to, i);
        words[n] = str_from(json_string_value(address), json_string_length(address));
        good = words[n].n > 0 && !str_has_control(words[n]);
        n++;
    }
    if (!good) {
        web_fail(w, 422, "invalid", "to must be a list of at most %u addresses",
                 RECIPIENTS_MOST);
        return;
    }
    if (!web_control(w, words, n, message, &answer))
        return;
    w->h.response.status = 202;
    buf_release(&answer.lines);
}

void api_filter_test(struct web *w)
{
    struct str text;
    struct err e;
    json_t *result = NULL;
    bool running = file_exists(FILTER_TEST_ORDER);
    if (file_read(FILTER_TEST_RESULT, RESULT_MAX, web_mem(w), &text, NULL, &e) == RC_OK)
        result = json_loadb(text.p, text.n, 0, NULL);
    web_json(w, 200,
             json_pack("{s:b, s:o}", "running", (int)running, "result",
                       result == NULL ? json_null() : result));
}
