/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_open, up to the journal: superblock, shard pages, table pages. Reading is robust: what
 * cannot be read counts as damaged, block by block, and is looked for in the second copy.
 */
#include <string.h>

#include "store/internal.h"

static void fail(struct store *st, int err, const char *what)
{
	st->phase = ST_NEW;
	st_why(st, "%s: %s", what, xbd_strerror(err));
	st_done(st, err);
}

void recover_finish(struct store *st, int err)
{
	if (err) {
		fail(st, err, err == -EIO ? "recovery: the disk cannot be read" : "recovery");
		return;
	}
	st->phase = ST_OPEN;
	st_done(st, 0);
}

/* --- robust reading --- */

static void read_one(struct store *st, int res);

static void read_step(struct store *st)
{
	struct serial *s = &st->serial;

	if (s->at == s->len) {
		s->read_next(st);
		return;
	}
	st_serial(st, DISK_READ, s->off + s->at, s->buf + s->at, FMT_PAGE, read_one);
}

static void read_one(struct store *st, int res)
{
	struct serial *s = &st->serial;

	if (res) {
		memset(s->buf + s->at, 0, FMT_PAGE);
		s->errors++;
		if (s->at / FMT_PAGE < 64)
			s->unread |= 1ull << s->at / FMT_PAGE;
	}
	s->at += FMT_PAGE;
	read_step(st);
}

static void read_all(struct store *st, int res)
{
	if (res)
		read_step(st);
	else
		st->serial.read_next(st);
}

/* Reads; blocks that cannot be read are zeroes (serial.unread: which of the first 64). */
void recover_read(struct store *st, uint64_t off, uint64_t len, uint8_t *buf,
		  void (*next)(struct store *st))
{
	struct serial *s = &st->serial;

	XBD_ASSERT(len % FMT_PAGE == 0 && len);
	s->off = off;
	s->len = len;
	s->at = s->unread = 0;
	s->buf = buf;
	s->read_next = next;
	st_serial(st, DISK_READ, off, buf, len, read_all);
}

/* --- table pages --- */

static void load_extents(struct store *st);

/*
 * The newest valid copy; differing copies are made equal by the checkpoint that ends recovery. It
 * writes the other copy first: this one may be the only good one.
 */
static void load_table(struct store *st, const struct shard *sh, uint32_t ext, uint32_t page)
{
	const struct fmt_table *c[2], *best = NULL;
	struct extent *x = &st->extents[ext];
	struct fmt_table *t = table_page(st, ext, page);
	bool ok[2];

	for (unsigned i = 0; i < 2; i++) {
		c[i] = (const struct fmt_table *)(st->scratch[i] + (size_t)page * FMT_PAGE);
		ok[i] = page_ok(st->super, c[i], FMT_TABLE_MAGIC) &&
			c[i]->shard == sh->page.shard && c[i]->gen == sh->page.gen &&
			c[i]->index == x->index * FMT_EXT_PAGES + page;
		if (ok[i] && (!best || c[i]->lsn > best->lsn))
			best = c[i];
	}
	if (best) {
		memcpy(t, best, FMT_PAGE);
		if (best == c[0])
			x->flip[page / 64] |= 1ull << (page % 64);
		if (!ok[0] || !ok[1] || c[0]->lsn != c[1]->lsn)
			x->dirty[page / 64] |= 1ull << (page % 64);
		return;
	}
	memset(t, 0, FMT_PAGE);
	for (uint32_t i = 0; i < FMT_ENTRIES; i++)
		t->entry[i].slot = FMT_SLOT_BAD;
	x->lost[page / 64] |= 1ull << (page % 64);
	x->dirty[page / 64] |= 1ull << (page % 64);
}

static void extent_read(struct store *st)
{
	struct recover *r = st->rec;
	struct shard *sh = &st->shards[r->shard];
	uint32_t ext = sh->page.ext[r->ext] - 1;
	struct extent *x = &st->extents[ext];

	memset(x, 0, sizeof(*x));
	x->shard = sh->index + 1;
	x->index = r->ext;
	x->live = true;
	for (uint32_t page = 0; page < FMT_EXT_PAGES; page++)
		load_table(st, sh, ext, page);
	r->ext++;
	load_extents(st);
}

static void extent_read_first(struct store *st)
{
	struct recover *r = st->rec;
	uint32_t ext = st->shards[r->shard].page.ext[r->ext] - 1;

	recover_read(st, st->super->table_at + (uint64_t)ext * FMT_EXT_BYTES + FMT_EXT_BYTES / 2,
		     FMT_EXT_BYTES / 2, st->scratch[1], extent_read);
}

static void load_extents(struct store *st)
{
	struct recover *r = st->rec;

	for (; r->shard < st->shard_end; r->shard++, r->ext = 0) {
		struct shard *sh = &st->shards[r->shard];

		for (; sh->known && r->ext < FMT_SHARD_EXTS; r->ext++) {
			uint32_t ext = sh->page.ext[r->ext];

			if (!ext)
				continue;
			recover_read(st, st->super->table_at + (ext - 1ull) * FMT_EXT_BYTES,
				     FMT_EXT_BYTES / 2, st->scratch[0], extent_read_first);
			return;
		}
	}
	replay_start(st);
}

/* --- shard pages --- */

static bool shard_page_ok(const struct store *st, const struct fmt_shard *p, uint32_t index)
{
	if (!page_ok(st->super, p, FMT_SHARD_MAGIC) || p->index != index)
		return false;
	return !p->used || p->shard < XBD_SHARDS_MAX;
}

static void load_shard(struct store *st, uint32_t index, const struct fmt_shard *a,
		       const struct fmt_shard *b)
{
	bool ok_a = shard_page_ok(st, a, index), ok_b = shard_page_ok(st, b, index);
	const struct fmt_shard *best = ok_a && (!ok_b || a->lsn >= b->lsn) ? a : b;
	struct shard *sh = &st->shards[index];

	if (!ok_a && !ok_b) {
		st->rec->lost_shards++;
		sh->damaged = true; /* the checkpoint makes it an unused one */
		sh->index = sh->page.index = index;
		sh->dirty = true;
		if (index >= st->shard_end)
			st->shard_end = index + 1;
		return;
	}
	if (!best->used || st->map[best->shard])
		return;
	shard_place(st, best->shard, index);
	sh->page = *best;
	sh->held = true;
	sh->dirty = !ok_a || !ok_b || a->lsn != b->lsn;
	sh->flip = best == a;
	for (uint32_t i = 0; i < FMT_SHARD_EXTS; i++) {
		if (sh->page.ext[i] > st->super->extents)
			sh->page.ext[i] = 0;
	}
}

static void shards_read(struct store *st);

static uint32_t shard_chunk(const struct store *st)
{
	uint32_t left = st->super->shards_max - st->rec->shard;

	return left < SCRATCH / FMT_PAGE ? left : SCRATCH / FMT_PAGE;
}

static void shards_read_first(struct store *st)
{
	uint64_t page = (uint64_t)st->super->shards_max + st->rec->shard;

	recover_read(st, st->super->shards_at + page * FMT_PAGE,
		     (uint64_t)shard_chunk(st) * FMT_PAGE, st->scratch[1], shards_read);
}

static void load_shards(struct store *st)
{
	struct recover *r = st->rec;

	if (r->shard == st->super->shards_max) {
		r->shard = r->ext = 0;
		load_extents(st);
		return;
	}
	recover_read(st, st->super->shards_at + (uint64_t)r->shard * FMT_PAGE,
		     (uint64_t)shard_chunk(st) * FMT_PAGE, st->scratch[0], shards_read_first);
}

static void shards_read(struct store *st)
{
	uint32_t n = shard_chunk(st);

	for (uint32_t i = 0; i < n; i++)
		load_shard(st, st->rec->shard + i,
			   (const struct fmt_shard *)(st->scratch[0] + (size_t)i * FMT_PAGE),
			   (const struct fmt_shard *)(st->scratch[1] + (size_t)i * FMT_PAGE));
	st->rec->shard += n;
	load_shards(st);
}

/* --- superblock --- */

static void super_written(struct store *st, int err)
{
	if (err) {
		fail(st, err, "write of the superblock");
		return;
	}
	st->rec->shard = 0;
	load_shards(st);
}

static int alloc_all(struct store *st)
{
	if (shard_alloc(st) || table_alloc(st) || slots_alloc(st) || journal_alloc(st))
		return -ENOMEM;
	return 0;
}

/* The newest superblock that two copies agree on. */
static int choose(struct store *st)
{
	struct recover *r = st->rec;
	const struct fmt_super *best = NULL;
	bool current[FMT_SUPER_COPIES];
	unsigned valid = 0;

	for (unsigned i = 0; i < FMT_SUPER_COPIES; i++) {
		const struct fmt_super *a = &r->super[i];
		unsigned same = 0;

		if (!r->super_ok[i])
			continue;
		valid++;
		if (a->seq > r->seq)
			r->seq = a->seq;
		for (unsigned k = 0; k < FMT_SUPER_COPIES; k++)
			same += r->super_ok[k] && !memcmp(a, &r->super[k], sizeof(*a));
		if (same >= 2 && (!best || a->seq > best->seq))
			best = a;
	}
	if (!valid)
		return st->serial.errors ? -EIO : -XBD_EFORMAT;
	if (!best)
		return st->serial.errors ? -EIO : -XBD_ECORRUPT;
	for (unsigned i = 0; i < FMT_SUPER_COPIES; i++)
		current[i] = r->super_ok[i] && !memcmp(best, &r->super[i], sizeof(*best));
	super_order(st, current);
	*st->super = *best;
	st->super->seq = r->seq;
	return layout_check(st->super, st->disk->size);
}

static void read_super(struct store *st);

static void super_read(struct store *st)
{
	struct recover *r = st->rec;
	int err;

	memcpy(&r->super[r->supers], st->scratch[0], FMT_PAGE);
	r->super_ok[r->supers] = super_valid(&r->super[r->supers]);
	if (++r->supers < FMT_SUPER_COPIES) {
		read_super(st);
		return;
	}
	err = choose(st);
	if (!err)
		err = alloc_all(st);
	if (err) {
		fail(st, err, "superblock");
		return;
	}
	st->super->boot++;
	st->super->clean = 0;
	super_write(st, super_written);
}

/* The last copy lies at the end of the store, which the first copies know best. */
static void read_super(struct store *st)
{
	struct recover *r = st->rec;
	uint64_t bytes = st->disk->size - st->disk->size % FMT_PAGE;

	for (unsigned i = 0; r->supers == 3 && i < 3; i++)
		if (r->super_ok[i] && r->super[i].bytes <= bytes && r->super[i].bytes >= FMT_PAGE)
			bytes = r->super[i].bytes;
	recover_read(st, super_offset(bytes, r->supers), FMT_PAGE, st->scratch[0], super_read);
}

void store_open(struct store *st, void (*done)(void *ctx, int err), void *ctx)
{
	XBD_ASSERT(st->phase == ST_NEW && !st->done && !st->shards);
	st->phase = ST_OPENING;
	st->done = done;
	st->ctx = ctx;
	memset(st->rec, 0, sizeof(*st->rec));
	if (st->disk->size < FMT_ZONES_AT) {
		fail(st, -XBD_ETOOSMALL, "open");
		st_deliver(st);
		return;
	}
	read_super(st);
}
