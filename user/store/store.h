/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store: versioned, checksummed 4 KiB blocks of many shards on one disk (see format.h).
 *
 * Pure logic over `struct disk`: no system calls, no clock, no allocation after store_open. All of
 * an op's memory belongs to its caller; the store uses it from store_submit until `done`, which is
 * called exactly once and never from inside store_submit. Completed changes are durable (acked =
 * on stable storage). Ops on the same block are ordered by their versions, not by submission:
 * STORE_WRITE and STORE_ZERO take effect per block only where `ver` is higher than the version
 * held (lower ones complete with 0 and change nothing, once the higher version is durable).
 */
#ifndef XBD_STORE_H
#define XBD_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"
#include "store/disk.h"

struct store;

enum store_kind {
	STORE_WRITE,   /* blocks with data, one version for all */
	STORE_ZERO,    /* blocks become zeroes; STORE_F_TRIM: give the space back */
	STORE_READ,    /* blocks with versions and checksums; every block's checksum is verified */
	STORE_REPAIR,  /* one block: takes effect iff the version held == expect; may lower it */
	STORE_LIST,    /* versions of the XBD_REGION_BLOCKS blocks from `block` */
	STORE_REGIONS, /* numbers of regions >= block that hold a version > ver, or a bad block */
	STORE_STATE,   /* replace the shard's struct xbd_state (created if absent) */
	STORE_DROP,    /* drop the shard's blocks; state becomes the one given (a tombstone) */
};

#define STORE_F_TRIM 0x01 /* ZERO, REPAIR: space is given back, flag kept in the table */
#define STORE_F_ZERO 0x02 /* REPAIR: content is zeroes, no buf */

/* Outcome of one block of a STORE_READ. */
struct store_block {
	uint64_t ver;	/* version held; 0 = never written */
	uint32_t crc;	/* seeded checksum; 0 = zeroes (nothing put into buf's place but zeroes) */
	uint32_t flags; /* XBD_F_BAD, or what the content is: XBD_F_ZERO if zeroes or never written,
			 * XBD_F_ZERO | XBD_F_TRIM if trimmed. LIST: never written has no flag. */
};

struct store_op {
	uint8_t kind;	/* enum store_kind */
	uint8_t flags;	/* STORE_F_* */
	uint16_t count; /* blocks: WRITE, READ <= XBD_OP_BLOCKS; ZERO <= XBD_RANGE_BLOCKS;
			 * REPAIR 1; REGIONS: room in `regions`, out: numbers filled in */
	int32_t res;	/* out: 0 or negative error. -ESTALE: REPAIR found another version.
			 * -XBD_ENOTFOUND: no such shard. -ENOSPC. -XBD_EFAILED: disk failed.
			 * -EINPROGRESS never. READ of a damaged block is 0 with XBD_F_BAD set. */
	uint32_t shard;
	uint32_t block;	 /* first block (REGIONS: first region) */
	uint64_t ver;	 /* version (REGIONS: since) */
	uint64_t expect; /* REPAIR: version that must be held; out: version held afterwards */
	uint8_t *buf;	 /* WRITE, READ, REPAIR: count * XBD_BLOCK_SIZE bytes, 4096-aligned */
	union {
		const uint32_t *crc;	       /* WRITE, REPAIR: checksum of each block, verified by
						* the caller already (crc32c_block) */
		struct store_block *blocks;    /* READ: count entries out */
		struct xbd_list_entry *list;   /* LIST: XBD_REGION_BLOCKS entries out */
		uint32_t *regions;	       /* REGIONS: out */
		const struct xbd_state *state; /* STATE, DROP: copied at submit */
	};
	uint32_t more; /* REGIONS out: 1 = more regions follow the last one given */
	void (*done)(struct store_op *op);
	void *owner;	       /* caller's */
	uint64_t cookie;       /* caller's */
	struct store_op *next; /* the caller's before submit, the store's until done */
};

struct store_info {
	struct xbd_uuid uuid, cluster; /* store_open changes the UUID if metadata is lost */
	uint64_t boot;		       /* raised durably by every store_open */
	uint64_t slots, slots_free;    /* 4 KiB data slots */
	uint32_t shards, shards_max;
	uint64_t mem_bytes; /* memory taken at open */
	uint64_t disk_bytes;
	bool failed; /* a disk error took the store out of service */
	int fail_error;
};

/* Counters: X(name, text) */
#define STORE_COUNTERS(X)                                                                          \
	X(writes, "write operations completed")                                                    \
	X(blocks_written, "blocks written")                                                        \
	X(superseded, "blocks not written because a newer version was held")                       \
	X(reads, "read operations completed")                                                      \
	X(blocks_read, "blocks read and verified")                                                 \
	X(blocks_bad, "blocks whose checksum did not match")                                       \
	X(repairs, "blocks repaired")                                                              \
	X(zeroes, "zero and trim operations completed")                                            \
	X(disk_reads, "disk reads issued")                                                         \
	X(disk_writes, "disk writes issued")                                                       \
	X(disk_write_bytes, "bytes written to disk")                                               \
	X(disk_flushes, "flushes issued")                                                          \
	X(journal_writes, "journal blocks written")                                                \
	X(journal_records, "journal records written")                                              \
	X(checkpoints, "checkpoints completed")

struct store_counters {
#define X(name, text) uint64_t name;
	STORE_COUNTERS(X)
#undef X
};

struct store_format_args {
	struct xbd_uuid uuid, cluster; /* random, chosen by the caller */
	uint32_t shards_max;	       /* 0 = default */
	uint64_t journal_bytes;	       /* 0 = default */
	uint64_t seed;		       /* of the store's checksums, random */
};

/*
 * Formatting, opening and closing are state machines too: they submit disk ops and call
 * `done(ctx, err)` once. store_new allocates what formatting needs (NULL = no memory), store_open
 * all the rest, sized by the disk (-ENOMEM); nothing is allocated after that. After a failed open
 * only store_free may follow. store_close wants store_kick to be called until it is done.
 */
struct store *store_new(struct disk *disk);
void store_free(struct store *st);
void store_format(struct store *st, const struct store_format_args *args,
		  void (*done)(void *ctx, int err), void *ctx);
/* err: -XBD_EFORMAT, -XBD_ETOOSMALL, -XBD_ECORRUPT, -EIO ... ; store_why() tells the story. */
void store_open(struct store *st, void (*done)(void *ctx, int err), void *ctx);
/* Checkpoint and mark clean; after done only store_free may follow. */
void store_close(struct store *st, void (*done)(void *ctx, int err), void *ctx);

void store_submit(struct store *st, struct store_op *op);

/*
 * Work put off to form groups (journal commit) starts here: call once per event-loop turn, after
 * all events of the turn have been handed in.
 */
void store_kick(struct store *st);
/* True while an idle store still wants to be kicked now and then: it will seal its journal, so that
 * damage to the last group cannot be taken for a write that never ended. */
bool store_wants_kicks(const struct store *st);

/* State of a shard, valid until the next STORE_STATE of it completes; NULL = not held. */
const struct xbd_state *store_state(const struct store *st, uint32_t shard);
/* Shard ids held, in any order: fills up to `max`, returns how many there are. */
size_t store_shards(const struct store *st, uint32_t *ids, size_t max);
void store_info(const struct store *st, struct store_info *out);
void store_counters(const struct store *st, struct store_counters *out);
/* One line on the last error of open, format or a failure. Never NULL. */
const char *store_why(const struct store *st);

#endif
