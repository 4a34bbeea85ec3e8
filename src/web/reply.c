/* reply.c - answers in JSON, and what requests hold. */
#include "mail/charset.h"
#include "web/web_int.h"

static struct str convert(const char *from, struct str s, struct arena *a)
{
    struct str out = { NULL, 0 };
    return charset_convert(from, CHARSET_UTF8, s, a, &out) ? out : (struct str){ NULL, 0 };
}

/* U+0080 to U+009F: what Shift_JIS looks like when it is taken for EUC-JP. */
static bool has_c1(struct str utf8)
{
    for (size_t i = 0; i + 1 < utf8.n; i++)
        if ((unsigned char)utf8.p[i] == 0xc2 && (unsigned char)utf8.p[i + 1] < 0xa0)
            return true;
    return false;
}

const char *web_charset(struct str text)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    if (str_is_utf8(text))
        return "UTF-8";
    struct str euc = convert("EUC-JP", text, &a);
    return euc.p != NULL && !has_c1(euc) ? "EUC-JP" : "CP932";
}

json_t *web_text(struct str s, const char *charset)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    if (str_is_utf8(s))
        return json_stringn(s.p == NULL ? "" : s.p, s.n);
    struct str text = convert(charset, s, &a);
    if (text.p != NULL && str_is_utf8(text))
        return json_stringn(text.p, text.n);
    char *p = arena_new(&a, s.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x80) {
            p[n++] = s.p[i];
            continue;
        }
        memcpy(p + n, "\xef\xbf\xbd", 3);
        n += 3;
    }
    return json_stringn(p, n);
}

json_t *web_str(struct str s)
{
    return web_text(s, web_charset(s));
}

void web_json(struct web *w, unsigned status, json_t *value)
{
    struct http_response *r = &w->h.response;
    char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    buf_release(&r->body);
    buf_init(&r->body, BUF_MAX_DEFAULT);
    r->status = status;
    r->type = "application/json";
    if (text == NULL || buf_add_str(&r->body, str_from_c(text)) != RC_OK ||
        buf_add_char(&r->body, '\n') != RC_OK) {
        log_error(EV("answer can't be made"), KS("target", w->h.request.target));
        buf_reset(&r->body);
        r->status = 500;
    }
    free(text);
    json_decref(value);
}

static void PRINTF(5, 0) fail(struct web *w, unsigned status, const char *code, json_t *values,
                              const char *fmt, va_list ap)
{
    char text[512];
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    json_t *value = json_object();
    (void)json_object_set_new(value, "error", json_string(code));
    (void)json_object_set_new(value, "detail", web_str(str_from_c(text)));
    if (values != NULL)
        (void)json_object_set_new(value, "values", values);
    web_json(w, status, value);
}

void web_fail(struct web *w, unsigned status, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail(w, status, code, NULL, fmt, ap);
    va_end(ap);
}

void web_refuse(struct web *w, const char *code, json_t *values, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail(w, 422, code, values, fmt, ap);
    va_end(ap);
}

void web_trouble(struct web *w, const struct err *e)
{
    log_error(EV("request failed"), KS("target", w->h.request.target), KE(e));
    web_fail(w, e->rc == RC_PERM ? 422 : 503, "failed", "%s", e->text);
}

bool web_member_or_empty(struct web *w, const char *name, struct str *out)
{
    const json_t *value = json_object_get(w->body, name);
    *out = STR("");
    if (value == NULL || json_is_null(value))
        return true;
    if (!json_is_string(value)) {
        web_fail(w, 422, "invalid", "%s must be text", name);
        return false;
    }
    struct str text = str_from(json_string_value(value), json_string_length(value));
    if (str_has_control(text)) {
        web_refuse(w, "characters", NULL, "%s holds characters that can't be stored", name);
        return false;
    }
    *out = text;
    return true;
}

bool web_member(struct web *w, const char *name, struct str *out)
{
    if (!web_member_or_empty(w, name, out))
        return false;
    if (out->n == 0)
        web_refuse(w, "missing", json_pack("{s:s, s:s}", "name", name, "kind", name),
                   "%s is missing", name);
    return out->n > 0;
}

struct str web_query(struct web *w, const char *name)
{
    struct str value = http_query(&w->h.request, name, web_mem(w));
    return value.p == NULL || str_has_control(value) ? STR("") : value;
}

uint64_t web_query_number(struct web *w, const char *name, uint64_t otherwise, uint64_t most)
{
    uint64_t n = otherwise;
    struct str text = web_query(w, name);
    if (text.n > 0 && !str_to_u64(text, &n))
        n = otherwise;
    return MIN(n, most);
}
