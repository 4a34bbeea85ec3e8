/*
 * index_int.h - the layout of the index of domains, accounts and aliases, and how it is read.
 * Internal to users/.
 *
 * The index is one memory file: head, buckets (a power of two of chain heads), heap of entries.
 * All references are offsets from its start, 0 is none. One writer makes it; readers map it
 * read-only and look up without locks, also while the writer goes on:
 *
 * INVARIANTS
 * 1. An entry is written completely before an offset to it is published (release; readers
 *    acquire), and its texts never change after that.
 * 2. Entries are only added, at heap_end; one that is no longer true gets ENTRY_DEAD. A
 *    replacement is a new entry at the front of its chain.
 * 3. A reader checks every offset and length against the size of its mapping and follows no
 *    chain for ever: nonsense in the file gives misses, never a read outside it.
 *
 * Domains are keyed by their A-labels; matching ignores ASCII case everywhere.
 */
#ifndef HIKYAKU_USERS_INDEX_INT_H
#define HIKYAKU_USERS_INDEX_INT_H

#include "sys/file.h"
#include "users/users.h"
#include <stdatomic.h>

#define INDEX_MAGIC 0x4869497864783031u

enum index_table {
    INDEX_DOMAINS,
    INDEX_ALIAS_DOMAINS,
    INDEX_ACCOUNTS,
    INDEX_ALIASES,
    INDEX_TABLES, /* how many */
};
extern const char *const index_table_paths[INDEX_TABLES];
/* 1u << table for the tables without which no answer is final. */
#define INDEX_REQUIRED (1u << INDEX_DOMAINS | 1u << INDEX_ACCOUNTS)
#define INDEX_ALL_TABLES ((1u << INDEX_TABLES) - 1)

struct index_head {
    uint64_t magic, seed, size_bytes;
    struct file_id tables[INDEX_TABLES]; /* the versions it was built from */
    uint32_t lost;                       /* 1u << table: it couldn't be read */
    _Atomic uint32_t last_id;            /* the largest id of an account */
    uint32_t bucket_count, heap_at;
    _Atomic uint32_t heap_end;
    _Atomic uint32_t wild_domains; /* chain of ENTRY_DOMAIN_WILD in file order */
    _Atomic uint32_t wild_aliases; /* chain of ENTRY_ALIAS_WILD, longest first */
    _Atomic uint32_t buckets[];
};

enum entry_kind {
    ENTRY_DOMAIN = 1,   /* key; name as written when it differs. extra: chain of its wildcard
                           aliases, longest first */
    ENTRY_DOMAIN_ALIAS, /* key. extra: the real domain */
    ENTRY_DOMAIN_WILD,  /* pattern. domain: the real one */
    ENTRY_ACCOUNT,      /* name, password, folder when it differs from name. extra: id */
    ENTRY_ALIAS,        /* alias, target's local part, target's domain (empty: the same) */
    ENTRY_ALIAS_WILD,   /* the same with a pattern; domain 0: text 0 is "pattern@pattern".
                           extra: line in the file */
};

enum entry_flag {
    ENTRY_DEAD = 1u << 0,
    ENTRY_LOCAL = 1u << 1, /* a domain in domains.tab */
    ENTRY_LIST = 1u << 2,  /* an account of type M */
};

#define ENTRY_TEXTS 3
struct index_entry {
    _Atomic uint32_t next;
    uint32_t hash; /* the upper half */
    uint16_t text_n[ENTRY_TEXTS];
    uint8_t kind;
    _Atomic uint8_t flags;
    uint32_t domain; /* offset of an ENTRY_DOMAIN */
    _Atomic uint32_t extra;
    char text[]; /* one behind the other */
};

/* One mapping of an index. */
struct index_map {
    struct index_head *head; /* read-only memory except for the writer */
    size_t size;
    uint32_t bucket_count, heap_at;
    _Atomic unsigned refs;
};

/* The current index, or NULL; give it back with index_put. */
struct index_map *index_get(void);
void index_put(struct index_map **ix);
#define AUTO_PUT_INDEX __attribute__((cleanup(index_put)))

/* Notes which versions of the tables this process has built an index from. */
void index_note_built(const struct file_id tables[INDEX_TABLES]);

/* The entry at offset, or NULL when there can't be one. */
struct index_entry *index_entry(const struct index_map *ix, uint32_t offset);
struct str index_text(const struct index_entry *entry, unsigned i);
/* The entry behind this one in its chain; counts *steps down, NULL at 0. */
struct index_entry *index_next(const struct index_map *ix, const struct index_entry *entry,
                               uint32_t *steps);
/* Most entries of a list that is walked whole. */
#define INDEX_STEPS_MAX 1000000u

/* Where an entry of that kind, domain and first text belongs; case doesn't count. */
uint64_t index_hash(const struct index_map *ix, enum entry_kind kind, uint32_t domain,
                    struct str text);
/* The live entry of that kind, domain and first text; *out_offset (may be NULL): where. */
struct index_entry *index_find(const struct index_map *ix, enum entry_kind kind,
                               uint32_t domain, struct str text, uint32_t *out_offset);
static inline bool entry_has(const struct index_entry *entry, enum entry_flag flag)
{
    return (atomic_load_explicit(&entry->flags, memory_order_relaxed) & flag) != 0;
}

/* The key of a domain name: itself when ASCII, else its A-labels in a. False: no domain name.
 */
bool index_domain_key(struct str name, struct arena *a, struct str *out);

/* RC_TEMP when one of the tables (1u << table ...) can't be trusted just now: lost when the
 * index was made, missing, unreadable, or less than half as long as it was. */
enum rc index_trust(const struct index_map *ix, uint32_t tables, struct err *e) CHECK_RESULT;

/* --- writing (index_write.c) ------------------------------------------------------------- */

struct new_entry {
    enum entry_kind kind;
    uint8_t flags;
    uint32_t domain, extra;
    struct str text[ENTRY_TEXTS];
};

/* Writes an entry at the end of the heap without publishing it; its offset. There must be room.
 */
uint32_t entry_write(struct index_map *ix, const struct new_entry *n);
/* Puts the entry at offset at the front of a chain. */
void chain_push(struct index_map *ix, _Atomic uint32_t *chain, uint32_t offset);
/* Writes the entry and makes it findable. */
uint32_t entry_add(struct index_map *ix, const struct new_entry *n);
/* The offset of a local domain, 0: it is none. */
uint32_t index_local_domain(const struct index_map *ix, struct arena *a, struct str name);
/* "name" or "name@domain", the domain by its key. False: nonsense. */
bool index_split_target(struct str target, struct arena *a, struct str *out_local,
                        struct str *out_domain);
bool index_is_pattern(struct str s);
/* A folder below the domain's: no way out of it. */
bool index_folder_is_good(struct str folder);
/* The mapping that this process just filled stays writable, for the changes of users.h; the one
 * before is given up. NULL: none. */
void index_keep_writable(const struct index_map *ix);
/* The table has this version now: readers don't doubt it. */
void index_table_is(enum index_table i, const struct file_id *id);

#endif
