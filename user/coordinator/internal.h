/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the coordinator: its tables and the functions its files share. */
#ifndef XBD_COORDINATOR_INTERNAL_H
#define XBD_COORDINATOR_INTERNAL_H

#include "base/assert.h"
#include "base/error.h"
#include "base/uuid.h"
#include "coordinator/coordinator.h"
#include "core/rules.h"

#define NS_US	      1000ull
#define NS_MS	      1000000ull
#define RTO_MAX_NS    (250 * NS_MS)
#define CTL_FIRST_NS  (20 * NS_MS) /* first repetition of a control message */
#define CTL_MAX_NS    (200 * NS_MS)
#define GATHER_NS     (30 * NS_MS)   /* wait for more promises once a majority is there */
#define PAIR_WAIT_NS  (200 * NS_MS)  /* ... and for the second store of a pair to be synced */
#define NEWCOMER_NS   (1000 * NS_MS) /* ... and for one that is to become a member */
#define GATHER_MAX_NS (1000 * NS_MS)
#define UNRESOLVED_NS (5000 * NS_MS) /* a majority is there, but not the right one: ask again */
#define STUCK_NS      (1500 * NS_MS) /* opening without progress: start over */
#define DOWN_NS	      (500 * NS_MS)  /* silent that long although asked: down */
#define FAILED_NS     (5000 * NS_MS) /* a failed store is tried again after that long */
#define READ_FIRST_NS (10 * NS_MS)   /* least patience with a read */
#define JOBS_MAX      16u	     /* regions compared and repaired at a time */
#define HASH_SIZE     4096u	     /* region hash, power of two */
#define BAD_MAX	      256u
#define SCRATCH_MAX   64u /* read-modify-writes at a time */

struct cop;

/* Asks `ask` which regions changed since a version and marks them in the lag maps of `mark`. */
struct scan {
	bool needed, done;
	uint8_t ask;  /* slot */
	uint8_t mark; /* slots */
	uint64_t since;
	uint32_t next;	/* region */
	uint64_t reqno; /* of the question on its way; 0 = none */
	uint64_t at;	/* when to ask again */
	uint64_t backoff_ns;
};

struct rep {
	uint8_t node; /* XBD_SLOT_NONE: slot not used */
	bool replied; /* PROMISED in this epoch */
	bool noshard, voter, joined, synced, accepted;
	bool foreign; /* its UUID is not the record's for this slot */
	bool alive;
	uint64_t asked_at;   /* asked_at: first unanswered question; 0 = none */
	uint64_t failed_at;  /* disk error reported; 0 = none */
	struct xbd_state st; /* as PROMISED */
	uint32_t anc;	     /* learner: common ancestor */
	struct scan scan[2]; /* [0] asks itself, [1] asks a voter on its behalf */
	uint8_t ctl;	     /* type of the control message on its way, 0 = none */
	uint64_t ctl_at, ctl_backoff_ns;
	uint64_t lease_until;
	uint64_t srtt, rttvar, rto; /* ns */
	uint64_t inflight_bytes;
	uint32_t reads;
	uint64_t *lag; /* bitmap of regions that may differ */
	uint64_t nlag, lag_cursor;
	uint64_t repaired;  /* since it began to lag */
	uint64_t synced_at; /* when it said so */
	uint64_t hold;	    /* writes up to this version make up for repairs left out: until it has
			     * acknowledged them it is not complete */
	uint64_t comp;
};

enum job_step { JOB_LIST, JOB_READ, JOB_REPAIR, JOB_STUCK };

/* Compare one region on all stores that matter, make them equal. */
struct job {
	bool used;
	bool again; /* something kept it from finishing: the region stays marked */
	enum job_step step;
	uint32_t region;
	uint8_t ask, have;	/* slots whose LIST is wanted, and here */
	uint8_t fix;		/* slots to make equal */
	uint8_t source, target; /* slots READ from and REPAIRed */
	uint8_t block;		/* index in the region being worked on */
	uint64_t want;		/* version all shall have of that block */
	uint32_t want_flags;
	uint64_t reqno[XBD_SLOTS]; /* of the question to each slot; 0 = none */
	uint64_t at, backoff_ns;
	uint32_t tries;
	struct xbd_units units;
	uint32_t data_crc;
	uint8_t *buf;
	struct xbd_list_entry list[XBD_SLOTS][XBD_REGION_BLOCKS];
};

struct cshard {
	struct co *co;
	uint32_t index, id, blocks, nregions;
	struct xbd_record cat; /* the catalogue's */
	struct xbd_record hi;  /* resolved from */
	struct xbd_record rec; /* our own */
	uint32_t epoch, seen_epoch;
	enum co_shard_phase phase;
	bool served; /* at least once */
	bool suspended;
	bool reopen; /* a new member is filled: open again to count it */
	uint32_t lin[XBD_LINEAGE_MAX], nlin;
	uint64_t base;
	uint32_t newest; /* highest synced epoch among those resolved from: voters have it */
	uint64_t gather_ns;
	uint64_t first_sync_at; /* when the first store was synced in this epoch; 0 = none */
	uint64_t seq, reqno;
	uint64_t majority_at, progress_at, retry_at, lease_at, served_at;
	uint64_t d_change_at; /* D should change since; 0 = no */
	uint64_t jobs_at;     /* look for new jobs not before */
	uint64_t *val;	      /* per block: current version if known in this epoch, else 0 */
	struct rep rep[XBD_SLOTS];
	struct cop **ring;	 /* writes in flight by seq */
	struct cop *head, *tail; /* writes in flight, oldest first */
	struct job *jobs;
	uint32_t njobs;
	uint64_t ninflight;
	uint64_t scan_at; /* next look at the retransmission timers */
};

enum cop_phase {
	COP_FREE,
	COP_BLOCKED,  /* waits for another operation on the same blocks */
	COP_RMW,      /* reads the blocks it covers in part */
	COP_WRITE,    /* sent, not complete */
	COP_COMPLETE, /* done for the client; some replica has not acknowledged */
	COP_READ,
};

struct hlink {
	struct cop *op;
	uint32_t shard, region;
	struct hlink *next, **prevp;
};

struct cop {
	struct co_req *req;
	enum cop_phase phase;
	uint8_t kind; /* enum co_kind */
	struct cshard *sh;
	uint32_t block, count;
	uint64_t ver;
	struct hlink link[2];
	uint8_t nlinks;
	bool wide;		 /* covers many regions: in co->wide, not in the hash */
	struct cop *prev, *next; /* shard's list in seq order, blocked list, wide list, free list */
	struct cop *wnext, **wprevp;
	/* write */
	bool merged; /* COP_RMW: the blocks covered in part are read and merged */
	bool again;  /* was sent in an epoch that is over; linked although COP_BLOCKED: what it
		      * wrote may be visible already, so nothing may overtake it */
	uint8_t sent, acked, voted, lagged;
	uint64_t issued_at;
	uint64_t again_at[XBD_REPLICAS_MAX], partial_at[XBD_REPLICAS_MAX];
	uint8_t tries[XBD_REPLICAS_MAX];
	uint32_t crc[XBD_OP_BLOCKS];
	/* read */
	uint8_t from, tried, bad; /* slot asked; slots that could not; slots with a damaged copy */
	uint64_t reqno, read_at, read_backoff_ns;
	uint32_t read_tries;
	uint8_t *scratch; /* COP_RMW: first and last block as they are, two blocks */
	uint32_t todo;	  /* bit per block still to come */
	struct xbd_units units;
	uint64_t vers[XBD_OP_BLOCKS];
};

struct bad_block {
	uint64_t ver; /* that is damaged */
	uint32_t shard, block;
	uint8_t slot;
	bool used;
};

struct co {
	struct co_config cfg;
	struct co_ops ops;
	void *ctx;
	uint64_t now;
	uint64_t lease_ns, lease_every_ns, rto_min_ns, lag_ns;
	struct cshard *shards;
	struct cop *ops_mem, *free_ops;
	uint32_t ops_used, ring_size;
	struct hlink **hash;
	struct cop *wide;
	struct cop **reads_by_no;	     /* reads in flight by request number */
	struct cop *reads_head, *reads_tail; /* oldest first */
	uint64_t read_scan_at;
	uint8_t *scratch_mem, *scratch_free[SCRATCH_MAX];
	uint32_t nscratch;
	struct cop *blocked_head, *blocked_tail;
	bool unblock;			      /* something ended: look at the blocked ones */
	struct co_req *wait_head, *wait_tail; /* no operation free, or shard not serving */
	struct co_req *done_head, *done_tail;
	struct bad_block bad[BAD_MAX];
	uint64_t prng;
	uint32_t nbad;
	bool dead;
	uint32_t dead_epoch;
	uint64_t mem_bytes;
	struct co_counters n;
};

/* coordinator.c */
void co_send_to(struct cshard *sh, uint8_t slots, const struct xbd_send *s);
void co_note(struct cshard *sh, enum co_note what, uint8_t slot, uint64_t arg);
void co_finish(struct co *co, struct co_req *req, int res);
uint64_t co_random(struct co *co);
uint64_t co_reqno(struct cshard *sh);
void co_fenced(struct cshard *sh, uint32_t epoch);

/* op.c: operations, the conflict table */
void co_op_put(struct co *co, struct cop *op);
void co_op_link(struct cop *op);
void co_op_unlink(struct cop *op);
void co_op_block(struct cop *op);
/* What stands in the way of reading or writing [block, block + count). */
struct overlap {
	bool writing;	   /* a write that is not complete */
	bool merging;	   /* a read-modify-write in its read phase */
	uint8_t holders;   /* slots that acknowledged every complete write there */
	uint8_t receivers; /* slots that the newest write in flight there was sent to */
	uint64_t newest;   /* its version; 0 = none is in flight */
};
struct overlap co_overlap(struct cshard *sh, uint32_t block, uint32_t count,
			  const struct cop *self);
void co_unblock(struct co *co);
/* Give the waiting requests operations. */
void co_drain_waiting(struct co *co);

/* write.c */
/* Bytes of data a write has on its way to each store. */
uint32_t co_write_bytes(const struct cop *op);
/* Where the write with this sequence number is, if it is in flight. */
struct cop **co_write_slot(struct cshard *sh, uint64_t seq);
void co_write_leave(struct cop *op);
void co_write_retire(struct cop *op);
void co_write_try_retire(struct cop *op);
void co_write_lag_out(struct cop *op, uint8_t slot);
void co_write_issue(struct cop *op);
void co_write_start(struct cop *op);
void co_on_ack(struct cshard *sh, uint8_t slot, const struct xbd_msg *m);
void co_write_tick(struct cshard *sh);
uint64_t co_write_deadline(const struct cshard *sh);
/* Does the slot still lack a write that stands for a repair? */
bool co_held(const struct cshard *sh, uint8_t slot);
/* Send the write of this version, if it is not complete, to these slots too. Returns to which. */
uint8_t co_write_include(struct cshard *sh, uint64_t ver, uint8_t slots);
void co_write_rep_down(struct cshard *sh, uint8_t slot);
void co_write_rep_up(struct cshard *sh, uint8_t slot);
void co_write_freeze(struct cshard *sh);
void co_write_again(struct cop *op);
uint8_t co_eligible(const struct cshard *sh);
uint8_t co_targets(const struct cshard *sh);

/* read.c */
void co_read_start(struct cop *op);
/* Read the blocks in op->todo (bit per block) for a read-modify-write. */
void co_read_blocks(struct cop *op);
void co_read_freeze(struct cshard *sh);
void co_on_data(struct cshard *sh, uint8_t slot, const struct xbd_msg *m);
void co_on_map(struct cshard *sh, uint8_t slot, const struct xbd_msg *m);
void co_read_tick(struct co *co);
uint64_t co_read_deadline(const struct co *co);

/* open.c */
void co_open_shard(struct cshard *sh, uint32_t epoch);
void co_reopen(struct cshard *sh);
void co_open_tick(struct cshard *sh);
uint64_t co_open_deadline(const struct cshard *sh);
void co_on_promised(struct cshard *sh, uint8_t slot, const struct xbd_msg *m);
void co_on_control(struct cshard *sh, uint8_t slot, const struct xbd_msg *m);
void co_on_stale(struct cshard *sh, uint8_t slot, const struct xbd_msg *m);

/* resolve.c */
bool co_resolve(struct cshard *sh);
bool co_is_member(const struct cshard *sh, const struct xbd_uuid *uuids,
		  const struct xbd_uuid *witness, uint8_t slot);
void co_make_record(struct cshard *sh);
uint8_t co_voters(const struct cshard *sh);
uint8_t co_synced(const struct cshard *sh);
void co_learner(struct cshard *sh, uint8_t slot);
bool co_is_newcomer(const struct cshard *sh, uint8_t slot);
bool co_have_majority(const struct cshard *sh, const struct xbd_record *q, uint8_t slots);

/* scan.c */
void co_scan_start(struct cshard *sh, uint8_t slot, unsigned which, uint8_t ask, uint8_t mark,
		   uint64_t since);
void co_on_regions(struct cshard *sh, uint8_t slot, const struct xbd_msg *m);
void co_scan_tick(struct cshard *sh);
uint64_t co_scan_deadline(const struct cshard *sh);
bool co_scans_done(const struct cshard *sh, uint8_t slot);

/* lag.c */
void co_lag_mark(struct cshard *sh, uint8_t slot, uint32_t block, uint32_t count);
bool co_lag_test(const struct rep *rep, uint32_t region);
void co_bad_add(struct cshard *sh, uint8_t slot, uint32_t block, uint64_t ver);
/* Is the copy of this version damaged? ver 0: of any version. */
bool co_bad_test(const struct cshard *sh, uint8_t slot, uint32_t block, uint64_t ver);
void co_bad_clear(struct cshard *sh, uint8_t slot, uint32_t block);
/* Next damaged block of a store that can be repaired, UINT32_MAX = none. */
uint32_t co_bad_next(const struct cshard *sh, uint8_t *slot, uint32_t *cursor);

/* jobs.c: which regions are worked on */
void co_jobs_reset(struct cshard *sh);
void co_jobs_tick(struct cshard *sh);
uint64_t co_jobs_deadline(const struct cshard *sh);
bool co_job_on(const struct cshard *sh, uint8_t slot);
void co_job_end(struct cshard *sh, struct job *j);

/* region.c: the steps of one job */
void co_job_send(struct cshard *sh, struct job *j);
bool co_job_list(struct cshard *sh, uint8_t slot, const struct xbd_msg *m);
bool co_job_data(struct cshard *sh, uint8_t slot, const struct xbd_msg *m);
void co_job_repaired(struct cshard *sh, uint8_t slot, const struct xbd_msg *m);

/* lease.c */
/* Leases of a majority are running. */
bool co_lease_valid(const struct cshard *sh);
void co_lease_tick(struct cshard *sh);
void co_on_leased(struct cshard *sh, uint8_t slot, const struct xbd_msg *m);
void co_release(struct cshard *sh);

/* The versions of blocks are still being decided. */
static inline bool co_resolving(const struct cshard *sh)
{
	return sh->phase != CO_SERVING;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline unsigned popcount8(uint8_t x)
{
	return (unsigned)__builtin_popcount(x);
}

static inline uint8_t bit8(unsigned slot)
{
	return (uint8_t)(1u << slot);
}

/* Time a request carried in its stamp was made, from the 56 bits echoed. */
static inline uint64_t stamp_time(uint64_t now, uint64_t stamp)
{
	return now - ((now - stamp) & XBD_STAMP_MASK);
}

#define FOR_SLOTS(sh, i)                                                                           \
	for (uint8_t i = 0; i < XBD_SLOTS; i++)                                                    \
		if ((sh)->rep[i].node != XBD_SLOT_NONE)

#endif
