/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening a shard: promise -> resolve -> sync -> accept -> serve (proto/README.md, "Opening"). Per
 * store at most one control message is on its way; which one comes next follows from its state.
 */
#include <string.h>

#include "coordinator/internal.h"

#define REOPEN_PAUSE_NS (10 * NS_MS)

static void rep_clear(struct cshard *sh, uint8_t slot)
{
	struct rep *rep = &sh->rep[slot];

	rep->replied = rep->noshard = rep->voter = rep->joined = rep->synced = false;
	rep->accepted = rep->foreign = false;
	rep->anc = 0;
	rep->hold = 0;
	rep->ctl = 0;
	rep->ctl_at = sh->co->now;
	rep->ctl_backoff_ns = 0;
	rep->lease_until = 0;
	memset(rep->scan, 0, sizeof(rep->scan));
	memset(&rep->st, 0, sizeof(rep->st));
}

void co_open_shard(struct cshard *sh, uint32_t epoch)
{
	size_t words = (sh->nregions + 63) / 64;

	XBD_ASSERT(epoch > sh->epoch && epoch <= XBD_EPOCH_MAX);
	co_write_freeze(sh);
	co_read_freeze(sh);
	co_jobs_reset(sh);
	sh->epoch = sh->seen_epoch = epoch;
	sh->phase = CO_OPENING;
	sh->reopen = false;
	sh->seq = sh->reqno = 0;
	sh->majority_at = 0;
	sh->first_sync_at = 0;
	sh->d_change_at = 0;
	sh->retry_at = 0;
	sh->progress_at = sh->co->now;
	sh->lease_at = UINT64_MAX;
	memset(sh->val, 0, sh->blocks * sizeof(*sh->val));
	FOR_SLOTS (sh, i) {
		rep_clear(sh, i);
		memset(sh->rep[i].lag, 0, words * sizeof(*sh->rep[i].lag));
		sh->rep[i].nlag = sh->rep[i].lag_cursor = sh->rep[i].repaired = 0;
		sh->rep[i].inflight_bytes = 0;
		sh->rep[i].alive = false;
		sh->rep[i].asked_at = 0;
		sh->rep[i].failed_at = 0;
	}
	sh->co->n.opens++;
	co_note(sh, CO_NOTE_OPENING, XBD_SLOT_NONE, epoch);
}

void co_reopen(struct cshard *sh)
{
	co_open_shard(sh, sh->seen_epoch + 1);
}

/* Which control message this store needs next; 0 = none. */
static uint8_t next_ctl(const struct cshard *sh, uint8_t slot)
{
	const struct rep *rep = &sh->rep[slot];

	if (!rep->replied)
		return rep->noshard ? XBD_T_CREATE : XBD_T_PROMISE;
	if (sh->phase == CO_OPENING || sh->phase == CO_DEAD)
		return 0;
	if (slot == XBD_SLOT_WITNESS)
		return sh->phase != CO_RESOLVING && !rep->accepted ? XBD_T_ACCEPT : 0;
	if (!rep->voter && !rep->joined)
		return XBD_T_JOIN;
	if (!rep->synced) {
		bool ready = co_scans_done(sh, slot) && !rep->nlag && !co_job_on(sh, slot) &&
			     !co_held(sh, slot);
		uint8_t voters = co_voters(sh);

		if (rep->voter && sh->phase == CO_RESOLVING)
			FOR_SLOTS (sh, i)
				if ((voters >> i & 1) && !co_scans_done(sh, i))
					ready = false;
		return ready || !XBD_RULE(A3_COPY) ? XBD_T_SYNC : 0;
	}
	if (sh->phase != CO_RESOLVING && !rep->accepted)
		return XBD_T_ACCEPT;
	return 0;
}

static void send_ctl(struct cshard *sh, uint8_t slot, uint8_t type)
{
	struct rep *rep = &sh->rep[slot];
	struct xbd_promise promise = {.owner = sh->co->cfg.owner, .slot = slot};
	struct xbd_join join = {.rec = sh->hi, .anc = rep->anc, .nlin = sh->nlin};
	struct xbd_sync sync = {.nlin = sh->nlin, .store = rep->st.store};
	struct xbd_send s = {
		.type = type,
		.sender = XBD_SLOT_NONE,
		.shard = sh->id,
		.ver = co_reqno(sh),
		.stamp = sh->co->now & XBD_STAMP_MASK,
	};

	memcpy(join.lin, sh->lin, sh->nlin * sizeof(sh->lin[0]));
	memcpy(sync.lin, sh->lin, sh->nlin * sizeof(sh->lin[0]));
	if (type == XBD_T_PROMISE) {
		s.body = &promise;
		s.body_len = sizeof(promise);
	} else if (type == XBD_T_CREATE) {
		s.body = &sh->cat;
		s.body_len = sizeof(sh->cat);
	} else if (type == XBD_T_JOIN) {
		s.body = &join;
		s.body_len = sizeof(join);
	} else if (type == XBD_T_SYNC) {
		s.body = &sync;
		s.body_len = sizeof(sync);
	} else {
		s.body = &sh->rec;
		s.body_len = sizeof(sh->rec);
	}
	co_send_to(sh, bit8(slot), &s);
}

static void ctl_tick(struct cshard *sh, uint8_t slot)
{
	struct rep *rep = &sh->rep[slot];
	uint8_t type = next_ctl(sh, slot);

	if (type != rep->ctl) {
		rep->ctl = type;
		rep->ctl_backoff_ns = 0;
		rep->ctl_at = sh->co->now;
	}
	if (!type || sh->co->now < rep->ctl_at)
		return;
	rep->ctl_backoff_ns =
		rep->ctl_backoff_ns ? min_u64(rep->ctl_backoff_ns * 2, CTL_MAX_NS) : CTL_FIRST_NS;
	rep->ctl_at = sh->co->now + rep->ctl_backoff_ns;
	send_ctl(sh, slot, type);
}

static void serve(struct cshard *sh)
{
	sh->phase = CO_SERVING;
	sh->gather_ns = GATHER_NS;
	sh->served = true;
	sh->suspended = false;
	sh->lease_at = sh->co->now;
	sh->served_at = sh->co->now;
	sh->scan_at = UINT64_MAX;
	sh->jobs_at = sh->co->now;
	sh->co->unblock = true;
	co_note(sh, CO_NOTE_SERVING, XBD_SLOT_NONE, sh->epoch);
}

static void step_opening(struct cshard *sh)
{
	bool all = true;

	FOR_SLOTS (sh, i)
		if (!sh->rep[i].replied)
			all = false;
	if (!all && sh->co->now < sh->majority_at + sh->gather_ns)
		return;
	if (!co_resolve(sh))
		return;
	sh->phase = CO_RESOLVING;
	sh->progress_at = sh->co->now;
	sh->jobs_at = sh->co->now;
}

static bool enough_synced(const struct cshard *sh)
{
	uint8_t d = sh->rec.d_mask, n = 0;

	for (uint8_t i = 0; i < sh->rec.n; i++)
		if ((d >> i & 1) && sh->rep[i].synced && !sh->rep[i].foreign)
			n++;
	return n >= sh->rec.w;
}

/* A pair's D is made of who is synced: give the second voter the time for it, or the shard would
 * have to open again at once to count it. */
static bool wait_for_pair(const struct cshard *sh)
{
	if (sh->hi.n != 2 || uuid_zero(&sh->hi.witness) || !sh->first_sync_at ||
	    sh->co->now >= sh->first_sync_at + PAIR_WAIT_NS)
		return false;
	for (uint8_t i = 0; i < 2; i++)
		if (sh->rep[i].voter && sh->rep[i].alive && !sh->rep[i].synced &&
		    !sh->rep[i].failed_at)
			return true;
	return false;
}

/* A store that was filled in the last epoch has little to catch up, but more than the voters.
 * Without it in the record this epoch would be for nothing, and the next one, too. */
static bool wait_for_newcomer(const struct cshard *sh)
{
	if (!sh->first_sync_at || sh->co->now >= sh->first_sync_at + NEWCOMER_NS)
		return false;
	FOR_SLOTS (sh, i)
		if (co_is_newcomer(sh, i) && sh->rep[i].alive && !sh->rep[i].synced &&
		    !sh->rep[i].failed_at)
			return true;
	return false;
}

static void step_resolving(struct cshard *sh)
{
	if ((!co_synced(sh) && XBD_RULE(A16_SYNC_FIRST)) || wait_for_pair(sh) ||
	    wait_for_newcomer(sh))
		return;
	co_make_record(sh);
	if (!enough_synced(sh) && XBD_RULE(A16_SYNC_FIRST))
		return;
	sh->phase = CO_ACCEPTING;
	sh->progress_at = sh->co->now;
}

static bool accepted_by_majorities(const struct cshard *sh)
{
	uint8_t mask = 0;

	FOR_SLOTS (sh, i)
		if (sh->rep[i].accepted)
			mask |= bit8(i);
	return co_have_majority(sh, &sh->rec, mask) &&
	       (co_have_majority(sh, &sh->hi, mask) || !XBD_RULE(A13_JOINT));
}

static void open_step(struct cshard *sh)
{
	if (sh->phase == CO_OPENING && sh->majority_at)
		step_opening(sh);
	if (sh->phase == CO_RESOLVING)
		step_resolving(sh);
	if (sh->phase == CO_ACCEPTING && accepted_by_majorities(sh) &&
	    (enough_synced(sh) || !XBD_RULE(A16_SYNC_FIRST)))
		serve(sh);
}

/* A block of which no good copy of the right version is here. */
static bool stuck(const struct cshard *sh)
{
	for (unsigned k = 0; k < JOBS_MAX && sh->njobs; k++)
		if (sh->jobs[k].used && sh->jobs[k].step == JOB_STUCK)
			return true;
	return false;
}

/* Has a store answered that could have voted, had it been earlier? */
static bool late_voter(const struct cshard *sh)
{
	for (uint8_t i = 0; i < sh->hi.n; i++)
		if (!sh->rep[i].voter && sh->rep[i].st.synced == sh->newest &&
		    co_is_member(sh, sh->hi.member, &sh->hi.witness, i))
			return true;
	return false;
}

/* Opening came to a halt though a majority was there: some store went away in the middle. */
static void check_progress(struct cshard *sh)
{
	if (sh->phase == CO_OPENING && sh->majority_at &&
	    sh->co->now - sh->majority_at >= UNRESOLVED_NS)
		co_reopen(sh); /* who has answered may be another store by now */
	if (sh->phase != CO_RESOLVING && sh->phase != CO_ACCEPTING)
		return;
	if (stuck(sh) && late_voter(sh)) {
		/* it may hold the copy that is missing: decide with it, and have more patience */
		sh->gather_ns = min_u64(sh->gather_ns * 2, GATHER_MAX_NS);
		co_reopen(sh);
	} else if (stuck(sh)) {
		sh->progress_at = sh->co->now; /* waits for a store to come, not for an answer */
	} else if (sh->co->now - sh->progress_at >= STUCK_NS) {
		co_reopen(sh);
	}
}

void co_open_tick(struct cshard *sh)
{
	if (sh->retry_at) {
		if (sh->co->now < sh->retry_at)
			return;
		co_open_shard(sh, sh->seen_epoch + 1);
	}
	open_step(sh);
	check_progress(sh);
	FOR_SLOTS (sh, i)
		ctl_tick(sh, i);
}

uint64_t co_open_deadline(const struct cshard *sh)
{
	uint64_t at = UINT64_MAX;

	if (sh->phase == CO_DEAD)
		return at;
	if (sh->retry_at)
		return sh->retry_at;
	if (sh->phase == CO_OPENING && sh->majority_at &&
	    sh->co->now < sh->majority_at + sh->gather_ns)
		at = sh->majority_at + sh->gather_ns;
	else if (sh->phase == CO_OPENING && sh->majority_at)
		at = sh->majority_at + UNRESOLVED_NS;
	if (sh->phase == CO_RESOLVING || sh->phase == CO_ACCEPTING)
		at = sh->progress_at + STUCK_NS;
	if (sh->phase == CO_RESOLVING && wait_for_pair(sh))
		at = min_u64(at, sh->first_sync_at + PAIR_WAIT_NS);
	if (sh->phase == CO_RESOLVING && wait_for_newcomer(sh))
		at = min_u64(at, sh->first_sync_at + NEWCOMER_NS);
	FOR_SLOTS (sh, i) {
		uint8_t type = next_ctl(sh, i);

		if (type && type != sh->rep[i].ctl)
			return 0;
		if (type)
			at = min_u64(at, sh->rep[i].ctl_at);
	}
	return at;
}

static unsigned replies(const struct cshard *sh)
{
	unsigned n = 0;

	FOR_SLOTS (sh, i)
		n += sh->rep[i].replied;
	return n;
}

void co_on_promised(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	struct rep *rep = &sh->rep[slot];
	uint8_t status = XBD_STATUS(m->h.stamp);

	if (rep->replied)
		return;
	if (status == XBD_S_NOSHARD && slot != XBD_SLOT_WITNESS && sh->phase != CO_OPENING) {
		rep->noshard = true;
		co_note(sh, CO_NOTE_BLANK, slot, status);
	}
	if (status != XBD_S_OK)
		return;
	memcpy(&rep->st, m->body, sizeof(rep->st));
	if (rep->st.nlin > XBD_LINEAGE_MAX || rep->st.nhist > XBD_HISTORY_MAX ||
	    rep->st.rec.n > XBD_REPLICAS_MAX)
		return;
	rep->replied = true;
	rep->alive = true;
	if (sh->phase == CO_OPENING) {
		if (replies(sh) >= sh->cat.n / 2u + 1 && !sh->majority_at)
			sh->majority_at = sh->co->now;
	} else if (slot != XBD_SLOT_WITNESS) {
		co_learner(sh, slot);
	}
}

static void on_synced(struct cshard *sh, uint8_t slot)
{
	struct rep *rep = &sh->rep[slot];

	if (rep->synced)
		return;
	rep->synced = true;
	rep->synced_at = sh->co->now;
	sh->progress_at = sh->co->now;
	if (!sh->first_sync_at)
		sh->first_sync_at = sh->co->now;
	co_note(sh, CO_NOTE_SYNCED, slot, sh->epoch);
	if (sh->phase != CO_SERVING)
		return;
	co_write_rep_up(sh, slot);
	if (rep->foreign)
		sh->reopen = true; /* a new member counts from the next epoch on */
}

void co_on_control(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	struct rep *rep = &sh->rep[slot];
	uint8_t status = XBD_STATUS(m->h.stamp);

	if (m->h.type == XBD_T_CREATED && !rep->replied) {
		if (status == XBD_S_OK || status == XBD_S_EXISTS)
			rep->noshard = false; /* now it can promise */
		return;
	}
	if (rep->replied && ((m->h.type == XBD_T_SYNCED && status == XBD_S_CONFLICT) ||
			     (m->h.type == XBD_T_JOINED && status == XBD_S_INVALID))) {
		/* It is not what it said when it promised: metadata was lost, and with it maybe
		 * what it was given since. In a new epoch it says again what it has. */
		co_note(sh, CO_NOTE_BLANK, slot, status);
		co_reopen(sh);
		return;
	}
	if (!rep->replied || status != XBD_S_OK)
		return;
	if (m->h.type == XBD_T_JOINED && !rep->voter && !rep->joined) {
		rep->joined = true;
		sh->jobs_at = sh->co->now;
		sh->progress_at = sh->co->now;
	} else if (m->h.type == XBD_T_SYNCED && (rep->voter || rep->joined)) {
		on_synced(sh, slot);
	} else if (m->h.type == XBD_T_ACCEPTED) {
		rep->accepted = true;
	}
}

void co_on_stale(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	struct co *co = sh->co;
	uint32_t prom = XBD_VER_EPOCH(m->h.ver);

	if (XBD_VER_EPOCH(m->h.ver2) != sh->epoch || prom < sh->epoch)
		return; /* about an epoch of ours that is over */
	sh->rep[slot].asked_at = 0;
	if (prom > sh->seen_epoch)
		sh->seen_epoch = prom;
	if (sh->served && (prom > sh->epoch || sh->phase != CO_SERVING)) {
		/* Opening again, and our number is another's: he may have served in between and
		 * dropped what we had in flight. A higher number would bring that back. */
		co_fenced(sh, prom);
	} else if (sh->phase == CO_SERVING) {
		/* promised our number to somebody else, who lost: take a higher one some day */
		sh->reopen = true;
	} else if (!sh->retry_at) {
		sh->retry_at = co->now + REOPEN_PAUSE_NS + co_random(co) % (4 * REOPEN_PAUSE_NS);
	}
}
