/* SPDX-License-Identifier: BSD-2-Clause */
#include "audit.h"

#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

static bool bad_allowed;
static uint32_t used; /* slots that entries name */

static const char *audit_entry(const struct fmt_entry *e, uint8_t *seen, uint32_t slots)
{
	uint32_t slot = e->slot & ~FMT_SLOT_BAD;

	if (e->slot & FMT_SLOT_BAD && !(bad_allowed && slot))
		return "bad block";
	if (!slot_real(slot))
		return e->crc ? "zeroes with a checksum" : NULL;
	if (slot > slots)
		return "slot out of range";
	if (!e->ver || !e->crc)
		return "slot without version or checksum";
	if (seen[slot / 8] >> (slot % 8) & 1)
		return "slot used twice";
	seen[slot / 8] |= (uint8_t)(1u << (slot % 8));
	used++;
	return NULL;
}

static const char *audit_extent(const struct store *st, uint32_t ext, uint8_t *seen)
{
	const char *why;

	for (uint32_t r = 0; r < FMT_EXT_REGIONS; r++) {
		uint64_t max = 0;

		for (uint32_t i = 0; i < XBD_REGION_BLOCKS; i++) {
			uint32_t in = r * XBD_REGION_BLOCKS + i;
			const struct fmt_entry *e =
				&table_page(st, ext, in / FMT_ENTRIES)->entry[in % FMT_ENTRIES];

			why = audit_entry(e, seen, st->super->slots);
			if (why)
				return why;
			if (e->ver > max)
				max = e->ver;
		}
		if (max != st->region_max[(uint64_t)ext * FMT_EXT_REGIONS + r])
			return "region maximum is wrong";
	}
	return NULL;
}

static const char *audit_free(const struct store *st, const uint8_t *seen)
{
	uint32_t nfree = 0;

	for (uint32_t slot = 1; slot <= st->super->slots; slot++) {
		bool is_free = st->slots.free[slot / 64] >> (slot % 64) & 1;
		bool is_used = seen[slot / 8] >> (slot % 8) & 1;

		if (is_free && is_used)
			return "used slot is free";
		nfree += is_free;
	}
	if (nfree != st->slots.nfree)
		return "free count is wrong";
	/* a dropped shard's slots come back bit by bit, a discard's when it is done */
	if (!st->ext_dead && nfree + used + st->slots.held != st->super->slots)
		return "slots leaked";
	return NULL;
}

const char *audit(const struct store *st, bool bad_ok)
{
	uint8_t *seen = calloc(1, st->super->slots / 8 + 1);
	uint32_t extents = 0;
	const char *why = NULL;

	XBD_ASSERT(seen);
	used = 0;
	bad_allowed = bad_ok;
	for (uint32_t i = 0; i < st->shard_end && !why; i++) {
		const struct shard *sh = &st->shards[i];

		if (!sh->known)
			continue;
		if (sh->inflight || sh->txns || sh->repairs || sh->drop)
			why = "something is in flight";
		for (uint32_t k = 0; k < FMT_SHARD_EXTS && !why; k++) {
			uint32_t ext = sh->page.ext[k];

			if (!ext)
				continue;
			extents++;
			if (st->extents[ext - 1].shard != i + 1 ||
			    st->extents[ext - 1].index != k || !st->extents[ext - 1].live)
				why = "extent of another shard";
			else
				why = audit_extent(st, ext - 1, seen);
		}
	}
	if (!why)
		why = audit_free(st, seen);
	if (!why && !st->ext_dead && extents + st->ext_nfree != st->super->extents)
		why = "extents leaked";
	if (!why && (st->txn_busy || st->run_busy || st->writers || st->logged))
		why = "transactions leaked";
	free(seen);
	return why;
}
