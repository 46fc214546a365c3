/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the data of a volume lies: size -> shards -> the stores of each shard. Pure and
 * deterministic: the same nodes, weights and volume give the same answer on every machine.
 *
 * A shard's stores are chosen by weighted rendezvous hashing of (volume UUID, shard index, store
 * UUID): a node that joins or leaves changes only the shards it gains or had, and a node with twice
 * the weight gets twice the shards.
 */
#ifndef XBD_PLACEMENT_H
#define XBD_PLACEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

#define PLACE_NODES_MAX	 1024u
#define PLACE_SHARD_UNIT ((uint64_t)XBD_RANGE_BLOCKS * XBD_BLOCK_SIZE)	   /* 128 MiB */
#define PLACE_SHARD_MAX	 ((uint64_t)XBD_SHARD_BLOCKS_MAX * XBD_BLOCK_SIZE) /* 64 GiB */

struct place_node {
	struct xbd_uuid store;
	uint64_t weight; /* any unit, capacity for instance; 0 = never chosen */
};

/*
 * Shards of `shard_blocks` blocks that `size` bytes need. 0 or -EINVAL: size is 0 or no multiple of
 * the block size; shard_blocks is 0, above the maximum or no multiple of XBD_RANGE_BLOCKS; more
 * than XBD_SHARDS_MAX shards (-E2BIG).
 */
int place_shards(uint64_t size, uint32_t shard_blocks, uint32_t *nshards);

/*
 * Choose `replicas` different nodes for shard `index` of `volume`: their indexes into chosen[],
 * best first. 0, -EINVAL (replicas 0 or above XBD_REPLICAS_MAX, too many nodes) or -ENOSPC: fewer
 * nodes with a weight than replicas.
 */
int place_replicas(const struct place_node *nodes, size_t count, const struct xbd_uuid *volume,
		   uint32_t index, uint32_t replicas, uint32_t *chosen);

#endif
