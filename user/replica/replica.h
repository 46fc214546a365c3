/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The replica: all shards of one store, as a pure state machine over the store. Messages in by
 * replica_msg (time is inside), answers out through struct replica_ops, disk work through
 * store_submit. No system calls, no clock, no allocation after replica_new. It is the authority on
 * promises: a packet is obeyed only if its epoch equals the promise held durably, whatever XDP let
 * through. Invariants 1, 2, 5, 12, 16 of proto/README.md are kept here.
 */
#ifndef XBD_REPLICA_H
#define XBD_REPLICA_H

#include <stdbool.h>
#include <stdint.h>

#include "core/codec.h"
#include "store/store.h"

struct replica;

enum replica_note {
	REPLICA_NOTE_PROMISED, /* arg: epoch, durable */
	REPLICA_NOTE_SYNCED,   /* arg: epoch */
	REPLICA_NOTE_CREATED,
	REPLICA_NOTE_RETIRED,
	REPLICA_NOTE_BAD_BLOCK, /* arg: block */
	REPLICA_NOTE_DISK,	/* disk error; arg: -error */
};

struct replica_ops {
	void (*send)(void *ctx, uint32_t to, const struct xbd_send *s);
	/* The promise of `shard` is durable at `epoch`: raise the fence in XDP. Called at start
	 * too, for every shard held. */
	void (*fence)(void *ctx, uint32_t shard, uint32_t epoch);
	void (*note)(void *ctx, enum replica_note what, uint32_t shard, uint64_t arg);
};

struct replica_config {
	struct store *store; /* open; borrowed */
	uint64_t blocks;     /* capacity told in INFO */
	uint32_t lease_ms;   /* 0 = 600: longest lease granted */
	uint32_t drift_pct;  /* 0 = 10: clocks may differ by that much */
	uint32_t ops_max;    /* operations in assembly or on disk; 0 = 1024 */
	uint64_t data_bytes; /* memory for data of operations; 0 = 64 MiB */
	bool witness;	     /* epoch records only, never data */
	char name[32];
};

/* Counters: X(name, text) */
#define REPLICA_COUNTERS(X)                                                                        \
	X(writes, "write operations made durable")                                                 \
	X(reads, "read operations answered")                                                       \
	X(repairs, "repairs applied")                                                              \
	X(fragments, "data fragments taken")                                                       \
	X(duplicates, "fragments or operations that came again")                                   \
	X(partials, "answers that named missing fragments")                                        \
	X(stale, "messages of an older epoch, answered STALE")                                     \
	X(unpromised, "messages of an epoch never promised here")                                  \
	X(expired, "operations given up in part for lack of fragments")                            \
	X(crc_errors, "blocks refused because their checksum was wrong")                           \
	X(no_buffer, "fragments dropped: all buffers in use")                                      \
	X(no_shard, "messages for a shard that is not held")                                       \
	X(disk_errors, "disk errors")                                                              \
	X(acks, "acknowledgements sent")                                                           \
	X(ack_packets, "packets that carried them")

struct replica_counters {
#define X(name, text) uint64_t name;
	REPLICA_COUNTERS(X)
#undef X
};

struct replica *replica_new(const struct replica_config *cfg, const struct replica_ops *ops,
			    void *ctx, uint64_t now_ns);
void replica_free(struct replica *r);
/* Memory areas that disk operations use: for registration. Returns how many (<= max). */
struct iovec;
unsigned replica_areas(struct replica *r, struct iovec *areas, unsigned max);

void replica_msg(struct replica *r, uint64_t now_ns, const struct xbd_msg *m);
/* Deadlines that passed. */
void replica_tick(struct replica *r, uint64_t now_ns);
/* End of a turn: sends the acknowledgements gathered in it, kicks the store. */
void replica_flush(struct replica *r, uint64_t now_ns);
uint64_t replica_deadline(const struct replica *r);

/* True when no operation is in assembly, on disk or waiting. */
bool replica_idle(const struct replica *r);
void replica_counters(const struct replica *r, struct replica_counters *out);
/* Lease of a shard: nanoseconds it still runs, 0 = none. */
uint64_t replica_lease_left(const struct replica *r, uint32_t shard, uint64_t now_ns);

#endif
