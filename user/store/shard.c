/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shards: which are held, their durable state, and the operations STATE and DROP. A shard keeps its
 * page for ever (as a tombstone after DROP); its table extents come and go.
 */
#include <string.h>

#include "store/internal.h"

int shard_alloc(struct store *st)
{
	st->map = st_alloc(st, XBD_SHARDS_MAX * sizeof(*st->map));
	st->shards = st_alloc(st, (uint64_t)st->super->shards_max * sizeof(struct shard));
	return st->map && st->shards ? 0 : -ENOMEM;
}

/* NULL = unknown. A shard being created is known but not held. */
struct shard *shard_find(const struct store *st, uint32_t id)
{
	if (id >= XBD_SHARDS_MAX || !st->map[id])
		return NULL;
	return &st->shards[st->map[id] - 1];
}

/* Put shard `id` into shard page `index`. */
void shard_place(struct store *st, uint32_t id, uint32_t index)
{
	struct shard *sh = &st->shards[index];

	XBD_ASSERT(id < XBD_SHARDS_MAX && !st->map[id] && !sh->known);
	st->map[id] = index + 1;
	sh->index = index;
	sh->known = true;
	sh->page.index = index;
	sh->page.shard = id;
	sh->page.used = 1;
	st->nshards++;
	if (index >= st->shard_end)
		st->shard_end = index + 1;
}

/* NULL = no shard page free. */
struct shard *shard_new(struct store *st, uint32_t id)
{
	for (uint32_t i = 0; i < st->super->shards_max; i++) {
		if (st->shards[i].known || st->shards[i].damaged)
			continue;
		shard_place(st, id, i);
		return &st->shards[i];
	}
	return NULL;
}

void shard_set_state(struct store *st, struct shard *sh, const struct xbd_state *state)
{
	sh->page.state = *state;
	sh->held = true;
	sh->dirty = true;
}

/* The DROP record at `lsn` takes effect. */
void shard_drop(struct store *st, struct shard *sh, const struct xbd_state *state, uint64_t lsn)
{
	extents_kill(st, sh);
	sh->page.gen = lsn;
	shard_set_state(st, sh, state);
}

/* Contents may be missing: the shard says that it has nothing in common with anybody. */
void shard_demote(struct store *st, struct shard *sh)
{
	struct xbd_state *s = &sh->page.state;

	s->synced = 0;
	s->comp = 0;
	s->nlin = 0;
	s->nhist = 0;
	memset(s->lin, 0, sizeof(s->lin));
	memset(s->hist, 0, sizeof(s->hist));
	sh->dirty = true;
}

static uint32_t state_len(void)
{
	return (uint32_t)(sizeof(struct fmt_record) + sizeof(struct xbd_state));
}

static void log_state(struct store *st, struct txn *t, uint8_t type)
{
	struct fmt_record *r = journal_add(st, type, t->sh->page.shard, state_len());

	r->slot = t->sh->index;
	memcpy(r->more, t->op->state, sizeof(struct xbd_state));
	journal_log(st, t);
}

void state_durable(struct store *st, struct txn *t)
{
	shard_set_state(st, t->sh, t->op->state);
}

bool state_start(struct store *st, struct store_op *op)
{
	struct shard *sh = shard_find(st, op->shard);
	struct txn *t;

	if (sh && sh->drop) {
		txn_park(sh->drop, op);
		return true;
	}
	if (st->txn_busy == TXN_MAX || !journal_room(st, state_len()))
		return false;
	if (!sh) {
		sh = op->shard < XBD_SHARDS_MAX ? shard_new(st, op->shard) : NULL;
		if (!sh) {
			st_finish_op(st, op, op->shard < XBD_SHARDS_MAX ? -ENOSPC : -EINVAL);
			return true;
		}
	}
	t = txn_get(st, op, sh);
	log_state(st, t, REC_STATE);
	if (!sh->page.gen)
		sh->page.gen = t->lsn;
	return true;
}

bool drop_start(struct store *st, struct store_op *op)
{
	struct shard *sh = shard_find(st, op->shard);
	uint32_t waits;
	struct txn *t;

	if (!sh) {
		st_finish_op(st, op, -XBD_ENOTFOUND);
		return true;
	}
	if (sh->drop) {
		txn_park(sh->drop, op);
		return true;
	}
	waits = sh->inflight;
	t = txn_get(st, op, sh);
	if (!t)
		return false;
	sh->drop = t;
	t->waits = waits;
	if (!waits)
		txns_add(&st->go, t);
	return true;
}

bool drop_go(struct store *st, struct txn *t)
{
	if (!journal_room(st, state_len()))
		return false;
	log_state(st, t, REC_DROP);
	return true;
}

void drop_durable(struct store *st, struct txn *t)
{
	shard_drop(st, t->sh, t->op->state, t->lsn);
}
