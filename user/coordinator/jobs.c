/* SPDX-License-Identifier: BSD-2-Clause */
/* Which regions are compared and repaired next, by how many jobs at a time, and their timers. */
#include "coordinator/internal.h"

#define TRIES_MAX     12u
#define JOBS_PAUSE_NS (20 * NS_MS) /* after a region that could not be finished */

void co_job_end(struct cshard *sh, struct job *j)
{
	XBD_ASSERT(j->used && sh->njobs > 0);
	j->used = false;
	sh->njobs--;
	if (j->again) {
		sh->jobs_at = sh->co->now + JOBS_PAUSE_NS;
		return;
	}
	FOR_SLOTS (sh, i) {
		struct rep *rep = &sh->rep[i];

		if (!(j->fix >> i & 1) || !co_lag_test(rep, j->region))
			continue;
		rep->lag[j->region / 64] &= ~(1ull << (j->region % 64));
		rep->nlag--;
		if (!rep->nlag && rep->synced && sh->phase == CO_SERVING) {
			co_note(sh, CO_NOTE_RESYNCED, i, rep->repaired);
			rep->repaired = 0;
		}
	}
	sh->progress_at = sh->co->now;
	sh->jobs_at = sh->co->now;
}

static bool region_busy(const struct cshard *sh, uint32_t region)
{
	for (unsigned k = 0; k < JOBS_MAX && sh->njobs; k++)
		if (sh->jobs[k].used && sh->jobs[k].region == region)
			return true;
	return false;
}

/* Slots that may be compared and repaired now. */
static uint8_t workable(const struct cshard *sh)
{
	uint8_t mask = 0;

	FOR_SLOTS (sh, i)
		if (i != XBD_SLOT_WITNESS && sh->rep[i].alive && sh->rep[i].replied &&
		    !sh->rep[i].failed_at && (sh->rep[i].voter || sh->rep[i].joined))
			mask |= bit8(i);
	return mask;
}

static bool job_start(struct cshard *sh, uint32_t region, uint8_t bad_slots)
{
	uint8_t able = workable(sh), fix = bad_slots & able;
	struct job *j = NULL;

	for (unsigned k = 0; k < JOBS_MAX && !j; k++)
		if (!sh->jobs[k].used)
			j = &sh->jobs[k];
	FOR_SLOTS (sh, i)
		if ((able >> i & 1) && co_lag_test(&sh->rep[i], region))
			fix |= bit8(i);
	if (!j || !fix || region_busy(sh, region))
		return false;
	*j = (struct job){.used = true, .region = region, .fix = fix, .buf = j->buf};
	j->ask = co_resolving(sh) ? co_voters(sh) | able : able;
	sh->njobs++;
	co_job_send(sh, j);
	return true;
}

static uint32_t next_marked(struct rep *rep, uint32_t nregions)
{
	uint32_t words = (nregions + 63) / 64;

	for (uint32_t n = 0; n < words; n++) {
		uint32_t w = (uint32_t)((rep->lag_cursor / 64 + n) % words);
		uint64_t bits = rep->lag[w];

		if (n == 0)
			bits &= UINT64_MAX << (rep->lag_cursor % 64);
		if (bits) {
			uint32_t region = w * 64 + (uint32_t)__builtin_ctzll(bits);

			rep->lag_cursor = region + 1 < nregions ? region + 1 : 0;
			return region;
		}
	}
	rep->lag_cursor = 0;
	return UINT32_MAX;
}

static bool may_work(const struct cshard *sh, uint8_t slot)
{
	uint8_t voters = co_voters(sh);

	if (!(workable(sh) >> slot & 1) || !sh->rep[slot].nlag)
		return false;
	/* what the voters hold is known only when all of them have told */
	FOR_SLOTS (sh, i)
		if ((voters >> i & 1) && !co_scans_done(sh, i) && co_resolving(sh))
			return false;
	return true;
}

static void jobs_fill(struct cshard *sh)
{
	uint32_t cursor = 0, block;
	uint8_t slot = 0;

	if (sh->phase != CO_RESOLVING && sh->phase != CO_ACCEPTING && sh->phase != CO_SERVING)
		return;
	if (sh->phase == CO_SERVING)
		while (sh->njobs < JOBS_MAX &&
		       (block = co_bad_next(sh, &slot, &cursor)) != UINT32_MAX)
			job_start(sh, block / XBD_REGION_BLOCKS, bit8(slot));
	FOR_SLOTS (sh, i)
		for (unsigned k = 0; k < JOBS_MAX && sh->njobs < JOBS_MAX && may_work(sh, i); k++) {
			uint32_t region = next_marked(&sh->rep[i], sh->nregions);

			if (region != UINT32_MAX)
				job_start(sh, region, 0);
		}
}

void co_jobs_reset(struct cshard *sh)
{
	for (unsigned k = 0; k < JOBS_MAX; k++)
		sh->jobs[k].used = false;
	sh->njobs = 0;
}

bool co_job_on(const struct cshard *sh, uint8_t slot)
{
	for (unsigned k = 0; k < JOBS_MAX && sh->njobs; k++)
		if (sh->jobs[k].used && (sh->jobs[k].fix >> slot & 1))
			return true;
	return false;
}

static void job_tick(struct cshard *sh, struct job *j)
{
	uint8_t lost = (uint8_t)((j->ask & (uint8_t)~workable(sh)));

	if (j->step == JOB_STUCK) { /* look again: a store may have come, or been repaired */
		j->step = JOB_LIST;
		j->ask = co_voters(sh) | workable(sh);
		j->have = 0;
		j->backoff_ns = 0;
		co_job_send(sh, j);
		return;
	}
	if (sh->phase == CO_SERVING && (lost || ++j->tries > TRIES_MAX)) {
		j->again = true;
		co_job_end(sh, j);
		return;
	}
	co_job_send(sh, j);
}

void co_jobs_tick(struct cshard *sh)
{
	for (unsigned k = 0; k < JOBS_MAX && sh->njobs; k++)
		if (sh->jobs[k].used && sh->co->now >= sh->jobs[k].at)
			job_tick(sh, &sh->jobs[k]);
	if (sh->co->now >= sh->jobs_at && sh->njobs < JOBS_MAX) {
		sh->jobs_at = sh->co->now + JOBS_PAUSE_NS;
		jobs_fill(sh);
	}
}

static bool work_left(const struct cshard *sh)
{
	if (sh->co->nbad && sh->phase == CO_SERVING)
		return true;
	FOR_SLOTS (sh, i)
		if (sh->rep[i].nlag && (workable(sh) >> i & 1))
			return true;
	return false;
}

uint64_t co_jobs_deadline(const struct cshard *sh)
{
	uint64_t at = UINT64_MAX;

	if (sh->phase == CO_OPENING || sh->phase == CO_DEAD)
		return at;
	for (unsigned k = 0; k < JOBS_MAX && sh->njobs; k++)
		if (sh->jobs[k].used)
			at = min_u64(at, sh->jobs[k].at);
	if (sh->njobs < JOBS_MAX && work_left(sh))
		at = min_u64(at, sh->jobs_at);
	return at;
}
