/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_format: old superblocks are wiped first, the new ones come last, so that a store half made
 * is no store. Table extents and the journal need nothing: what lies there carries another UUID and
 * seed.
 */
#include <string.h>

#include "store/internal.h"

static void format_super_written(struct store *st, int err)
{
	st->phase = ST_NEW;
	st_done(st, err);
}

static void fail(struct store *st, int err, const char *what)
{
	st->phase = ST_NEW;
	st_why(st, "%s: %s", what, xbd_strerror(err));
	st_done(st, err);
}

static void pages_durable(struct store *st, int res)
{
	if (res)
		fail(st, res, "write of the shard pages");
	else
		super_write(st, format_super_written);
}

/* Free shard pages, in chunks: rec.shard counts those of both copies. */
static void write_shards(struct store *st, int res)
{
	uint32_t total = 2 * st->super->shards_max, at = st->rec->shard;
	uint32_t n = total - at < SCRATCH / FMT_PAGE ? total - at : SCRATCH / FMT_PAGE;

	if (res) {
		fail(st, res, "write of the shard pages");
		return;
	}
	if (!n) {
		st_serial(st, DISK_FLUSH, 0, NULL, 0, pages_durable);
		return;
	}
	memset(st->scratch[0], 0, (size_t)n * FMT_PAGE);
	for (uint32_t i = 0; i < n; i++) {
		struct fmt_shard *p = (struct fmt_shard *)(st->scratch[0] + (size_t)i * FMT_PAGE);

		p->index = (at + i) % st->super->shards_max;
		page_seal(st->super, p, FMT_SHARD_MAGIC);
	}
	st->rec->shard += n;
	st_serial(st, DISK_WRITE, st->super->shards_at + (uint64_t)at * FMT_PAGE, st->scratch[0],
		  (uint64_t)n * FMT_PAGE, write_shards);
}

static void wipe(struct store *st, int res)
{
	uint32_t copy = st->rec->supers;

	if (res) {
		fail(st, res, "write of the superblock");
		return;
	}
	if (copy == FMT_SUPER_COPIES) {
		write_shards(st, 0);
		return;
	}
	st->rec->supers++;
	st_serial(st, DISK_WRITE, super_offset(st->super->bytes, copy), st->scratch[1], FMT_PAGE,
		  wipe);
}

static void plan(struct store *st, int res)
{
	struct store_format_args *args = &st->rec->format;

	if (!res)
		res = layout_plan(st->disk->size, args, st->super);
	if (res) {
		fail(st, res, "format");
		return;
	}
	memset(st->scratch[1], 0, FMT_PAGE);
	wipe(st, 0);
}

void store_format(struct store *st, const struct store_format_args *args,
		  void (*done)(void *ctx, int err), void *ctx)
{
	XBD_ASSERT(st->phase == ST_NEW && !st->done);
	st->phase = ST_FORMAT;
	st->done = done;
	st->ctx = ctx;
	memset(st->rec, 0, sizeof(*st->rec));
	st->rec->format = *args;
	if (st->disk->size < FMT_PAGE) {
		fail(st, -XBD_ETOOSMALL, "format");
		st_deliver(st);
		return;
	}
	/* the first event; also shows that the disk can be read */
	st_serial(st, DISK_READ, 0, st->scratch[0], FMT_PAGE, plan);
}
