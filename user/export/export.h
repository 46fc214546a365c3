/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process that exports one volume: coordinator, transport and NBD server on one event loop.
 * The caller has read the metadata; everything needed is in the arguments.
 */
#ifndef XBD_EXPORT_H
#define XBD_EXPORT_H

#include "config/config.h"
#include "coordinator/coordinator.h"

struct export_node {
	char name[XBD_NAME_MAX + 1];
	struct sockaddr_storage addr; /* with port */
	socklen_t addr_len;
};

/* Everything is borrowed until export_run returns. */
struct export_args {
	const struct xbd_conf *conf; /* run_dir and the group `export` are used */
	const char *volume;	     /* name */
	struct xbd_uuid uuid;	     /* of the volume */
	uint64_t size;		     /* bytes, multiple of XBD_BLOCK_SIZE */
	uint32_t shard_blocks;	     /* as in struct co_config */
	const struct export_node *nodes;
	uint32_t nnodes;		      /* 1..CO_NODES_MAX */
	const struct co_shard_config *shards; /* node[]: index into nodes, XBD_SLOT_NONE = none */
	uint32_t nshards;
	const char *export_name; /* that NBD clients ask for; NULL = volume */
	bool read_only;
	bool quiet; /* no log lines about what is normal */
};

/*
 * Serve until SIGTERM or SIGINT. Logs to standard error; when clients can connect, prints one line
 * on standard output: "ready URI". 0 = stopped as asked, all requests finished; else negative, and
 * a line has been logged: why it could not start, -XBD_EFENCED (a newer writer took the volume),
 * -ETIMEDOUT (stopped with requests unfinished).
 */
int export_run(const struct export_args *args);

#endif
