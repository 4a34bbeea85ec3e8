/*
 * trace.h - the header fields that a server adds: Return-Path, Delivered-To, Received,
 * X-AuthUser. Printed with LF line ends, as messages are stored. Whatever a client sent as its
 * name or its login can't add a line, end a comment or leave its field. Pure.
 */
#ifndef HIKYAKU_MAIL_TRACE_H
#define HIKYAKU_MAIL_TRACE_H

#include "base/base.h"
#include "mail/address.h"

/* ReceivedHdrType: which addresses a Received field shows (specification 1, section 4). */
enum trace_addresses {
    TRACE_CLIENT = 0,
    TRACE_CLIENT_AND_SERVER = 1,
    TRACE_NO_ADDRESS = 2,
    TRACE_CLIENT_UNLESS_AUTH = 3,            /* no client address when authenticated */
    TRACE_CLIENT_AND_SERVER_UNLESS_AUTH = 4, /* only the server's when authenticated */
};

/* What a Received field tells. */
struct trace {
    struct str helo;        /* as the client gave it; empty: "unknown" */
    struct str client_name; /* its name by reverse look-up; empty: none */
    struct ip client_ip, server_ip;
    uint16_t client_port, server_port;
    struct str server_domain;
    struct str id;              /* of the message in our logs */
    struct str tls_version;     /* "TLSv1.3"; empty: no TLS */
    struct str tls_cipher;      /* "TLS_AES_256_GCM_SHA384" */
    bool is_esmtp;              /* EHLO, not HELO */
    bool is_authenticated;      /* RFC 3848: ...A */
    bool is_utf8;               /* MAIL with SMTPUTF8, RFC 6531 4.3: UTF8SMTP... */
    enum trace_addresses shows; /* from conf()->received_hdr_type; others count as 0 */
    const struct address *rcpt; /* NULL: several, no "for" (RFC 5321 4.4, Bcc) */
    const struct address *sender;
    usec_t when;
};

/*
 * "Received: from helo (name [ip]:port) ... ; date" and its line end, folded with TABs below 79
 * columns where the words are short enough. RFC 5321 4.4, RFC 3848.
 * Fails only as buf_add does.
 */
enum rc trace_print_received(const struct trace *t, struct buf *out) CHECK_RESULT;
/* The protocol name for "with": SMTP, ESMTP, ESMTPA, ESMTPS, ESMTPSA, UTF8SMTP... */
const char *trace_protocol(const struct trace *t);

/* "Return-Path: <local@domain>", "<>" for the null path; first of all (RFC 5321 4.4). */
enum rc trace_print_return_path(const struct address *sender, struct buf *out) CHECK_RESULT;
/* "Delivered-To: account@domain". */
enum rc trace_print_delivered_to(struct str account, struct str domain,
                                 struct buf *out) CHECK_RESULT;
/* "X-AuthUser: login". */
enum rc trace_print_auth_user(struct str login, struct buf *out) CHECK_RESULT;

#endif
