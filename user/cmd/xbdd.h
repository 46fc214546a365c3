/* SPDX-License-Identifier: BSD-2-Clause */
/* The storage daemon: one store, served to whoever exports volumes. Shared by its files. */
#ifndef XBD_CMD_XBDD_H
#define XBD_CMD_XBDD_H

#include "admin/admin.h"
#include "config/config.h"
#include "io/disk.h"
#include "io/signals.h"
#include "net/net.h"
#include "replica/replica.h"

struct xbdd {
	struct xbd_conf conf;
	char listen[XBD_ADDR_TEXT]; /* with port */
	struct loop loop;
	struct loop_signals signals;
	struct loop_hook hook;
	struct loop_timer timer, stop_timer;
	struct io_disk *disk;
	struct store *store;
	struct replica *replica;
	struct net *net;
	struct admin *admin;
	uint64_t start_ns;
	bool store_open, stopping, stop_late;
	int store_err; /* of the store's open or close; 1 = still running */
};

extern const struct admin_handler xbdd_handlers[];

#endif
