/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes: version, fan-out, counting of acknowledgements. A write is complete when W stores that
 * count (in the record, synced, by UUID) have it durably; it stays here until every store it was
 * sent to has answered, or is marked as lagging there and gets the region by repair.
 */
#include <string.h>

#include "base/crc32c.h"
#include "coordinator/internal.h"

/* Slots whose votes count: in D, synced, and the very store the record names. */
uint8_t co_eligible(const struct cshard *sh)
{
	uint8_t mask = 0;

	FOR_SLOTS (sh, i)
		if (i != XBD_SLOT_WITNESS && (sh->rec.d_mask >> i & 1) && sh->rep[i].synced &&
		    (uuid_equal(&sh->rep[i].st.store, &sh->rec.member[i]) || !XBD_RULE(ACK_UUID)))
			mask |= bit8(i);
	return mask;
}

/* Slots that get live writes. */
uint8_t co_targets(const struct cshard *sh)
{
	uint8_t mask = 0;

	FOR_SLOTS (sh, i) {
		const struct rep *rep = &sh->rep[i];

		if (i != XBD_SLOT_WITNESS && rep->alive && !rep->failed_at && rep->replied &&
		    (rep->voter || rep->joined))
			mask |= bit8(i);
	}
	return mask;
}

static uint8_t data_slots(const struct cshard *sh)
{
	uint8_t mask = 0;

	FOR_SLOTS (sh, i)
		if (i != XBD_SLOT_WITNESS)
			mask |= bit8(i);
	return mask;
}

uint32_t co_write_bytes(const struct cop *op)
{
	return op->kind == CO_WRITE ? op->count * XBD_BLOCK_SIZE : 0;
}

struct cop **co_write_slot(struct cshard *sh, uint64_t seq)
{
	return &sh->ring[seq & (sh->co->ring_size - 1)];
}

static void list_append(struct cshard *sh, struct cop *op)
{
	op->next = NULL;
	op->prev = sh->tail;
	if (sh->tail)
		sh->tail->next = op;
	else
		sh->head = op;
	sh->tail = op;
	sh->ninflight++;
}

static void list_remove(struct cshard *sh, struct cop *op)
{
	if (op->prev)
		op->prev->next = op->next;
	else
		sh->head = op->next;
	if (op->next)
		op->next->prev = op->prev;
	else
		sh->tail = op->prev;
	op->prev = op->next = NULL;
	sh->ninflight--;
}

void co_write_leave(struct cop *op)
{
	struct cshard *sh = op->sh;

	for (uint8_t i = 0; i < XBD_REPLICAS_MAX; i++)
		if ((op->sent & ~op->acked & ~op->lagged) >> i & 1)
			sh->rep[i].inflight_bytes -= co_write_bytes(op);
	*co_write_slot(sh, XBD_VER_SEQ(op->ver)) = NULL;
	list_remove(sh, op);
	co_op_unlink(op);
	sh->co->unblock = true;
}

void co_write_retire(struct cop *op)
{
	struct co_req *req = op->req;

	XBD_ASSERT(op->phase == COP_COMPLETE);
	co_write_leave(op);
	co_op_put(op->sh->co, op);
	co_req_put(req);
}

void co_write_try_retire(struct cop *op)
{
	if (op->phase == COP_COMPLETE && (op->sent & ~op->acked & ~op->lagged) == 0)
		co_write_retire(op);
}

/* Go on without this store: it gets the region by repair. */
void co_write_lag_out(struct cop *op, uint8_t slot)
{
	struct cshard *sh = op->sh;

	XBD_ASSERT(!(op->acked >> slot & 1));
	co_lag_mark(sh, slot, op->block, op->count);
	if ((op->sent & ~op->lagged) >> slot & 1)
		sh->rep[slot].inflight_bytes -= co_write_bytes(op);
	op->lagged |= bit8(slot);
	sh->co->n.lagged++;
}

static void lag_out_all(struct cop *op)
{
	uint8_t late = op->sent & (uint8_t)~op->acked & (uint8_t)~op->lagged;

	for (uint8_t i = 0; i < XBD_REPLICAS_MAX; i++)
		if (late >> i & 1)
			co_write_lag_out(op, i);
	co_write_try_retire(op);
}

static void send_write(struct cop *op, uint8_t slots, uint8_t flags, const struct xbd_units *skip)
{
	struct xbd_send s = {
		.type = XBD_T_WRITE,
		.flags = flags,
		.sender = XBD_SLOT_NONE,
		.count = (uint16_t)op->count,
		.shard = op->sh->id,
		.block = op->block,
		.ver = op->ver,
		.stamp = op->issued_at & XBD_STAMP_MASK,
	};

	if (op->kind == CO_TRIM)
		s.flags |= XBD_F_TRIM;
	if (op->kind == CO_ZERO)
		s.flags |= XBD_F_ZERO;
	if (op->kind == CO_WRITE) {
		s.body = op->req->buf;
		s.body_len = op->count * XBD_BLOCK_SIZE;
		s.crc = op->crc;
		s.skip = skip;
	}
	co_send_to(op->sh, slots, &s);
}

/* Who gets this write now, and who only by repair later. */
static void choose_targets(struct cop *op)
{
	struct cshard *sh = op->sh;
	uint8_t live = co_targets(sh), all = data_slots(sh);
	uint8_t votes = co_eligible(sh) & live;

	FOR_SLOTS (sh, i) {
		bool full = sh->rep[i].inflight_bytes >= sh->co->cfg.window_bytes;

		if ((live >> i & 1) && full && popcount8(votes & ~bit8(i)) >= sh->rec.w) {
			live &= (uint8_t)~bit8(i);
			votes &= (uint8_t)~bit8(i);
		}
	}
	op->sent = live;
	for (uint8_t i = 0; i < XBD_REPLICAS_MAX; i++) {
		if (!((all & ~live) >> i & 1))
			continue;
		if (popcount8(votes) >= sh->rec.w || !(co_eligible(sh) >> i & 1)) {
			co_write_lag_out(op, i);
		} else { /* its vote is needed: it gets the write when it is back */
			op->sent |= bit8(i);
		}
	}
	for (uint8_t i = 0; i < XBD_REPLICAS_MAX; i++) {
		op->again_at[i] = op->issued_at + sh->rep[i].rto;
		if (op->sent >> i & 1)
			sh->rep[i].inflight_bytes += co_write_bytes(op);
	}
	if (live)
		send_write(op, live, 0, NULL);
}

void co_write_issue(struct cop *op)
{
	struct cshard *sh = op->sh;
	struct cop **slot = co_write_slot(sh, sh->seq + 1);

	if (*slot && (*slot)->phase == COP_COMPLETE)
		lag_out_all(*slot);
	if (*slot) {
		co_op_block(op);
		return;
	}
	XBD_ASSERT(sh->phase == CO_SERVING && sh->seq < XBD_SEQ_MAX);
	if (op->phase != COP_RMW) {
		co_op_unlink(op);
		co_op_link(op);
	}
	op->phase = COP_WRITE;
	op->again = false;
	op->ver = XBD_VER(sh->epoch, ++sh->seq);
	op->issued_at = sh->co->now;
	op->sent = op->acked = op->voted = op->lagged = 0;
	memset(op->tries, 0, sizeof(op->tries));
	memset(op->partial_at, 0, sizeof(op->partial_at));
	if (op->kind == CO_WRITE)
		for (uint32_t i = 0; i < op->count; i++)
			op->crc[i] = crc32c_block(sh->id, op->block + i, op->ver,
						  op->req->buf + (size_t)i * XBD_BLOCK_SIZE);
	*slot = op;
	list_append(sh, op);
	choose_targets(op);
	sh->scan_at = min_u64(sh->scan_at, op->issued_at + sh->co->rto_min_ns);
}

/* Blocks that the request covers only in part: bit 0 = first, bit count - 1 = last. */
static uint32_t partial_blocks(const struct cop *op)
{
	const struct co_req *req = op->req;
	uint32_t todo = 0;

	if (op->kind != CO_WRITE)
		return 0;
	if (req->offset % XBD_BLOCK_SIZE)
		todo |= 1u;
	if ((req->offset + req->len) % XBD_BLOCK_SIZE)
		todo |= 1u << (op->count - 1);
	return todo;
}

void co_write_start(struct cop *op)
{
	struct cshard *sh = op->sh;
	uint32_t partial = partial_blocks(op);
	struct overlap o;

	if (sh->phase != CO_SERVING) {
		co_op_block(op);
		return;
	}
	if (op->phase == COP_RMW && op->merged) {
		co_write_issue(op);
		return;
	}
	o = co_overlap(sh, op->block, op->count, op);
	if (o.merging || (partial && (o.writing || sh->co->nscratch == 0))) {
		co_op_block(op);
		return;
	}
	if (!partial) {
		co_write_issue(op);
		return;
	}
	sh->co->n.rmw++;
	op->phase = COP_RMW;
	op->merged = false;
	op->scratch = sh->co->scratch_free[--sh->co->nscratch];
	op->todo = partial;
	co_op_unlink(op);
	co_op_link(op);
	co_read_blocks(op);
}

static void complete(struct cop *op)
{
	struct cshard *sh = op->sh;
	struct co *co = sh->co;

	for (uint32_t i = 0; i < op->count; i++)
		if (sh->val[op->block + i] < op->ver)
			sh->val[op->block + i] = op->ver;
	if (op->kind == CO_WRITE) {
		co->n.writes++;
		co->n.write_bytes += op->req->len;
	} else {
		co->n.zeroes++;
	}
	op->phase = COP_COMPLETE;
	op->req->refs++; /* the buffer, until the slow ones have it */
	co_finish(co, op->req, 0);
	co->unblock = true;
}

static void store_failed(struct cshard *sh, uint8_t slot, uint8_t status)
{
	struct rep *rep = &sh->rep[slot];

	if (!rep->failed_at)
		co_note(sh, CO_NOTE_FAILED, slot, status);
	rep->failed_at = sh->co->now;
	co_write_rep_down(sh, slot);
}

/* One acknowledgement. False = the store reports an error. */
static bool take_ack(struct cshard *sh, uint8_t slot, uint64_t ver, uint8_t flags, uint8_t status)
{
	struct cop *op = *co_write_slot(sh, XBD_VER_SEQ(ver));

	if (!op || op->ver != ver || !((op->sent & ~op->lagged) >> slot & 1)) {
		sh->co->n.dups++;
		return true;
	}
	if (status != XBD_S_OK)
		return false;
	if (!(op->acked >> slot & 1)) {
		op->acked |= bit8(slot);
		sh->rep[slot].inflight_bytes -= co_write_bytes(op);
	}
	if ((flags & XBD_F_VOTER) && (co_eligible(sh) >> slot & 1))
		op->voted |= bit8(slot);
	if (op->phase == COP_WRITE && popcount8(op->voted) >= sh->rec.w)
		complete(op);
	co_write_try_retire(op);
	return true;
}

static void on_partial(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	struct cop *op = *co_write_slot(sh, XBD_VER_SEQ(m->h.ver));
	struct co *co = sh->co;
	struct xbd_units have;

	if (!op || op->ver != m->h.ver || op->kind != CO_WRITE ||
	    !((op->sent & ~op->acked & ~op->lagged) >> slot & 1))
		return;
	if (op->partial_at[slot] && co->now - op->partial_at[slot] < sh->rep[slot].rto / 2)
		return; /* several questions, one answer */
	co->n.partials++;
	op->partial_at[slot] = co->now;
	op->again_at[slot] = co->now + sh->rep[slot].rto;
	memcpy(&have, m->body, sizeof(have));
	send_write(op, bit8(slot), 0, &have);
}

void co_on_ack(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	uint8_t status = XBD_STATUS(m->h.stamp);
	bool ok;

	if (m->h.flags & XBD_F_PARTIAL) {
		on_partial(sh, slot, m);
		return;
	}
	ok = take_ack(sh, slot, m->h.ver, m->h.flags, status);
	for (uint32_t at = 0; at + sizeof(struct xbd_ack) <= m->body_len && ok;
	     at += sizeof(struct xbd_ack)) {
		struct xbd_ack a;

		memcpy(&a, m->body + at, sizeof(a));
		if (XBD_VER_EPOCH(a.ver) == sh->epoch)
			ok = take_ack(sh, slot, a.ver, a.flags, a.status);
		status = a.status;
	}
	if (!ok)
		store_failed(sh, slot, status);
}

static void resend(struct cop *op, uint8_t slot)
{
	struct rep *rep = &op->sh->rep[slot];
	struct xbd_units skip = {{UINT64_MAX << 4, UINT64_MAX}};
	uint64_t wait = rep->rto << (op->tries[slot] < 6 ? op->tries[slot] : 6);

	if (op->tries[slot] < UINT8_MAX)
		op->tries[slot]++;
	op->again_at[slot] = op->sh->co->now + min_u64(wait * 2, RTO_MAX_NS);
	op->sh->co->n.retransmits++;
	/* a large operation is asked about with its first block: the answer says what is missing */
	send_write(op, bit8(slot), XBD_F_RETRY, op->count > 1 ? &skip : NULL);
}

/* Timers of one operation; true = it was retired. */
static bool op_tick(struct cop *op, uint64_t *next)
{
	struct cshard *sh = op->sh;
	uint64_t now = sh->co->now;
	uint8_t late = op->sent & (uint8_t)~op->acked & (uint8_t)~op->lagged;

	if (op->phase == COP_COMPLETE && now - op->issued_at >= sh->co->lag_ns) {
		lag_out_all(op);
		return true;
	}
	for (uint8_t i = 0; i < XBD_REPLICAS_MAX; i++) {
		if (!(late >> i & 1) || !sh->rep[i].alive || sh->rep[i].failed_at)
			continue;
		if (now >= op->again_at[i])
			resend(op, i);
		*next = min_u64(*next, op->again_at[i]);
	}
	if (op->phase == COP_COMPLETE)
		*next = min_u64(*next, op->issued_at + sh->co->lag_ns);
	return false;
}

/* Under pressure the oldest complete writes do not wait for slow stores any more. */
static void relieve(struct cshard *sh)
{
	struct co *co = sh->co;

	for (struct cop *op = sh->head, *next; op; op = next) {
		next = op->next;
		if (co->ops_used <= co->cfg.ops_max - co->cfg.ops_max / 8)
			return;
		if (op->phase == COP_COMPLETE)
			lag_out_all(op);
	}
}

void co_write_tick(struct cshard *sh)
{
	uint64_t next = UINT64_MAX;

	if (sh->phase != CO_SERVING)
		return;
	if (sh->co->ops_used > sh->co->cfg.ops_max - sh->co->cfg.ops_max / 8)
		relieve(sh);
	if (sh->co->now < sh->scan_at)
		return;
	for (struct cop *op = sh->head, *n; op; op = n) {
		n = op->next;
		if (op->issued_at + sh->co->rto_min_ns > sh->co->now) {
			next = min_u64(next, op->issued_at + sh->co->rto_min_ns);
			break;
		}
		op_tick(op, &next);
	}
	sh->scan_at = next;
}

uint64_t co_write_deadline(const struct cshard *sh)
{
	return sh->phase == CO_SERVING ? sh->scan_at : UINT64_MAX;
}
