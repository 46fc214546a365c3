/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One trial: random work on a small store, checked against the model (model.h) operation by
 * operation, and as a whole after each power cut. Made from its seed alone; a failure prints it.
 */
#ifndef XBD_TEST_TRIAL_H
#define XBD_TEST_TRIAL_H

#include "model.h"
#include "rig.h"

#define OPS 48u /* in flight */

struct slot {
	struct store_op op;
	bool busy;
	struct model_op m;
	struct xbd_state state;
	struct store_block blocks[XBD_OP_BLOCKS];
	uint32_t crc[XBD_OP_BLOCKS];
	uint8_t *buf;
	struct states may[XBD_OP_BLOCKS]; /* READ: possible when submitted */
	uint64_t acks[XBD_OP_BLOCKS];
	uint64_t since[XBD_OP_BLOCKS]; /* READ: b->nlog when submitted */
	uint32_t prom;
};

struct trial {
	uint64_t seed, rng;
	struct rig rig;
	struct slot ops[OPS];
	unsigned busy;
	struct model_block block[MODEL_SHARDS][MODEL_BLOCKS];
	uint32_t prom_acked[MODEL_SHARDS], prom_sent[MODEL_SHARDS];
	uint64_t version;
	unsigned crashes, repairs, states, drops; /* per 1000 */
	unsigned ckpt_crashes;
	bool faults;   /* disk errors are injected: -XBD_EFAILED and damaged reads may be */
	unsigned pace; /* disk ops ended per turn, about twice */
};

struct trial_total {
	uint64_t crashes, in_recovery, ops, acked, reads, runs, failed, bad, blocks;
	uint64_t checkpoints;
};

extern struct trial_total total;

/* A new store with its shards; parameters drawn from the seed, sizes too. */
struct trial *trial_new(uint64_t seed);
void trial_free(struct trial *r);
uint64_t trial_rand(struct trial *r, uint64_t n);
void trial_check(struct trial *r, bool ok, const char *what);
/* `turns` of submitting, kicking and disk progress; crashes and checks by its parameters. */
void trial_work(struct trial *r, unsigned turns);
/* Until nothing is in flight. */
void trial_settle(struct trial *r);
/* Power cut, recovery (cut again now and then), check of everything. */
void trial_crash(struct trial *r);
/* Power cut only; open is the caller's. */
void trial_cut(struct trial *r);
/* One try to open: 0 or error. */
int trial_open(struct trial *r);
/* Everything is as the model says. */
void trial_check_all(struct trial *r);

#endif
