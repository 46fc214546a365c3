/* SPDX-License-Identifier: BSD-2-Clause */
#include "rstore.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "fdisk.h"

#define DISK_BYTES (11u << 20)

/* The real store under its changed names (rename.h). */
struct rstore *real_store_new(struct disk *disk);
void real_store_free(struct rstore *st);
void real_store_format(struct rstore *st, const struct store_format_args *args,
		       void (*done)(void *ctx, int err), void *ctx);
void real_store_open(struct rstore *st, void (*done)(void *ctx, int err), void *ctx);
void real_store_submit(struct rstore *st, struct store_op *op);
void real_store_kick(struct rstore *st);
const struct xbd_state *real_store_state(const struct rstore *st, uint32_t shard);
const char *real_store_why(const struct rstore *st);
void real_store_info(const struct rstore *st, struct store_info *out);

/* An operation between the replica and the store: what it did is noted in the shadow. */
struct wop {
	struct store_op op;
	struct store_op *orig; /* NULL: one of the shadow's own listings */
	struct store *st;
	struct wop *prev, *next;
	struct xbd_state state;
	struct xbd_list_entry list[XBD_REGION_BLOCKS];
};

struct boot {
	struct store *st;
	void (*ready)(struct host *h);
	uint32_t lists, gen;
	struct wop *head;
	void *free_wops;
};

static struct boot *boot_of(const struct store *st)
{
	return st->boot;
}

static struct wop *wop_get(struct store *st, struct store_op *op)
{
	struct boot *b = boot_of(st);
	struct wop *w = b->free_wops;

	if (w)
		b->free_wops = w->next;
	else
		w = arena_get(&st->sim->arena, sizeof(*w));
	w->orig = op;
	w->st = st;
	w->prev = NULL;
	w->next = b->head;
	if (b->head)
		b->head->prev = w;
	b->head = w;
	return w;
}

static void wop_put(struct wop *w)
{
	struct boot *b = boot_of(w->st);

	if (w->prev)
		w->prev->next = w->next;
	else
		b->head = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->next = b->free_wops;
	b->free_wops = w;
}

static void shadow_set(struct mdisk *d, struct mblock *b, const struct store_op *op, uint32_t i)
{
	bool zero = op->kind == STORE_ZERO || (op->kind == STORE_REPAIR && op->flags);

	b->ver = op->ver;
	b->at = d->sim->now;
	b->crc = zero ? 0 : op->crc[i];
	b->rot = b->bad = b->unsure = false;
}

static void shadow_blocks(struct mdisk *d, unsigned k, const struct store_op *op)
{
	for (uint32_t i = 0; i < op->count; i++) {
		struct mblock *b = mdisk_block_make(d, k, op->block + i);

		if (b && (op->kind == STORE_REPAIR || b->ver < op->ver))
			shadow_set(d, b, op, i);
	}
}

static void shadow_list(struct mdisk *d, unsigned k, const struct store_op *op)
{
	for (uint32_t i = 0; i < XBD_REGION_BLOCKS; i++) {
		const struct xbd_list_entry *e = &op->list[i];
		struct mblock *b = mdisk_block_make(d, k, op->block + i);

		if (!b)
			continue;
		if (b->ver != e->ver)
			b->rot = false;
		b->ver = e->ver;
		b->crc = e->crc;
		b->bad = e->flags & XBD_F_BAD;
		b->unsure = false;
	}
}

/* The shadow learns what a completed operation did. */
static void shadow(struct wop *w)
{
	struct store *st = w->st;
	int k = sim_shard_index(st->sim, w->op.shard);

	if (w->op.res || k < 0)
		return;
	if (w->op.kind == STORE_STATE || w->op.kind == STORE_DROP) {
		st->disk->shard[k].used = true;
		st->disk->shard[k].state = w->state;
	} else if (w->op.kind == STORE_WRITE || w->op.kind == STORE_ZERO ||
		   w->op.kind == STORE_REPAIR) {
		shadow_blocks(st->disk, (unsigned)k, &w->op);
	} else if (w->op.kind == STORE_LIST && !w->orig) {
		shadow_list(st->disk, (unsigned)k, &w->op);
	}
}

static void is_ready(struct store *st)
{
	struct boot *b = boot_of(st);

	if (--b->lists == 0 && st->host->alive && st->host->gen == st->gen)
		b->ready(st->host);
}

static void op_done(struct store_op *op)
{
	struct wop *w = (struct wop *)op;
	struct store_op *orig = w->orig;
	struct store *st = w->st;

	shadow(w);
	if (st->sim->trace)
		store_trace(st->sim, st->host->id, &w->op, &w->state);
	if (orig) {
		orig->res = op->res;
		orig->count = op->count;
		orig->expect = op->expect;
		orig->more = op->more;
	}
	wop_put(w);
	if (orig)
		orig->done(orig);
	else
		is_ready(st);
}

void rstore_submit(struct store *st, struct store_op *op)
{
	struct wop *w = wop_get(st, op);

	w->op = *op;
	w->op.done = op_done;
	if (op->kind == STORE_STATE || op->kind == STORE_DROP)
		w->state = *op->state;
	real_store_submit(st->real, &w->op);
}

void rstore_kick(struct store *st)
{
	real_store_kick(st->real);
}

void rstore_idle(struct sim *s)
{
	for (unsigned i = 0; i < NODES_MAX; i++)
		for (unsigned k = 0; k < 8 && s->host[i].rep && s->host[i].store->real; k++)
			real_store_kick(s->host[i].store->real);
}

const struct xbd_state *rstore_state(const struct store *st, uint32_t shard)
{
	return real_store_state(st->real, shard);
}

static void list_regions(struct store *st, unsigned k)
{
	struct mshard *sh = &st->disk->shard[k];

	for (uint32_t r = 0; r < sh->nregions; r++) {
		struct wop *w;

		if (!sh->region[r])
			continue;
		w = wop_get(st, NULL);
		w->op = (struct store_op){.kind = STORE_LIST,
					  .count = XBD_REGION_BLOCKS,
					  .shard = st->sim->shard_id[k],
					  .block = r * XBD_REGION_BLOCKS,
					  .list = w->list,
					  .done = op_done};
		boot_of(st)->lists++;
		real_store_submit(st->real, &w->op);
	}
}

static void forget_shadow(struct mdisk *d)
{
	for (unsigned k = 0; k < d->sim->opt.shards; k++)
		d->shard[k].used = false;
}

static void opened(void *ctx, int err)
{
	struct store *st = ctx;
	struct boot *b = boot_of(st);
	struct store_info info;

	if (err && (st->disk->failed || st->disk->damaged)) {
		sim_after(st->sim, 0, EV_DISK, st->host->id, st->gen, 2, st);
		return;
	}
	if (err)
		sim_fail(st->sim, "node %u: store does not open: %d, %s", st->host->id, err,
			 real_store_why(st->real));
	real_store_info(st->real, &info);
	if (info.boot <= st->disk->boot)
		sim_fail(st->sim, "node %u: boot counter %lu after %lu", st->host->id,
			 (unsigned long)info.boot, (unsigned long)st->disk->boot);
	st->disk->boot = info.boot;
	if (memcmp(&info.uuid, &st->disk->uuid, sizeof(info.uuid)) != 0) {
		if (!st->disk->damaged)
			sim_fail(st->sim, "node %u: a sound store took a new name", st->host->id);
		TRACE(st->sim, "node %u comes up under a new name", st->host->id);
		st->disk->uuid = info.uuid;
		forget_shadow(st->disk);
	} else if (st->disk->damaged) {
		/* the damage may be one that no store can see: its last journal block */
		sim_after(st->sim, 0, EV_DISK, st->host->id, st->gen, 2, st);
		return;
	}
	st->disk->damaged = false;
	b->lists = 1;
	for (unsigned k = 0; k < st->sim->opt.shards; k++) {
		const struct xbd_state *state = real_store_state(st->real, st->sim->shard_id[k]);

		if (!state && st->disk->shard[k].used)
			sim_fail(st->sim, "node %u: a shard is gone after a crash", st->host->id);
		if (!state)
			continue;
		st->disk->shard[k].used = true;
		st->disk->shard[k].state = *state;
		list_regions(st, k);
	}
	is_ready(st);
	host_touch(st->host);
}

static void open_store(struct store *st)
{
	st->real = real_store_new(&st->disk->fd->disk);
	XBD_ASSERT(st->real);
	real_store_open(st->real, opened, st);
}

static void formatted(void *ctx, int err)
{
	struct store *st = ctx;

	if (err)
		sim_fail(st->sim, "store does not format: %d, %s", err, real_store_why(st->real));
	st->disk->formatted = true;
	sim_after(st->sim, 0, EV_DISK, st->host->id, st->gen, 1, st);
}

void rstore_boot(struct store *st, void (*ready)(struct host *h))
{
	struct mdisk *d = st->disk;
	struct sim *s = st->sim;
	struct store_format_args args = {
		.uuid = d->uuid, .shards_max = 4, .journal_bytes = 40 * FD_PAGE, .seed = s->seed};

	st->boot = arena_zero(&s->arena, sizeof(*st->boot));
	*st->boot = (struct boot){.st = st, .ready = ready};
	if (!d->fd) {
		args.journal_bytes = (20 + prng_below(&s->fault, 100)) * FD_PAGE;
		d->fd = fdisk_new(s, d->host, DISK_BYTES, s->opt.cache);
	}
	if (d->formatted) {
		open_store(st);
		return;
	}
	st->real = real_store_new(&d->fd->disk);
	XBD_ASSERT(st->real);
	real_store_format(st->real, &args, formatted, st);
}

static void make_unsure(struct wop *w)
{
	struct mdisk *d = w->st->disk;
	int k = sim_shard_index(w->st->sim, w->op.shard);

	if (w->op.kind != STORE_WRITE && w->op.kind != STORE_ZERO && w->op.kind != STORE_REPAIR)
		return;
	for (uint32_t i = 0; k >= 0 && i < w->op.count; i++) {
		struct mblock *b = mdisk_block_make(d, (unsigned)k, w->op.block + i);

		if (b)
			b->unsure = true;
	}
}

void rstore_crash(struct store *st)
{
	for (struct wop *w = boot_of(st)->head; w; w = w->next)
		make_unsure(w);
	fdisk_crash(st->disk->fd, prng_percent(&st->sim->fault, 70));
	real_store_free(st->real);
	st->real = NULL;
}

void rstore_event(struct sim *s, const struct event *ev)
{
	struct host *h = &s->host[ev->host];
	struct store *st = ev->ptr;

	if (ev->arg == 0) {
		struct fdop *f = ev->ptr;

		if (f->op && host_asleep(h, ev))
			return;
		fdisk_event(s, ev);
		host_touch(h);
	} else if (h->alive && h->gen == ev->gen && ev->arg == 1) {
		real_store_free(st->real);
		open_store(st);
	} else if (h->alive && h->gen == ev->gen) {
		bool gone = h->disk->damaged && !h->disk->failed;

		node_crash(h);
		if (gone) /* beyond repair: replaced */
			h->disk = mdisk_new(s, h->id);
		sim_after(s, 20 * MS, EV_BOOT, h->id, 0, 0, NULL);
	}
}

bool rstore_rot(struct mdisk *d, unsigned shard, uint32_t block)
{
	const struct mblock *b = mdisk_block(d, shard, block);
	uint32_t id = d->sim->shard_id[shard];

	for (uint32_t p = d->fd->npages; p-- > 0;) {
		if (!d->fd->page[p].now ||
		    crc32c_block(id, block, b->ver, d->fd->page[p].now) != b->crc)
			continue;
		fdisk_rot(d->fd, p);
		return true;
	}
	return false;
}

void rstore_damage(struct mdisk *d)
{
	uint32_t hits = prng_range(&d->sim->fault, 1, 400);

	d->damaged = true;
	while (hits--) {
		uint32_t page = prng_below(&d->sim->fault, d->fd->npages / 2);

		if (prng_percent(&d->sim->fault, 30)) /* superblock, shard pages, journal */
			page = prng_below(&d->sim->fault, 400);
		fdisk_rot(d->fd, page);
	}
}

void rstore_cleanup(struct sim *s)
{
	for (unsigned i = 0; i < NODES_MAX; i++)
		if (s->host[i].store && s->host[i].store->real)
			real_store_free(s->host[i].store->real);
}
