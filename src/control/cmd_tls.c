/* cmd_tls.c - tls*: certificates and keys. A key comes in and never goes out. */
#include "control/control_int.h"
#include "sys/certificate.h"

/* --- what there is ------------------------------------------------------------------------ */

static void show(struct ctrl *c, struct str place, const char *path)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct certificate *x = arena_new(&a, sizeof(*x));
    struct err e;
    struct str names = STR("");
    if (certificate_read(path, STR(""), &a, x, &e) != RC_OK)
        return;
    for (size_t i = 0; i < x->name_count; i++)
        names = arena_printf(&a, "%.*s%s%.*s", STR_ARG(names), i > 0 ? " " : "",
                             STR_ARG(x->names[i]));
    const struct str row[] = { place,     names,
                               x->issuer, arena_printf(&a, "%" PRId64, x->ends),
                               x->key,    x->fingerprint };
    ctrl_text_row(c, row, ARRAY_LEN(row));
}

enum admin_result ctrl_tlslist(struct ctrl *c, struct err *e)
{
    struct arena *a = &c->line_mem;
    struct str *places = arena_new_array(a, struct str, CERTIFICATE_PLACES_MAX);
    size_t count = 0;
    buf_init(&c->text, TAB_FILE_MAX);
    c->has_text = true;
    if (certificate_places(a, CERTIFICATE_PLACES_MAX, places, &count, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    show(c, STR("server"), "server.cert");
    for (size_t i = 0; i < count; i++)
        show(c, places[i], arena_printf(a, "tls/%.*s/server.cert", STR_ARG(places[i])).p);
    return ADMIN_OK;
}

/* --- changes ------------------------------------------------------------------------------ */

static void wipe_upload(struct ctrl *c)
{
    mem_wipe(c->upload.p, c->upload.cap);
}

static enum admin_result install(struct ctrl *c, struct str content, struct err *e)
{
    enum admin_result result = admin_tls_install(ctrl_param(c, 1), content, true, e);
    wipe_upload(c);
    return result;
}

enum admin_result ctrl_tlsset(struct ctrl *c, struct err *e)
{
    (void)e;
    return ctrl_upload(c, STR(""), install);
}

enum admin_result ctrl_tlsself(struct ctrl *c, struct err *e)
{
    return admin_tls_self_signed(ctrl_param(c, 1), c->parameters + 2, c->count - 2, e);
}

enum admin_result ctrl_tlsrequest(struct ctrl *c, struct err *e)
{
    struct str pem, line;
    enum admin_result result = admin_tls_request(ctrl_param(c, 1), c->parameters + 2,
                                                 c->count - 2, &c->line_mem, &pem, e);
    if (result != ADMIN_OK)
        return result;
    buf_init(&c->text, TAB_FILE_MAX);
    while (pem.n > 0 && str_cut(&pem, '\n', &line))
        ctrl_text_row(c, &line, 1);
    return ADMIN_OK;
}

enum admin_result ctrl_tlsdel(struct ctrl *c, struct err *e)
{
    return admin_tls_remove(ctrl_param(c, 1), e);
}

static enum admin_result trust(struct ctrl *c, struct str content, struct err *e)
{
    (void)c;
    return admin_tls_trust(content, e);
}

enum admin_result ctrl_tlscaadd(struct ctrl *c, struct err *e)
{
    (void)e;
    return ctrl_upload(c, STR(""), trust);
}

enum admin_result ctrl_tlscadel(struct ctrl *c, struct err *e)
{
    return admin_tls_distrust(ctrl_param(c, 1), e);
}

enum admin_result ctrl_tlsorder(struct ctrl *c, struct err *e)
{
    (void)c;
    if (ctrl_hooks()->order_certificate != NULL)
        return ctrl_hooks()->order_certificate(e);
    (void)err_temp(e, "4.3.0", "the server doesn't run");
    return ADMIN_BUSY;
}
