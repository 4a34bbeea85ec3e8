/* lane.c - groups that wait for programs, in lanes by sender, so that a flood doesn't starve
 * others. Only the scheduler touches them. */
#include "queue/queue_int.h"

void lanes_add(struct lanes *l, struct task *t)
{
    unsigned lane = (unsigned)(t->group->sender % LANES);
    t->next = NULL;
    if (l->first[lane] == NULL)
        l->first[lane] = t;
    else
        l->last[lane]->next = t;
    l->last[lane] = t;
    l->waiting++;
}

struct task *lanes_next(struct lanes *l)
{
    for (unsigned i = 0; i < LANES; i++) {
        unsigned lane = l->turn++ % LANES;
        struct task *t = l->first[lane];
        if (t == NULL)
            continue;
        l->first[lane] = t->next;
        t->next = NULL;
        l->waiting--;
        l->active++;
        return t;
    }
    return NULL;
}
