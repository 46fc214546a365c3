/* SPDX-License-Identifier: BSD-2-Clause */
/* LIST and REGIONS: answered from memory. */
#include "store/internal.h"

int list_run(struct store *st, struct store_op *op)
{
	const struct shard *sh = shard_find(st, op->shard);

	if (!sh || !sh->held)
		return -XBD_ENOTFOUND;
	for (uint32_t i = 0; i < XBD_REGION_BLOCKS; i++) {
		const struct fmt_entry *e = NULL;
		uint64_t block = (uint64_t)op->block + i;

		op->list[i] = (struct xbd_list_entry){0};
		if (block < XBD_SHARD_BLOCKS_MAX)
			e = table_entry(st, sh, (uint32_t)block);
		if (e && (e->ver || e->slot))
			op->list[i] = (struct xbd_list_entry){e->ver, e->crc, table_flags(e)};
	}
	return 0;
}

static bool region_hit(const struct store *st, uint32_t ext, uint32_t in, uint64_t since)
{
	return st->region_max[(uint64_t)ext * FMT_EXT_REGIONS + in] > since ||
	       st->extents[ext].bad[in / 64] >> (in % 64) & 1;
}

int regions_run(struct store *st, struct store_op *op)
{
	const struct shard *sh = shard_find(st, op->shard);
	uint32_t room = op->count, n = 0, end = XBD_SHARD_BLOCKS_MAX / XBD_REGION_BLOCKS;
	uint32_t more = 0;

	if (!sh || !sh->held)
		return -XBD_ENOTFOUND;
	for (uint32_t r = op->block; r < end && !more;) {
		uint32_t ext = sh->page.ext[r / FMT_EXT_REGIONS], in = r % FMT_EXT_REGIONS;

		if (!ext) {
			r += FMT_EXT_REGIONS - in;
			continue;
		}
		if (region_hit(st, ext - 1, in, op->ver)) {
			if (n == room)
				more = 1;
			else
				op->regions[n++] = r;
		}
		r++;
	}
	op->count = (uint16_t)n;
	op->more = more;
	return 0;
}
