/* letter.c - what other threads tell the scheduler: notices of entries, orders, what the relay
 * role answers. */
#include "queue/queue_int.h"

struct letter *letter_new(enum letter_kind kind, struct str id)
{
    struct letter *letter = mem_new(sizeof(*letter));
    letter->kind = kind;
    memcpy(letter->id, id.p, MIN(id.n, sizeof(letter->id) - 1));
    return letter;
}

void letter_free(struct letter **letter)
{
    mem_free(&(*letter)->text);
    mem_free(&(*letter)->rcpts);
    mem_free(letter);
}

void letter_post(struct queue *q, struct letter *letter)
{
    struct inbox *inbox = queue_inbox(q);
    lock_take(&inbox->lock);
    letter->next = inbox->newest;
    inbox->newest = letter;
    lock_drop(&inbox->lock);
    queue_wake(q);
}

struct letter *inbox_take(struct inbox *inbox)
{
    lock_take(&inbox->lock);
    struct letter *newest = inbox->newest, *oldest = NULL;
    inbox->newest = NULL;
    lock_drop(&inbox->lock);
    while (newest != NULL) {
        struct letter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

char *heap_text(struct str s)
{
    char *p = mem_new(s.n + 1);
    memcpy(p, s.p, s.n);
    return p;
}

void queue_notify(struct queue *q, struct str id)
{
    if (spool_id_is_valid(id))
        letter_post(q, letter_new(LETTER_NOTICE, id));
}

void queue_order(struct queue *q, enum queue_order order, struct str id, struct str argument)
{
    if (!spool_id_is_valid(id))
        return;
    struct letter *letter = letter_new(LETTER_ORDER, id);
    letter->order = order;
    letter->text = heap_text(argument);
    letter_post(q, letter);
}

void queue_flush(struct queue *q, struct str pattern)
{
    struct letter *letter = letter_new(LETTER_FLUSH, STR(""));
    letter->text = heap_text(pattern);
    letter_post(q, letter);
}

void queue_relay_ready(struct queue *q)
{
    letter_post(q, letter_new(LETTER_READY, STR("")));
}

void queue_relay_result(struct queue *q, uint64_t job, uint64_t recipient,
                        enum queue_outcome outcome, unsigned flags, struct str reason,
                        struct str id)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct letter *letter = letter_new(LETTER_RESULT, spool_id_is_valid(id) ? id : STR(""));
    letter->job = job;
    letter->outcome = outcome;
    letter->flags = flags;
    letter->text = heap_text(reason);
    letter->rcpts = heap_text(arena_printf(&a, "%" PRIu64, recipient));
    letter_post(q, letter);
}

void queue_relay_done(struct queue *q, uint64_t job, enum queue_outcome outcome, unsigned flags,
                      struct str reason, struct str id, struct str rcpts)
{
    struct letter *letter = letter_new(LETTER_RELAY_DONE, spool_id_is_valid(id) ? id : STR(""));
    letter->job = job;
    letter->outcome = outcome;
    letter->flags = flags;
    letter->text = heap_text(reason);
    letter->rcpts = heap_text(rcpts);
    letter_post(q, letter);
}
