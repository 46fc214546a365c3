/* SPDX-License-Identifier: BSD-2-Clause */
/* READ, LIST and REGIONS: what the store holds, verified, with versions. */
#include <string.h>

#include "replica/internal.h"

static struct rop *op_for(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	struct rop *op = rep_op_get(r);

	if (!op) {
		r->n.no_buffer++;
		return NULL;
	}
	op->type = m->h.type;
	op->shard = m->h.shard;
	op->block = m->h.block;
	op->count = m->h.count;
	op->ver = m->h.ver;
	op->stamp = m->h.stamp;
	op->peer = rep_owner_peer(sh, m);
	op->s.shard = op->shard;
	op->s.block = op->block;
	op->s.owner = r;
	return op;
}

static struct xbd_send answer(const struct replica *r, const struct rop *op, uint8_t type)
{
	return (struct xbd_send){
		.type = type,
		.sender = rep_slot(r, op->shard),
		.status = rep_status(op->s.res),
		.shard = op->shard,
		.block = op->block,
		.count = (uint16_t)op->count,
		.ver = op->ver,
		.stamp = op->stamp,
	};
}

/* Blocks without data: zeroes or damaged. */
static bool bodyless(const struct store_block *b)
{
	return b->flags & (XBD_F_ZERO | XBD_F_TRIM | XBD_F_BAD) || b->crc == 0;
}

/* One header-only DATA per run of equal blocks without data; their units go into *skip. */
static unsigned send_bodyless(struct replica *r, struct rop *op, struct xbd_units *skip)
{
	const struct store_block *b = op->u.blocks;
	unsigned found = 0;

	for (uint32_t i = 0, end; i < op->count; i = end) {
		struct xbd_send s = answer(r, op, XBD_T_DATA);

		end = i + 1;
		if (!bodyless(&b[i]))
			continue;
		while (end < op->count && bodyless(&b[end]) && b[end].ver == b[i].ver &&
		       b[end].flags == b[i].flags)
			end++;
		s.flags = b[i].flags & XBD_F_BAD ? XBD_F_BAD : XBD_F_ZERO;
		s.flags |= b[i].flags & XBD_F_TRIM;
		s.block = op->block + i;
		s.count = (uint16_t)(end - i);
		s.ver2 = b[i].ver;
		if (s.flags & XBD_F_BAD)
			rep_note(r, REPLICA_NOTE_BAD_BLOCK, op->shard, s.block);
		rep_send(r, op->peer, &s);
		for (uint32_t u = i * 4; u < end * 4; u++)
			skip->bits[u / 64] |= 1ull << (u % 64);
		found += end - i;
	}
	return found;
}

static void read_done(struct store_op *so)
{
	struct rop *op = (struct rop *)so;
	struct replica *r = so->owner;
	struct xbd_send s = answer(r, op, XBD_T_DATA);
	struct xbd_units skip = {{0, 0}};
	uint64_t vers[XBD_OP_BLOCKS];

	if (so->res) {
		r->n.disk_errors += s.status == XBD_S_IO;
		rep_send(r, op->peer, &s);
		rep_op_put(r, op);
		return;
	}
	r->n.reads++;
	if (send_bodyless(r, op, &skip) < op->count) {
		for (uint32_t i = 0; i < op->count; i++) {
			vers[i] = op->u.blocks[i].ver;
			op->crc[i] = op->u.blocks[i].crc;
		}
		s.body = so->buf;
		s.body_len = op->count * XBD_BLOCK_SIZE;
		s.crc = op->crc;
		s.vers = vers;
		s.skip = &skip;
		rep_send(r, op->peer, &s);
	}
	rep_op_put(r, op);
}

void rep_on_read(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	const struct xbd_state *st = rep_state(r, sh->id);
	struct rop *op;

	if (st->synced != st->prom && !(m->h.flags & XBD_F_RECOVER)) {
		rep_reply(r, m, rep_owner_peer(sh, m), XBD_T_DATA, XBD_S_NOTSYNCED);
		return;
	}
	op = op_for(r, sh, m);
	if (!op)
		return;
	if (!rep_buf_get(r, op, op->count)) {
		r->n.no_buffer++;
		rep_op_put(r, op);
		return;
	}
	op->s.kind = STORE_READ;
	op->s.count = (uint16_t)op->count;
	op->s.blocks = op->u.blocks;
	op->s.done = read_done;
	store_submit(r->store, &op->s);
}

static void list_done(struct store_op *so)
{
	struct rop *op = (struct rop *)so;
	struct replica *r = so->owner;
	struct xbd_send s = answer(r, op, XBD_T_LIST_R);

	s.count = XBD_REGION_BLOCKS;
	if (!so->res) {
		s.body = op->u.list;
		s.body_len = sizeof(op->u.list);
	}
	rep_send(r, op->peer, &s);
	rep_op_put(r, op);
}

void rep_on_list(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	struct rop *op = op_for(r, sh, m);

	if (!op)
		return;
	memset(op->u.list, 0, sizeof(op->u.list));
	op->s.kind = STORE_LIST;
	op->s.count = XBD_REGION_BLOCKS;
	op->s.list = op->u.list;
	op->s.done = list_done;
	store_submit(r->store, &op->s);
}

static void regions_done(struct store_op *so)
{
	struct rop *op = (struct rop *)so;
	struct replica *r = so->owner;
	struct xbd_send s = answer(r, op, XBD_T_REGIONS_R);

	s.count = 0;
	if (!so->res) {
		XBD_ASSERT(so->count <= XBD_REGIONS_MAX);
		s.count = so->count;
		s.flags = so->more ? XBD_F_MORE : 0;
		s.body = op->u.regions;
		s.body_len = so->count * 4u;
	}
	rep_send(r, op->peer, &s);
	rep_op_put(r, op);
}

void rep_on_regions(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	struct rop *op = op_for(r, sh, m);

	if (!op)
		return;
	op->s.kind = STORE_REGIONS;
	op->s.count = XBD_REGIONS_MAX;
	op->s.ver = m->h.ver2;
	op->s.regions = op->u.regions;
	op->s.done = regions_done;
	store_submit(r->store, &op->s);
}
