/* SPDX-License-Identifier: BSD-2-Clause */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"

struct xbd_uuid rig_uuid(uint8_t b)
{
	struct xbd_uuid u;

	memset(u.b, b, sizeof(u.b));
	return u;
}

static void on_send(void *ctx, uint32_t to, const struct xbd_send *s)
{
	struct rig *g = ctx;
	struct sent *c = &g->sent[g->nsent];

	XBD_ASSERT(g->nsent < SENT_MAX);
	g->nsent++;
	*c = (struct sent){.to = to, .s = *s};
	if (s->body_len) {
		c->body = malloc(s->body_len);
		XBD_ASSERT(c->body);
		memcpy(c->body, s->body, s->body_len);
		c->s.body = c->body;
	}
	if (s->crc) {
		memcpy(c->crc, s->crc, s->count * sizeof(*s->crc));
		c->s.crc = c->crc;
	}
	if (s->vers) {
		memcpy(c->vers, s->vers, s->count * sizeof(*s->vers));
		c->s.vers = c->vers;
	}
	if (s->skip) {
		c->skip = *s->skip;
		c->s.skip = &c->skip;
	}
}

static void on_fence(void *ctx, uint32_t shard, uint32_t epoch)
{
	struct rig *g = ctx;

	XBD_ASSERT(epoch >= g->fence[shard]);
	XBD_ASSERT(store_state(g->st, shard)->prom == epoch); /* durable before */
	g->fence[shard] = epoch;
	g->fences++;
}

static void on_note(void *ctx, enum replica_note what, uint32_t shard, uint64_t arg)
{
	struct rig *g = ctx;

	g->notes[what]++;
}

static void start(struct rig *g)
{
	static const struct replica_ops ops = {on_send, on_fence, on_note};

	g->r = replica_new(&g->cfg, &ops, g, g->now);
	XBD_ASSERT(g->r);
}

static void hold_shard(struct store *st)
{
	struct xbd_state *s = &st->state[SHARD];

	st->held[SHARD] = true;
	s->store = st->info.uuid;
	s->prom = s->synced = 1;
	s->comp = XBD_VER(1, 0);
	s->slot = XBD_SLOT_NONE;
	s->nlin = 1;
	s->lin[0] = 1;
	s->rec = (struct xbd_record){.bal = 1, .epoch = 1, .n = 3, .d_mask = 7, .w = 2};
	s->rec.member[0] = st->info.uuid;
	s->rec.member[1] = rig_uuid(0x11);
	s->rec.member[2] = rig_uuid(0x22);
	memcpy(s->rec.base, s->rec.member, sizeof(s->rec.base));
}

int rig_setup(void **state)
{
	struct rig *g = calloc(1, sizeof(*g));

	XBD_ASSERT(g);
	g->st = fake_new();
	g->now = 5000 * MS;
	g->frag_len = 1024;
	g->cfg = (struct replica_config){.store = g->st, .ops_max = 64, .data_bytes = 4u << 20};
	hold_shard(g->st);
	start(g);
	*state = g;
	return 0;
}

static void forget_sent(struct rig *g)
{
	for (unsigned i = 0; i < g->nsent; i++)
		free(g->sent[i].body);
	g->nsent = g->taken = 0;
}

int rig_teardown(void **state)
{
	struct rig *g = *state;

	fake_end_all(g->st);
	rig_pass(g, 6000 * MS); /* what was left in assembly expires */
	fake_end_all(g->st);
	rig_flush(g);
	XBD_ASSERT(replica_idle(g->r));
	replica_free(g->r);
	fake_free(g->st);
	forget_sent(g);
	free(g);
	return 0;
}

void rig_restart(struct rig *g)
{
	XBD_ASSERT(g->st->nops == 0);
	replica_free(g->r);
	g->st->info.boot++;
	memset(g->fence, 0, sizeof(g->fence));
	start(g);
}

struct xbd_send rig_ask(struct rig *g, uint8_t type, uint32_t epoch)
{
	return (struct xbd_send){
		.type = type,
		.sender = XBD_SLOT_NONE,
		.count = type == XBD_T_READ ? 1 : 0,
		.shard = SHARD,
		.ver = XBD_VER(epoch, ++g->reqno),
		.stamp = g->now,
	};
}

void rig_content(uint8_t *to, uint64_t ver, uint32_t block)
{
	for (uint32_t i = 0; i < XBD_BLOCK_SIZE; i++)
		to[i] = (uint8_t)(ver + (ver >> XBD_SEQ_BITS) * 31 + block * 7 + i * 13 + i / 251);
}

static struct xbd_send with_content(uint8_t type, uint64_t ver, uint32_t block, uint16_t count)
{
	static uint8_t data[XBD_OP_BLOCKS * XBD_BLOCK_SIZE];
	static uint32_t crc[XBD_OP_BLOCKS];

	for (uint32_t i = 0; i < count; i++) {
		rig_content(data + i * XBD_BLOCK_SIZE, ver, block + i);
		crc[i] = crc32c_block(SHARD, block + i, ver, data + i * XBD_BLOCK_SIZE);
	}
	return (struct xbd_send){
		.type = type,
		.sender = XBD_SLOT_NONE,
		.count = count,
		.shard = SHARD,
		.block = block,
		.ver = ver,
		.stamp = ver,
		.body = data,
		.body_len = count * XBD_BLOCK_SIZE,
		.crc = crc,
	};
}

struct xbd_send rig_write(uint64_t ver, uint32_t block, uint16_t count)
{
	struct xbd_send s = with_content(XBD_T_WRITE, ver, block, count);

	s.stamp &= XBD_STAMP_MASK;
	return s;
}

struct xbd_send rig_repair(struct rig *g, uint32_t epoch, uint32_t block, uint64_t expect,
			   uint64_t ver)
{
	struct xbd_send s = with_content(XBD_T_REPAIR, ver, block, 1);

	s.ver = XBD_VER(epoch, ++g->reqno);
	s.ver2 = expect;
	s.commit = ver;
	s.stamp &= XBD_STAMP_MASK;
	return s;
}

void rig_packet(struct rig *g, uint32_t from, const struct packet *p)
{
	struct xbd_msg m;

	XBD_ASSERT(sample_decode(&m, p, XBD_SIDE_STORE) == XBD_V_ACCEPTED);
	m.from = from;
	replica_msg(g->r, g->now, &m);
}

void rig_flush(struct rig *g)
{
	replica_flush(g->r, g->now);
}

void rig_send(struct rig *g, uint32_t from, const struct xbd_send *s)
{
	static struct packet p[XBD_OP_UNITS];
	unsigned n = sample_packets(s, g->frag_len, p, XBD_OP_UNITS);

	for (unsigned i = 0; i < n; i++)
		rig_packet(g, from, &p[i]);
	rig_flush(g);
}

void rig_promise(struct rig *g, uint32_t owner, uint32_t epoch)
{
	struct xbd_promise body = {.owner = rig_uuid((uint8_t)owner), .slot = 2};
	struct xbd_send s = rig_ask(g, XBD_T_PROMISE, epoch);

	s.body = &body;
	s.body_len = sizeof(body);
	rig_send(g, owner, &s);
}

void rig_lease(struct rig *g, uint32_t owner, uint32_t epoch, uint64_t commit)
{
	struct xbd_send s = rig_ask(g, XBD_T_LEASE, epoch);

	s.commit = commit;
	rig_send(g, owner, &s);
}

void rig_sync(struct rig *g, uint32_t owner, uint32_t epoch)
{
	struct xbd_sync body = {.nlin = 2, .lin = {epoch, 1}, .store = g->st->info.uuid};
	struct xbd_send s = rig_ask(g, XBD_T_SYNC, epoch);

	s.body = &body;
	s.body_len = sizeof(body);
	rig_send(g, owner, &s);
}

void rig_own(struct rig *g, uint32_t owner, uint32_t epoch, bool sync)
{
	rig_promise(g, owner, epoch);
	fake_end_all(g->st);
	rig_sent(g, XBD_T_PROMISED, owner);
	if (sync) {
		rig_sync(g, owner, epoch);
		fake_end_all(g->st);
		rig_sent(g, XBD_T_SYNCED, owner);
	}
	rig_silent(g);
}

void rig_pass(struct rig *g, uint64_t ns)
{
	uint64_t end = g->now + ns;

	for (unsigned turns = 0; g->now < end; turns++) {
		uint64_t at = replica_deadline(g->r);

		XBD_ASSERT(turns < 100000); /* a deadline that a tick does not move */
		g->now = at < g->now ? g->now : at < end ? at : end;
		replica_tick(g->r, g->now);
		rig_flush(g);
		if (at <= g->now && replica_deadline(g->r) <= g->now)
			g->now++;
	}
}

const struct sent *rig_sent(struct rig *g, uint8_t type, uint32_t to)
{
	const struct sent *c = &g->sent[g->taken];

	assert_true(g->taken < g->nsent);
	assert_int_equal(c->s.type, type);
	assert_int_equal(c->to, to);
	assert_int_equal(c->s.shard, SHARD);
	g->taken++;
	return c;
}

void rig_silent(struct rig *g)
{
	if (g->taken < g->nsent)
		print_error("sent: type %u\n", g->sent[g->taken].s.type);
	assert_int_equal(g->nsent - g->taken, 0);
	forget_sent(g);
}

const struct xbd_state *rig_state(struct rig *g)
{
	return store_state(g->st, SHARD);
}

const struct fake_block *rig_block(struct rig *g, uint32_t block)
{
	return &g->st->block[SHARD][block];
}

struct replica_counters rig_counters(struct rig *g)
{
	replica_counters(g->r, &g->n);
	return g->n;
}
