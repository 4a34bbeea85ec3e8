/* header.c - what the header of a fetched message says: who sent it, for whom it is, whether it
 * goes in a circle. Called by keep.c; hostile input. */
#include "mail/header.h"
#include "fetch/fetch_int.h"
#include <openssl/evp.h>

#define RULES (ADDRESS_LOOSE_DOTS | ADDRESS_QUOTED | ADDRESS_UTF8)
#define MARK_HEX 16u

/* --- digests ----------------------------------------------------------------------------- */

struct digest {
    EVP_MD_CTX *ctx;
};

struct digest *digest_new(void)
{
    struct digest *d = mem_new(sizeof(*d));
    d->ctx = EVP_MD_CTX_new();
    if (d->ctx == NULL || EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) != 1)
        BUG("no SHA-256");
    return d;
}

void digest_add(struct digest *d, struct str octets)
{
    if (EVP_DigestUpdate(d->ctx, octets.p, octets.n) != 1)
        BUG("SHA-256 stopped");
}

void digest_end(struct digest **at, char out[DIGEST_TEXT_BYTES])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_DigestFinal_ex((*at)->ctx, sum, &n) != 1 || 2 * n != DIGEST_TEXT_BYTES - 1)
        BUG("SHA-256 has no end");
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(out + 2 * (size_t)i, 3, "%02x", sum[i]);
    EVP_MD_CTX_free((*at)->ctx);
    mem_free(at);
}

struct str fetch_mark(const struct fetch_link *l, struct arena *a)
{
    char text[DIGEST_TEXT_BYTES];
    struct digest *d = digest_new();
    for (unsigned i = 0; i <= LINK_USER; i++) {
        digest_add(d, l->columns[i]);
        digest_add(d, STR("\n"));
    }
    digest_end(&d, text);
    return arena_printf(a, "Hikyaku fetch %.*s", (int)MARK_HEX, text);
}

/* --- fields ------------------------------------------------------------------------------ */

/* The addresses of all fields of that name. */
static void take_tag(struct str header, struct str tag, struct arena *a,
                     struct fetched_header *out)
{
    while (header.n > 0) {
        struct str name, text, list = header_value(header_next_field(&header, &name));
        if (!str_ieq(name, tag))
            continue;
        while (out->rcpt_count < FETCH_RCPTS_MAX && header_next_address(&list, a, &text))
            out->rcpts[out->rcpt_count++] = text;
    }
}

static void take_recipients(struct str header, struct str tags, struct arena *a,
                            struct fetched_header *out)
{
    struct str word;
    out->rcpts = arena_new_array(a, struct str, FETCH_RCPTS_MAX);
    while (tags.n > 0 && str_cut(&tags, ',', &word)) {
        word = str_trim(word);
        bool stops = str_starts(word, STR("+"));
        size_t before = out->rcpt_count;
        take_tag(header, str_skip(word, stops), a, out);
        if (stops && out->rcpt_count > before)
            return;
    }
}

/* The first address in the value; false: none that is good. */
static bool take_sender(struct str value, bool null_too, struct arena *a, struct address *out)
{
    struct str text;
    struct err e;
    if (null_too && str_eq(value, STR("<>"))) {
        *out = (struct address){ .is_null = true };
        return true;
    }
    if (!header_next_address(&value, a, &text))
        return false;
    return address_parse(text, RULES, a, out, &e) == RC_OK;
}

void fetch_read_header(struct str header, struct str tags, struct str mark, struct arena *a,
                       struct fetched_header *out)
{
    struct str rest = header, name;
    bool has_path = false, has_from = false;
    *out = (struct fetched_header){ .sender.is_null = true };
    while (rest.n > 0) {
        struct str field = header_next_field(&rest, &name), value = header_value(field);
        if (!has_path && str_ieq(name, STR("Return-Path")))
            has_path = take_sender(value, true, a, &out->sender);
        else if (!has_path && !has_from && str_ieq(name, STR("From")))
            has_from = take_sender(value, false, a, &out->sender);
        if (!str_ieq(name, STR("Received")))
            continue;
        out->received++;
        out->is_loop = out->is_loop || str_find_str(value, mark) != SIZE_MAX;
    }
    take_recipients(header, tags, a, out);
}
