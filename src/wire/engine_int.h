/* engine_int.h - between engine.c and session.c. */
#ifndef HIKYAKU_WIRE_ENGINE_INT_H
#define HIKYAKU_WIRE_ENGINE_INT_H

#include "sys/lock.h"
#include "wire/session.h"

/* The sessions of an engine that have questions. */
struct answers {
    struct lock lock;   /* protects all of it, and what hangs on it */
    struct map waiting; /* struct asked by its session's number */
};

/* A new session over fd, not yet counted or started. */
struct session *session_new(struct engine *en, const struct listener *l, int fd);
/* Hands the session to the pool, which owns it from here. */
void session_start(struct session *s);
/* Waits for the PROXY header of a balancer's connection; the pool owns it then. (arrival.c) */
enum rc arrival_await(struct session *s, struct err *e) CHECK_RESULT;
/* Its end: the client is known, or there is none. */
void engine_arrived(struct session *s, bool good);
/* The session ends: its address may open another. */
void engine_uncount(struct engine *en, struct session *s);
/* A reference to the TLS settings in force, or NULL. */
struct tls_ctx *engine_tls(struct engine *en);

/* Where its sessions wait for answers. */
struct answers *engine_answers(struct engine *en);
/* Is the awaited answer there (or will it never be)? */
bool answer_is_there(struct session *s);
/* The session ends: its questions do too. */
void answers_forget(struct session *s);

#endif
