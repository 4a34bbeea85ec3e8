/* body_test.c - header and footer texts in bodies of all kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lists/lists_int.h"

static bool read_octets(void *ctx, uint64_t at, char *p, size_t n)
{
    const struct str *body = ctx;
    memcpy(p, body->p + at, n);
    return true;
}

static bool read_nothing(void *ctx, uint64_t at, char *p, size_t n)
{
    (void)ctx, (void)at, (void)p, (void)n;
    return false;
}

/* The message that comes out, or "" when the body stays. */
static struct str around(struct str header, struct str body, const struct list_texts *texts,
                         struct arena *a)
{
    struct list_body source = { body.n, read_octets, &body };
    struct body_change change;
    struct buf out AUTO_RELEASE_BUF;
    uint64_t at = 0;
    buf_init(&out, 1 << 20);
    if (!list_body_plan(texts, header, &source, STR("MARK"), a, &change))
        return STR("");
    buf_addf(&out, "%.*s\n", STR_ARG(change.header));
    for (size_t i = 0; i < change.count; i++) {
        const struct body_splice *s = &change.splices[i];
        assert_true(s->at >= at && s->end >= s->at && s->end <= body.n);
        buf_must(buf_add_str(&out, str_head(str_skip(body, at), s->at - at)));
        buf_must(buf_add_str(&out, s->text));
        at = s->end;
    }
    buf_must(buf_add_str(&out, str_skip(body, at)));
    return arena_str(a, buf_str(&out));
}

#define DAY "\xe6\x97\xa5"
#define TEXT "Content-Type: text/plain; charset="
#define MIXED "Content-Type: multipart/mixed; boundary=b\n"
#define OURS "Content-Type: text/plain; charset=us-ascii\nContent-Disposition: inline\n\n"
#define WRAPPED(version, inner)                                                                \
    version "Content-Type: multipart/mixed; boundary=\"MARK\"\n\n--MARK\n" OURS                \
            "H\n--MARK\n" inner "\n--MARK\n" OURS "F\n\n--MARK--\n"

/* With texts "H" and "F", or such as are given. out "": the body stays. */
static const struct {
    const char *name, *text, *header, *body, *out;
} rows[] = {
    { "no fields", NULL, "", "x\n", "\nH\nx\nF\n" },
    { "no line end", NULL, "", "x", "\nH\nx\nF\n" },
    { "no body", NULL, "", "", "\nH\nF\n" },
    { "8bit", DAY, TEXT "utf-8\nContent-Transfer-Encoding: 8bit\n", "x\n",
      TEXT "utf-8\nContent-Transfer-Encoding: 8bit\n\n" DAY "\nx\n" DAY "\n" },
    { "Shift_JIS", DAY, TEXT "Shift_JIS\nContent-Transfer-Encoding: 8bit\n", "x\n",
      TEXT "Shift_JIS\nContent-Transfer-Encoding: 8bit\n\n\x93\xfa\nx\n\x93\xfa\n" },
    { "JIS, which the body may have left open", DAY, TEXT "\"iso-2022-jp\"\n", "\x1b$BF|\n",
      TEXT "\"iso-2022-jp\"\n\n\x1b$BF|\x1b(B\n\x1b$BF|\n\x1b(B\x1b$BF|\x1b(B\n" },
    { "quoted-printable", "a=" DAY " ",
      TEXT "utf-8\nContent-Transfer-Encoding: quoted-printable\n", "x=\n",
      TEXT "utf-8\nContent-Transfer-Encoding: "
           "quoted-printable\n\na=3D=E6=97=A5=20\nx=\n\na=3D=E6=97=A5=20\n" },
    { "flowed", ">q ", TEXT "utf-8; format=flowed\n", "x \n",
      TEXT "utf-8; format=flowed\n\n >q\nx \n\n >q\n" },
    /* "H \r\n" and "x", then "x\r\nF\r\n" */
    { "base64", NULL, TEXT "utf-8\nContent-Transfer-Encoding: base64\n", "eA==\n",
      TEXT "utf-8\nContent-Transfer-Encoding: base64\n\nSA0K\neA0KRg0K\n" },
    { "base64 with a last line end", NULL, TEXT "utf-8\nContent-Transfer-Encoding: base64\n",
      "AAAAeHgK", TEXT "utf-8\nContent-Transfer-Encoding: base64\n\nSA0K\nAAAA\neHgKRg0K\n" },
    { "base64 of nothing", NULL, TEXT "utf-8\nContent-Transfer-Encoding: base64\n", "\n",
      TEXT "utf-8\nContent-Transfer-Encoding: base64\n\nSA0K\n\nRg0K\n" },
    { "base64 with octets between", NULL, TEXT "utf-8\nContent-Transfer-Encoding: base64\n",
      "eA==\neA==\n",
      WRAPPED("MIME-Version: 1.0\n",
              TEXT "utf-8\nContent-Transfer-Encoding: base64\n\neA==\neA==\n") },
    { "letters that the charset hasn't", DAY, "MIME-Version: 1.0\nX: y\n", "x\n",
      "MIME-Version: 1.0\nX: y\nContent-Type: multipart/mixed; boundary=\"MARK\"\n\n--MARK\n"
      "Content-Type: text/plain; charset=utf-8\nContent-Disposition: "
      "inline\nContent-Transfer-Encoding: base64\n\n5pelDQo=\n"
      "--MARK\n\nx\n\n--MARK\n"
      "Content-Type: text/plain; charset=utf-8\nContent-Disposition: "
      "inline\nContent-Transfer-Encoding: base64\n\n5pelDQo=\n"
      "\n--MARK--\n" },
    { "an unknown charset", NULL, TEXT "x-none\n", "x\n",
      WRAPPED("MIME-Version: 1.0\n", TEXT "x-none\n\nx\n") },
    { "HTML", NULL,
      "mime-version: 1.0\nContent-Type: text/html\nContent-Transfer-Encoding: 8bit\n", "<p>\n",
      "mime-version: 1.0\nContent-Type: multipart/mixed; "
      "boundary=\"MARK\"\nContent-Transfer-Encoding: 8bit\n\n--MARK\n" OURS
      "H\n--MARK\nContent-Type: text/html\nContent-Transfer-Encoding: "
      "8bit\n\n<p>\n\n--MARK\n" OURS "F\n\n--MARK--\n" },
    { "alternatives", NULL, "Content-Type: multipart/alternative; boundary=b\n", "--b--",
      WRAPPED("MIME-Version: 1.0\n",
              "Content-Type: multipart/alternative; boundary=b\n\n--b--") },
    { "an attachment", NULL, "Content-Type: text/plain\nContent-Disposition: attachment\n",
      "x\n",
      WRAPPED("MIME-Version: 1.0\n",
              "Content-Type: text/plain\nContent-Disposition: attachment\n\nx\n") },
    { "parts", NULL, MIXED, "preamble\n--b \n\nx\n--bb\n--b--\nepilogue\n",
      MIXED "\npreamble\n--b\n" OURS "H\n--b \n\nx\n--bb\n--b\n" OURS "F\n--b--\nepilogue\n" },
    { "parts without an end of line", NULL, MIXED, "--b\n\nx\n--b--",
      MIXED "\n--b\n" OURS "H\n--b\n\nx\n--b\n" OURS "F\n--b--" },
    { "parts that don't end", NULL, MIXED, "--b\n\nx\n", "" },
    { "parts that don't begin", NULL, MIXED, "x\n--b--\n", "" },
    { "parts that end first", NULL, MIXED, "--b--\n--b\n", "" },
    { "parts without a boundary", NULL, "Content-Type: multipart/mixed\n", "--b\n--b--\n", "" },
    { "parts in base64", NULL, MIXED "Content-Transfer-Encoding: base64\n", "--b\n--b--\n",
      "" },
    { "a signed message", NULL, "Content-Type: multipart/signed; boundary=b\n", "--b\n--b--\n",
      "" },
    { "an encrypted one", NULL, "Content-Type: multipart/encrypted; boundary=b\n",
      "--b\n--b--\n", "" },
    { "S/MIME", NULL,
      "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n", "eA==\n",
      "" },
    { "a report", NULL, "Content-Type: multipart/report; boundary=b\n", "--b\n--b--\n", "" },
    { "fields that aren't clear", NULL, "Content-Type: text/plain\nContent-Type: text/html\n",
      "x\n", "" },
    { "our mark in it", NULL, "Content-Type: multipart/related; boundary=MARK1\n", "x\n", "" },
};

static void bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        const char *text = rows[i].text;
        struct list_texts texts = { STR("H\n"), STR("F\n") };
        if (text != NULL)
            texts.header = texts.footer = arena_printf(&a, "%s\n", text);
        struct str got =
            around(str_from_c(rows[i].header), str_from_c(rows[i].body), &texts, &a);
        if (!str_eq(got, str_from_c(rows[i].out)))
            fail_msg("%s: [%.*s] not [%s]", rows[i].name, STR_ARG(got), rows[i].out);
    }
}

/* Where only one text is given, no place for the other. */
static void one_text(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct list_texts header = { STR("H\n"), STR("") }, footer = { STR(""), STR("F\n") },
                            none = { STR(""), STR("") };
    assert_true(str_eq(around(STR(""), STR("x\n"), &header, &a), STR("\nH\nx\n")));
    assert_true(str_eq(around(STR(""), STR("x\n"), &footer, &a), STR("\nx\nF\n")));
    assert_true(str_eq(around(STR(MIXED), STR("--b\n\n--b--\n"), &footer, &a),
                       STR(MIXED "\n--b\n\n--b\n" OURS "F\n--b--\n")));
    assert_true(str_eq(
        around(STR("MIME-Version: 1.0\nContent-Type: text/html\n"), STR("x"), &header, &a),
        STR("MIME-Version: 1.0\nContent-Type: multipart/mixed; "
            "boundary=\"MARK\"\n\n--MARK\n" OURS
            "H\n--MARK\nContent-Type: text/html\n\nx\n--MARK--\n")));
    assert_true(str_eq(around(STR(""), STR("x\n"), &none, &a), STR("")));
}

/* Lines and pieces that are longer than what is held of them. */
static void large(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct list_texts texts = { STR("H\n"), STR("F\n") };
    struct buf body AUTO_RELEASE_BUF;
    buf_init(&body, 1 << 20);
    buf_addf(&body, "--b\n");
    for (size_t i = 0; i < 20000; i++)
        buf_addf(&body, "--b%zu", i);
    buf_addf(&body, "\n--b--\n");
    struct str got = around(STR(MIXED), buf_str(&body), &texts, &a);
    assert_true(str_ends(got, STR("--b19999\n--b\n" OURS "F\n--b--\n")));
    buf_reset(&body);
    for (size_t i = 0; i < 20000; i++)
        buf_addf(&body, "eHh4%s", i % 19 == 0 ? "\r\n" : "");
    got = around(STR(TEXT "utf-8\nContent-Transfer-Encoding: base64\n"), buf_str(&body), &texts,
                 &a);
    assert_true(str_ends(got, STR("eHh4eHh4\neHh4DQpGDQo=\n")));
}

static void unreadable(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct list_texts texts = { STR("H\n"), STR("F\n") };
    const struct list_body body = { 100, read_nothing, NULL };
    struct body_change change;
    assert_false(list_body_plan(&texts, STR(MIXED), &body, STR("MARK"), &a, &change));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies),
        cmocka_unit_test(one_text),
        cmocka_unit_test(large),
        cmocka_unit_test(unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
