/* item.c - the entries that the scheduler knows: by id, and those that wait in a heap by due
 * time. */
#include "queue/queue_int.h"

/* --- the heap ---------------------------------------------------------------------------- */

static void heap_swap(struct items *all, size_t i, size_t j)
{
    struct item *t = all->heap[i];
    all->heap[i] = all->heap[j];
    all->heap[j] = t;
    all->heap[i]->at = i;
    all->heap[j]->at = j;
}

static void heap_lift(struct items *all, size_t i)
{
    for (; i > 0 && all->heap[i]->due < all->heap[(i - 1) / 2]->due; i = (i - 1) / 2)
        heap_swap(all, i, (i - 1) / 2);
}

void items_wait(struct items *all, struct item *item)
{
    if (all->heap_n == all->heap_cap) {
        size_t cap = MAX(all->heap_cap * 2, (size_t)64);
        struct item **grown = mem_new(cap * sizeof(struct item *));
        if (all->heap_n > 0)
            memcpy(grown, all->heap, all->heap_n * sizeof(struct item *));
        mem_free(&all->heap);
        all->heap = grown;
        all->heap_cap = cap;
    }
    item->at = all->heap_n++;
    all->heap[item->at] = item;
    heap_lift(all, item->at);
}

static void heap_sift(struct items *all, size_t i)
{
    for (;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < all->heap_n; child++)
            if (all->heap[child]->due < all->heap[least]->due)
                least = child;
        if (least == i)
            return;
        heap_swap(all, i, least);
        i = least;
    }
}

usec_t items_due(const struct items *all)
{
    return all->heap_n > 0 ? all->heap[0]->due : USEC_FOREVER;
}

struct item *items_pop(struct items *all)
{
    struct item *top = all->heap[0];
    all->heap[0] = all->heap[--all->heap_n];
    all->heap[0]->at = 0;
    heap_sift(all, 0);
    return top;
}

static void item_free(struct item **item)
{
    outcomes_free(&(*item)->outcomes);
    while ((*item)->orders != NULL) {
        struct order *o = (*item)->orders;
        (*item)->orders = o->next;
        mem_free(&o);
    }
    mem_free(&(*item)->place);
    mem_free(item);
}

void items_hurry(struct items *all, struct item *item)
{
    item->due = 0;
    item->planned = false;
    if (item->held) {
        item->held = false;
        items_wait(all, item);
    } else {
        heap_lift(all, item->at);
    }
}

struct item *items_learn(struct items *all, struct str id, bool urgent)
{
    struct item *item = map_get(&all->known, id);
    if (item != NULL) {
        item->again = item->active;
        if (urgent && !item->active)
            items_hurry(all, item);
        return item;
    }
    item = mem_new(sizeof(*item) + id.n + 1);
    memcpy(item->id_text, id.p, id.n);
    item->id = str_from(item->id_text, id.n);
    item->due = urgent ? 0 : clock_wall();
    (void)map_put(&all->known, item->id, item);
    items_wait(all, item);
    return item;
}

void item_add_order(struct item *item, enum queue_order order, const char *argument)
{
    size_t n = strlen(argument);
    struct order *o = mem_new(sizeof(*o) + n + 1);
    o->order = order;
    memcpy(o->argument, argument, n);
    struct order **last = &item->orders;
    while (*last != NULL)
        last = &(*last)->next;
    *last = o;
    item->again = item->active;
}

void items_forget(struct items *all, struct item *item)
{
    (void)map_remove(&all->known, item->id);
    item_free(&item);
}

size_t items_flush(struct items *all, struct str pattern)
{
    size_t n = 0;
    for (size_t i = 0; i < all->heap_n; i++) {
        struct item *item = all->heap[i];
        if (item->place != NULL && !str_matches(str_from_c(item->place), pattern))
            continue;
        if (item->orders == NULL)
            item_add_order(item, QUEUE_TRY, "");
        item->planned = false;
        item->due = 0;
        n++;
    }
    for (size_t i = all->heap_n / 2; i-- > 0;)
        heap_sift(all, i);
    return n;
}

void items_shift(struct items *all, usec_t moved)
{
    for (size_t i = 0; i < all->heap_n; i++) /* all alike: it stays a heap */
        if (all->heap[i]->due > 0)
            all->heap[i]->due += moved;
}

void items_free(struct items *all)
{
    struct str key;
    void *value = NULL;
    for (size_t at = 0; map_next(&all->known, &at, &key, &value);) {
        struct item *item = value;
        item_free(&item);
    }
    map_release(&all->known);
    mem_free(&all->heap);
}
