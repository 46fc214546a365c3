/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a store may hold, given what was asked of it and what it has acknowledged. Per block a set
 * of possible states and the operations in flight, each of which may have taken effect or not. A
 * state is a version; what the content is follows from the version (content_of).
 */
#ifndef XBD_TEST_MODEL_H
#define XBD_TEST_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_SHARDS  2u
#define MODEL_BLOCKS  80u /* per shard */
#define MODEL_STATES  64u
#define MODEL_PENDING 64u

enum content { DATA_C, ZERO_C, TRIM_C, HOLE_C };

enum model_kind { M_PUT, M_REPAIR, M_DROP };

struct model_op {
	uint8_t kind;
	uint64_t ver, expect;
};

struct states {
	uint64_t v[MODEL_STATES];
	unsigned n;
};

struct model_block {
	struct states may;
	struct model_op pending[MODEL_PENDING];
	unsigned npending;
	uint64_t acks;			   /* operations acknowledged so far */
	uint64_t log[MODEL_PENDING], nlog; /* versions submitted, the last ones */
};

static inline enum content content_of(uint64_t ver)
{
	return ver ? (enum content)(ver % 4 == 3 ? DATA_C : ver % 4) : HOLE_C;
}

void states_add(struct states *s, uint64_t ver);
bool states_has(const struct states *s, uint64_t ver);

void model_submit(struct model_block *b, const struct model_op *op);
/* The operation ended; ok = it took effect or was superseded. False = that cannot be. */
bool model_ack(struct model_block *b, const struct model_op *op, bool ok);
/* Was this version submitted after the log had `since` entries? (Or are they forgotten.) */
bool model_since(const struct model_block *b, uint64_t since, uint64_t ver);
/* All states that are possible now. */
void model_now(const struct model_block *b, struct states *out);
/* The block was seen to be in this durable state. False = that cannot be. */
bool model_seen(struct model_block *b, uint64_t ver);
/* After a crash: as model_seen, and nothing is in flight any more. */
bool model_recovered(struct model_block *b, uint64_t ver);

#endif
