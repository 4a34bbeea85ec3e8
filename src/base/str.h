/* str.h - slices of text: pointer and length, by value, never owning, not NUL-terminated. */
#ifndef HIKYAKU_BASE_STR_H
#define HIKYAKU_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *p;
    size_t n;
};

/* A slice of a string literal. */
#define STR(lit) ((struct str){ "" lit, sizeof(lit) - 1 })
/* For "%.*s". */
#define STR_ARG(s) (int)(s).n, (s).p

/* The slice of a NUL-terminated string; NULL gives the empty slice. */
struct str str_from_c(const char *c);
static inline struct str str_from(const char *p, size_t n)
{
    return (struct str){ p, n };
}

/* The same octets. */
bool str_eq(struct str a, struct str b);
/* Equal without regard to ASCII case (other octets must be the same). */
bool str_ieq(struct str a, struct str b);
/* <0, 0, >0 as memcmp; a prefix sorts first. */
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_iends(struct str s, struct str suffix);

/* Position of c in s, or SIZE_MAX. */
size_t str_find(struct str s, char c);
/* Position of the last c in s, or SIZE_MAX. */
size_t str_rfind(struct str s, char c);
/* Position of needle in s, or SIZE_MAX; str_ifind ignores ASCII case. */
size_t str_find_str(struct str s, struct str needle);
size_t str_ifind_str(struct str s, struct str needle);
/* True when s holds an octet that is in set (NUL-terminated). */
bool str_has_any(struct str s, const char *set);
/* True when s holds CR, LF or NUL, or any other C0 byte or DEL. */
bool str_has_control(struct str s);

/* s from octet `from` on (empty when past the end); its first n octets (all when shorter). */
struct str str_skip(struct str s, size_t from);
struct str str_head(struct str s, size_t n);
/* s without blanks and TABs (and CR, LF) at both ends. */
struct str str_trim(struct str s);

/*
 * Cuts *rest at the first `sep`: *out_word is what stands before it, *rest what follows.
 * Without a `sep` the word is all of *rest, which becomes empty with p = NULL.
 * False (nothing written) when *rest was already used up (p == NULL).
 */
bool str_cut(struct str *rest, char sep, struct str *out_word);

/* All of s as a decimal number, no sign, no blanks; false on anything else or overflow. */
bool str_to_u64(struct str s, uint64_t *out);
/* The same with an optional sign. */
bool str_to_i64(struct str s, int64_t *out);

/* True when s matches a pattern with `*` (any run) and `?` (one octet), ignoring ASCII case. */
bool str_matches(struct str s, struct str pattern);

/* True when s is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_is_utf8(struct str s);
bool str_is_ascii(struct str s);

/* ASCII only, independent of locale. */
static inline char ascii_lower(char c)
{
    return (c >= 'A' && c <= 'Z') ? (char)(c + ('a' - 'A')) : c;
}
static inline char ascii_upper(char c)
{
    return (c >= 'a' && c <= 'z') ? (char)(c - ('a' - 'A')) : c;
}
static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool ascii_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool ascii_is_alnum(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c);
}
static inline bool ascii_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

#endif
