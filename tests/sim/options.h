/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one seed does. Every value is drawn from the seed (the swarm), within the limits that the
 * scenario sets. 0 switches a fault off; *_ms of a fault is its mean distance in virtual time.
 *
 * X(type, name, text)
 */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_OPTIONS(X)                                                                             \
	X(n, "replicas")                                                                           \
	X(witness, "a witness besides the replicas")                                               \
	X(insync, "in-sync mode")                                                                  \
	X(real_store, "real store on a fake disk")                                                 \
	X(cache, "the fake disk has a volatile cache")                                             \
	X(shards, "shards of the volume")                                                          \
	X(blocks, "blocks that clients touch")                                                     \
	X(cells, "parts of a block that clients write separately")                                 \
	X(loss, "packets lost, of 1000")                                                           \
	X(dup, "packets sent twice, of 1000")                                                      \
	X(flip, "packets damaged, of 10000")                                                       \
	X(delay_us, "mean delay of a packet")                                                      \
	X(straggle, "packets that take very long, of 1000")                                        \
	X(straggle_ms, "... mean")                                                                 \
	X(fence, "an XDP fence drops stale packets, of 1000")                                      \
	X(store_us, "mean time of a store operation")                                              \
	X(turn_us, "a turn of an event loop gathers events that long")                             \
	X(late_us, "timers fire late by up to")                                                    \
	X(ops, "client operations")                                                                \
	X(depth, "operations in flight per coordinator")                                           \
	X(think_us, "mean pause of a client between operations")                                   \
	X(reads, "reads, of 100 operations")                                                       \
	X(zeroes, "zeroes and trims, of 100")                                                      \
	X(maps, "map queries and flushes, of 100")                                                 \
	X(partial, "reads and writes of parts of blocks, of 100")                                  \
	X(max_blocks, "longest operation, blocks")                                                 \
	X(hot, "blocks that most operations hit; 0 = all alike")                                   \
	X(safety_ms, "length of the first phase")                                                  \
	X(node_crash_ms, "node crash")                                                             \
	X(node_down_ms, "... stays down")                                                          \
	X(node_pause_ms, "node pause")                                                             \
	X(co_crash_ms, "coordinator crash")                                                        \
	X(co_take_ms, "second coordinator takes over from a living one")                           \
	X(co_pause_ms, "coordinator pause")                                                        \
	X(pause_ms, "... a pause lasts")                                                           \
	X(part_ms, "partition of the network")                                                     \
	X(heal_ms, "... lasts")                                                                    \
	X(rot_ms, "blocks rot")                                                                    \
	X(lose_ms, "disk lost, replaced by a blank one")                                           \
	X(fail_ms, "disk fails until the node restarts")                                           \
	X(slow_ms, "store becomes slow")                                                           \
	X(skew_ms, "clocks differ by up to")                                                       \
	X(drift_pct, "clocks run differently by up to")                                            \
	X(lease_ms, "lease")                                                                       \
	X(lag_ms, "patience with a replica")                                                       \
	X(rto_us, "shortest retransmission time")                                                  \
	X(window, "window per replica, bytes")                                                     \
	X(co_ops, "operations a coordinator has room for")                                         \
	X(node_ops, "operations a replica has room for")                                           \
	X(node_kib, "memory for data in a replica")

struct options {
#define X(name, text) uint32_t name;
	SIM_OPTIONS(X)
#undef X
};

/* X(NAME, text): limits within which the swarm draws. */
#define SIM_SCENARIOS(X)                                                                           \
	X(any, "one of the others, by seed")                                                       \
	X(calm, "no faults: the network delays and reorders")                                      \
	X(net, "a bad network")                                                                    \
	X(crash, "crashes of nodes and coordinators")                                              \
	X(zombie, "pauses, racing coordinators, clocks")                                           \
	X(rot, "bit rot")                                                                          \
	X(lose, "disks lost and replaced")                                                         \
	X(insync, "in-sync mode")                                                                  \
	X(witness, "two replicas and a witness")                                                   \
	X(five, "four or five replicas")                                                           \
	X(small, "one or two replicas")                                                            \
	X(two, "two shards")                                                                       \
	X(storm, "everything")                                                                     \
	X(disk, "the real store on a disk that forgets")

enum scenario {
#define X(name, text) SC_##name,
	SIM_SCENARIOS(X)
#undef X
		SC_END
};

/* SC_END = no such scenario. */
enum scenario scenario_by_name(const char *name);
const char *scenario_name(enum scenario sc);

/* Draw the options of a seed. */
void options_draw(struct options *o, uint64_t seed, enum scenario sc);
/* Set one by "name=value". False = no such option. */
bool options_set(struct options *o, const char *text);
void options_print(const struct options *o, FILE *f);

#endif
