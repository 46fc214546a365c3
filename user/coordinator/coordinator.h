/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The coordinator of one open volume: opens its shards (recovery), orders and replicates writes,
 * reads from replicas known to be current, repairs what lags. A pure state machine: events in by
 * the co_* calls (time is inside them), effects out through struct co_ops, next deadline by query.
 * No system calls, no clock, no allocation after co_new. The rules and the invariants they keep are
 * in proto/README.md; time is nanoseconds of one monotonic clock that also counts suspend.
 *
 * Effects are calls and not a list: every one of them is bounded work for the driver (queue a
 * packet, mark a reply), they may not call back into the coordinator, and no buffer can overflow.
 */
#ifndef XBD_COORDINATOR_H
#define XBD_COORDINATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/request.h"
#include "core/codec.h"

#define CO_NODES_MAX 64u

struct co;

enum co_note {
	CO_NOTE_OPENING,   /* arg: epoch asked for */
	CO_NOTE_SERVING,   /* shard serves; arg: epoch */
	CO_NOTE_SUSPENDED, /* quorum lost: I/O waits; arg: replicas alive */
	CO_NOTE_RESUMED,
	CO_NOTE_FENCED,	      /* a newer owner exists: volume closed; arg: its epoch */
	CO_NOTE_REPLICA_UP,   /* slot answers again */
	CO_NOTE_REPLICA_DOWN, /* slot does not answer */
	CO_NOTE_SYNCED,	      /* slot is synced and counts; arg: epoch */
	CO_NOTE_RESYNCED,  /* slot holds everything again; arg: blocks repaired since it lagged */
	CO_NOTE_BAD_BLOCK, /* slot returned a damaged block; arg: block */
	CO_NOTE_FAILED,	   /* slot is out of service: disk error; arg: status */
	CO_NOTE_BLANK,	   /* slot holds another or no store than the record says */
};

struct co_ops {
	/* Send s to the nodes in node_mask (bit = index into co_config.nodes). */
	void (*send)(void *ctx, uint64_t node_mask, const struct xbd_send *s);
	/* Something worth a log line and status. slot = XBD_SLOT_NONE if none. */
	void (*note)(void *ctx, enum co_note what, uint32_t shard, uint8_t slot, uint64_t arg);
};

struct co_shard_config {
	uint32_t id;		 /* shard id, cluster-wide */
	uint32_t blocks;	 /* blocks of the volume in this shard */
	uint8_t node[XBD_SLOTS]; /* node index by replica slot; XBD_SLOT_NONE = slot not used */
	struct xbd_record rec;	 /* the catalogue's record: members, n */
};

struct co_config {
	uint64_t size;	       /* volume size, bytes, multiple of XBD_BLOCK_SIZE */
	uint32_t shard_blocks; /* blocks per shard (all but the last), multiple of XBD_RANGE_BLOCKS
				*/
	uint32_t nshards;
	uint32_t nnodes;		      /* <= CO_NODES_MAX */
	const struct co_shard_config *shards; /* copied */
	struct xbd_uuid owner;		      /* random per start */
	uint32_t ops_max;		      /* operations in flight; 0 = 4096 */
	uint32_t lease_ms;		      /* 0 = 600 */
	uint32_t lease_every_ms;	      /* 0 = 100 */
	uint32_t rto_min_us;		      /* 0 = 2000 */
	uint32_t lag_ms;       /* un-acked that long: go on without this replica; 0 = 1000 */
	uint32_t window_bytes; /* per replica, un-acked; 0 = 32 MiB */
	uint64_t prng_seed;    /* jitter */
};

/* Counters: X(name, text) */
#define CO_COUNTERS(X)                                                                             \
	X(writes, "write operations completed")                                                    \
	X(reads, "read operations completed")                                                      \
	X(zeroes, "zero and trim operations completed")                                            \
	X(flushes, "flushes completed")                                                            \
	X(write_bytes, "bytes written")                                                            \
	X(read_bytes, "bytes read")                                                                \
	X(rmw, "writes that had to read a block first")                                            \
	X(sends, "messages sent, per replica")                                                     \
	X(retransmits, "operations sent again to a replica")                                       \
	X(partials, "operations that arrived in part")                                             \
	X(read_retries, "reads asked again, or from another replica")                              \
	X(bad_blocks, "damaged blocks reported by replicas")                                       \
	X(repairs, "blocks repaired on a replica")                                                 \
	X(lagged, "operations a replica missed and gets by repair")                                \
	X(opens, "epochs opened")                                                                  \
	X(dups, "answers that came twice or too late")                                             \
	X(suspends, "times I/O had to wait for a quorum")

struct co_counters {
#define X(name, text) uint64_t name;
	CO_COUNTERS(X)
#undef X
};

enum co_shard_phase { CO_OPENING, CO_RESOLVING, CO_ACCEPTING, CO_SERVING, CO_SUSPENDED, CO_DEAD };
enum co_rep_state { CO_REP_NONE, CO_REP_DOWN, CO_REP_LEARNER, CO_REP_LAGGING, CO_REP_SYNCED };

struct co_rep_status {
	enum co_rep_state state;
	uint8_t node;
	struct xbd_uuid store;
	uint64_t lag_regions; /* regions that may differ */
	uint64_t rtt_us;
	uint64_t inflight_bytes;
};

struct co_shard_status {
	uint32_t id, epoch;
	enum co_shard_phase phase;
	uint8_t n, w;
	uint64_t inflight;
	struct co_rep_status rep[XBD_SLOTS];
};

/* NULL = no memory or a config that breaks a stated limit. */
struct co *co_new(const struct co_config *cfg, const struct co_ops *ops, void *ctx);
void co_free(struct co *co);

/* Start opening all shards. Serving is reported by notes and co_serving(). */
void co_open(struct co *co, uint64_t now_ns);
/* Give up leases (clean hand-over). Only after all requests are done. Sends RELEASE once. */
void co_close(struct co *co, uint64_t now_ns);
/* True when every shard serves. */
bool co_serving(const struct co *co);
/* True when a newer owner fenced this coordinator: every request fails with -XBD_EFENCED. */
bool co_dead(const struct co *co);

/* Requests may be submitted at any time; they wait while the volume is opening or suspended. */
void co_submit(struct co *co, uint64_t now_ns, struct co_req *req);
/* A decoded message (side CLIENT) from node index `node`. */
void co_msg(struct co *co, uint64_t now_ns, uint32_t node, const struct xbd_msg *m);
/* Deadlines that passed. Also calls the done functions of requests that ended in this or an earlier
 * co_submit: call it once after a batch of submits and messages. */
void co_tick(struct co *co, uint64_t now_ns);
/* When co_tick must be called next; UINT64_MAX = not before an event; 0 = now. */
uint64_t co_deadline(const struct co *co);

void co_counters(const struct co *co, struct co_counters *out);
/* false = no such shard index. */
bool co_shard_status(const struct co *co, uint32_t index, struct co_shard_status *out);
uint64_t co_mem_bytes(const struct co *co);

#endif
