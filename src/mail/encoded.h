/* encoded.h - text in UTF-8 as a header and a body can carry it everywhere (RFC 2045, RFC
 * 2047). Lines end in LF. Pure. */
#ifndef HIKYAKU_MAIL_ENCODED_H
#define HIKYAKU_MAIL_ENCODED_H

#include "base/base.h"

/* Octets as base64, without lines. Fails only as buf_add does. */
enum rc base64_print(struct str octets, struct buf *out) CHECK_RESULT;
/* The same in lines of 76 characters (RFC 2045 6.8). */
enum rc base64_print_lines(struct str octets, struct buf *out) CHECK_RESULT;

/* The octets of base64, without lines; what is missing at the end of it isn't missed. False: it
 * is none, or out is full. */
bool base64_read(struct str text, struct buf *out) CHECK_RESULT;

/* A value of an unstructured field, with the blank before it, without the line end: ASCII as it
 * is, other text as encoded words, folded, none of which cuts a character (RFC 2047 5).
 * Controls become blanks. What stands in out before it, back to the line's start, counts for
 * the folding. Fails only as buf_add does. */
enum rc encoded_print(struct str text, struct buf *out) CHECK_RESULT;
/* The same with words in ISO-2022-JP, where that can express the text. */
enum rc encoded_print_jis(struct str text, struct buf *out) CHECK_RESULT;
/* The text of such a value as it stands in a header, with folds, in UTF-8, in a. *out_jis: some
 * of it was in ISO-2022-JP. False: it has octets or encoded words that nobody can be sure of.
 */
bool encoded_read(struct str value, struct arena *a, struct str *out,
                  bool *out_jis) CHECK_RESULT;

#endif
