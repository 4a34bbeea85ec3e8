/* text.c - what tools print and ask. */
#include "smtpd/smtpd.h"
#include "sys/file.h"
#include "sys/terminal.h"
#include "tools/tools_int.h"
#include <sys/random.h>

void tool_print_text(struct str text, bool json)
{
    bool utf8 = str_is_utf8(text);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (json && (c == '"' || c == '\\'))
            (void)printf("\\%c", c);
        else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
            (void)printf(json ? "\\u%04x" : "\\x%02x", c);
        else
            (void)putchar(c);
    }
}

void tool_print_json(struct str text)
{
    (void)putchar('"');
    tool_print_text(text, true);
    (void)putchar('"');
}

enum rc tool_parse_address(struct str text, struct arena *a, struct address *out, struct err *e)
{
    struct str rest, given = str_trim(text);
    if (!str_starts(given, STR("<")))
        given = arena_printf(a, "<%.*s>", STR_ARG(given));
    enum rc rc = address_parse_path(given, smtp_address_rules(), a, out, &rest, e);
    return rc == RC_OK && str_trim(rest).n > 0 ? err_perm(e, "5.1.3", "one address at a time")
                                               : rc;
}

const char *tool_recipient_kind(enum recipient_kind kind)
{
    static const char *const kinds[] = {
        [RECIPIENT_REMOTE] = "on another server",
        [RECIPIENT_ACCOUNT] = "an account",
        [RECIPIENT_LIST] = "a mailing list",
        [RECIPIENT_CMDALIAS] = "processed by cmdaliases",
        [RECIPIENT_CUSTDOMAIN] = "processed by custdomains",
        [RECIPIENT_EXTERNAL] = "an alias of an address elsewhere",
        [RECIPIENT_UNKNOWN] = "no such user here",
    };
    return kinds[kind];
}

struct str tool_fresh_password(struct arena *a)
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    unsigned char octets[64];
    char text[20];
    size_t n = 0;
    while (n < sizeof(text)) {
        if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
            BUG("no random numbers");
        /* Octets above the last multiple are skipped, so that all letters are as likely. */
        for (size_t i = 0; i < sizeof(octets) && n < sizeof(text); i++)
            if (octets[i] < 256 - 256 % (sizeof(letters) - 1))
                text[n++] = letters[octets[i] % (sizeof(letters) - 1)];
    }
    return arena_str(a, str_from(text, sizeof(text)));
}

struct str tool_first_line(struct str text)
{
    struct str line = str_head(text, MIN(str_find(text, '\n'), text.n));
    return line.n > 0 && line.p[line.n - 1] == '\r' ? str_head(line, line.n - 1) : line;
}

enum rc tool_ask_password(const char *file, struct arena *a, struct str *out, struct err *e)
{
    struct str again;
    enum rc rc = RC_OK;
    if (file != NULL && strcmp(file, "-") == 0) {
        char line[4096];
        *out = fgets(line, sizeof(line), stdin) == NULL
                   ? STR("")
                   : arena_str(a, tool_first_line(str_from_c(line)));
        mem_wipe(line, sizeof(line));
    } else if (file != NULL) {
        rc = file_read(file, 4096, a, out, NULL, e);
        *out = rc == RC_OK ? tool_first_line(*out) : STR("");
    } else {
        rc = terminal_ask("Password: ", a, out, e);
        if (rc == RC_OK)
            rc = terminal_ask("Once more: ", a, &again, e);
        if (rc == RC_OK && !str_eq(*out, again))
            return err_perm(e, "5.7.0", "the two differ");
    }
    return rc == RC_OK && out->n == 0 ? err_perm(e, "5.7.0", "the password is empty") : rc;
}
