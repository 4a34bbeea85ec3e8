/*
 * nets.c - networks as a path-compressed binary tree of prefixes. A node's children begin with
 * its own prefix; nodes without a network of their own stand where two paths part, so there
 * are at most twice as many nodes as networks. Once it is finished each node knows the best
 * rank of itself and all above it: the last node on the way down has the answer.
 *
 * INVARIANT: a child's prefix is longer than its parent's, so the tree is 129 nodes deep at
 * most. Nodes are named by their index, for the array moves as it grows.
 */
#include "base/base.h"

/* The bits of an address or prefix, highest first; bits behind a prefix's end are 0. */
struct key {
    uint64_t hi, lo;
};

struct nets_node {
    struct key key;
    uint32_t child[2]; /* by the bit behind the prefix; 0: none */
    uint32_t rank;     /* 0: none */
    uint8_t bits;
};

struct nets_odd {
    struct ip_net net;
    uint32_t rank;
};

/* --- keys -------------------------------------------------------------------------------- */

static uint64_t half_of(const uint8_t *b)
{
    uint64_t v = 0;
    memcpy(&v, b, sizeof(v));
    return __builtin_bswap64(v);
}

static struct key key_of(const uint8_t b[16])
{
    return (struct key){ half_of(b), half_of(b + 8) };
}

static unsigned bit_of(struct key k, unsigned at)
{
    return (unsigned)((at < 64 ? k.hi >> (63 - at) : k.lo >> (127 - at)) & 1);
}

static struct key key_head(struct key k, unsigned bits)
{
    if (bits == 0)
        return (struct key){ 0, 0 };
    if (bits <= 64)
        return (struct key){ k.hi & UINT64_MAX << (64 - bits), 0 };
    return (struct key){ k.hi, k.lo & UINT64_MAX << (128 - bits) };
}

/* How many bits are the same, at most `most`. */
static unsigned common(struct key a, struct key b, unsigned most)
{
    unsigned n = 128;
    if (a.hi != b.hi)
        n = (unsigned)__builtin_clzll(a.hi ^ b.hi);
    else if (a.lo != b.lo)
        n = 64 + (unsigned)__builtin_clzll(a.lo ^ b.lo);
    return MIN(n, most);
}

/* The length of a mask, or -1 when it has holes. */
static int mask_bits(const struct ip *mask)
{
    struct key k = key_of(mask->b);
    struct key holes = { ~k.hi, ~k.lo };
    unsigned bits = common(holes, (struct key){ 0, 0 }, 128);
    struct key whole = key_head((struct key){ UINT64_MAX, UINT64_MAX }, bits);
    return whole.hi == k.hi && whole.lo == k.lo ? (int)bits : -1;
}

static uint32_t better(uint32_t a, uint32_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return MIN(a, b);
}

/* --- building ---------------------------------------------------------------------------- */

static void *grown(void *old, size_t size, size_t *room)
{
    size_t before = *room * size;
    *room = *room == 0 ? 16 : *room * 2;
    void *fresh = mem_new(*room * size);
    if (old != NULL)
        memcpy(fresh, old, before);
    mem_free(&old);
    return fresh;
}

static uint32_t node_new(struct nets *t, struct key key, unsigned bits, uint32_t rank)
{
    if (t->count == t->room)
        t->nodes = grown(t->nodes, sizeof(*t->nodes), &t->room);
    t->nodes[t->count] =
        (struct nets_node){ .key = key_head(key, bits), .rank = rank, .bits = (uint8_t)bits };
    return (uint32_t)t->count++;
}

/* A node for the key in front of node `below`: the key is shorter, or parts from it. */
static uint32_t node_above(struct nets *t, uint32_t below, struct key key, unsigned bits,
                           uint32_t rank)
{
    struct key other = t->nodes[below].key;
    unsigned same = common(other, key, MIN(bits, t->nodes[below].bits));
    uint32_t top = node_new(t, key, same, same == bits ? rank : 0);
    t->nodes[top].child[bit_of(other, same)] = below;
    if (same < bits) {
        uint32_t leaf = node_new(t, key, bits, rank);
        t->nodes[top].child[bit_of(key, same)] = leaf;
    }
    return top;
}

static void insert(struct nets *t, struct key key, unsigned bits, uint32_t rank)
{
    uint32_t at = 0;
    while (t->nodes[at].bits < bits) {
        unsigned side = bit_of(key, t->nodes[at].bits);
        uint32_t next = t->nodes[at].child[side];
        if (next == 0)
            next = node_new(t, key, bits, rank);
        else if (common(t->nodes[next].key, key, bits) < t->nodes[next].bits)
            next = node_above(t, next, key, bits, rank);
        t->nodes[at].child[side] = next;
        at = next;
    }
    t->nodes[at].rank = better(t->nodes[at].rank, rank);
}

void nets_add(struct nets *t, const struct ip_net *net, uint32_t rank)
{
    int bits = mask_bits(&net->mask);
    bool v4 = ip_is_v4(&net->ip);
    if (t->count == 0)
        (void)node_new(t, (struct key){ 0, 0 }, 0, 0);
    if (v4 && bits >= 0 && bits <= 96)
        bits = 0; /* all of IPv4: all of IPv6 too */
    if (bits >= 0) {
        insert(t, key_head(key_of(net->ip.b), (unsigned)bits), (unsigned)bits, rank);
        return;
    }
    if (t->odd_count == t->odd_room)
        t->odd = grown(t->odd, sizeof(*t->odd), &t->odd_room);
    t->odd[t->odd_count++] = (struct nets_odd){ *net, rank };
}

/* Gives the best rank above on to all below. */
static void hand_down(struct nets *t, uint32_t at, uint32_t rank)
{
    struct nets_node *n = &t->nodes[at];
    n->rank = better(n->rank, rank);
    for (size_t i = 0; i < 2; i++)
        if (n->child[i] != 0)
            hand_down(t, n->child[i], n->rank);
}

void nets_finish(struct nets *t)
{
    if (t->count > 0)
        hand_down(t, 0, 0);
}

/* --- look-ups ---------------------------------------------------------------------------- */

uint32_t nets_find(const struct nets *t, const struct ip *ip)
{
    if (t->count == 0)
        return 0;
    struct key key = key_of(ip->b);
    uint32_t at = 0, rank = 0;
    for (;;) {
        const struct nets_node *n = &t->nodes[at];
        if (common(n->key, key, n->bits) < n->bits)
            break;
        rank = n->rank;
        at = n->bits < 128 ? n->child[bit_of(key, n->bits)] : 0;
        if (at == 0)
            break;
    }
    for (size_t i = 0; i < t->odd_count; i++)
        if (ip_in_net(ip, &t->odd[i].net))
            rank = better(rank, t->odd[i].rank);
    return rank;
}

void nets_release(struct nets *t)
{
    mem_free(&t->nodes);
    mem_free(&t->odd);
    *t = (struct nets){ .count = 0 };
}
