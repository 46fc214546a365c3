/* SPDX-License-Identifier: BSD-2-Clause */
/* The coordinator's notes as log lines for people. */
#include <stdio.h>

#include "export/private.h"
#include "io/log.h"

/* "node a" for a shard's slot. */
static const char *node_name(const struct export *x, uint32_t shard, uint8_t slot)
{
	const struct export_args *a = x->args;

	for (uint32_t i = 0; i < a->nshards && slot < XBD_SLOTS; i++) {
		const struct co_shard_config *s = &a->shards[i];

		if (s->id == shard && s->node[slot] < a->nnodes)
			return a->nodes[s->node[slot]].name;
	}
	return "?";
}

static void note_replica(const struct export *x, enum co_note what, uint32_t shard, uint8_t slot,
			 uint64_t arg)
{
	const char *node = node_name(x, shard, slot);
	unsigned long long n = arg;

	switch (what) {
	case CO_NOTE_REPLICA_UP:
		log_info("shard %u: node %s answers", shard, node);
		break;
	case CO_NOTE_REPLICA_DOWN:
		log_warn("shard %u: node %s does not answer", shard, node);
		break;
	case CO_NOTE_SYNCED:
		log_info("shard %u: node %s is synced in epoch %llu", shard, node, n);
		break;
	case CO_NOTE_RESYNCED:
		log_info("shard %u: node %s holds everything again, %llu blocks repaired", shard,
			 node, n);
		break;
	case CO_NOTE_BAD_BLOCK:
		log_warn("shard %u: block %llu is damaged on node %s", shard, n, node);
		break;
	case CO_NOTE_FAILED:
		log_warn("shard %u: node %s is out of service: its disk failed", shard, node);
		break;
	case CO_NOTE_BLANK:
		log_warn("shard %u: node %s holds another store than the volume knows, or lost it",
			 shard, node);
		break;
	default:
		break;
	}
}

void export_note(struct export *x, enum co_note what, uint32_t shard, uint8_t slot, uint64_t arg)
{
	unsigned long long n = arg;

	switch (what) {
	case CO_NOTE_OPENING:
		log_info("shard %u: opening with epoch %llu", shard, n);
		break;
	case CO_NOTE_SERVING:
		log_info("shard %u: serving in epoch %llu", shard, n);
		break;
	case CO_NOTE_SUSPENDED:
		log_warn(
			"shard %u: suspended: %llu replicas answer, which is no majority; requests "
			"wait",
			shard, n);
		break;
	case CO_NOTE_RESUMED:
		log_info("shard %u: resumed", shard);
		break;
	case CO_NOTE_FENCED:
		log_warn(
			"fenced: a newer writer has opened volume %s (shard %u, epoch %llu); every "
			"request fails from now on",
			x->args->volume, shard, n);
		break;
	default:
		note_replica(x, what, shard, slot, arg);
	}
}
