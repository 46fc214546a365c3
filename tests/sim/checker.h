/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checker: what clients may see, by the promise to the user alone. It knows nothing of the
 * protocol but which coordinator serves from when on.
 *
 * Every block is an atomic register, strict over crashes. Each write has content of its own in each
 * block, so a read names the write that it saw. Time is a counter of the checker's calls.
 *
 *  - Of each write: `inv` when it was issued; `first`, the earliest end of an operation that proves
 *    it in effect (its own completion, a read that saw it), or the moment a later coordinator began
 *    to serve, if it was pending then: whatever that one found is decided at that moment.
 *  - Of each write and cell: `last`, the latest begin of an operation that proves it still current.
 *
 * If first < last, the write must be current all that time (a forward zone); else it took effect
 * at some moment from last to first (a backward zone). A history is linearizable iff no two forward
 * zones of a cell overlap and no backward zone lies within a forward one (Gibbons and Korach,
 * 1997). Writes that were pending at a crash and are never seen do not count.
 *
 * A dead write is one whose coordinator had a serving successor before it was issued, or never
 * served and is gone: seeing it, or its completion, is a violation.
 *
 * Blocks are split into cells so that writes of parts of blocks can be told apart; a write of
 * several cells of one block is still atomic. Zeroes have no author: a ZERO is only allowed where
 * no confusion can come of it (checker_may_zero).
 */
#ifndef SIM_CHECKER_H
#define SIM_CHECKER_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"

#define CELLS_MAX	     8u
#define CHECKER_WRITE_BLOCKS 32u /* in one write */
#define CHECKER_SHARDS	     2u
#define CHECKER_INSTANCES    256u

struct part;
struct cblock;
struct cwrite;

struct cinst {
	bool ended;
	uint32_t epoch[CHECKER_SHARDS]; /* last served; 0 = never */
	uint64_t cap[CHECKER_SHARDS];	/* when a successor began to serve */
	uint32_t heir[CHECKER_SHARDS];	/* ... and his epoch */
	struct cwrite *pending;
};

struct cserve {
	uint64_t at;
	uint32_t inst, shard, epoch;
};

struct checker {
	struct arena *arena;
	void (*fail)(void *ctx, const char *text); /* does not return */
	void *ctx;
	uint64_t now;
	uint32_t blocks, boundary; /* blocks >= boundary belong to shard 1 */
	uint32_t cells;
	uint16_t edge[CELLS_MAX + 1]; /* byte offsets of the cells in a block */
	struct cblock *block;
	struct part **part; /* by id - 1 */
	uint32_t nparts, parts_max, nwrites;
	struct cwrite *init;
	struct cinst inst[CHECKER_INSTANCES];
	struct cserve serve[1024];
	uint32_t nserves;
	uint64_t last_serve[CHECKER_SHARDS];
	uint32_t last_server[CHECKER_SHARDS];
};

void checker_init(struct checker *c, struct arena *a, uint32_t blocks, uint32_t boundary,
		  uint32_t writes_max);

void checker_instance(struct checker *c, uint32_t inst);
/* The instance is gone: none of its requests will be answered. */
void checker_ends(struct checker *c, uint32_t inst);
void checker_serving(struct checker *c, uint32_t inst, uint32_t shard, uint32_t epoch);

/* May a write / a zero of this block be issued now? */
bool checker_may_write(const struct checker *c, uint32_t block);
bool checker_may_zero(const struct checker *c, uint32_t inst, uint32_t block);

/* A write is issued: `n` blocks from `block`; of the first block the cells from `from` on, of the
 * last one the cells before `to`. */
struct cwrite *checker_write(struct checker *c, uint32_t inst, uint32_t block, uint32_t n,
			     uint32_t from, uint32_t to, bool zero);
void checker_fill(const struct checker *c, const struct cwrite *w, uint8_t *buf);
void checker_write_done(struct checker *c, struct cwrite *w, bool ok);

/* A read is issued; pass the result to checker_read_done, block by block. */
uint64_t checker_read(struct checker *c, uint32_t block, uint32_t n);
void checker_read_done(struct checker *c, uint32_t inst, uint64_t inv, uint32_t block,
		       uint32_t from, uint32_t to, const uint8_t *data);
/* The read that was issued at inv ended, whatever came of it. */
void checker_read_end(struct checker *c, uint64_t inv, uint32_t block, uint32_t n);
/* A map query said that the block is zero. */
void checker_map_zero(struct checker *c, uint32_t inst, uint64_t inv, uint32_t block);

#endif
