/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and dropping the shards of a volume on the stores that hold them. */
#ifndef XBD_CMD_SHARDS_H
#define XBD_CMD_SHARDS_H

#include "cmd/cli.h"

struct nodes {
	struct meta_node *node;
	size_t n;
};

/* All nodes of the metadata. 0, or CMD_FAILED after a message. Free by nodes_free. */
int nodes_load(struct cli *c, struct nodes *nodes);
void nodes_free(struct nodes *nodes);
const struct meta_node *nodes_find(const struct nodes *nodes, const char *name);

/*
 * Ask every node that the shards [first, nshards) of v lie on who it is, and compare the UUID of
 * its store with the record: nothing may ever be done to a store that only has the same address.
 * With `force` nodes that do not answer are noted and passed over. 0, or CMD_FAILED after a
 * message.
 */
int shards_check_nodes(struct cli *c, const struct nodes *nodes, const struct meta_volume *v,
		       uint32_t first, bool force);
/*
 * Make the shards [first, nshards) on all their members and the witness. What was made is dropped
 * again if one fails. 0, or CMD_FAILED after a message.
 */
int shards_create(struct cli *c, const struct nodes *nodes, const struct meta_volume *v,
		  uint32_t first);
/* Drop them; `force`: nodes that do not answer are noted and passed over. */
int shards_retire(struct cli *c, const struct nodes *nodes, const struct meta_volume *v,
		  uint32_t first, bool force);

#endif
