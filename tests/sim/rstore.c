/* SPDX-License-Identifier: BSD-2-Clause */
#include "rstore.h"

#include "base/assert.h"

void rstore_boot(struct store *st, void (*ready)(struct host *h))
{
	sim_fail(st->sim, "no real store");
}
void rstore_crash(struct store *st)
{
}
void rstore_submit(struct store *st, struct store_op *op)
{
}
void rstore_kick(struct store *st)
{
}
const struct xbd_state *rstore_state(const struct store *st, uint32_t shard)
{
	return NULL;
}
void rstore_event(struct sim *s, const struct event *ev)
{
}
void rstore_rot(struct mdisk *d, unsigned shard, uint32_t block)
{
}
void rstore_cleanup(struct sim *s)
{
}
