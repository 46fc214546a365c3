/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the zones lie, and the checks common to all pages. */
#include <string.h>

#include "store/internal.h"

#define MIB (1024ull * 1024)

static uint64_t clamp64(uint64_t v, uint64_t lo, uint64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

/*
 * Table extents: enough for every slot, a quarter more because shards fill theirs unevenly, and
 * some for shards that hold little.
 */
static uint64_t plan_extents(uint64_t bytes, uint64_t avail)
{
	uint64_t per = 4 * (uint64_t)FMT_EXT_BLOCKS * FMT_PAGE + 5 * (uint64_t)FMT_EXT_BYTES;

	return clamp64(bytes / (32 * MIB), 4, 64) + avail * 5 / per;
}

int layout_plan(uint64_t bytes, const struct store_format_args *args, struct fmt_super *sb)
{
	uint64_t at = FMT_ZONES_AT, shards, journal, extents, slots;

	memset(sb, 0, sizeof(*sb));
	bytes -= bytes % FMT_PAGE;
	shards = args->shards_max ? args->shards_max : clamp64(bytes / MIB, 64, 4096);
	shards = clamp64(shards, 1, XBD_SHARDS_MAX);
	journal = args->journal_bytes ? args->journal_bytes : clamp64(bytes / 64, MIB, 256 * MIB);
	journal = clamp64(journal / FMT_PAGE, JOURNAL_MIN, 1u << 24);
	sb->shards_at = at;
	at += shards * 2 * FMT_PAGE;
	sb->journal_at = at;
	at += journal * FMT_PAGE;
	sb->table_at = at;
	if (at + 5 * FMT_EXT_BYTES > bytes)
		return -XBD_ETOOSMALL;
	extents = plan_extents(bytes, bytes - at);
	at += extents * FMT_EXT_BYTES;
	if (bytes > 64 * MIB)
		at = (at + MIB - 1) / MIB * MIB;
	sb->data_at = at;
	if (at + 65 * FMT_PAGE > bytes)
		return -XBD_ETOOSMALL;
	slots = clamp64((bytes - at) / FMT_PAGE - 1, 0, FMT_SLOTS_MAX - 1);
	sb->bytes = bytes;
	sb->version = FMT_VERSION;
	sb->uuid = args->uuid;
	sb->cluster = args->cluster;
	sb->seed = args->seed;
	sb->shards_max = (uint32_t)shards;
	sb->journal_blocks = (uint32_t)journal;
	sb->extents = (uint32_t)extents;
	sb->slots = (uint32_t)slots;
	sb->spare = (uint32_t)clamp64(slots / 32, slots / 8 < 1024 ? slots / 8 : 1024, UINT32_MAX);
	return 0;
}

int layout_check(const struct fmt_super *sb, uint64_t disk_bytes)
{
	if (sb->version != FMT_VERSION)
		return -XBD_EFORMAT;
	if (sb->bytes > disk_bytes)
		return -XBD_ETOOSMALL;
	if (sb->bytes % FMT_PAGE || !sb->shards_max || sb->shards_max > XBD_SHARDS_MAX ||
	    sb->journal_blocks < JOURNAL_MIN || !sb->slots || sb->slots >= FMT_SLOTS_MAX ||
	    sb->spare >= sb->slots || !sb->extents)
		return -XBD_ECORRUPT;
	if (sb->shards_at < FMT_ZONES_AT || sb->shards_at % FMT_PAGE ||
	    sb->journal_at < sb->shards_at + 2ull * FMT_PAGE * sb->shards_max ||
	    sb->table_at < sb->journal_at + (uint64_t)FMT_PAGE * sb->journal_blocks ||
	    sb->data_at < sb->table_at + (uint64_t)FMT_EXT_BYTES * sb->extents ||
	    sb->data_at + (uint64_t)FMT_PAGE * sb->slots + FMT_PAGE > sb->bytes)
		return -XBD_ECORRUPT;
	return 0;
}

uint32_t page_crc(uint64_t seed, const void *page)
{
	const struct fmt_page *p = page;
	uint64_t start[2] = {seed, p->magic};

	return crc32c(crc32c(0, start, sizeof(start)), (const uint8_t *)page + 8, FMT_PAGE - 8);
}

void page_seal(const struct fmt_super *sb, void *page, uint32_t magic)
{
	struct fmt_page *p = page;

	p->magic = magic;
	memcpy(&p->uuid8, sb->uuid.b, 8);
	p->crc = page_crc(sb->seed, page);
}

bool page_ok(const struct fmt_super *sb, const void *page, uint32_t magic)
{
	const struct fmt_page *p = page;

	return p->magic == magic && !memcmp(&p->uuid8, sb->uuid.b, 8) &&
	       p->crc == page_crc(sb->seed, page);
}
