/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * WRITE and REPAIR: fragments are gathered per operation until all are there and every block's
 * checksum fits, then the operation goes to the store as a whole; it is acknowledged when it is
 * durable. Fragments may come in any order and more than once. What is missing is asked for.
 */
#include <string.h>

#include "base/crc32c.h"
#include "replica/internal.h"

static struct rop **bucket(struct replica *r, uint32_t shard, uint64_t ver, uint32_t block)
{
	uint64_t h = (ver ^ (uint64_t)block << 20 ^ (uint64_t)shard << 44) * 0x9e3779b97f4a7c15ull;

	return &r->hash[h >> 32 & r->hash_mask];
}

static struct rop *op_find(struct replica *r, const struct xbd_hdr *h)
{
	struct rop *op = *bucket(r, h->shard, h->ver, h->block);

	while (op && !(op->ver == h->ver && op->shard == h->shard && op->block == h->block &&
		       op->type == h->type))
		op = op->hash_next;
	return op;
}

static void hash_add(struct replica *r, struct rop *op)
{
	struct rop **b = bucket(r, op->shard, op->ver, op->block);

	op->hash_next = *b;
	*b = op;
}

static void hash_remove(struct replica *r, struct rop *op)
{
	struct rop **b = bucket(r, op->shard, op->ver, op->block);

	while (*b != op) {
		XBD_ASSERT(*b);
		b = &(*b)->hash_next;
	}
	*b = op->hash_next;
}

static void list_remove(struct replica *r, struct rop *op)
{
	if (op->prev)
		op->prev->next = op->next;
	else
		r->asm_head = op->next;
	if (op->next)
		op->next->prev = op->prev;
	else
		r->asm_tail = op->prev;
	op->prev = op->next = NULL;
}

static void list_append(struct replica *r, struct rop *op)
{
	op->prev = r->asm_tail;
	op->next = NULL;
	if (r->asm_tail)
		r->asm_tail->next = op;
	else
		r->asm_head = op;
	r->asm_tail = op;
}

static bool complete(const struct rop *op)
{
	uint32_t units = op->count * (XBD_BLOCK_SIZE / XBD_UNIT);
	uint64_t lo = units >= 64 ? UINT64_MAX : (1ull << units) - 1;
	uint64_t hi = units <= 64 ? 0 : units == 128 ? UINT64_MAX : (1ull << (units - 64)) - 1;

	return op->have.bits[0] == lo && op->have.bits[1] == hi;
}

static void answer_repair(struct replica *r, const struct rop *op, uint8_t status)
{
	struct xbd_send s = {
		.type = XBD_T_REPAIRED,
		.sender = rep_slot(r, op->shard),
		.status = status,
		.shard = op->shard,
		.block = op->block,
		.ver = op->ver,
		.ver2 = op->s.expect,
		.stamp = op->stamp,
	};

	rep_send(r, op->peer, &s);
}

static void store_done(struct store_op *s)
{
	struct rop *op = (struct rop *)s;
	struct replica *r = s->owner;
	struct rshard *sh = rep_shard(r, op->shard);
	uint8_t status = rep_status(s->res);

	XBD_ASSERT(sh && sh->writing > 0);
	sh->writing--;
	hash_remove(r, op);
	if (status == XBD_S_IO || status == XBD_S_NOSPACE) {
		r->n.disk_errors++;
		rep_note(r, REPLICA_NOTE_DISK, op->shard, (uint64_t)-s->res);
	}
	if (op->type == XBD_T_WRITE) {
		if (status == XBD_S_OK) {
			r->n.writes++;
			rep_done_add(r, op);
		}
		rep_ack(r, op, status);
	} else {
		r->n.repairs += status == XBD_S_OK;
		answer_repair(r, op, status);
	}
	rep_op_put(r, op);
	rep_promise_step(r, sh);
}

/* Hand a complete operation to the store. It stays in the hash, so duplicates find it. */
static void submit(struct replica *r, struct rshard *sh, struct rop *op)
{
	struct store_op *s = &op->s;
	bool zero = op->flags & (XBD_F_ZERO | XBD_F_TRIM);

	op->on_disk = true;
	s->kind = op->type == XBD_T_REPAIR ? STORE_REPAIR : zero ? STORE_ZERO : STORE_WRITE;
	s->flags = (op->flags & XBD_F_TRIM ? STORE_F_TRIM : 0) | (zero ? STORE_F_ZERO : 0);
	s->count = (uint16_t)op->count;
	s->shard = op->shard;
	s->block = op->block;
	s->ver = op->content;
	s->expect = op->expect;
	s->crc = op->crc;
	s->done = store_done;
	s->owner = r;
	sh->writing++;
	store_submit(r->store, s);
}

static struct rop *op_new(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	struct rop *op = rep_op_get(r);

	if (!op) {
		r->n.no_buffer++;
		return NULL;
	}
	if (m->h.nfrag && !rep_buf_get(r, op, m->h.count)) {
		r->n.no_buffer++;
		rep_op_put(r, op);
		return NULL;
	}
	op->type = m->h.type;
	op->flags = m->h.flags & (XBD_F_TRIM | XBD_F_ZERO);
	op->shard = m->h.shard;
	op->block = m->h.block;
	op->count = m->h.count;
	op->ver = m->h.ver;
	op->content = m->h.type == XBD_T_REPAIR ? m->h.commit : m->h.ver;
	op->expect = m->h.type == XBD_T_REPAIR ? m->h.ver2 : 0;
	op->stamp = m->h.stamp;
	op->peer = rep_owner_peer(sh, m);
	op->gap_ns = GAP_NS;
	hash_add(r, op);
	return op;
}

/* Take one fragment. False = it does not fit the operation it names. */
static bool take(struct replica *r, struct rop *op, const struct xbd_msg *m)
{
	struct xbd_units u = codec_units(&m->h);
	size_t at = (size_t)m->h.frag * m->h.len;
	uint32_t blk = (uint32_t)(at / XBD_BLOCK_SIZE);

	if (m->h.count != op->count || op->class == BUF_CLASSES ||
	    (op->type == XBD_T_REPAIR && (m->h.commit != op->content || m->h.ver2 != op->expect)))
		return false;
	XBD_ASSERT(at + m->h.len <= (size_t)op->count * XBD_BLOCK_SIZE);
	if ((op->have.bits[0] & u.bits[0]) == u.bits[0] &&
	    (op->have.bits[1] & u.bits[1]) == u.bits[1]) {
		r->n.duplicates++;
		return true;
	}
	memcpy(op->s.buf + at, m->body, m->h.len);
	op->crc[blk] = m->h.crc;
	op->have.bits[0] |= u.bits[0];
	op->have.bits[1] |= u.bits[1];
	r->n.fragments++;
	return true;
}

/* Blocks that are all there but wrong are forgotten and asked for again. */
static bool blocks_good(struct replica *r, struct rop *op)
{
	bool good = true;

	for (uint32_t b = 0; b < op->count; b++) {
		const uint8_t *data = op->s.buf + (size_t)b * XBD_BLOCK_SIZE;
		uint32_t unit = b * (XBD_BLOCK_SIZE / XBD_UNIT);

		if (crc32c_block(op->shard, op->block + b, op->content, data) == op->crc[b] ||
		    !XBD_RULE(B4_WHOLE))
			continue;
		op->have.bits[unit / 64] &= ~(0xfull << (unit % 64));
		r->n.crc_errors++;
		good = false;
	}
	return good;
}

static void on_fragment(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	struct rop *op = op_find(r, &m->h);

	if (op && op->on_disk) {
		r->n.duplicates++; /* on its way to disk: the answer comes by itself */
		return;
	}
	if (!op) {
		op = op_new(r, sh, m);
		if (!op)
			return;
	} else {
		list_remove(r, op);
	}
	op->active_at = r->now;
	op->gap_at = r->now + op->gap_ns;
	list_append(r, op);
	if (!take(r, op, m))
		return;
	op->stamp = m->h.stamp;
	if (!complete(op) || !blocks_good(r, op)) {
		if (m->h.flags & XBD_F_RETRY)
			rep_ack_partial(r, op);
		return;
	}
	list_remove(r, op);
	submit(r, sh, op);
}

static void on_empty(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	struct rop *op = op_find(r, &m->h);

	if (op) {
		r->n.duplicates++;
		return;
	}
	op = op_new(r, sh, m);
	if (op)
		submit(r, sh, op);
}

void rep_on_write(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	if (rep_done_find(r, &m->h)) {
		r->n.duplicates++;
		if ((m->h.flags & XBD_F_RETRY) || m->h.nfrag == 0)
			rep_ack_again(r, sh, m);
		return;
	}
	if (m->h.nfrag == 0)
		on_empty(r, sh, m);
	else
		on_fragment(r, sh, m);
}

void rep_on_repair(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	if (m->h.nfrag == 0)
		on_empty(r, sh, m);
	else
		on_fragment(r, sh, m);
}

static void drop(struct replica *r, struct rop *op)
{
	list_remove(r, op);
	hash_remove(r, op);
	rep_op_put(r, op);
}

void rep_assembly_drop(struct replica *r, uint32_t shard)
{
	for (struct rop *op = r->asm_head, *next; op; op = next) {
		next = op->next;
		if (op->shard == shard)
			drop(r, op);
	}
}

/* How many of the oldest operations in assembly are looked at per tick. */
#define TICK_OPS 64

void rep_assembly_tick(struct replica *r)
{
	struct rop *op = r->asm_head;

	for (unsigned i = 0; op && i < TICK_OPS; i++) {
		struct rop *next = op->next;

		if (r->now - op->active_at >= EXPIRE_NS) {
			r->n.expired++;
			drop(r, op);
		} else if (r->now >= op->gap_at) {
			rep_ack_partial(r, op);
			op->gap_ns = op->gap_ns * 2 < GAP_MAX_NS ? op->gap_ns * 2 : GAP_MAX_NS;
			op->gap_at = r->now + op->gap_ns;
		}
		op = next;
	}
}

uint64_t rep_assembly_deadline(const struct replica *r)
{
	uint64_t at = UINT64_MAX;
	const struct rop *op = r->asm_head;

	for (unsigned i = 0; op && i < TICK_OPS; i++, op = op->next)
		if (op->gap_at < at)
			at = op->gap_at;
	return at;
}
