/* SPDX-License-Identifier: BSD-2-Clause */
/* Filling in the shards of a volume: numbers and members, by the metadata and user/placement. */
#ifndef XBD_CMD_PLAN_H
#define XBD_CMD_PLAN_H

#include "cmd/shards.h"

/*
 * Extend v->shards from v->nshards to what v->size needs. `among` restricts the nodes ("a,b,c");
 * NULL = all that are no witnesses. Takes shard numbers from the metadata. 0, or CMD_FAILED or
 * CMD_USAGE after a message.
 */
int plan_shards(struct cli *c, const struct nodes *nodes, struct meta_volume *v, const char *among);

#endif
