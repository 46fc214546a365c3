/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the replica: its tables and the functions its files share. */
#ifndef XBD_REPLICA_INTERNAL_H
#define XBD_REPLICA_INTERNAL_H

#include "base/assert.h"
#include "base/error.h"
#include "base/uuid.h"
#include "core/rules.h"
#include "replica/replica.h"

#define NS_MS	       1000000ull
#define GAP_NS	       (4 * NS_MS)    /* missing fragments are asked for after that long */
#define GAP_MAX_NS     (256 * NS_MS)  /* ... and less and less often */
#define EXPIRE_NS      (4000 * NS_MS) /* an operation that stays partial is given up */
#define STATE_EVERY_NS (1000 * NS_MS) /* complete points are made durable that often */
#define STALE_EVERY_NS (1 * NS_MS)    /* STALE answers per shard */
#define NO_PEER	       UINT32_MAX
#define DONE_SLOTS     8192u /* remembered completed operations, power of two */
#define ACKS_QUEUED    4096u

enum buf_class { BUF_1, BUF_8, BUF_32, BUF_CLASSES };

struct buf_pool {
	uint8_t *mem;
	uint32_t blocks; /* per buffer */
	uint32_t total, nfree;
	uint32_t *free; /* stack of indices */
};

/* A promise that was asked for and is not answered yet. */
enum promise_phase { PROMISE_NONE, PROMISE_DRAIN, PROMISE_WRITE, PROMISE_LEASE };

struct promise {
	enum promise_phase phase;
	uint32_t epoch, peer;
	struct xbd_uuid owner;
	uint8_t slot;
	uint64_t stamp, ver;
};

/* Volatile part of a shard. */
struct rshard {
	uint32_t id;
	bool used;
	bool state_busy;      /* a STORE_STATE or STORE_DROP is running */
	bool comp_dirty;      /* comp is ahead of the durable one */
	uint32_t writing;     /* store operations that change blocks and are running */
	uint32_t owner_peer;  /* where the owner's answers go */
	uint64_t lease_until; /* ns; 0 = none */
	uint32_t lease_epoch; /* it was granted in; 0 = not known */
	uint64_t comp;	      /* complete point, maybe not durable yet; counts if A == prom */
	uint64_t state_at;    /* when the state was last written */
	uint64_t stale_at;    /* when STALE was last sent */
	struct promise promise;
};

/* One operation: a write or repair in assembly or on disk, a read, a listing, a state change. */
struct rop {
	struct store_op s;
	bool on_disk; /* WRITE, REPAIR: complete and handed to the store */
	uint8_t type; /* message type that asked */
	uint8_t flags;
	uint8_t class; /* buffer class, BUF_CLASSES = none */
	uint32_t buf_index;
	uint32_t shard, block, count;
	uint64_t ver, expect, content; /* request's ver; REPAIR: expected and content versions */
	uint64_t stamp;
	uint32_t peer;
	bool retry;	       /* the sender asked for an answer */
	struct xbd_units have; /* fragments present */
	uint64_t active_at, gap_at, gap_ns;
	struct rop *hash_next;
	struct rop *prev, *next; /* assembly list by activity; free list by next */
	uint32_t crc[XBD_OP_BLOCKS];
	union {
		struct store_block blocks[XBD_OP_BLOCKS];
		struct xbd_list_entry list[XBD_REGION_BLOCKS];
		uint32_t regions[XBD_REGIONS_MAX];
		struct xbd_state state;
	} u;
};

struct queued_ack {
	uint32_t peer;
	uint32_t shard;
	struct xbd_ack a;
	uint64_t stamp;
};

struct done_entry {
	uint64_t ver;
	uint32_t shard, block;
	uint32_t count;
};

struct replica {
	struct replica_config cfg;
	struct replica_ops ops;
	void *ctx;
	struct store *store;
	struct store_info info; /* as of start */
	uint64_t now, start_ns, lease_ns, grace_ns;
	struct replica_counters n;

	uint16_t index[XBD_SHARDS_MAX]; /* shard id -> rshard + 1 */
	struct rshard *shards;
	uint32_t nshards, shards_max;

	struct rop *rops;
	uint32_t ops_max, ops_used;
	struct rop *free_ops;
	struct rop **hash;
	uint32_t hash_mask;
	struct rop *asm_head, *asm_tail; /* oldest activity first */
	struct buf_pool pool[BUF_CLASSES];

	struct queued_ack acks[ACKS_QUEUED];
	uint32_t nacks;
	struct done_entry done[DONE_SLOTS];
};

/* replica.c */
struct rshard *rep_shard(struct replica *r, uint32_t id);
struct rshard *rep_shard_add(struct replica *r, uint32_t id);
const struct xbd_state *rep_state(const struct replica *r, uint32_t shard);
void rep_send(struct replica *r, uint32_t peer, const struct xbd_send *s);
/* Answer m with type and status; echoes ver, block, count and stamp. */
void rep_reply(struct replica *r, const struct xbd_msg *m, uint32_t peer, uint8_t type,
	       uint8_t status);
uint8_t rep_slot(const struct replica *r, uint32_t shard);
uint8_t rep_status(int err);
/* Answer m with STALE: `prom` is promised. */
void rep_stale(struct replica *r, const struct xbd_msg *m, uint32_t prom);
uint32_t rep_owner_peer(const struct rshard *sh, const struct xbd_msg *m);
void rep_note(struct replica *r, enum replica_note what, uint32_t shard, uint64_t arg);

/* buffers.c */
int rep_pools_init(struct replica *r);
void rep_pools_free(struct replica *r);
struct rop *rep_op_get(struct replica *r);
void rep_op_put(struct replica *r, struct rop *op);
bool rep_buf_get(struct replica *r, struct rop *op, uint32_t count);
uint64_t rep_window(const struct replica *r);

/* ack.c */
void rep_ack(struct replica *r, const struct rop *op, uint8_t status);
void rep_ack_partial(struct replica *r, struct rop *op);
void rep_acks_flush(struct replica *r);
void rep_done_add(struct replica *r, const struct rop *op);
bool rep_done_find(const struct replica *r, const struct xbd_hdr *h);
void rep_ack_again(struct replica *r, struct rshard *sh, const struct xbd_msg *m);

/* write.c */
void rep_on_write(struct replica *r, struct rshard *sh, const struct xbd_msg *m);
void rep_on_repair(struct replica *r, struct rshard *sh, const struct xbd_msg *m);
void rep_assembly_tick(struct replica *r);
void rep_assembly_drop(struct replica *r, uint32_t shard);
uint64_t rep_assembly_deadline(const struct replica *r);

/* read.c */
void rep_on_read(struct replica *r, struct rshard *sh, const struct xbd_msg *m);
void rep_on_list(struct replica *r, struct rshard *sh, const struct xbd_msg *m);
void rep_on_regions(struct replica *r, struct rshard *sh, const struct xbd_msg *m);

/* control.c */
void rep_on_join(struct replica *r, struct rshard *sh, const struct xbd_msg *m);
void rep_on_sync(struct replica *r, struct rshard *sh, const struct xbd_msg *m);
void rep_on_accept(struct replica *r, struct rshard *sh, const struct xbd_msg *m);
void rep_on_create(struct replica *r, const struct xbd_msg *m);
void rep_on_retire(struct replica *r, const struct xbd_msg *m);
void rep_on_info(struct replica *r, const struct xbd_msg *m);
/* Write `op->u.state`; op->type says what is answered when it is durable. */
void rep_state_submit(struct replica *r, struct rshard *sh, struct rop *op);
/* Start from the current state, complete point included. NULL = busy or no memory: drop, the
 * sender asks again. */
struct rop *rep_state_begin(struct replica *r, struct rshard *sh, const struct xbd_msg *m);

/* promise.c */
void rep_on_promise(struct replica *r, const struct xbd_msg *m);
void rep_promise_step(struct replica *r, struct rshard *sh);
void rep_promise_durable(struct replica *r, struct rshard *sh);
void rep_on_lease(struct replica *r, struct rshard *sh, const struct xbd_msg *m);
void rep_on_release(struct replica *r, const struct xbd_msg *m);

#endif
