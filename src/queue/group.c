/* group.c - recipients of an entry that go the same way: to one place, or through programs. */
#include "queue/queue_int.h"

#define GROUP_RCPTS 50u   /* in one transaction (RFC 5321 4.5.3.1.8: at least 100 are taken) */
#define PROGRAM_RCPTS 10u /* one after the other */

void group_free(struct group **g)
{
    if (*g == NULL)
        return;
    mem_free(&(*g)->place);
    mem_free(&(*g)->rcpts);
    mem_free(g);
}

static uint64_t sender_of(const struct envelope *env)
{
    struct str who = env->auth_user;
    if (who.n == 0) {
        size_t end = str_rfind(env->client, ':');
        who = str_head(env->client, MIN(end, env->client.n));
    }
    return hash_text(who, true, 7);
}

void group_add(struct groups *groups, const struct spool_entry *entry, size_t i,
               struct str place, bool via, bool programs)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    /* No name of a place has a blank. */
    struct str key = programs ? arena_printf(&a, " %.*s", STR_ARG(place)) : place;
    struct group *g = map_get(&groups->by_place, key);
    if (g == NULL || g->count >= (programs ? PROGRAM_RCPTS : GROUP_RCPTS)) {
        g = mem_new(sizeof(*g));
        *g = (struct group){ .next = groups->list,
                             .place = heap_text(key),
                             .rcpts = heap_text(STR("")),
                             .via = via,
                             .programs = programs,
                             .again = entry->tries > 0,
                             .sender = sender_of(&entry->env) };
        groups->list = g;
        (void)map_put(&groups->by_place, str_from_c(g->place), g);
    }
    struct str longer =
        g->count == 0 ? arena_printf(&a, "%zu", i) : arena_printf(&a, "%s %zu", g->rcpts, i);
    mem_free(&g->rcpts);
    g->rcpts = heap_text(longer);
    g->count++;
}
