/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private types of the store. How an operation travels:
 *
 *   store_submit -> (queue) -> start: resources taken all or none, data writes submitted, records
 *   put into the open journal block -> kick: journal written -> data done and journal done
 *   [-> flush, if the cache is volatile] -> durable: table changed, old slots freed -> done
 *
 * Memory holds the durable state only; what is in flight is in transactions (struct txn).
 */
#ifndef XBD_STORE_INTERNAL_H
#define XBD_STORE_INTERNAL_H

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "store/format.h"
#include "store/store.h"

#define TXN_MAX		4096u	   /* operations in flight; more wait in the queue */
#define RUN_MAX		8192u	   /* data reads and writes in flight */
#define GROUP_MAX	32u	   /* journal blocks in one write */
#define CKPT_BUFS	4u	   /* page writes in flight */
#define CKPT_PAGES	64u	   /* pages in one of them */
#define SCRATCH		(1u << 20) /* bytes of one recovery buffer */
#define DISCARD_MAX	1024u	   /* ranges waiting for discard */
#define DISCARD_BUSY	2u	   /* discards in flight */
#define DISCARD_SLOTS	1024u	   /* slots in one discard: 4 MiB */
#define SWEEP_PAGES	16u	   /* table pages of dropped shards cleared in one kick */
#define SEAL_KICKS	64u	   /* idle kicks before the journal is sealed */
#define STATE_MAX	8192u	   /* STATE and DROP operations submitted and not done */
#define JOURNAL_MIN	16u	   /* blocks */
#define READ_ERRORS_MAX 8u	   /* blocks that open may fail to read before it gives up */

struct txn;

/* One contiguous data read or write. */
struct run {
	struct disk_op d;
	struct txn *t;
	uint32_t at;   /* first block, counted from the operation's */
	uint32_t slot; /* first slot */
	uint16_t count;
	uint16_t single; /* READ: 1 + the block being read alone; 0 = whole run */
	uint16_t tries;	 /* READ: times a block had moved */
	uint32_t again;	 /* READ: bit per block that must be read alone */
	struct run *next;
};

/* An operation in flight. */
struct txn {
	struct store_op *op; /* NULL = unused */
	struct shard *sh;
	struct txn *prev, *next; /* operations that change the shard */
	struct txn *step;	 /* journal group, ready, flushing, dwait, go or free list */
	struct txn *repair;	 /* next of the shard's repairs */
	struct run *runs;
	struct store_op *parked, **parked_end; /* operations that wait for this one */
	uint64_t lsn;			       /* journal block of its records */
	uint64_t seq;			       /* order of start */
	uint32_t ios;			       /* data I/O in flight */
	uint32_t new_ext[3], nnew;	       /* extents taken */
	uint32_t waits; /* REPAIR, DROP: earlier operations that must end first */
	bool logged;	/* records are in the journal buffer */
	bool walled;	/* journal block is written */
	bool stepped;	/* on a list of `step` */
};

struct txn_list {
	struct txn *head, **end;
};

struct op_list {
	struct store_op *head, **end;
};

struct shard {
	uint32_t index; /* shard page */
	bool known;	/* in the id map */
	bool held;	/* its state is durable */
	bool dirty, ckpt;
	bool flip;    /* the second copy of its page is written first */
	bool damaged; /* recovery found contents missing */
	uint32_t inflight;
	struct txn *txns;      /* changing operations in flight */
	struct txn *repairs;   /* REPAIRs among them */
	struct txn *drop;      /* DROP waiting or in flight */
	struct fmt_shard page; /* ext[] may name extents that are not live yet */
};

struct extent {
	uint32_t shard;		    /* index of the shard + 1, 0 = free */
	uint32_t index;		    /* number of the extent in the shard */
	uint32_t next;		    /* free and dead lists: number + 1 */
	uint16_t swept;		    /* dead: pages cleared */
	bool live;		    /* its EXTENT record is durable */
	uint64_t dirty[2], ckpt[2]; /* bit per page */
	uint64_t flip[2];	    /* bit per page: the second copy is written first */
	uint64_t lost[2];	    /* recovery: no valid copy */
	uint64_t bad[8];	    /* bit per region: holds or held a bad block */
};

struct slots {
	uint64_t *free, *summary; /* bit per slot (1 = free), bit per word of `free` */
	uint32_t words, sums;
	uint32_t count, nfree, held; /* held: taken by a discard in flight */
	uint32_t cursor;
};

struct range {
	uint32_t slot, count;
};

/* The state of a STATE or DROP from submit to done. */
struct state_copy {
	struct xbd_state state;
	const struct xbd_state *orig;
	struct state_copy *next;
};

struct discard {
	struct disk_op d;
	struct range r;
	bool busy;
};

struct journal {
	uint8_t *buf[2];
	unsigned fill;	      /* buffer being filled */
	uint32_t blocks, off; /* blocks in it, bytes used in the last one (0 = closed) */
	uint64_t lsn;	      /* of the first block in it */
	uint64_t chain;
	uint64_t written;     /* completed journal writes */
	uint64_t wal_durable; /* and on stable storage */
	uint64_t durable;     /* and all data up to there */
	uint64_t told;	      /* highest `durable` written to disk */
	uint64_t last;	      /* highest block with records */
	uint64_t flush_to;    /* `written` when the flush in flight was submitted */
	uint16_t *open;	      /* by lsn % ring: transactions not durable */
	uint32_t ring;
	uint32_t writing_blocks;
	bool writing;
	struct disk_op d;
	struct txn_list group, in_write;
};

struct ckpt_buf {
	struct disk_op d;
	uint8_t *buf;
	bool busy;
};

struct ckpt {
	bool running;
	uint64_t lsn;
	uint32_t copy, ext, page, shard, inflight;
	struct ckpt_buf bufs[CKPT_BUFS];
	void (*done)(struct store *st, int err);
};

/* The one serial activity: format, open, checkpoint, close take turns with it. */
struct serial {
	struct disk_op d;
	void (*next)(struct store *st, int res);
	void (*super_next)(struct store *st, int err);
	uint32_t copy;
	/* robust reads of recovery */
	uint64_t off, len, at;
	uint8_t *buf;
	void (*read_next)(struct store *st);
	uint64_t unread; /* bit per block */
	uint32_t errors; /* blocks that could not be read */
};

struct recover {
	struct store_format_args format;
	uint32_t supers; /* copies read, or wiped by format */
	uint64_t seq;	 /* highest superblock sequence number seen */
	struct fmt_super super[FMT_SUPER_COPIES];
	bool super_ok[FMT_SUPER_COPIES];
	uint32_t shard, ext; /* cursor of loading */
	/* journal */
	uint64_t last;	  /* highest lsn found */
	uint64_t durable; /* highest `durable` found */
	uint64_t pos, n;  /* ring position and number of the blocks in the buffer */
	uint64_t lsn;	  /* block being replayed */
	uint32_t off, i;  /* record in it */
	uint64_t chain;
	bool chained; /* chain is known */
	/* damage */
	uint32_t lost_blocks, lost_pages, lost_shards, dropped;
	uint32_t dup[256], ndup, entry; /* slots named twice; cursor of checking them */
};

enum store_phase { ST_NEW, ST_FORMAT, ST_OPENING, ST_OPEN, ST_CLOSING, ST_CLOSED };

struct store {
	struct disk *disk;
	enum store_phase phase;
	bool failed;
	int fail_error;
	bool delivering, discard_off;
	struct fmt_super *super;	       /* last one written, or being written */
	uint8_t super_order[FMT_SUPER_COPIES]; /* in which its copies are written */
	uint8_t *scratch[2];		       /* SCRATCH bytes each */
	uint8_t *verify;		       /* XBD_OP_BLOCKS blocks */
	uint64_t ckpt_lsn;		       /* the journal after this one is needed */
	uint64_t mem;
	uint32_t ios;	    /* disk ops in flight */
	uint32_t nshards;   /* known */
	uint32_t shard_end; /* shard pages below this were used */
	uint32_t *map;	    /* shard id -> index + 1 */
	struct shard *shards;
	struct extent *extents;
	struct fmt_table *tables;
	uint64_t *region_max;
	uint32_t ext_free, ext_nfree, ext_dead; /* list heads: number + 1 */
	struct slots slots;
	struct range *discards;
	uint32_t ndiscards;
	struct discard discard[DISCARD_BUSY];
	struct journal j;
	struct ckpt ckpt;
	struct serial serial;
	struct recover *rec;
	struct txn *txns, *txn_free;
	struct run *runs, *run_free;
	struct state_copy *states, *state_free;
	uint32_t state_used;
	uint32_t txn_used, txn_busy, run_used, run_busy;
	uint32_t writers, logged; /* changing operations in flight; with records in the journal */
	uint64_t seq;
	struct op_list queue, reads, finished;
	struct txn_list go;	  /* REPAIRs and DROPs that may start */
	struct txn_list ready;	  /* data and journal written */
	struct txn_list flushing; /* flush submitted */
	struct txn_list dwait;	  /* wait for j.durable */
	struct disk_op flush;
	bool flush_busy;
	uint32_t idle_kicks;
	struct store_counters n;
	bool ended, close_ckpt;
	int end_err;
	void (*done)(void *ctx, int err);
	void *ctx;
	char why[160];
};

/* store.c */
void st_io(struct store *st, struct disk_op *d);
void st_why(struct store *st, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void st_fail(struct store *st, int err, const char *what);
void st_serial(struct store *st, uint8_t kind, uint64_t off, void *buf, uint64_t len,
	       void (*next)(struct store *st, int res));
void st_done(struct store *st, int err); /* end of format, open, close */
void st_deliver(struct store *st);
void st_finish_op(struct store *st, struct store_op *op, int res);
void *st_alloc(struct store *st, uint64_t bytes);
void *st_alloc_pages(struct store *st, uint64_t bytes);

static inline void ops_init(struct op_list *l)
{
	l->head = NULL;
	l->end = &l->head;
}

static inline void ops_add(struct op_list *l, struct store_op *op)
{
	op->next = NULL;
	*l->end = op;
	l->end = &op->next;
}

static inline struct store_op *ops_pop(struct op_list *l)
{
	struct store_op *op = l->head;

	if (op) {
		l->head = op->next;
		if (!l->head)
			l->end = &l->head;
	}
	return op;
}

static inline void txns_init(struct txn_list *l)
{
	l->head = NULL;
	l->end = &l->head;
}

static inline void txns_add(struct txn_list *l, struct txn *t)
{
	XBD_ASSERT(!t->stepped);
	t->stepped = true;
	t->step = NULL;
	*l->end = t;
	l->end = &t->step;
}

static inline struct txn *txns_pop(struct txn_list *l)
{
	struct txn *t = l->head;

	if (t) {
		l->head = t->step;
		if (!l->head)
			l->end = &l->head;
		t->stepped = false;
	}
	return t;
}

/* txn.c */
struct txn *txn_get(struct store *st, struct store_op *op, struct shard *sh);
void txn_finish(struct store *st, struct txn *t, int res);
void txn_park(struct txn *t, struct store_op *op);
void txn_data_done(struct disk_op *d);
void txn_check(struct store *st, struct txn *t);
void txn_ready(struct store *st, struct txn *t);
void txn_advance(struct store *st);
void txn_flush(struct store *st);
void txn_fail_all(struct store *st);
struct run *run_get(struct store *st, struct txn *t);

/* layout.c, superblock.c */
int layout_plan(uint64_t bytes, const struct store_format_args *args, struct fmt_super *sb);
int layout_check(const struct fmt_super *sb, uint64_t disk_bytes);
uint32_t page_crc(uint64_t seed, const void *page);
void page_seal(const struct fmt_super *sb, void *page, uint32_t magic);
bool page_ok(const struct fmt_super *sb, const void *page, uint32_t magic);
/* Which copies to write first: those that do not carry the current superblock. */
void super_order(struct store *st, const bool *current);
void super_write(struct store *st, void (*next)(struct store *st, int err));
bool super_valid(const struct fmt_super *sb);
uint64_t super_offset(uint64_t bytes, uint32_t copy);

/* table.c */
int table_alloc(struct store *st);
struct fmt_table *table_page(const struct store *st, uint32_t ext, uint32_t page);
struct fmt_entry *table_entry(const struct store *st, const struct shard *sh, uint32_t block);
void table_set(struct store *st, struct shard *sh, uint32_t block, const struct fmt_entry *e);
void table_mark_bad(struct store *st, struct shard *sh, uint32_t block);
void table_recount(struct store *st, uint32_t ext);
uint32_t table_flags(const struct fmt_entry *e);
uint32_t table_missing(const struct shard *sh, uint32_t block, uint32_t count);
uint32_t extent_take(struct store *st, struct shard *sh, uint32_t index);
void extent_assign(struct store *st, uint32_t ext, struct shard *sh, uint32_t index);
void extent_live(struct store *st, uint32_t ext);
void extents_kill(struct store *st, struct shard *sh);
void extents_sweep(struct store *st, uint32_t pages);
static inline bool slot_real(uint32_t slot)
{
	slot &= ~FMT_SLOT_BAD;
	return slot != FMT_SLOT_NONE && slot != FMT_SLOT_TRIM;
}

/* shard.c */
int shard_alloc(struct store *st);
struct shard *shard_find(const struct store *st, uint32_t id);
struct shard *shard_new(struct store *st, uint32_t id);
void shard_place(struct store *st, uint32_t id, uint32_t index);
void shard_set_state(struct store *st, struct shard *sh, const struct xbd_state *state);
void shard_drop(struct store *st, struct shard *sh, const struct xbd_state *state, uint64_t lsn);
void shard_demote(struct store *st, struct shard *sh);
bool state_start(struct store *st, struct store_op *op);
bool drop_start(struct store *st, struct store_op *op);
bool drop_go(struct store *st, struct txn *t);
void state_durable(struct store *st, struct txn *t);
void drop_durable(struct store *st, struct txn *t);

/* slots.c */
int slots_alloc(struct store *st);
void slots_all_free(struct store *st);
bool slots_take_one(struct store *st, uint32_t slot); /* false: taken already */
uint32_t slots_take(struct store *st, uint32_t want, uint32_t *slot);
void slots_give(struct store *st, uint32_t slot, uint32_t count);
void slots_trimmed(struct store *st, uint32_t slot);
void discard_kick(struct store *st);
uint64_t slot_offset(const struct store *st, uint32_t slot);

/* journal.c */
int journal_alloc(struct store *st);
void journal_start(struct store *st, uint64_t lsn);
bool journal_room(struct store *st, uint32_t bytes);
struct fmt_record *journal_add(struct store *st, uint8_t type, uint32_t shard, uint32_t len);
uint32_t journal_write_len(uint32_t count);
void journal_log(struct store *st, struct txn *t);
void journal_kick(struct store *st);
bool journal_busy(const struct store *st);
bool journal_unsealed(const struct store *st);

/* write.c, read.c, list.c */
bool write_start(struct store *st, struct store_op *op);
bool repair_start(struct store *st, struct store_op *op);
bool repair_go(struct store *st, struct txn *t);
void write_durable(struct store *st, struct txn *t);
bool read_start(struct store *st, struct store_op *op);
int list_run(struct store *st, struct store_op *op);
int regions_run(struct store *st, struct store_op *op);

/* checkpoint.c */
bool checkpoint_due(const struct store *st);
void checkpoint_start(struct store *st, void (*done)(struct store *st, int err));

/* recover.c, replay.c, rebuild.c */
void recover_read(struct store *st, uint64_t off, uint64_t len, uint8_t *buf,
		  void (*next)(struct store *st));
void replay_start(struct store *st);
void recover_rebuild(struct store *st);
void recover_finish(struct store *st, int err);

#endif
