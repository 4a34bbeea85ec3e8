/*
 * answer.c - questions that sessions ask of other roles and threads, and their answers. Called
 * by protocols (session_ask, session_await, session_answer), by whoever answers
 * (engine_answer), and by session.c.
 *
 * A question is a place among those of its session and a number that no other question of it
 * has. Both sides meet under the lock of the engine's answers; a session is looked up there by
 * its number, never followed by a pointer, and woken by its ticket in the pool, which a session
 * that has ended makes stale.
 */
#include "wire/engine_int.h"

/* An answer that came and wasn't taken yet. */
struct letter {
    uint64_t code;
    size_t n;
    char text[];
};

struct place {
    uint64_t number; /* 0: free */
    struct letter *letter;
};

struct asked {
    uint64_t session; /* the key in the map */
    pool_ticket ticket;
    uint64_t numbers; /* given so far */
    struct place places[QUESTIONS_MAX];
};

static struct str key_of(const uint64_t *session)
{
    return str_from((const char *)session, sizeof(*session));
}

static struct place *place_of(struct asked *a, uint64_t number)
{
    for (size_t i = 0; a != NULL && number != 0 && i < QUESTIONS_MAX; i++)
        if (a->places[i].number == number)
            return &a->places[i];
    return NULL;
}

struct question session_ask(struct session *s)
{
    struct answers *all = engine_answers(s->engine);
    struct question q = { .session = s->number };
    if (s->asked == NULL) {
        s->asked = mem_new(sizeof(*s->asked));
        s->asked->session = s->number;
        s->asked->ticket = s->ticket;
        lock_take(&all->lock);
        (void)map_put(&all->waiting, key_of(&s->asked->session), s->asked);
        lock_drop(&all->lock);
    }
    struct lock *held AUTO_UNLOCK = lock_hold(&all->lock);
    (void)held;
    for (size_t i = 0; i < QUESTIONS_MAX; i++) {
        struct place *p = &s->asked->places[i];
        if (p->number != 0)
            continue;
        p->number = q.number = ++s->asked->numbers;
        return q;
    }
    return q;
}

enum step session_await(struct session *s, uint64_t number, usec_t deadline, session_fn *more)
{
    s->awaited = number;
    s->more = more;
    session_set_deadline(s, deadline);
    return STEP_ANSWER;
}

bool answer_is_there(struct session *s)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&engine_answers(s->engine)->lock);
    (void)held;
    const struct place *p = place_of(s->asked, s->awaited);
    return p == NULL || p->letter != NULL;
}

bool session_answer(struct session *s, uint64_t number, struct answer *out)
{
    struct answers *all = engine_answers(s->engine);
    lock_take(&all->lock);
    struct place *p = place_of(s->asked, number);
    struct letter *letter = p == NULL ? NULL : p->letter;
    if (p != NULL)
        *p = (struct place){ .number = 0 };
    lock_drop(&all->lock);
    if (letter == NULL)
        return false;
    *out =
        (struct answer){ letter->code, arena_str(&s->tmp, str_from(letter->text, letter->n)) };
    mem_free(&letter);
    return true;
}

bool engine_answer(struct engine *en, struct question q, const struct answer *a)
{
    struct answers *all = engine_answers(en);
    size_t n = MIN(a->text.n, ANSWER_TEXT_MAX);
    struct letter *letter = mem_new(sizeof(*letter) + n);
    letter->code = a->code;
    letter->n = n;
    if (n > 0)
        memcpy(letter->text, a->text.p, n);
    lock_take(&all->lock);
    struct asked *asked = map_get(&all->waiting, key_of(&q.session));
    struct place *p = place_of(asked, q.number);
    bool awaited = p != NULL && p->letter == NULL;
    pool_ticket ticket = asked == NULL ? 0 : asked->ticket;
    if (awaited)
        p->letter = letter;
    lock_drop(&all->lock);
    if (awaited)
        pool_wake(engine_pool(en), ticket);
    else
        mem_free(&letter);
    return awaited;
}

void answers_forget(struct session *s)
{
    struct answers *all = engine_answers(s->engine);
    if (s->asked == NULL)
        return;
    lock_take(&all->lock);
    (void)map_remove(&all->waiting, key_of(&s->asked->session));
    lock_drop(&all->lock);
    for (size_t i = 0; i < QUESTIONS_MAX; i++)
        mem_free(&s->asked->places[i].letter);
    mem_free(&s->asked);
}
