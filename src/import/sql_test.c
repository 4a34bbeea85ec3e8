/* sql_test.c - rows out of dumps as the databases write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "import/sql.h"

static void dumps(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *want; /* "id:name:mail|..." */
    } rows[] = {
        { "mysqldump",
          "-- MySQL dump; 'x\n/*!40101 SET NAMES utf8 */;\nDROP TABLE IF EXISTS `t`;\n"
          "CREATE TABLE `t` (\n  `id` int(11) NOT NULL AUTO_INCREMENT,\n  `other` varchar(9) "
          "DEFAULT 'a,b)',\n  `name` decimal(10,2),\n  `mail` text,\n  PRIMARY KEY (`id`),\n"
          "  KEY `k` (`name`,`mail`)\n) ENGINE=InnoDB;\nLOCK TABLES `t` WRITE;\n"
          "INSERT INTO `t` VALUES (1,'x','a\\'b''c','m\\\\n\\n'),(2,NULL,'d;e',NULL);\n"
          "INSERT INTO `u` VALUES (9,'INSERT INTO `t` VALUES (3)');\nUNLOCK TABLES;\n",
          "1:a'b'c:m\\n\n|2:d;e:" },
        { "named columns",
          "INSERT INTO t (mail, id) VALUES ('m', 1);\ninsert ignore into t (`id`, `name`) "
          "values (2, 'n')",
          "1::m|2:n:" },
        { "SQL Server",
          "SET IDENTITY_INSERT [dbo].[t] ON\nGO\nINSERT [dbo].[t] ([id], [name], [mail]) "
          "VALUES "
          "(1, N'it''s', CAST(N'2020-01-02T03:04:05.000' AS DateTime))\nGO\n"
          "INSERT [dbo].[t] ([id], [name], [mail]) VALUES (2, N'a\\b', NULL)\nGO\n",
          "1:it's:2020-01-02T03:04:05.000|2:a\\b:" },
        { "PostgreSQL",
          "CREATE TABLE public.t (\n    id bigint NOT NULL,\n    name text\n);\n"
          "COPY public.t (id, name, mail) FROM stdin;\n1\ta\\tb\t\\N\n2\tc\\\\\td\n\\.\n\n"
          "COPY public.u (id) FROM stdin;\n7\n\\.\nINSERT INTO public.t (id) VALUES (3);\n",
          "1:a\tb:|2:c\\:d|3::" },
        { "broken rows don't keep the others",
          "INSERT INTO t (id, name) VALUES (1, 'a'), (2, ;\nINSERT INTO t (id) VALUES (3);\n",
          "1:a:|3::" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct buf got AUTO_RELEASE_BUF;
        struct err e;
        struct sql_table t = { .name = "t", .columns = { "id", "name", "mail" } };
        buf_init(&got, 4096);
        if (sql_read(str_from_c(rows[i].text), &t, 1, &a, &e) != RC_OK)
            fail_msg("%s: %s", rows[i].name, e.text);
        for (size_t k = 0; k < t.count; k++)
            buf_addf(&got, "%s%.*s:%.*s:%.*s", k > 0 ? "|" : "",
                     STR_ARG(sql_value(&t, k, "id")), STR_ARG(sql_value(&t, k, "name")),
                     STR_ARG(sql_value(&t, k, "mail")));
        if (!str_eq(buf_str(&got), str_from_c(rows[i].want)))
            fail_msg("%s: [%s]", rows[i].name, got.p);
    }
}

static void not_dumps(void **state)
{
    (void)state;
    static const struct str texts[] = { { "", 0 },
                                        { "\xff\xfeI\0N\0", 6 },
                                        { "INSERT INTO t VALUES ('", 23 },
                                        { "CREATE TABLE t (", 16 },
                                        { "COPY t FROM stdin;", 18 },
                                        { "/* ", 3 } };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct err e;
        struct sql_table t = { .name = "t", .columns = { "id" } };
        assert_int_equal(sql_read(texts[i], &t, 1, &a, &e), RC_PERM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(dumps), cmocka_unit_test(not_dumps) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
