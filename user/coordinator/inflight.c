/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes in flight when stores come and go, and when an epoch ends. */
#include "coordinator/internal.h"

bool co_held(const struct cshard *sh, uint8_t slot)
{
	uint64_t hold = sh->rep[slot].hold;

	for (const struct cop *op = sh->head; op && op->ver <= hold; op = op->next)
		if (!((op->acked | op->lagged) >> slot & 1)) /* lagging: its region is marked */
			return true;
	return false;
}

/* Send the write to this slot too, and count its answer. */
static void include(struct cop *op, uint8_t slot)
{
	struct cshard *sh = op->sh;

	if (!(op->sent >> slot & 1) || (op->acked >> slot & 1) || (op->lagged >> slot & 1))
		sh->rep[slot].inflight_bytes += co_write_bytes(op);
	op->sent |= bit8(slot);
	op->acked &= (uint8_t)~bit8(slot);
	op->lagged &= (uint8_t)~bit8(slot);
	op->again_at[slot] = sh->co->now;
	op->tries[slot] = 0;
	sh->scan_at = sh->co->now;
}

/* A store whose votes were counted on is gone: what cannot be complete without others goes to those
 * that were left out. */
static void find_votes(struct cshard *sh)
{
	uint8_t able = co_eligible(sh) & co_targets(sh);

	for (struct cop *op = sh->head; op; op = op->next) {
		uint8_t have = op->voted | (able & op->sent & (uint8_t)~op->lagged);

		if (op->phase != COP_WRITE || popcount8(have) >= sh->rec.w)
			continue;
		for (uint8_t i = 0; i < XBD_REPLICAS_MAX; i++)
			if ((able & ~have) >> i & 1)
				include(op, i);
	}
}

void co_write_rep_down(struct cshard *sh, uint8_t slot)
{
	sh->rep[slot].asked_at = 0;
	for (struct cop *op = sh->head, *next; op; op = next) {
		next = op->next;
		if (op->phase != COP_COMPLETE ||
		    !((op->sent & ~op->acked & ~op->lagged) >> slot & 1))
			continue;
		co_write_lag_out(op, slot);
		co_write_try_retire(op);
	}
	find_votes(sh);
}

/* Back, or counted from now on: writes that are not complete may need its vote. */
void co_write_rep_up(struct cshard *sh, uint8_t slot)
{
	if (!(co_targets(sh) >> slot & 1))
		return;
	for (struct cop *op = sh->head; op; op = op->next)
		if (op->phase == COP_WRITE && !(op->voted >> slot & 1))
			include(op, slot);
	sh->scan_at = sh->co->now;
}

uint8_t co_write_include(struct cshard *sh, uint64_t ver, uint8_t slots)
{
	struct cop *op = *co_write_slot(sh, XBD_VER_SEQ(ver));

	if (!op || op->ver != ver || op->phase != COP_WRITE)
		return 0;
	slots &= co_targets(sh);
	for (uint8_t i = 0; i < XBD_REPLICAS_MAX; i++)
		if (slots >> i & 1)
			include(op, i);
	return slots;
}

/* To the head of the blocked ones, in its old place among those on the same blocks. */
void co_write_again(struct cop *op)
{
	struct co *co = op->sh->co;

	op->merged = false;
	op->again = true;
	op->phase = COP_BLOCKED;
	co_op_link(op);
	op->prev = NULL;
	op->next = co->blocked_head;
	if (op->next)
		op->next->prev = op;
	else
		co->blocked_tail = op;
	co->blocked_head = op;
}

/* The epoch ends: forget what is complete, start over what is not. */
void co_write_freeze(struct cshard *sh)
{
	for (struct cop *op = sh->tail, *prev; op; op = prev) {
		prev = op->prev;
		if (op->phase == COP_COMPLETE) {
			co_write_retire(op);
			continue;
		}
		co_write_leave(op);
		co_write_again(op);
	}
	XBD_ASSERT(!sh->head);
	sh->scan_at = UINT64_MAX;
}
