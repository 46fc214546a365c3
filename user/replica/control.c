/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of a shard's durable state: JOIN, SYNC, ACCEPT, CREATE, RETIRE. At most one change per
 * shard is being written; what arrives meanwhile is dropped, its sender asks again.
 */
#include <string.h>

#include "replica/internal.h"

struct rop *rep_state_begin(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	const struct xbd_state *st = rep_state(r, sh->id);
	struct rop *op;

	if (sh->state_busy)
		return NULL;
	op = rep_op_get(r);
	if (!op)
		return NULL;
	op->shard = sh->id;
	if (m) {
		op->type = m->h.type;
		op->ver = m->h.ver;
		op->stamp = m->h.stamp;
		op->peer = m->from;
	}
	if (st) {
		op->u.state = *st;
		op->u.state.comp = sh->comp;
	} else {
		memset(&op->u.state, 0, sizeof(op->u.state));
	}
	op->u.state.store = r->info.uuid;
	op->u.state.boot = r->info.boot;
	return op;
}

static uint8_t answer_type(uint8_t type)
{
	switch (type) {
	case XBD_T_JOIN:
		return XBD_T_JOINED;
	case XBD_T_SYNC:
		return XBD_T_SYNCED;
	case XBD_T_ACCEPT:
		return XBD_T_ACCEPTED;
	case XBD_T_CREATE:
		return XBD_T_CREATED;
	case XBD_T_RETIRE:
		return XBD_T_RETIRED;
	default:
		return 0;
	}
}

static void answer_op(struct replica *r, const struct rop *op, uint8_t status)
{
	struct xbd_send s = {
		.type = answer_type(op->type),
		.sender = rep_slot(r, op->shard),
		.status = status,
		.shard = op->shard,
		.ver = op->ver,
		.stamp = op->stamp,
	};

	if (s.type)
		rep_send(r, op->peer, &s);
}

static void note_change(struct replica *r, const struct rop *op)
{
	if (op->type == XBD_T_SYNC)
		rep_note(r, REPLICA_NOTE_SYNCED, op->shard, op->u.state.synced);
	else if (op->type == XBD_T_CREATE)
		rep_note(r, REPLICA_NOTE_CREATED, op->shard, 0);
	else if (op->type == XBD_T_RETIRE)
		rep_note(r, REPLICA_NOTE_RETIRED, op->shard, 0);
}

static void state_done(struct store_op *s)
{
	struct rop *op = (struct rop *)s;
	struct replica *r = s->owner;
	struct rshard *sh = rep_shard(r, op->shard);

	XBD_ASSERT(sh && sh->state_busy);
	sh->state_busy = false;
	if (s->res) {
		r->n.disk_errors++;
		rep_note(r, REPLICA_NOTE_DISK, op->shard, (uint64_t)-s->res);
		if (op->type == XBD_T_PROMISE)
			sh->promise.phase = PROMISE_NONE; /* not given */
		answer_op(r, op, rep_status(s->res));
	} else {
		sh->state_at = r->now;
		if (op->type != XBD_T_LEASE && op->type != XBD_T_PROMISE)
			sh->comp = op->u.state.comp;
		note_change(r, op);
		answer_op(r, op, XBD_S_OK);
		if (op->type == XBD_T_PROMISE)
			rep_promise_durable(r, sh);
	}
	rep_op_put(r, op);
	rep_promise_step(r, sh);
}

void rep_state_submit(struct replica *r, struct rshard *sh, struct rop *op)
{
	const struct xbd_state *old = rep_state(r, sh->id);

	XBD_ASSERT(!sh->state_busy);
	XBD_ASSERT(!old || op->u.state.prom >= old->prom);  /* invariant 1 */
	XBD_ASSERT(op->u.state.synced <= op->u.state.prom); /* invariant 2 */
	XBD_ASSERT(op->u.state.nlin <= XBD_LINEAGE_MAX);
	XBD_ASSERT(op->u.state.nhist <= XBD_HISTORY_MAX);
	sh->state_busy = true;
	op->s.kind = op->type == XBD_T_RETIRE ? STORE_DROP : STORE_STATE;
	op->s.shard = sh->id;
	op->s.state = &op->u.state;
	op->s.done = state_done;
	op->s.owner = r;
	store_submit(r->store, &op->s);
}

static bool in_lineage(const uint32_t *lin, uint32_t n, uint32_t epoch)
{
	for (uint32_t i = 0; i < n && i < XBD_LINEAGE_MAX; i++)
		if (lin[i] == epoch)
			return true;
	return false;
}

/* Forget what came after `anc`: its complete point, newer history, newer ancestors. */
static void step_back(struct xbd_state *st, uint32_t anc)
{
	uint64_t comp = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < st->nhist; i++)
		if (st->hist[i].epoch == anc && anc)
			comp = st->hist[i].comp;
	for (uint32_t i = 0; i < st->nhist; i++)
		if (st->hist[i].epoch < anc)
			st->hist[n++] = st->hist[i];
	memset(st->hist + n, 0, (XBD_HISTORY_MAX - n) * sizeof(*st->hist));
	st->nhist = (uint8_t)n;
	for (n = 0; n < st->nlin && st->lin[n] != anc; n++)
		;
	memmove(st->lin, st->lin + n, (st->nlin - n) * sizeof(*st->lin));
	st->nlin = (uint8_t)(st->nlin - n);
	st->synced = anc;
	st->comp = comp;
}

void rep_on_join(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	const struct xbd_state *st = rep_state(r, sh->id);
	uint32_t epoch = XBD_VER_EPOCH(m->h.ver);
	struct xbd_join j;
	struct rop *op;
	bool foreign;

	memcpy(&j, m->body, sizeof(j));
	foreign = st->rec.bal < epoch && !in_lineage(j.lin, j.nlin, st->rec.epoch);
	if (st->synced == epoch ||
	    (st->synced == j.anc && (!foreign || memcmp(&st->rec, &j.rec, sizeof(j.rec)) == 0))) {
		rep_reply(r, m, m->from, XBD_T_JOINED, XBD_S_OK);
		return;
	}
	if (j.anc > st->synced) {
		rep_reply(r, m, m->from, XBD_T_JOINED, XBD_S_INVALID);
		return;
	}
	op = rep_state_begin(r, sh, m);
	if (!op)
		return;
	if (op->u.state.synced != j.anc && XBD_RULE(A6_JOIN))
		step_back(&op->u.state, j.anc);
	if (foreign && XBD_RULE(A14_JOIN_RECORD))
		op->u.state.rec = j.rec;
	rep_state_submit(r, sh, op);
}

static void push_history(struct xbd_state *st)
{
	uint32_t keep = st->nhist < XBD_HISTORY_MAX ? st->nhist : XBD_HISTORY_MAX - 1;

	if (!st->synced)
		return;
	memmove(st->hist + 1, st->hist, keep * sizeof(*st->hist));
	st->hist[0] = (struct xbd_hist){.epoch = st->synced, .comp = st->comp};
	st->nhist = (uint8_t)(keep + 1);
}

/* Only ancestors of the content are of use; the others may not push them out. */
static void prune_history(struct xbd_state *st, const struct xbd_sync *sy)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < st->nhist; i++)
		if (in_lineage(sy->lin, sy->nlin, st->hist[i].epoch))
			st->hist[n++] = st->hist[i];
	memset(st->hist + n, 0, (XBD_HISTORY_MAX - n) * sizeof(*st->hist));
	st->nhist = (uint8_t)n;
}

void rep_on_sync(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	const struct xbd_state *st = rep_state(r, sh->id);
	uint32_t epoch = XBD_VER_EPOCH(m->h.ver);
	struct xbd_sync sy;
	struct rop *op;

	if (st->synced == epoch) {
		rep_reply(r, m, m->from, XBD_T_SYNCED, XBD_S_OK);
		return;
	}
	memcpy(&sy, m->body, sizeof(sy));
	if (!uuid_equal(&sy.store, &r->info.uuid) && XBD_RULE(SYNC_UUID)) {
		/* Metadata was lost and the store took a new name since it promised: what it was
		 * given before may be gone, and the owner does not know. */
		rep_reply(r, m, m->from, XBD_T_SYNCED, XBD_S_CONFLICT);
		return;
	}
	if (sy.nlin == 0 || sy.nlin > XBD_LINEAGE_MAX || sy.lin[0] != epoch || r->cfg.witness) {
		rep_reply(r, m, m->from, XBD_T_SYNCED, XBD_S_INVALID);
		return;
	}
	op = rep_state_begin(r, sh, m);
	if (!op)
		return;
	prune_history(&op->u.state, &sy);
	push_history(&op->u.state);
	op->u.state.synced = epoch;
	op->u.state.comp = XBD_VER(epoch, 0);
	op->u.state.nlin = (uint8_t)sy.nlin;
	memcpy(op->u.state.lin, sy.lin, sizeof(sy.lin));
	rep_state_submit(r, sh, op);
}

void rep_on_accept(struct replica *r, struct rshard *sh, const struct xbd_msg *m)
{
	const struct xbd_state *st = rep_state(r, sh->id);
	struct xbd_record rec;
	struct rop *op;

	memcpy(&rec, m->body, sizeof(rec));
	if (memcmp(&st->rec, &rec, sizeof(rec)) == 0) {
		rep_reply(r, m, m->from, XBD_T_ACCEPTED, XBD_S_OK);
		return;
	}
	if (rec.bal != XBD_VER_EPOCH(m->h.ver)) {
		rep_reply(r, m, m->from, XBD_T_ACCEPTED, XBD_S_INVALID);
		return;
	}
	op = rep_state_begin(r, sh, m);
	if (!op)
		return;
	op->u.state.rec = rec;
	rep_state_submit(r, sh, op);
}

static bool is_member(const struct replica *r, const struct xbd_record *rec)
{
	if (r->cfg.witness)
		return uuid_equal(&rec->witness, &r->info.uuid);
	for (unsigned i = 0; i < rec->n; i++)
		if (uuid_equal(&rec->member[i], &r->info.uuid))
			return true;
	return false;
}

void rep_on_create(struct replica *r, const struct xbd_msg *m)
{
	const struct xbd_state *st = rep_state(r, m->h.shard);
	struct xbd_record rec;
	struct rshard *sh;
	struct rop *op;
	bool blank;

	memcpy(&rec, m->body, sizeof(rec));
	if (st) {
		bool same = !st->retired && st->rec.gen == rec.gen &&
			    uuid_equal(&st->rec.volume, &rec.volume);

		rep_reply(r, m, m->from, XBD_T_CREATED, same ? XBD_S_OK : XBD_S_EXISTS);
		return;
	}
	if (rec.n == 0 || rec.n > XBD_REPLICAS_MAX || rec.w == 0 || rec.w > rec.n || rec.bal != 1 ||
	    rec.epoch != 1) {
		rep_reply(r, m, m->from, XBD_T_CREATED, XBD_S_INVALID);
		return;
	}
	/* An owner (its epoch is in the header) may give a store that is no member a blank shard: a
	 * disk that replaces a lost one. It is not synced, so it counts nowhere until filled. A
	 * member that lost the shard is not to be made believe that it never had it. */
	blank = XBD_VER_EPOCH(m->h.ver) > 1;
	if (blank == is_member(r, &rec)) {
		rep_reply(r, m, m->from, XBD_T_CREATED, XBD_S_INVALID);
		return;
	}
	sh = rep_shard_add(r, m->h.shard);
	if (!sh) {
		rep_reply(r, m, m->from, XBD_T_CREATED, XBD_S_NOSPACE);
		return;
	}
	op = rep_state_begin(r, sh, m);
	if (!op)
		return;
	op->u.state.slot = XBD_SLOT_NONE;
	op->u.state.rec = rec;
	op->u.state.prom = 1;
	if (!r->cfg.witness && !blank) {
		op->u.state.synced = 1;
		op->u.state.comp = XBD_VER(1, 0);
		op->u.state.nlin = 1;
		op->u.state.lin[0] = 1;
	}
	rep_state_submit(r, sh, op);
}

void rep_on_retire(struct replica *r, const struct xbd_msg *m)
{
	struct rshard *sh = rep_shard(r, m->h.shard);
	const struct xbd_state *st = sh ? rep_state(r, m->h.shard) : NULL;
	struct rop *op;

	if (!st || st->retired) {
		rep_reply(r, m, m->from, XBD_T_RETIRED, XBD_S_OK);
		return;
	}
	if (r->now < sh->lease_until || sh->promise.phase != PROMISE_NONE) {
		rep_reply(r, m, m->from, XBD_T_RETIRED, XBD_S_BUSY);
		return;
	}
	if (sh->writing)
		return;
	op = rep_state_begin(r, sh, m);
	if (!op)
		return;
	rep_assembly_drop(r, sh->id);
	op->u.state.retired = 1;
	rep_state_submit(r, sh, op);
}

void rep_on_info(struct replica *r, const struct xbd_msg *m)
{
	struct xbd_info info = {.boot = r->info.boot, .shards = r->nshards};
	struct store_info now;
	struct xbd_send s = {
		.type = XBD_T_INFO_R,
		.sender = XBD_SLOT_NONE,
		.shard = m->h.shard,
		.ver = m->h.ver,
		.stamp = m->h.stamp,
		.body = &info,
		.body_len = sizeof(info),
	};

	store_info(r->store, &now);
	info.store = now.uuid;
	info.cluster = now.cluster;
	info.blocks = now.slots;
	info.blocks_free = now.slots_free;
	info.flags = (r->cfg.witness ? XBD_INFO_WITNESS : 0) | (now.failed ? XBD_INFO_FAILED : 0);
	info.alive_ms = (r->now - r->start_ns) / NS_MS;
	memcpy(info.name, r->cfg.name, sizeof(info.name));
	rep_send(r, m->from, &s);
}
