/* talk_int.h - inside acme/: requests to the authority, and an order. */
#ifndef HIKYAKU_ACME_TALK_INT_H
#define HIKYAKU_ACME_TALK_INT_H

#include "acme/objects.h"
#include "sys/client.h"
#include "wire/http_client.h"
#include <jansson.h>

/* One order, on one worker. */
struct acme_talk {
    struct arena mem; /* holds the account's key: wiped */
    struct client_tls_ctx *tls;
    struct client *client;
    struct evp_pkey_st *key;
    struct str account;       /* its URL, once known */
    struct str nonce;         /* for the next request; empty: none */
    struct http_reply *reply; /* to the last request */
    struct buf body;          /* of it */
    usec_t deadline;
    json_t *job;
    struct acme_directory directory;
    uint64_t home, number;
    /* Puts up proofs, waits until they are. */
    enum rc (*prove)(struct acme_talk *t, struct str proofs, struct err *e);
};

/* GET; the answer's body is t->body. RC_TEMP: no answer of 200. */
enum rc acme_get(struct acme_talk *t, struct str url, struct err *e) CHECK_RESULT;
/* A signed POST; payload empty: a POST-as-GET. Without an account's URL it carries the key. */
enum rc acme_post(struct acme_talk *t, struct str url, struct str payload,
                  struct err *e) CHECK_RESULT;
/* The whole order. out_chain is in t->mem. RC_PERM: it will fail again. */
enum rc acme_run_order(struct acme_talk *t, struct str *out_chain, struct err *e) CHECK_RESULT;

#endif
