/* api_domains.c - domains. */
#include "web/web_int.h"

/* The words of a control answer's line. */
static bool next_line(struct str *rest, struct str *line)
{
    return rest->n > 0 && str_cut(rest, '\n', line) && line->n > 0;
}

void api_domains(struct web *w)
{
    struct control_answer answer;
    struct str rest, line;
    if (!web_control(w, WEB_WORDS(STR("domainlist")), STR(""), &answer))
        return;
    json_t *list = json_array();
    rest = buf_str(&answer.lines);
    while (next_line(&rest, &line))
        (void)json_array_append_new(
            list,
            json_pack("{s:o}", "domain", web_str(str_head(str_skip(line, 1), line.n - 2))));
    buf_release(&answer.lines);
    web_json(w, 200, list);
}

static void simple(struct web *w, const char *command, struct str value, unsigned status)
{
    struct control_answer answer;
    if (!web_control(w, WEB_WORDS(str_from_c(command), value), STR(""), &answer))
        return;
    buf_release(&answer.lines);
    w->h.response.status = status;
}

void api_domain_add(struct web *w)
{
    struct str domain;
    if (web_member(w, "domain", &domain))
        simple(w, "domainadd", domain, 204);
}

void api_domain_remove(struct web *w)
{
    simple(w, "domaindel", w->params[0], 204);
}
