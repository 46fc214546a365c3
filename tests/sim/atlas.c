/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fault atlas: what may still be broken without making the promise void. A disk may be lost
 * only if every record that may be in force keeps its quorums without it; blocks rot one copy at a
 * time.
 */
#include <string.h>

#include "base/assert.h"
#include "mstore.h"

static uint32_t last_epoch(const struct sim *s, uint32_t shard)
{
	uint32_t max = 0;

	for (uint32_t i = 0; i < s->chk.nserves; i++)
		if (s->chk.serve[i].shard == shard && s->chk.serve[i].epoch > max)
			max = s->chk.serve[i].epoch;
	return max;
}

static const struct xbd_state *state_of(const struct sim *s, uint32_t node, uint32_t shard)
{
	const struct mdisk *d = s->host[node].disk;

	return d && d->shard[shard].used ? &d->shard[shard].state : NULL;
}

static bool same(const struct xbd_uuid *a, const struct xbd_uuid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/*
 * One damaged copy per block at a time: of a version that two other synced stores hold intact, or
 * of a version that nobody else has (it is in flight or dead) if all others are synced. With fewer
 * intact copies a write in flight could take the place of the last one and then be dropped.
 */
bool atlas_may_rot(struct sim *s, uint8_t node, uint32_t shard, uint32_t block)
{
	const struct mblock *me = mdisk_block(s->host[node].disk, shard, block);
	uint32_t epoch = last_epoch(s, shard), intact = 0, same_ver = 0, synced = 0;

	if (s->opt.n < 3 || !me || !me->crc || me->rot || me->bad || me->unsure)
		return false;
	/* A store cannot tell a damaged block at the end of its journal from one that was never
	 * written: it has to be sealed, which a quiet store is soon. */
	if (s->host[node].disk->fd && (!s->host[node].rep || s->now - me->at < 300 * MS))
		return false;
	for (uint32_t i = 0; i < s->opt.n; i++) {
		const struct xbd_state *st = state_of(s, i, shard);
		const struct mblock *b = mdisk_block(s->host[i].disk, shard, block);

		if (i == node)
			continue;
		synced += st && st->synced >= epoch;
		if (!b)
			continue;
		if (b->rot || b->bad || b->unsure)
			return false;
		if (b->ver != me->ver)
			continue;
		same_ver++;
		intact += st && st->synced >= epoch;
	}
	return intact >= 2 || (same_ver == 0 && synced == s->opt.n - 1);
}

static bool any_rot(const struct sim *s, uint32_t but)
{
	for (uint32_t i = 0; i < s->opt.n; i++)
		for (uint32_t b = 0; i != but && b < s->opt.blocks; b++) {
			uint32_t shard = b >= s->chk.boundary;
			uint32_t block = s->first_block + b - s->shard_base[shard];
			const struct mblock *m = mdisk_block(s->host[i].disk, shard, block);

			if (m && (m->rot || m->bad || m->unsure))
				return true;
		}
	return false;
}

/* Disks with this UUID are there, not counting the one of `but`; witness included. */
static bool there(const struct sim *s, const struct xbd_uuid *u, uint32_t but)
{
	for (uint32_t i = 0; i < NODES_MAX; i++)
		if (i != but && s->host[i].disk && !s->host[i].disk->damaged &&
		    same(&s->host[i].disk->uuid, u))
			return true;
	return false;
}

static bool quorums_left(const struct sim *s, const struct xbd_record *r, uint32_t but)
{
	uint32_t members = 0, base = 0, data = 0, all = r->n, d = 0;
	static const struct xbd_uuid none;

	if (!same(&r->witness, &none)) {
		all++;
		members += there(s, &r->witness, but);
		base += there(s, &r->witness, but);
	}
	for (uint32_t i = 0; i < r->n; i++) {
		bool have = there(s, &r->member[i], but);

		members += have;
		base += there(s, &r->base[i], but);
		d += r->d_mask >> i & 1;
		data += have && (r->d_mask >> i & 1);
	}
	return members >= all / 2 + 1 && base >= all / 2 + 1 && data >= d - r->w + 1;
}

bool atlas_may_lose(struct sim *s, uint8_t node)
{
	if (s->opt.n + s->opt.witness < 3 || any_rot(s, node))
		return false;
	/* A record on its way may name this store as the only one that counts. */
	for (uint32_t i = HOST_CO0; i < HOSTS_MAX && (s->opt.witness || s->opt.insync); i++)
		if (s->host[i].alive && !co_serving(s->host[i].co))
			return false;
	for (uint32_t k = 0; k < s->opt.shards; k++) {
		uint32_t epoch = last_epoch(s, k);

		if (!state_of(s, node, k) || !epoch)
			return false;
		for (uint32_t i = 0; i < NODES_MAX; i++) {
			const struct xbd_state *st = state_of(s, i, k);

			if (st && st->rec.bal >= epoch && !quorums_left(s, &st->rec, node))
				return false;
		}
	}
	return true;
}
