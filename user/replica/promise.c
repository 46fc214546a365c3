/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Promises and leases. A promise is answered when (1) every operation accepted before it has ended,
 * so that the listing contains it, (2) it is durable, (3) XDP's fence is up, (4) the read lease of
 * the former owner has run out. From the moment it is asked for, older epochs get nothing done.
 *
 *   NONE -> DRAIN -> WRITE -> LEASE -> answered, NONE
 */
#include <string.h>

#include "replica/internal.h"

static void answer_promise(struct replica *r, struct rshard *sh, uint32_t peer, uint64_t ver,
			   uint64_t stamp)
{
	struct xbd_state st = *rep_state(r, sh->id);
	struct xbd_send s = {
		.type = XBD_T_PROMISED,
		.sender = st.slot,
		.shard = sh->id,
		.ver = ver,
		.stamp = stamp,
		.body = &st,
		.body_len = sizeof(st),
	};

	st.store = r->info.uuid;
	st.boot = r->info.boot;
	st.comp = sh->comp;
	rep_send(r, peer, &s);
}

static void write_promise(struct replica *r, struct rshard *sh)
{
	struct promise *p = &sh->promise;
	struct rop *op = rep_state_begin(r, sh, NULL);

	if (!op)
		return;
	op->type = XBD_T_PROMISE;
	op->u.state.prom = p->epoch;
	op->u.state.owner = p->owner;
	op->u.state.slot = p->slot;
	p->phase = PROMISE_WRITE;
	rep_state_submit(r, sh, op);
}

void rep_promise_step(struct replica *r, struct rshard *sh)
{
	struct promise *p = &sh->promise;

	if (p->phase == PROMISE_DRAIN && (sh->writing == 0 || !XBD_RULE(A8_DRAIN)) &&
	    !sh->state_busy)
		write_promise(r, sh);
	if (p->phase == PROMISE_LEASE &&
	    (r->now >= sh->lease_until || sh->lease_epoch == p->epoch || !XBD_RULE(A9_WAIT))) {
		p->phase = PROMISE_NONE;
		sh->owner_peer = p->peer;
		answer_promise(r, sh, p->peer, p->ver, p->stamp);
	}
}

void rep_promise_durable(struct replica *r, struct rshard *sh)
{
	struct promise *p = &sh->promise;

	XBD_ASSERT(p->phase == PROMISE_WRITE);
	XBD_ASSERT(rep_state(r, sh->id)->prom == p->epoch);
	r->ops.fence(r->ctx, sh->id, p->epoch);
	rep_note(r, REPLICA_NOTE_PROMISED, sh->id, p->epoch);
	rep_assembly_drop(r, sh->id);
	p->phase = PROMISE_LEASE;
	rep_promise_step(r, sh);
}

static void refuse(struct replica *r, const struct xbd_msg *m, uint32_t prom)
{
	r->n.stale++;
	rep_stale(r, m, prom);
}

static struct promise asked(const struct xbd_msg *m, const struct xbd_promise *req,
			    enum promise_phase phase)
{
	return (struct promise){
		.phase = phase,
		.epoch = XBD_VER_EPOCH(m->h.ver),
		.peer = m->from,
		.owner = req->owner,
		.slot = req->slot,
		.stamp = m->h.stamp,
		.ver = m->h.ver,
	};
}

static void start(struct replica *r, struct rshard *sh, const struct xbd_msg *m,
		  const struct xbd_promise *req)
{
	const struct xbd_state *st = rep_state(r, sh->id);

	if (sh->promise.phase == PROMISE_WRITE)
		return; /* asked again soon */
	/* Its own lease holds nobody up. One of an older epoch is another's that still runs, though
	 * the promise has changed hands since. */
	if (sh->lease_epoch == st->prom && uuid_equal(&st->owner, &req->owner))
		sh->lease_until = 0;
	sh->promise = asked(m, req, PROMISE_DRAIN);
	rep_assembly_drop(r, sh->id); /* older operations cannot be completed any more */
	rep_promise_step(r, sh);
}

void rep_on_promise(struct replica *r, const struct xbd_msg *m)
{
	struct rshard *sh = rep_shard(r, m->h.shard);
	const struct xbd_state *st = sh ? rep_state(r, m->h.shard) : NULL;
	uint32_t epoch = XBD_VER_EPOCH(m->h.ver);
	struct xbd_promise req;

	memcpy(&req, m->body, sizeof(req));
	if (!st) {
		r->n.no_shard++;
		rep_reply(r, m, m->from, XBD_T_PROMISED, XBD_S_NOSHARD);
	} else if (st->retired) {
		rep_reply(r, m, m->from, XBD_T_PROMISED, XBD_S_RETIRED);
	} else if (epoch < st->prom || (epoch == st->prom && !uuid_equal(&st->owner, &req.owner) &&
					XBD_RULE(A10_OWNER))) {
		refuse(r, m, st->prom);
	} else if (sh->promise.phase != PROMISE_NONE &&
		   (epoch < sh->promise.epoch ||
		    (epoch == sh->promise.epoch && !uuid_equal(&sh->promise.owner, &req.owner)))) {
		refuse(r, m, sh->promise.epoch);
	} else if (epoch > st->prom &&
		   (sh->promise.phase == PROMISE_NONE || epoch > sh->promise.epoch)) {
		start(r, sh, m, &req);
	} else if (sh->promise.phase == PROMISE_DRAIN) {
		rep_promise_step(r, sh); /* there was no room to write it before */
	} else if (sh->promise.phase == PROMISE_NONE) {
		/* durable already, but after a start of the daemon maybe never answered */
		sh->promise = asked(m, &req, PROMISE_LEASE);
		rep_promise_step(r, sh);
	}
}

static void comp_save(struct replica *r, struct rshard *sh)
{
	struct rop *op;

	if (!sh->comp_dirty || sh->promise.phase != PROMISE_NONE)
		return;
	op = rep_state_begin(r, sh, NULL);
	if (!op)
		return;
	op->type = XBD_T_LEASE;
	sh->comp_dirty = false;
	rep_state_submit(r, sh, op);
}

static void take_comp(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	const struct xbd_state *st = rep_state(r, sh->id);

	if (st->synced != XBD_VER_EPOCH(m->h.ver) || XBD_VER_EPOCH(m->h.commit) != st->synced ||
	    m->h.commit <= sh->comp)
		return;
	sh->comp = m->h.commit;
	sh->comp_dirty = true;
}

void rep_on_lease(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	take_comp(r, sh, m);
	sh->owner_peer = m->from;
	sh->lease_until = r->now + r->grace_ns;
	sh->lease_epoch = XBD_VER_EPOCH(m->h.ver);
	if (r->now - sh->state_at >= STATE_EVERY_NS)
		comp_save(r, sh);
	rep_reply(r, m, m->from, XBD_T_LEASED,
		  r->cfg.witness || rep_state(r, sh->id)->synced == sh->lease_epoch
			  ? XBD_S_OK
			  : XBD_S_NOTSYNCED);
}

void rep_on_release(struct replica *r, const struct xbd_msg *m)
{
	struct rshard *sh = rep_shard(r, m->h.shard);

	XBD_ASSERT(sh);
	if (sh->lease_epoch != XBD_VER_EPOCH(m->h.ver))
		return;
	sh->lease_until = 0;
	take_comp(r, sh, m);
	comp_save(r, sh);
	rep_reply(r, m, m->from, XBD_T_RELEASED, XBD_S_OK);
	rep_promise_step(r, sh);
}
