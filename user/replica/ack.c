/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Acknowledgements. They are gathered during a turn of the event loop and leave together: one
 * packet per sender and shard, the first in the header, further ones in the body. Completed
 * operations are remembered for a while, so that a repeated question costs no disk work.
 */
#include <string.h>

#include "replica/internal.h"

static struct done_entry *done_slot(const struct replica *r, uint32_t shard, uint64_t ver,
				    uint32_t block)
{
	uint64_t h = (ver ^ (uint64_t)block << 20 ^ (uint64_t)shard << 44) * 0x9e3779b97f4a7c15ull;

	return (struct done_entry *)&r->done[h >> 51 & (DONE_SLOTS - 1)];
}

void rep_done_add(struct replica *r, const struct rop *op)
{
	*done_slot(r, op->shard, op->ver, op->block) = (struct done_entry){
		.ver = op->ver, .shard = op->shard, .block = op->block, .count = op->count};
}

bool rep_done_find(const struct replica *r, const struct xbd_hdr *h)
{
	const struct done_entry *d = done_slot(r, h->shard, h->ver, h->block);

	return d->ver == h->ver && d->shard == h->shard && d->block == h->block &&
	       d->count == h->count;
}

static bool is_voter(const struct replica *r, uint32_t shard, uint32_t epoch)
{
	const struct xbd_state *st = rep_state(r, shard);

	return st && st->synced == epoch;
}

static void queue_ack(struct replica *r, const struct queued_ack *q)
{
	if (r->nacks == ACKS_QUEUED)
		rep_acks_flush(r);
	r->acks[r->nacks++] = *q;
}

void rep_ack(struct replica *r, const struct rop *op, uint8_t status)
{
	struct queued_ack q = {
		.peer = op->peer,
		.shard = op->shard,
		.stamp = op->stamp,
		.a = {.ver = op->ver,
		      .block = op->block,
		      .count = (uint16_t)op->count,
		      .status = status},
	};

	if (is_voter(r, op->shard, XBD_VER_EPOCH(op->ver)) || !XBD_RULE(A7_VOTERS))
		q.a.flags = XBD_F_VOTER;
	queue_ack(r, &q);
}

void rep_ack_again(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	struct queued_ack q = {
		.peer = rep_owner_peer(sh, m),
		.shard = m->h.shard,
		.stamp = m->h.stamp,
		.a = {.ver = m->h.ver, .block = m->h.block, .count = m->h.count},
	};

	if (is_voter(r, sh->id, XBD_VER_EPOCH(m->h.ver)) || !XBD_RULE(A7_VOTERS))
		q.a.flags = XBD_F_VOTER;
	queue_ack(r, &q);
}

void rep_ack_partial(struct replica *r, struct rop *op)
{
	struct xbd_send s = {
		.type = XBD_T_ACK,
		.flags = XBD_F_PARTIAL,
		.sender = rep_slot(r, op->shard),
		.count = (uint16_t)op->count,
		.shard = op->shard,
		.block = op->block,
		.ver = op->ver,
		.ver2 = rep_window(r),
		.stamp = op->stamp,
		.body = &op->have,
		.body_len = sizeof(op->have),
	};

	r->n.partials++;
	rep_send(r, op->peer, &s);
}

/* The acks from `i` on that go to the same peer and shard, at most what one packet holds. */
static uint32_t batch_end(const struct replica *r, uint32_t i)
{
	uint32_t end = i + 1;

	while (end < r->nacks && end - i <= XBD_ACKS_MAX && r->acks[end].peer == r->acks[i].peer &&
	       r->acks[end].shard == r->acks[i].shard)
		end++;
	return end;
}

void rep_acks_flush(struct replica *r)
{
	struct xbd_ack body[XBD_ACKS_MAX];

	for (uint32_t i = 0, end; i < r->nacks; i = end) {
		const struct queued_ack *q = &r->acks[i];
		struct xbd_send s = {
			.type = XBD_T_ACK,
			.flags = q->a.flags,
			.status = q->a.status,
			.sender = rep_slot(r, q->shard),
			.count = q->a.count,
			.shard = q->shard,
			.block = q->a.block,
			.ver = q->a.ver,
			.ver2 = rep_window(r),
			.stamp = q->stamp,
		};

		end = batch_end(r, i);
		XBD_ASSERT(end - i - 1 <= XBD_ACKS_MAX);
		for (uint32_t k = i + 1; k < end; k++)
			body[k - i - 1] = r->acks[k].a;
		s.body = end - i > 1 ? body : NULL;
		s.body_len = (uint32_t)((end - i - 1) * sizeof(*body));
		r->n.acks += end - i;
		r->n.ack_packets++;
		rep_send(r, q->peer, &s);
	}
	r->nacks = 0;
}
