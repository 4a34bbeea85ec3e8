/* api_backups.c - backups, and the work on them that is under way, as its process tells it
 * (backup/work.h). Orders are commands of the control protocol (routes.c). */
#include "backup/work.h"
#include "conf/options.h"
#include "sys/file.h"
#include "web/web_int.h"

static json_t *number_or_text(struct str s)
{
    int64_t n = 0;
    return str_to_i64(s, &n) ? json_integer((json_int_t)n) : web_str(s);
}

/* Of a file's lines "name value more". */
static json_t *work_json(const struct tab *tab)
{
    static const char *const texts = " state act snapshot what place by why folder ";
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    json_t *o = json_object(), *notes = json_array();
    for (size_t i = 0; i < tab->row_count; i++) {
        struct str name = tab_value(&tab->rows[i], 0), value = tab_value(&tab->rows[i], 1);
        struct str blanks = arena_printf(&a, " %.*s ", STR_ARG(name));
        if (str_eq(name, STR("note")))
            (void)json_array_append_new(notes,
                                        json_pack("{s:o, s:o}", "file", web_str(value), "what",
                                                  web_str(tab_value(&tab->rows[i], 2))));
        else
            (void)json_object_setn_new(o, name.p, name.n,
                                       str_find_str(str_from_c(texts), blanks) != SIZE_MAX
                                           ? web_str(value)
                                           : number_or_text(value));
    }
    (void)json_object_set_new(o, "notes", notes);
    return o;
}

/* The last work, or the present one; null: there was none. */
static json_t *work(struct arena *a, bool busy)
{
    struct tab tab;
    struct err e;
    if (tab_read(BACKUP_STATE_PATH, a, &tab, &e) != RC_OK || tab.missing)
        return busy ? json_pack("{s:s, s:[]}", "state", "waiting", "notes") : json_null();
    json_t *o = work_json(&tab);
    if (!busy && str_eq(backup_told(&tab, "state"), STR("running")))
        (void)json_object_set_new(o, "state", json_string("interrupted"));
    return o;
}

static void add_list(struct arena *a, json_t *o)
{
    struct tab tab = { .row_count = 0 };
    struct err e;
    json_t *backups = json_array(), *aside = json_array(), *troubles = json_array();
    if (tab_read(BACKUP_LIST_PATH, a, &tab, &e) != RC_OK)
        (void)json_array_append_new(troubles, web_str(str_from_c(e.text)));
    for (size_t i = tab.row_count; i-- > 0;) {
        const struct tab_row *row = &tab.rows[i];
        struct str kind = tab_value(row, 0), value = tab_value(row, 1);
        if (str_eq(kind, STR("snapshot")))
            (void)json_array_append_new(backups,
                                        json_pack("{s:o, s:o}", "name", web_str(value), "files",
                                                  number_or_text(tab_value(row, 2))));
        else
            (void)json_array_append_new(str_eq(kind, STR("aside")) ? aside : troubles,
                                        web_str(value));
    }
    (void)json_object_set_new(o, "backups", backups);
    (void)json_object_set_new(o, "aside", aside);
    (void)json_object_set_new(o, "troubles", troubles);
}

/* The newest backup first. */
void api_backups(struct web *w)
{
    struct arena *a = web_mem(w);
    /* Before the state: work that ends in between isn't taken for interrupted. */
    bool busy = file_exists(BACKUP_ORDER_PATH);
    json_t *o =
        json_pack("{s:o, s:o, s:I, s:b, s:o}", "folder", web_str(conf()->backup_folder), "time",
                  web_str(conf()->backup_time), "keep", (json_int_t)conf()->backup_keep, "busy",
                  (int)busy, "work", work(a, busy));
    add_list(a, o);
    web_json(w, 200, o);
}
