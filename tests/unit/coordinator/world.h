/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One coordinator, and the test in the place of its stores, its clients and the clock. A store is
 * played by a small model that answers at once; a test makes it silent, or holds back messages of
 * some types and answers them itself, rightly or not. After every step it is checked that the
 * coordinator asks to be woken if anything is left to do.
 */
#ifndef XBD_TEST_WORLD_H
#define XBD_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "coordinator/coordinator.h"

#define SHARD  9u
#define BLOCKS 65536u /* of the volume, one shard */
#define BLOCK  XBD_BLOCK_SIZE
#define NODES  3u
#define MS     1000000ull

struct held {
	struct xbd_send s; /* pointers into the copies */
	struct xbd_units skip;
	uint32_t crc[XBD_OP_BLOCKS];
	uint8_t *body;
	uint32_t node;
	struct held *next;
};

struct pblock {
	uint64_t ver;
	uint32_t crc, flags;
	uint8_t *data;
};

/* What a store is and has. */
struct pstore {
	bool silent;   /* hears nothing, says nothing */
	uint32_t hold; /* bit per type: kept for the test */
	bool shard;    /* it holds the shard */
	struct xbd_state st;
	struct pblock *block;
	unsigned got[XBD_T_END]; /* messages by type, held ones too */
	uint64_t comp;		 /* of the last LEASE */
};

/* One client request; its buffer is of the test's until `done`, and again from `released` on. */
struct want {
	struct co_req r;
	struct world *w;
	bool done, released;
};

struct world {
	struct co *co;
	struct co_config cfg;
	struct co_shard_config shard;
	uint64_t now;
	struct pstore store[NODES];
	struct held *held; /* oldest first */
	struct answer *answers, **answers_end;
	struct want *wants[512]; /* not released yet */
	unsigned nwants;
	unsigned notes[CO_NOTE_BLANK + 1];
	uint64_t note_arg[CO_NOTE_BLANK + 1];
	struct co_counters n;
};

/* cmocka's setup and teardown: a new cluster, created and never opened; *state is the world. */
int world_setup(void **state);
int world_teardown(void **state);
/* The same, opened and serving with all three stores. */
int world_setup_open(void **state);
/* Build the coordinator again, from w->cfg. For tests that change the configuration. */
void world_new_co(struct world *w);

/* Hand in all answers there are, tick, until nothing happens any more; time stands. */
void world_step(struct world *w);
/* Let time pass, with ticks when they are asked for. */
void world_run(struct world *w, uint64_t ns);

/* A request, submitted. Its buffer holds `tag` in every byte if it is a WRITE, else 0xee. */
struct want *world_submit(struct world *w, enum co_kind kind, uint64_t offset, uint32_t len,
			  uint8_t tag);
/* The same; the test fails unless it is done with 0 without time passing. */
struct want *world_do(struct world *w, enum co_kind kind, uint64_t offset, uint32_t len,
		      uint8_t tag);
/* Every byte that was asked for is `tag`. */
bool world_is(const struct want *q, uint8_t tag);

/* Keep messages of this type to this store. */
void world_hold(struct world *w, uint32_t node, uint8_t type);
/* Do not keep them any more; what is kept so far is answered by the model now. */
void world_let(struct world *w, uint32_t node, uint8_t type);
/* Take the oldest message kept; the test fails if there is none. Free it by world_drop/answer. */
struct held *world_take(struct world *w, uint32_t node, uint8_t type);
unsigned world_kept(const struct world *w, uint32_t node, uint8_t type);
void world_drop(struct held *h);
/* Answer as the model does. */
void world_answer(struct world *w, struct held *h);
/* An answer of the test's own making to h: type, status; `edit` of the header by the caller. */
struct xbd_hdr world_reply_to(const struct held *h, uint8_t type, uint8_t status);
/* Queue a message from `node`. */
void world_say(struct world *w, uint32_t node, const struct xbd_hdr *h, const void *body);
void world_ack(struct world *w, const struct held *h, uint8_t flags, uint8_t status);

/* The content of a block at a store, set behind everybody's back. */
void store_put(struct pstore *p, uint32_t block, uint64_t ver, uint8_t tag);
bool store_is(const struct pstore *p, uint32_t block, uint8_t tag);

struct co_shard_status world_status(struct world *w);
struct co_counters *world_counters(struct world *w);
struct xbd_uuid world_uuid(uint8_t b);

#endif
