/* SPDX-License-Identifier: BSD-2-Clause */
/* The real store on a fake disk, behind the shim; keeps a shadow of it in struct mdisk. */
#ifndef SIM_RSTORE_H
#define SIM_RSTORE_H

#include "mstore.h"

void rstore_boot(struct store *st, void (*ready)(struct host *h));
/* Power is lost: the disk keeps what was flushed and any part of the rest. */
void rstore_crash(struct store *st);
void rstore_submit(struct store *st, struct store_op *op);
void rstore_kick(struct store *st);
const struct xbd_state *rstore_state(const struct store *st, uint32_t shard);
/* The event loop turns now and then though nothing happens. */
void rstore_idle(struct sim *s);
/* EV_DISK */
void rstore_event(struct sim *s, const struct event *ev);
/* The content of a block on the disk is damaged. False: it is not there. */
bool rstore_rot(struct mdisk *d, unsigned shard, uint32_t block);
/* Metadata is damaged: the store may come up as another one, or not at all. */
void rstore_damage(struct mdisk *d);
/* End of a seed. */
void rstore_cleanup(struct sim *s);

#endif
