/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases and liveness. Every LEASE also carries the store's complete point: the version up to which
 * it holds every write of this epoch. A store that does not answer for a while is down; writes go
 * on without it and it gets the rest by repair.
 */
#include "coordinator/internal.h"

/* Invariant 12: all writes up to it are complete, and this store acknowledged each of them. */
static uint64_t complete_point(const struct cshard *sh, uint8_t slot)
{
	const struct rep *rep = &sh->rep[slot];

	if (!rep->synced)
		return 0;
	if ((rep->nlag || co_held(sh, slot)) && XBD_RULE(D4_COMPLETE))
		return 0;
	for (const struct cop *op = sh->head; op; op = op->next)
		if (op->phase != COP_COMPLETE ||
		    (!(op->acked >> slot & 1) && XBD_RULE(D4_COMPLETE)))
			return op->ver - 1;
	return XBD_VER(sh->epoch, sh->seq);
}

static void send_lease(struct cshard *sh, uint8_t slot, uint8_t type)
{
	struct xbd_send s = {
		.type = type,
		.sender = XBD_SLOT_NONE,
		.shard = sh->id,
		.ver = co_reqno(sh),
		.commit = slot == XBD_SLOT_WITNESS ? 0 : complete_point(sh, slot),
		.stamp = sh->co->now & XBD_STAMP_MASK,
	};

	co_send_to(sh, bit8(slot), &s);
}

static void check_alive(struct cshard *sh, uint8_t slot)
{
	struct rep *rep = &sh->rep[slot];
	uint64_t now = sh->co->now;

	if (rep->failed_at && now - rep->failed_at >= FAILED_NS) {
		rep->failed_at = 0;
		co_write_rep_up(sh, slot);
	}
	if (!rep->alive || !rep->asked_at || now - rep->asked_at < DOWN_NS)
		return;
	rep->alive = false;
	if (rep->replied)
		co_note(sh, CO_NOTE_REPLICA_DOWN, slot, 0);
	co_write_rep_down(sh, slot);
	sh->co->read_scan_at = now;
	for (struct cop *op = sh->co->reads_head; op; op = op->next)
		if (op->sh == sh && op->reqno && op->from == slot)
			op->read_at = now;
}

bool co_lease_valid(const struct cshard *sh)
{
	uint8_t valid = 0;

	FOR_SLOTS (sh, i)
		if (sh->rep[i].lease_until > sh->co->now)
			valid |= bit8(i);
	return co_have_majority(sh, &sh->rec, valid) || !XBD_RULE(A9_CHECK);
}

static void check_quorum(struct cshard *sh)
{
	unsigned votes = (unsigned)__builtin_popcount(co_eligible(sh) & co_targets(sh));
	bool ok = votes >= sh->rec.w && co_lease_valid(sh);

	if (sh->co->now - sh->served_at < sh->co->lease_ns)
		return; /* the first leases are on their way */

	if (ok && sh->suspended) {
		sh->suspended = false;
		co_note(sh, CO_NOTE_RESUMED, XBD_SLOT_NONE, votes);
	} else if (!ok && !sh->suspended) {
		sh->suspended = true;
		sh->co->n.suspends++;
		co_note(sh, CO_NOTE_SUSPENDED, XBD_SLOT_NONE, votes);
	}
}

/* Pair with witness: D is the set that holds every write; it follows who is there. */
static void check_pair(struct cshard *sh)
{
	uint8_t want = 0;

	if (sh->rec.n != 2 || uuid_zero(&sh->rec.witness))
		return;
	FOR_SLOTS (sh, i)
		if (i < 2 && sh->rep[i].synced && sh->rep[i].alive && !sh->rep[i].failed_at)
			want |= bit8(i);
	if (!want || want == sh->rec.d_mask) {
		sh->d_change_at = 0;
	} else if (!sh->d_change_at) {
		sh->d_change_at = sh->co->now;
	} else if (sh->co->now - sh->d_change_at >= 300 * NS_MS) {
		sh->d_change_at = 0;
		sh->reopen = true;
	}
}

void co_lease_tick(struct cshard *sh)
{
	struct co *co = sh->co;

	if (sh->phase != CO_SERVING || co->now < sh->lease_at)
		return;
	sh->lease_at = co->now + co->lease_every_ns;
	FOR_SLOTS (sh, i) {
		if (sh->rep[i].replied)
			send_lease(sh, i, XBD_T_LEASE);
		check_alive(sh, i);
	}
	check_quorum(sh);
	check_pair(sh);
	if (sh->reopen)
		co_reopen(sh);
}

void co_on_leased(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	struct rep *rep = &sh->rep[slot];
	uint64_t sent = stamp_time(sh->co->now, m->h.stamp & XBD_STAMP_MASK);
	uint8_t status = XBD_STATUS(m->h.stamp);

	if (!rep->replied)
		return;
	if (status == XBD_S_NOTSYNCED && (!rep->synced || sent <= rep->synced_at))
		status = XBD_S_OK; /* a learner, or an answer from before it was synced */
	if (status != XBD_S_OK) {
		/* What was asked of its predecessor in this epoch may still arrive there: a late
		 * SYNC would make it a voter that has nothing. So it starts in a new epoch. */
		co_note(sh, CO_NOTE_BLANK, slot, status);
		if (sh->phase == CO_SERVING)
			co_reopen(sh);
		return;
	}
	if (sent + sh->co->lease_ns > rep->lease_until)
		rep->lease_until = sent + sh->co->lease_ns;
	if (sh->suspended)
		check_quorum(sh);
}

void co_release(struct cshard *sh)
{
	FOR_SLOTS (sh, i)
		if (sh->rep[i].replied)
			send_lease(sh, i, XBD_T_RELEASE);
	sh->lease_at = UINT64_MAX;
	FOR_SLOTS (sh, i)
		sh->rep[i].lease_until = 0;
}
