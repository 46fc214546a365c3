/* SPDX-License-Identifier: BSD-2-Clause */
/* The coordinator's notes as log lines for people. */
#include <stdio.h>

#include "export/private.h"
#include "io/log.h"

/* Node index of a shard's slot, XBD_SLOT_NONE if there is none. */
static uint8_t node_of(const struct export *x, uint32_t shard, uint8_t slot)
{
	const struct export_args *a = x->args;

	for (uint32_t i = 0; i < a->nshards && slot < XBD_SLOTS; i++) {
		const struct co_shard_config *s = &a->shards[i];

		if (s->id == shard && s->node[slot] < a->nnodes)
			return s->node[slot];
	}
	return XBD_SLOT_NONE;
}

/* A node has many shards: its coming and going is worth one line, not one for each of them. */
static void note_node(struct export *x, uint8_t index, const char *node, bool up)
{
	uint64_t bit = index < CO_NODES_MAX ? 1ull << index : 0;

	if (up && x->nodes_down & bit)
		log_info("node %s answers again", node);
	else if (!up && !(x->nodes_down & bit))
		log_warn("node %s does not answer", node);
	x->nodes_down = up ? x->nodes_down & ~bit : x->nodes_down | bit;
}

static void note_replica(struct export *x, enum co_note what, uint32_t shard, uint8_t slot,
			 uint64_t arg)
{
	uint8_t index = node_of(x, shard, slot);
	const char *node = index == XBD_SLOT_NONE ? "?" : x->args->nodes[index].name;
	unsigned long long n = arg;

	switch (what) {
	case CO_NOTE_REPLICA_UP:
		note_node(x, index, node, true);
		break;
	case CO_NOTE_REPLICA_DOWN:
		note_node(x, index, node, false);
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
		log_warn("shard %u: suspended: no leases of a majority (%llu synced replicas "
			 "answer); requests wait",
			 shard, n);
		break;
	case CO_NOTE_RESUMED:
		log_info("shard %u: resumed", shard);
		break;
	case CO_NOTE_FENCED:
		if (x->fenced)
			break;
		x->fenced = true;
		log_warn(
			"fenced: a newer writer has opened volume %s (shard %u, epoch %llu); every "
			"request fails from now on",
			x->args->volume, shard, n);
		break;
	default:
		note_replica(x, what, shard, slot, arg);
	}
}
