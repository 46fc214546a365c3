/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A store for tests of the replica: the functions of store.h over arrays in memory. Nothing that is
 * submitted ends by itself: the test ends operations, in the order it likes, with the result it
 * likes. What an operation changes is there only from then on.
 */
#ifndef XBD_TEST_FAKE_STORE_H
#define XBD_TEST_FAKE_STORE_H

#include "store/store.h"

#define FAKE_SHARDS 3u
#define FAKE_BLOCKS 256u /* per shard, 4 regions */
#define FAKE_HELD   512u

struct fake_block {
	uint64_t ver;
	uint32_t crc, flags;
	uint8_t data[XBD_BLOCK_SIZE];
};

struct store {
	struct store_info info;
	struct xbd_state state[FAKE_SHARDS];
	bool held[FAKE_SHARDS]; /* shard exists */
	struct fake_block block[FAKE_SHARDS][FAKE_BLOCKS];
	struct fake_op {
		struct store_op *op;
		struct xbd_state state;
	} ops[FAKE_HELD]; /* submitted and not ended, oldest first */
	unsigned nops;
	unsigned submitted[STORE_DROP + 1]; /* by kind */
	unsigned kicks;
};

struct store *fake_new(void);
void fake_free(struct store *st);
/* End the oldest operation with `res`; on 0 it takes effect. The test fails if there is none. */
void fake_end(struct store *st, int res);
/* The same for the oldest operation of one kind. */
void fake_end_kind(struct store *st, enum store_kind kind, int res);
/* End all, also those submitted meanwhile. */
void fake_end_all(struct store *st);

#endif
