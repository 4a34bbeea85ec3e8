/* map.h - hash map from text to pointer, with a random seed (keys are foreign). */
#ifndef HIKYAKU_BASE_MAP_H
#define HIKYAKU_BASE_MAP_H

#include "base/str.h"
#include <stdint.h>

struct map_slot;

/* A zeroed struct is a valid, empty map. Keys are not copied: they must outlive their entry. */
struct map {
    struct map_slot *slots;
    size_t cap, used, live;
    bool fold; /* keys match without regard to ASCII case; set it before the first put */
};

/* The value stored for key, or NULL. */
void *map_get(const struct map *m, struct str key);
/* Stores value (not NULL) for key; returns the value replaced, or NULL. */
void *map_put(struct map *m, struct str key, void *value);
/* Removes key; returns its value, or NULL. */
void *map_remove(struct map *m, struct str key);
/* Walks all entries in no order: start with *at = 0; false at the end. */
bool map_next(const struct map *m, size_t *at, struct str *out_key, void **out_value);
void map_release(struct map *m);

/* A 64-bit keyed hash of s (ASCII case folded when fold); the same seed gives the same hash. */
uint64_t hash_text(struct str s, bool fold, uint64_t seed);
/* A random seed of this process. */
uint64_t hash_seed(void);

#endif
