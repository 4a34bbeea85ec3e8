/* nets.h - which of many networks an address lies in: a prefix tree over IPv6 addresses, with
 * IPv4 in its mapped form. Built once, then read by any number of threads. */
#ifndef HIKYAKU_BASE_NETS_H
#define HIKYAKU_BASE_NETS_H

#include "base/ip.h"

struct nets_node;
struct nets_odd;

/* A zeroed struct is a valid, empty set. */
struct nets {
    struct nets_node *nodes; /* the first is the root, which stands for all addresses */
    size_t count, room;
    struct nets_odd *odd; /* networks whose mask has holes: looked at one by one */
    size_t odd_count, odd_room;
};

/*
 * Notes a network with its rank, from 1: among all networks that an address lies in the one of
 * the lowest rank is found. A network that covers all of one family covers the other too, as
 * ip_in_net says.
 */
void nets_add(struct nets *t, const struct ip_net *net, uint32_t rank);
/* After the last nets_add, before the first nets_find. */
void nets_finish(struct nets *t);
/* The lowest rank of the networks that ip lies in; 0: none. */
uint32_t nets_find(const struct nets *t, const struct ip *ip);
void nets_release(struct nets *t);

#endif
