/* SPDX-License-Identifier: BSD-2-Clause */
/* What a shard and its replicas are doing, for people and monitoring. */
#include "coordinator/internal.h"

static enum co_rep_state rep_state(const struct cshard *sh, uint8_t slot)
{
	const struct rep *rep = &sh->rep[slot];

	if (rep->node == XBD_SLOT_NONE)
		return CO_REP_NONE;
	if (!rep->alive || rep->failed_at)
		return CO_REP_DOWN;
	if (slot == XBD_SLOT_WITNESS)
		return rep->accepted ? CO_REP_SYNCED : CO_REP_LEARNER;
	if (!rep->synced)
		return CO_REP_LEARNER;
	return rep->nlag ? CO_REP_LAGGING : CO_REP_SYNCED;
}

bool co_shard_status(const struct co *co, uint32_t index, struct co_shard_status *out)
{
	const struct cshard *sh;

	if (index >= co->cfg.nshards)
		return false;
	sh = &co->shards[index];
	*out = (struct co_shard_status){
		.id = sh->id,
		.epoch = sh->epoch,
		.phase = sh->phase == CO_SERVING && sh->suspended ? CO_SUSPENDED : sh->phase,
		.n = sh->rec.n ? sh->rec.n : sh->cat.n,
		.w = sh->rec.w ? sh->rec.w : sh->cat.w,
		.inflight = sh->ninflight,
	};
	for (uint8_t i = 0; i < XBD_SLOTS; i++) {
		const struct rep *rep = &sh->rep[i];

		out->rep[i] = (struct co_rep_status){
			.state = rep_state(sh, i),
			.node = rep->node,
			.store = rep->st.store,
			.lag_regions = rep->nlag,
			.rtt_us = rep->srtt / NS_US,
			.inflight_bytes = rep->inflight_bytes,
		};
	}
	return true;
}
