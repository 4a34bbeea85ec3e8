/* err.h - one shape for every failure: SMTP replies, reports and log lines are printed from it.
 */
#ifndef HIKYAKU_BASE_ERR_H
#define HIKYAKU_BASE_ERR_H

#ifndef CHECK_RESULT
#define CHECK_RESULT __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#endif

enum rc {
    RC_OK = 0,
    RC_AGAIN, /* not now: wait for the descriptor, then call again */
    RC_TEMP,  /* failed for now: 4xx, retry */
    RC_PERM,  /* failed for good: 5xx, report */
    RC_GONE,  /* the peer closed, or the deadline passed */
};

struct err {
    enum rc rc;
    int sys;        /* errno, or 0 */
    char dsn[8];    /* enhanced status code, RFC 3463: "4.2.2" */
    char text[240]; /* English, one line, without a final dot; foreign text escaped by the
                       logger */
};

/* Fill *e (NULL: ignored) and return the named code. dsn: RFC 3463, for example "4.3.0". */
enum rc err_temp(struct err *e, const char *dsn, const char *fmt, ...) PRINTF(3, 4);
enum rc err_perm(struct err *e, const char *dsn, const char *fmt, ...) PRINTF(3, 4);
enum rc err_gone(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* The same from errno, whose text is appended: ENOSPC, EIO, EMFILE ... are TEMP, all others too
 * except ENAMETOOLONG, EINVAL and ELOOP, which are PERM. dsn: 4.3.1 for a full disk, else
 * x.3.0. */
enum rc err_sys(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* Puts "text: " before e's text; returns e's code. */
enum rc err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* "OK", "TEMP" ... */
const char *rc_name(enum rc rc);

#endif
