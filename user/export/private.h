/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the exporting process. */
#ifndef XBD_EXPORT_PRIVATE_H
#define XBD_EXPORT_PRIVATE_H

#include "admin/admin.h"
#include "export/export.h"
#include "export/gate.h"
#include "io/signals.h"
#include "nbd/server.h"
#include "net/net.h"

#define EXPORT_URI_MAX 1024

struct export
{
	const struct export_args *args;
	const char *name; /* for NBD clients */
	struct loop loop;
	struct loop_signals signals;
	/* `first` hands outcomes to the NBD server before its hook, `last` hands what that
	 * submitted to the network. */
	struct loop_hook first, last;
	struct loop_timer timer, stop_timer;
	struct co *co;
	struct net *net;
	struct nbd_server *nbd;
	struct admin *admin;
	uint32_t peer[CO_NODES_MAX];	     /* handle by node index */
	uint8_t node_of_peer[NET_PEERS_MAX]; /* node index by handle; UINT8_MAX = none */
	char unix_path[CONF_PATH_MAX + XBD_NAME_MAX + 8]; /* "" = none */
	struct sockaddr_storage tcp;			  /* ss_family 0 = none */
	char tcp_text[XBD_ADDR_TEXT];
	struct gate gate; /* on_no_quorum = io-error only */
	bool gated;
	uint64_t start_ns;
	uint64_t nodes_down; /* bit = node index: said so in the log */
	bool fenced;	     /* said so in the log */
	uint64_t strangers;  /* packets from addresses that are no node's */
	unsigned signals_seen;
	bool fresh;   /* submits or messages since the last co_tick */
	bool changed; /* a shard has changed its phase since then */
	bool drained; /* the NBD server has ended */
	bool late;    /* it did not in time */
	int err;      /* why the process ends */
};

/* glue.c */
extern const struct co_ops export_co_ops;
extern const struct net_ops export_net_ops;
void export_nbd_submit(void *ctx, struct co_req *req);
/* Coordinator's work that is due, and when it must come next. */
void export_tick(struct export *x);
/* Every shard is open and has a majority of replicas. */
bool export_serves(const struct export *x);

/* note.c: the coordinator's notes as log lines. */
void export_note(struct export *x, enum co_note what, uint32_t shard, uint8_t slot, uint64_t arg);

/* listen.c: where NBD clients connect. */
int export_listen_plan(struct export *x, char *why, size_t why_size);
int export_listen(struct export *x, char *why);
/* The URI of the first listener. */
void export_uri(const struct export *x, char *buf, size_t size);

/* status.c */
extern const struct admin_handler export_handlers[];

#endif
