/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One replica on a fake store, and the test in the place of everybody else: it sends messages (as
 * packets, through the codec), looks at what the replica sends, lets disk operations end and time
 * pass. Shard 1 is held from the start: created in epoch 1, synced, three members.
 */
#ifndef XBD_TEST_RIG_H
#define XBD_TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "core/samples.h"
#include "fake_store.h"
#include "replica/replica.h"

#define SHARD	 1u
#define ALICE	 0xa1 /* an owner; also the address of its packets */
#define BOB	 0xb2
#define MS	 1000000ull
#define LEASE	 (600 * MS)
#define GRACE	 (660 * MS) /* as long as a store waits for a lease */
#define SENT_MAX 256u

/* A copy of what the replica sent. */
struct sent {
	uint32_t to;
	struct xbd_send s; /* body, crc, vers, skip point into the copy */
	struct xbd_units skip;
	uint32_t crc[XBD_OP_BLOCKS];
	uint64_t vers[XBD_OP_BLOCKS];
	uint8_t *body;
};

struct rig {
	struct store *st;
	struct replica *r;
	struct replica_config cfg;
	uint64_t now;
	uint32_t frag_len;
	uint64_t reqno;
	struct sent sent[SENT_MAX];
	unsigned nsent, taken;
	uint32_t fence[FAKE_SHARDS];
	unsigned fences, notes[REPLICA_NOTE_DISK + 1];
	struct replica_counters n; /* as of rig_count */
};

/* Use as cmocka's setup and teardown; *state is the rig. Teardown fails if anything leaks. */
int rig_setup(void **state);
int rig_teardown(void **state);
/* Stop the replica as a crash would (no disk operations may be under way) and start it again. */
void rig_restart(struct rig *g);

/* A request of `type` inside `epoch`, with a number of its own and no body. */
struct xbd_send rig_ask(struct rig *g, uint8_t type, uint32_t epoch);
/*
 * WRITE of blocks [block, block + count) with version `ver`, or REPAIR to it (count 1, the version
 * held must be `expect`). The content follows from version and block: rig_content. It lies in one
 * place: send a message before the next is made.
 */
struct xbd_send rig_write(uint64_t ver, uint32_t block, uint16_t count);
struct xbd_send rig_repair(struct rig *g, uint32_t epoch, uint32_t block, uint64_t expect,
			   uint64_t ver);
void rig_content(uint8_t *block_data, uint64_t ver, uint32_t block);

/* Send all packets of s from address `from`, then end the turn. */
void rig_send(struct rig *g, uint32_t from, const struct xbd_send *s);
/* One packet, without the end of the turn. */
void rig_packet(struct rig *g, uint32_t from, const struct packet *p);
void rig_flush(struct rig *g);
void rig_promise(struct rig *g, uint32_t owner, uint32_t epoch);
void rig_lease(struct rig *g, uint32_t owner, uint32_t epoch, uint64_t commit);
void rig_sync(struct rig *g, uint32_t owner, uint32_t epoch);
/* PROMISE and SYNC, ended and answered; the answers are taken. */
void rig_own(struct rig *g, uint32_t owner, uint32_t epoch, bool sync);
/* Let time pass, with ticks at every deadline. */
void rig_pass(struct rig *g, uint64_t ns);

/* The next message sent; the test fails if its type or receiver is another. */
const struct sent *rig_sent(struct rig *g, uint8_t type, uint32_t to);
/* Nothing (more) was sent. */
void rig_silent(struct rig *g);
const struct xbd_state *rig_state(struct rig *g);
const struct fake_block *rig_block(struct rig *g, uint32_t block);
struct replica_counters rig_counters(struct rig *g);
struct xbd_uuid rig_uuid(uint8_t b);

#endif
