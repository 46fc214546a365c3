/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model of a store: what store.h promises, in memory, with random times. The medium (struct mdisk)
 * outlives crashes of its node. An operation takes effect on the medium at one moment and its
 * completion reaches the process later; a crash in between keeps the effect and loses the
 * completion; a crash before it keeps any part of a multi-block write.
 *
 * The same tables shadow a real store (see rstore.c), for the fault atlas and the audits.
 */
#ifndef SIM_MSTORE_H
#define SIM_MSTORE_H

#include "sim.h"
#include "store/store.h"

struct mblock {
	uint64_t ver;
	uint8_t *data; /* NULL = zeroes */
	uint32_t crc;
	uint8_t flags; /* XBD_F_TRIM */
	bool rot;      /* content damaged */
	bool bad;      /* ... and the store knows */
	bool unsure;   /* shadow: a crash may have changed it */
	uint64_t at;   /* when it was written */
};

struct mregion {
	struct mblock b[XBD_REGION_BLOCKS];
};

struct mshard {
	bool used, want; /* want: shadow of `used`, while an operation runs */
	uint32_t nregions;
	uint64_t state_at; /* when the last change of state takes effect */
	struct xbd_state state;
	struct mregion **region;
};

struct mop {
	struct store_op *op;
	struct store *st;
	struct mdisk *disk;
	struct mop *prev, *next;
	uint32_t gen;
	uint8_t host;
	bool applied;
	struct xbd_state state;
};

struct mdisk {
	struct sim *sim;
	uint8_t host;
	struct xbd_uuid uuid;
	uint64_t boot;
	bool failed;
	bool witness;
	uint32_t pending;
	struct mop *head;
	struct mshard shard[SHARDS_MAX];
	struct fdisk *fd; /* real store: its disk; NULL = the model is the store */
	bool formatted;
	bool damaged; /* real store: its metadata */
	void *free_data;
};

struct mdisk *mdisk_new(struct sim *s, uint8_t host);
/* The block on the medium; NULL = shard not held or never written. */
const struct mblock *mdisk_block(const struct mdisk *d, unsigned shard, uint32_t block);
struct mblock *mdisk_block_make(struct mdisk *d, unsigned shard, uint32_t block);
/* Shard index by id, or -1. */
int sim_shard_index(const struct sim *s, uint32_t id);

/* The model as a store. */
void store_trace(const struct sim *s, unsigned node, const struct store_op *op,
		 const struct xbd_state *st);
void mstore_submit(struct store *st, struct store_op *op);
void mstore_apply(struct sim *s, struct mop *m);
void mstore_done(struct sim *s, struct mop *m);
/* Power is lost: operations under way take effect in any part. Buffers are still there. */
void mstore_crash(struct mdisk *d);

/* shim.c: struct store of store.h as the replica sees it. */
struct store {
	struct sim *sim;
	struct host *host;
	struct mdisk *disk;
	uint32_t gen;
	uint32_t inflight;
	struct rstore *real; /* the real one, NULL = model */
	struct boot *boot;   /* ... and what belongs to it */
	struct xbd_uuid uuid;
};

/* Start the store of a node's disk; `ready` is called when it is open. */
void shim_boot(struct host *h, void (*ready)(struct host *h));
void shim_crash(struct host *h);

#endif
