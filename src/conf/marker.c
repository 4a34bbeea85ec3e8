/* marker.c - see marker.h. */
#include "conf/marker.h"
#include "sys/file.h"

#define MARKER_MAX ((size_t)65536)

static void take_line(struct str line, struct marker *m)
{
    struct str rest = line, key = { "", 0 };
    if (!str_cut(&rest, ' ', &key) || rest.p == NULL)
        return;
    struct str value = str_trim(rest);
    if (str_eq(key, STR("origin")))
        m->origin = str_eq(value, STR("new")) ? CONF_NEW : CONF_TAKEN_OVER;
    else if (str_eq(key, STR("format")) && !str_to_u64(value, &m->format))
        m->format = UINT64_MAX;
    else if (str_eq(key, STR("made")) && (!str_to_i64(value, &m->made_s) || m->made_s < 0))
        m->made_s = 0;
}

enum rc marker_read(struct marker *out, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str text, line;
    struct err why;
    *out = (struct marker){ .origin = CONF_TAKEN_OVER, .format = MARKER_FORMAT };
    enum rc rc = file_read(MARKER_PATH, MARKER_MAX, &mem, &text, NULL, &why);
    if (rc != RC_OK && why.sys == ENOENT)
        return RC_OK;
    if (rc != RC_OK)
        return err_temp(e, "4.3.0", "%s", why.text);
    out->exists = true;
    while (text.n > 0 && str_cut(&text, '\n', &line))
        take_line(line, out);
    if (out->format <= MARKER_FORMAT)
        return RC_OK;
    return err_perm(e, "5.3.0",
                    "a newer version of Hikyaku works on this MailRoot (" MARKER_PATH
                    ": format %" PRIu64 ", this one knows %u); install that version, or "
                    "restore a copy from before it",
                    out->format, MARKER_FORMAT);
}

static enum rc print_marker(enum conf_origin origin, int64_t made_s, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str text =
        arena_printf(&mem, "origin %s\nformat %u\nmade %" PRId64 "\n",
                     origin == CONF_NEW ? "new" : "taken-over", MARKER_FORMAT, made_s);
    return file_replace(MARKER_PATH, text, 0640, e);
}

enum rc marker_write(enum conf_origin origin, struct err *e)
{
    return print_marker(origin, clock_wall() / USEC_S, e);
}

enum rc marker_raise(const struct marker *m, struct err *e)
{
    return print_marker(m->origin, m->made_s, e);
}
