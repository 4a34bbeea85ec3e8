/* engine_int.h - between engine.c and session.c. */
#ifndef HIKYAKU_WIRE_ENGINE_INT_H
#define HIKYAKU_WIRE_ENGINE_INT_H

#include "wire/session.h"

/* A new session over fd, not yet counted or started. */
struct session *session_new(struct engine *en, const struct listener *l, int fd);
/* Hands the session to the pool, which owns it from here. */
void session_start(struct session *s);
/* The session ends: its address may open another. */
void engine_uncount(struct engine *en, struct session *s);
/* A reference to the TLS settings in force, or NULL. */
struct tls_ctx *engine_tls(struct engine *en);

#endif
