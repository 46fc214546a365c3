/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cluster's metadata: which nodes there are, which volumes, and on which stores their shards
 * lie. Few, small records, read at start of an export and changed by the command line only. Every
 * record has a version; a put or delete names the version it read and fails with -XBD_ESTALE if
 * somebody else was faster. Blocking calls.
 *
 * Errors: negative errno or -XBD_ENOTFOUND, -XBD_EEXISTS, -XBD_ESTALE, -XBD_ECORRUPT, -XBD_EFORMAT.
 * meta_why() has one line about the last error, with the record's place in it.
 */
#ifndef XBD_META_H
#define XBD_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/text.h"
#include "config/uuid.h"

#define META_WHY_MAX 512
#define META_FORMAT  1

struct meta;

struct meta_cluster {
	uint64_t version; /* of the record; 0 = not stored yet */
	struct xbd_uuid uuid;
	uint32_t next_shard; /* shard ids below this were given out, never again */
};

struct meta_node {
	uint64_t version;
	char name[XBD_NAME_MAX + 1];
	char addr[XBD_ADDR_TEXT]; /* with port, as text_addr_format() writes it */
	struct xbd_uuid store;
	bool witness;
	uint64_t blocks; /* capacity when it was added: weight in placement */
};

struct meta_member {
	char node[XBD_NAME_MAX + 1];
	struct xbd_uuid store;
};

struct meta_shard {
	uint32_t id;
	uint32_t n; /* members, replica slot = index */
	struct meta_member member[XBD_REPLICAS_MAX];
};

struct meta_volume {
	uint64_t version;
	char name[XBD_NAME_MAX + 1];
	struct xbd_uuid uuid;
	uint64_t gen;	       /* random generation, same in all its shards' records */
	uint64_t size;	       /* bytes */
	uint32_t shard_blocks; /* blocks per shard, all but the last */
	uint32_t replicas;
	uint32_t table_no;
	uint64_t created;	    /* seconds since 1970 */
	struct meta_member witness; /* node[0] == 0: none */
	uint32_t nshards;
	struct meta_shard *shards; /* owned by the struct: meta_volume_free */
};

/* "/path" or "file:/path". create: make the directory if it does not exist. why: META_WHY_MAX. */
int meta_open(struct meta **out, const char *location, bool create, char *why, size_t why_size);
void meta_close(struct meta *m);
const char *meta_why(const struct meta *m);

/* -XBD_ENOTFOUND before the first meta_cluster_put. A put raises ->version on success. */
int meta_cluster_get(struct meta *m, struct meta_cluster *c);
int meta_cluster_put(struct meta *m, struct meta_cluster *c);
/* Give out `count` shard ids that were never used: *first. Retries by itself; -ENOSPC at the end of
 * the id space. Makes the cluster record, with a random UUID, if there is none. */
int meta_shard_ids(struct meta *m, uint32_t count, uint32_t *first);

int meta_node_get(struct meta *m, const char *name, struct meta_node *n);
/* version 0 = must not exist yet (-XBD_EEXISTS). */
int meta_node_put(struct meta *m, struct meta_node *n);
int meta_node_delete(struct meta *m, const char *name, uint64_t version);
/* All of them, sorted by name; the caller frees *out by free(). A damaged record fails the call. */
int meta_node_list(struct meta *m, struct meta_node **out, size_t *count);

/* The caller calls meta_volume_free on success. */
int meta_volume_get(struct meta *m, const char *name, struct meta_volume *v);
int meta_volume_put(struct meta *m, struct meta_volume *v);
int meta_volume_delete(struct meta *m, const char *name, uint64_t version);
/* Sorted by name; free by meta_volume_list_free. */
int meta_volume_list(struct meta *m, struct meta_volume **out, size_t *count);
void meta_volume_list_free(struct meta_volume *list, size_t count);
void meta_volume_free(struct meta_volume *v);

/* Blocks of shard `index` (the last one may be shorter). */
uint32_t meta_shard_blocks(const struct meta_volume *v, uint32_t index);
/* The first membership record of shard `index`: what CREATE sends and an export starts from. */
void meta_shard_record(const struct meta_volume *v, uint32_t index, struct xbd_record *rec);

#endif
