/* item.c - the entries that the scheduler knows: by id, and those that wait in a heap by due
 * time. */
#include "queue/queue_int.h"

#define RCPTS_MAX ((uint64_t)1 << 24) /* more than an envelope can hold */

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
    mem_free(&(*item)->known);
    while ((*item)->orders != NULL) {
        struct order *o = (*item)->orders;
        (*item)->orders = o->next;
        mem_free(&o);
    }
    mem_free(&(*item)->place);
    mem_free(item);
}

/* --- outcomes ---------------------------------------------------------------------------- */

static bool is_known(const struct item *item, uint64_t rcpt)
{
    return rcpt < item->known_n && item->known[rcpt];
}

static void know(struct item *item, size_t rcpt)
{
    if (rcpt >= item->known_n) {
        size_t n = MAX(2 * item->known_n, rcpt + 64);
        bool *more = mem_new(n * sizeof(*more));
        if (item->known_n > 0)
            memcpy(more, item->known, item->known_n * sizeof(*more));
        mem_free(&item->known);
        item->known = more;
        item->known_n = n;
    }
    item->known[rcpt] = true;
}

void item_outcome_for_all(struct item *item, const char *rcpts, enum queue_outcome outcome,
                          bool remote_dsn, struct str reason)
{
    struct str rest = str_from_c(rcpts), word;
    uint64_t i = 0;
    while (rest.n > 0 && str_cut(&rest, ' ', &word)) {
        if (!str_to_u64(word, &i) || i >= RCPTS_MAX || is_known(item, i))
            continue;
        item->outcomes = outcome_new((size_t)i, outcome, remote_dsn, reason, item->outcomes);
        item->unnoted += outcome != OUTCOME_TEMP;
        know(item, (size_t)i);
    }
}

void item_add_outcomes(struct item *item, struct outcome *list)
{
    while (list != NULL) {
        struct outcome *o = list;
        list = o->next;
        o->next = NULL;
        if (o->rcpt >= RCPTS_MAX || is_known(item, o->rcpt)) {
            outcomes_free(&o);
            continue;
        }
        o->next = item->outcomes;
        item->outcomes = o;
        item->unnoted += o->outcome != OUTCOME_TEMP && !o->here;
        know(item, o->rcpt);
    }
}

bool item_drop_known(const struct item *item, struct group *g)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str rest = str_from_c(g->rcpts), word, left = STR("");
    uint64_t i = 0;
    if (item->outcomes == NULL)
        return true;
    while (rest.n > 0 && str_cut(&rest, ' ', &word))
        if (str_to_u64(word, &i) && !is_known(item, i))
            left = arena_printf(&a, "%.*s%s%" PRIu64, STR_ARG(left), left.n > 0 ? " " : "", i);
    char *p = mem_new(left.n + 1);
    memcpy(p, left.p, left.n);
    mem_free(&g->rcpts);
    g->rcpts = p;
    return left.n > 0;
}

struct outcome *item_give_outcomes(struct item *item)
{
    struct outcome *list = item->outcomes;
    item->outcomes = NULL;
    item->unnoted = 0;
    item->known_n = 0;
    mem_free(&item->known);
    return list;
}

void item_take_outcomes(struct item *item, struct outcome *list)
{
    item->outcomes = list;
    for (; list != NULL; list = list->next)
        know(item, list->rcpt);
}

struct outcome *item_copy_unnoted(struct item *item)
{
    struct outcome *copies = NULL;
    for (struct outcome *o = item->outcomes; o != NULL && !o->noted; o = o->next) {
        if (o->outcome != OUTCOME_TEMP && !o->here)
            copies =
                outcome_new(o->rcpt, o->outcome, o->remote_dsn, str_from_c(o->reason), copies);
        o->noted = true;
    }
    item->unnoted = 0;
    return copies;
}

/* --- the heap of those that wait --------------------------------------------------------- */

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
