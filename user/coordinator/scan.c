/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scans: ask a store which regions changed since a version, and mark them in lag maps. A voter is
 * asked about itself; a learner about itself and a synced voter about what the learner may lack.
 */
#include <string.h>

#include "coordinator/internal.h"

void co_scan_start(struct cshard *sh, uint8_t slot, unsigned which, uint8_t ask, uint8_t mark,
		   uint64_t since)
{
	XBD_ASSERT(which < 2);
	sh->rep[slot].scan[which] =
		(struct scan){.needed = true, .ask = ask, .mark = mark, .since = since};
}

bool co_scans_done(const struct cshard *sh, uint8_t slot)
{
	for (unsigned w = 0; w < 2; w++)
		if (sh->rep[slot].scan[w].needed && !sh->rep[slot].scan[w].done)
			return false;
	return true;
}

/* A learner's second scan asks a voter, which must have all that was resolved: a synced one. */
static bool choose_voter(struct cshard *sh, struct scan *sc)
{
	uint8_t able = co_synced(sh) & co_targets(sh) & co_voters(sh);

	if (!able)
		able = co_synced(sh) & co_targets(sh);
	if (sc->ask != XBD_SLOT_NONE && (able >> sc->ask & 1))
		return true;
	if (!able)
		return false;
	sc->ask = (uint8_t)__builtin_ctz(able);
	sc->next = 0;
	return true;
}

static void ask(struct cshard *sh, struct scan *sc)
{
	struct xbd_send s = {
		.type = XBD_T_REGIONS,
		.sender = XBD_SLOT_NONE,
		.shard = sh->id,
		.block = sc->next,
		.ver2 = sc->since,
		.stamp = sh->co->now & XBD_STAMP_MASK,
	};

	sc->reqno = s.ver = co_reqno(sh);
	sc->backoff_ns = sc->backoff_ns ? min_u64(sc->backoff_ns * 2, CTL_MAX_NS) : CTL_FIRST_NS;
	sc->at = sh->co->now + sc->backoff_ns;
	co_send_to(sh, bit8(sc->ask), &s);
}

void co_scan_tick(struct cshard *sh)
{
	if (sh->phase == CO_OPENING || sh->phase == CO_DEAD)
		return;
	FOR_SLOTS (sh, i)
		for (unsigned w = 0; w < 2; w++) {
			struct scan *sc = &sh->rep[i].scan[w];

			if (!sc->needed || sc->done || sh->co->now < sc->at)
				continue;
			if (w == 1 && !choose_voter(sh, sc)) {
				sc->at = sh->co->now + CTL_FIRST_NS;
				continue;
			}
			ask(sh, sc);
		}
}

uint64_t co_scan_deadline(const struct cshard *sh)
{
	uint64_t at = UINT64_MAX;

	if (sh->phase == CO_OPENING || sh->phase == CO_DEAD)
		return at;
	FOR_SLOTS (sh, i)
		for (unsigned w = 0; w < 2; w++)
			if (sh->rep[i].scan[w].needed && !sh->rep[i].scan[w].done)
				at = min_u64(at, sh->rep[i].scan[w].at);
	return at;
}

static void take(struct cshard *sh, struct scan *sc, const struct xbd_msg *m)
{
	uint32_t region = 0;

	for (uint32_t k = 0; k < m->h.count; k++) {
		memcpy(&region, m->body + k * 4, 4);
		if (region >= sh->nregions)
			continue;
		FOR_SLOTS (sh, i)
			if (sc->mark >> i & 1)
				co_lag_mark(sh, i, region * XBD_REGION_BLOCKS, 1);
	}
	sh->progress_at = sh->co->now;
	sc->reqno = 0;
	sc->backoff_ns = 0;
	sc->at = sh->co->now;
	if ((m->h.flags & XBD_F_MORE) && m->h.count)
		sc->next = region + 1;
	else
		sc->done = true;
}

void co_on_regions(struct cshard *sh, uint8_t slot, const struct xbd_msg *m)
{
	if (XBD_STATUS(m->h.stamp) != XBD_S_OK)
		return;
	FOR_SLOTS (sh, i)
		for (unsigned w = 0; w < 2; w++) {
			struct scan *sc = &sh->rep[i].scan[w];

			if (sc->needed && !sc->done && sc->ask == slot && sc->reqno &&
			    sc->reqno == m->h.ver) {
				take(sh, sc, m);
				return;
			}
		}
}
