/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checkpoint: every page changed since the last one is written, one copy, then (after a flush) the
 * other copy, then the superblock says that the journal up to the lsn at the start is no longer
 * needed. Operations go on meanwhile: a page is copied at the moment it is written, and is dirty
 * again if it changes later.
 */
#include <string.h>

#include "store/internal.h"

static void pump(struct store *st);

/* Start when half of the journal is used. */
bool checkpoint_due(const struct store *st)
{
	const struct journal *j = &st->j;

	return !st->ckpt.running && j->durable > st->ckpt_lsn &&
	       j->lsn + j->blocks - st->ckpt_lsn > j->ring / 2;
}

static void end(struct store *st, int err)
{
	struct ckpt *c = &st->ckpt;

	c->running = false;
	if (err) {
		st_fail(st, err, "checkpoint");
	} else {
		st->ckpt_lsn = c->lsn;
		st->n.checkpoints++;
	}
	if (c->done)
		c->done(st, err);
}

static void super_written(struct store *st, int err)
{
	end(st, err);
}

static void write_super(struct store *st)
{
	st->super->ckpt_lsn = st->ckpt.lsn;
	super_write(st, super_written);
}

static void next_copy(struct store *st, int res)
{
	struct ckpt *c = &st->ckpt;

	if (res) {
		end(st, res);
		return;
	}
	if (++c->copy == 2) {
		write_super(st);
		return;
	}
	c->ext = c->page = c->shard = 0;
	pump(st);
}

static void copy_written(struct store *st)
{
	if (st->disk->volatile_cache)
		st_serial(st, DISK_FLUSH, 0, NULL, 0, next_copy);
	else
		next_copy(st, 0);
}

static void page_written(struct disk_op *d)
{
	struct store *st = d->owner;

	st->ios--;
	((struct ckpt_buf *)d)->busy = false;
	st->ckpt.inflight--;
	if (d->res)
		st_fail(st, d->res, "write of a page");
	pump(st);
	st_deliver(st);
}

static void write_pages(struct store *st, struct ckpt_buf *b, uint64_t off, uint32_t pages)
{
	b->busy = true;
	b->d = (struct disk_op){
		.kind = DISK_WRITE,
		.offset = off,
		.len = (uint64_t)pages * FMT_PAGE,
		.buf = b->buf,
		.done = page_written,
		.owner = st,
	};
	st->ckpt.inflight++;
	st_io(st, &b->d);
}

static void copy_table(struct store *st, uint32_t ext, uint32_t page, struct fmt_table *to)
{
	const struct extent *x = &st->extents[ext];
	const struct shard *sh = &st->shards[x->shard - 1];

	memcpy(to, table_page(st, ext, page), FMT_PAGE);
	to->lsn = st->j.durable;
	to->gen = sh->page.gen;
	to->shard = sh->page.shard;
	to->index = x->index * FMT_EXT_PAGES + page;
	page_seal(st->super, to, FMT_TABLE_MAGIC);
}

static bool wanted(const struct extent *x, uint32_t page)
{
	return x->ckpt[page / 64] >> (page % 64) & 1;
}

/* Which copy of the page is due now. */
static uint32_t copy_of(const struct store *st, const struct extent *x, uint32_t page)
{
	return st->ckpt.copy ^ (x->flip[page / 64] >> (page % 64) & 1);
}

/* Finds the next run of pages, copies and submits it. False = no more in this copy. */
static bool next_tables(struct store *st, struct ckpt_buf *b)
{
	struct ckpt *c = &st->ckpt;

	for (; c->ext < st->super->extents; c->ext++, c->page = 0) {
		const struct extent *x = &st->extents[c->ext];
		uint32_t n = 0, first, copy;

		if (!(x->ckpt[0] | x->ckpt[1]))
			continue;
		while (c->page < FMT_EXT_PAGES && !wanted(x, c->page))
			c->page++;
		if (c->page == FMT_EXT_PAGES)
			continue;
		first = c->page;
		copy = copy_of(st, x, first);
		while (c->page < FMT_EXT_PAGES && n < CKPT_PAGES && wanted(x, c->page) &&
		       copy_of(st, x, c->page) == copy) {
			copy_table(st, c->ext, c->page,
				   (struct fmt_table *)(b->buf + (size_t)n * FMT_PAGE));
			c->page++;
			n++;
		}
		write_pages(st, b,
			    st->super->table_at + (uint64_t)c->ext * FMT_EXT_BYTES +
				    (uint64_t)(copy * FMT_EXT_PAGES + first) * FMT_PAGE,
			    n);
		return true;
	}
	return false;
}

/* Extents whose record is not durable yet are left out (format.h, invariant 10). */
static void copy_shard(struct store *st, const struct shard *sh, struct fmt_shard *to)
{
	memcpy(to, &sh->page, FMT_PAGE);
	for (uint32_t i = 0; i < FMT_SHARD_EXTS; i++)
		if (to->ext[i] && !st->extents[to->ext[i] - 1].live)
			to->ext[i] = 0;
	to->lsn = st->j.durable;
	page_seal(st->super, to, FMT_SHARD_MAGIC);
}

static bool next_shard(struct store *st, struct ckpt_buf *b)
{
	struct ckpt *c = &st->ckpt;

	for (; c->shard < st->shard_end; c->shard++) {
		const struct shard *sh = &st->shards[c->shard];
		uint64_t page = c->shard + (uint64_t)(c->copy ^ sh->flip) * st->super->shards_max;

		if (!sh->ckpt)
			continue;
		copy_shard(st, sh, (struct fmt_shard *)b->buf);
		c->shard++;
		write_pages(st, b, st->super->shards_at + page * FMT_PAGE, 1);
		return true;
	}
	return false;
}

static void pump(struct store *st)
{
	struct ckpt *c = &st->ckpt;
	bool more = !st->failed;

	for (unsigned i = 0; i < CKPT_BUFS && more; i++) {
		if (!c->bufs[i].busy)
			more = next_tables(st, &c->bufs[i]) || next_shard(st, &c->bufs[i]);
	}
	if (c->inflight)
		return;
	if (st->failed)
		end(st, -XBD_EFAILED);
	else
		copy_written(st);
}

/* done(err) is called from an event, or at once when there is nothing to write. */
void checkpoint_start(struct store *st, void (*done)(struct store *st, int err))
{
	struct ckpt *c = &st->ckpt;

	XBD_ASSERT(!c->running && !c->inflight);
	c->running = true;
	c->done = done;
	c->lsn = st->j.durable;
	c->copy = c->ext = c->page = c->shard = 0;
	for (uint32_t i = 0; i < st->super->extents; i++) {
		struct extent *x = &st->extents[i];

		memset(x->ckpt, 0, sizeof(x->ckpt));
		if (!x->live)
			continue;
		memcpy(x->ckpt, x->dirty, sizeof(x->ckpt));
		memset(x->dirty, 0, sizeof(x->dirty));
	}
	for (uint32_t i = 0; i < st->shard_end; i++) {
		struct shard *sh = &st->shards[i];

		sh->ckpt = sh->dirty && (sh->held || !sh->known);
		if (sh->ckpt)
			sh->dirty = false;
	}
	pump(st);
}
