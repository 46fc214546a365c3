/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recovery, the deciding part: from the promises that are here choose the membership record to
 * resolve from, who votes on versions, who only learns; later make our own record. Quorums are
 * counted by store UUID, never by slot.
 */
#include <string.h>

#include "coordinator/internal.h"

bool co_is_member(const struct cshard *sh, const struct xbd_uuid *uuids,
		  const struct xbd_uuid *witness, uint8_t slot)
{
	const struct rep *rep = &sh->rep[slot];

	if (rep->node == XBD_SLOT_NONE || !rep->replied)
		return false;
	if (slot == XBD_SLOT_WITNESS)
		return uuid_equal(witness, &rep->st.store);
	return uuid_equal(&uuids[slot], &rep->st.store) || !XBD_RULE(A12_UUID);
}

static unsigned voters_of(const struct xbd_record *q)
{
	return q->n + (uuid_zero(&q->witness) ? 0u : 1u);
}

static unsigned count(const struct cshard *sh, const struct xbd_record *q,
		      const struct xbd_uuid *uuids, uint8_t slots)
{
	unsigned n = 0;

	for (uint8_t i = 0; i < XBD_SLOTS; i++) {
		if (i >= q->n && i != XBD_SLOT_WITNESS)
			continue;
		if ((slots >> i & 1) && co_is_member(sh, uuids, &q->witness, i))
			n++;
	}
	return n;
}

/* Do `slots` hold a majority of q's members (and witness)? */
bool co_have_majority(const struct cshard *sh, const struct xbd_record *q, uint8_t slots)
{
	return count(sh, q, q->member, slots) >= voters_of(q) / 2 + 1;
}

static bool have_base_majority(const struct cshard *sh, const struct xbd_record *q, uint8_t slots)
{
	return count(sh, q, q->base, slots) >= voters_of(q) / 2 + 1 || !XBD_RULE(A13_JOINT);
}

uint8_t co_voters(const struct cshard *sh)
{
	uint8_t mask = 0;

	FOR_SLOTS (sh, i)
		if (sh->rep[i].voter)
			mask |= bit8(i);
	return mask;
}

uint8_t co_synced(const struct cshard *sh)
{
	uint8_t mask = 0;

	FOR_SLOTS (sh, i)
		if (sh->rep[i].synced)
			mask |= bit8(i);
	return mask;
}

static uint8_t replied(const struct cshard *sh)
{
	uint8_t mask = 0;

	FOR_SLOTS (sh, i)
		if (sh->rep[i].replied)
			mask |= bit8(i);
	return mask;
}

/* The records in the replies, highest ballot first. */
static unsigned sort_records(const struct cshard *sh, const struct xbd_record **out)
{
	unsigned n = 0;

	FOR_SLOTS (sh, i) {
		const struct xbd_record *rec = &sh->rep[i].st.rec;
		unsigned at;

		if (!sh->rep[i].replied || rec->n == 0)
			continue;
		for (at = n++; at > 0 && out[at - 1]->bal < rec->bal; at--)
			out[at] = out[at - 1];
		out[at] = rec;
	}
	return n;
}

/* The record to resolve from; NULL = wait for more replies. */
static const struct xbd_record *choose(const struct cshard *sh)
{
	const struct xbd_record *recs[XBD_SLOTS];
	unsigned n = sort_records(sh, recs);
	uint8_t here = replied(sh);

	for (unsigned k = 0; k < n; k++) {
		const struct xbd_record *q = recs[k];
		unsigned in_d = 0;
		uint32_t newest = 0;

		if (!co_have_majority(sh, q, here) || !have_base_majority(sh, q, here))
			return NULL;
		for (uint8_t i = 0; i < q->n; i++) {
			if (!(q->d_mask >> i & 1) || !co_is_member(sh, q->member, &q->witness, i))
				continue;
			in_d++;
			if (sh->rep[i].st.synced > newest)
				newest = sh->rep[i].st.synced;
		}
		if (in_d + q->w < (unsigned)__builtin_popcount(q->d_mask) + 1 && XBD_RULE(A15_DATA))
			return NULL;
		if (newest < q->epoch && XBD_RULE(A14_DEAD_RECORD))
			continue; /* never served: nothing was written under it */
		return q;
	}
	return NULL;
}

static uint32_t newest_synced(const struct cshard *sh, const struct xbd_record *h)
{
	uint32_t newest = 0;

	for (uint8_t i = 0; i < h->n; i++)
		if (co_is_member(sh, h->member, &h->witness, i) && sh->rep[i].st.synced > newest)
			newest = sh->rep[i].st.synced;
	return newest;
}

/*
 * Epochs between the record's and the voters' were opened and never served: their record would be
 * here. They are left out, so that a row of failed openings does not push out the last served
 * epoch: a store that must step back behind that one takes its copy of acknowledged writes out of
 * the quorum.
 */
static void set_lineage(struct cshard *sh, const struct xbd_state *st)
{
	sh->nlin = 1;
	sh->lin[0] = sh->epoch;
	for (unsigned i = 0; i < st->nlin && sh->nlin < XBD_LINEAGE_MAX; i++)
		if (st->lin[i] == st->synced || st->lin[i] <= sh->hi.epoch)
			sh->lin[sh->nlin++] = st->lin[i];
}

static bool in_lineage(const struct cshard *sh, uint32_t epoch)
{
	for (uint32_t i = 0; i < sh->nlin; i++)
		if (sh->lin[i] == epoch)
			return true;
	return false;
}

/* No member, but filled and synced in the epoch that is resolved from: to be named in this one. */
bool co_is_newcomer(const struct cshard *sh, uint8_t slot)
{
	const struct rep *rep = &sh->rep[slot];

	return slot < sh->hi.n && rep->replied && rep->foreign && rep->st.synced == sh->newest &&
	       rep->st.rec.gen == sh->hi.gen && uuid_equal(&rep->st.rec.volume, &sh->hi.volume);
}

/* A store that does not vote: what it has in common with the voters, what to compare. */
void co_learner(struct cshard *sh, uint8_t slot)
{
	struct rep *rep = &sh->rep[slot];
	const struct xbd_state *st = &rep->st;
	uint64_t comp = 0;

	XBD_ASSERT(slot != XBD_SLOT_WITNESS);
	rep->voter = false;
	rep->joined = false;
	rep->anc = 0;
	rep->foreign = !uuid_equal(&st->store, &sh->hi.member[slot]);
	if (!XBD_RULE(A5_LINEAGE)) {
		comp = st->comp;
		rep->anc = st->synced;
	} else if (co_is_newcomer(sh, slot) ||
		   (!rep->foreign && st->synced && in_lineage(sh, st->synced))) {
		comp = st->comp;
		rep->anc = st->synced;
	} else if (!rep->foreign) {
		for (unsigned i = 0; i < st->nhist; i++) {
			if (!in_lineage(sh, st->hist[i].epoch))
				continue;
			comp = st->hist[i].comp;
			rep->anc = st->hist[i].epoch;
			break;
		}
	}
	co_scan_start(sh, slot, 0, slot, bit8(slot), comp);
	co_scan_start(sh, slot, 1, XBD_SLOT_NONE, bit8(slot), comp);
}

/* True = the shard can be resolved with the replies here: voters and learners are named. */
bool co_resolve(struct cshard *sh)
{
	const struct xbd_record *q = choose(sh);
	uint32_t newest;
	uint64_t base = UINT64_MAX;
	uint8_t voters = 0;

	if (!q)
		return false;
	sh->hi = *q;
	newest = newest_synced(sh, &sh->hi);
	if (newest < sh->hi.epoch || newest == 0) /* invariant 14: wait, never guess */
		return false;
	for (uint8_t i = 0; i < sh->hi.n; i++) {
		if (!co_is_member(sh, sh->hi.member, &sh->hi.witness, i) ||
		    (sh->rep[i].st.synced != newest && XBD_RULE(A1_SYNCED)))
			continue;
		sh->rep[i].voter = true;
		voters |= bit8(i);
		base = min_u64(base, sh->rep[i].st.comp);
		if (sh->rep[i].st.synced == newest)
			set_lineage(sh, &sh->rep[i].st);
	}
	XBD_ASSERT(voters);
	sh->base = base;
	sh->newest = newest;
	FOR_SLOTS (sh, i) {
		if (!sh->rep[i].replied || i == XBD_SLOT_WITNESS)
			continue;
		if (voters >> i & 1)
			co_scan_start(sh, i, 0, i, voters, base);
		else
			co_learner(sh, i);
	}
	return true;
}

/* The record of this epoch, made from who is synced now. */
void co_make_record(struct cshard *sh)
{
	struct xbd_record rec = sh->hi;
	uint8_t synced = co_synced(sh);
	bool witness = !uuid_zero(&sh->hi.witness);

	rec.bal = rec.epoch = sh->epoch;
	rec.table_no = sh->cat.table_no;
	memcpy(rec.base, sh->hi.member, sizeof(rec.base));
	for (uint8_t i = 0; i < rec.n; i++)
		if (synced >> i & 1)
			rec.member[i] = sh->rep[i].st.store;
	rec.d_mask = (uint8_t)((1u << rec.n) - 1);
	rec.w = (uint8_t)(rec.n / 2 + 1);
	if (rec.n == 2 && witness && synced != 3) {
		rec.d_mask = synced;
		rec.w = 1;
	}
	sh->rec = rec;
	FOR_SLOTS (sh, i)
		sh->rep[i].foreign = i != XBD_SLOT_WITNESS && sh->rep[i].replied &&
				     !uuid_equal(&sh->rep[i].st.store, &rec.member[i]);
}
