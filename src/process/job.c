/*
 * job.c - jobs and verdicts as JSON, for programs that stay and for HTTP hooks. What comes back
 * is a program's, or a stranger's: anything.
 */
#include "process/job.h"

json_t *job_text(struct str s, struct arena *a)
{
    if (!str_is_utf8(s)) {
        char *p = arena_new(a, s.n + 1);
        for (size_t i = 0; i < s.n; i++)
            p[i] = (signed char)s.p[i] < 0 ? '?' : s.p[i];
        s = str_from(p, s.n);
    }
    return json_stringn(s.p == NULL ? "" : s.p, s.n);
}

json_t *job_object(uint64_t id, struct str table, const struct macro *macros, size_t count,
                   struct arena *a)
{
    json_t *o = json_object();
    bool ok = json_object_set_new(o, "id", json_integer((json_int_t)id)) == 0 &&
              json_object_set_new(o, "table", job_text(table, a)) == 0;
    for (size_t i = 0; i < count && ok; i++)
        ok = json_object_set_new(o, macros[i].name, job_text(macros[i].value, a)) == 0;
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

enum rc job_print(uint64_t id, struct str table, const struct macro *macros, size_t count,
                  struct buf *out)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    json_t *o = job_object(id, table, macros, count, &a);
    char *text = o == NULL ? NULL : json_dumps(o, JSON_COMPACT);
    enum rc rc = text == NULL ? RC_TEMP : buf_printf(out, "%s\n", text);
    free(text);
    json_decref(o);
    return rc;
}

static bool integer_in(const json_t *o, const char *name, json_int_t most, uint64_t *out)
{
    const json_t *v = json_object_get(o, name);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > most)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

const char *verdict_parse(struct str text, struct arena *a, struct verdict *out)
{
    struct verdict v = { .reply = STR("") };
    json_error_t wrong;
    json_t *o = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &wrong);
    const char *why = NULL;
    const json_t *reply = json_object_get(o, "reply");
    if (!json_is_object(o))
        why = "the answer is no JSON object";
    else if (!integer_in(o, "id", INT64_MAX, &v.id))
        why = "the answer has no id";
    else if (!integer_in(o, "code", PROGRAM_CODE_MAX, &v.code))
        why = "the answer has no code from 0 to 255";
    else if (reply != NULL && !json_is_string(reply))
        why = "the reply in the answer is no text";
    if (why == NULL && reply != NULL)
        v.reply = arena_str(a, str_from(json_string_value(reply), json_string_length(reply)));
    json_decref(o);
    if (why == NULL && (str_has_control(v.reply) || v.reply.n > VERDICT_REPLY_MAX))
        why = "the reply in the answer isn't a line of 400 octets at most";
    if (why == NULL)
        *out = v;
    return why;
}
