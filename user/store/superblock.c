/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The superblock: four copies, written one after the other, each with FUA. The newest sequence
 * number that two valid copies carry is the truth, so the old one holds until the second copy of
 * the new one is on disk.
 */
#include <string.h>

#include "store/internal.h"

uint64_t super_offset(uint64_t bytes, uint32_t copy)
{
	XBD_ASSERT(copy < FMT_SUPER_COPIES);
	return copy < 3 ? copy * (uint64_t)FMT_SUPER_STEP : bytes - FMT_PAGE;
}

/* A superblock is checked without knowing the seed: the page carries it. */
bool super_valid(const struct fmt_super *sb)
{
	return sb->magic == FMT_SUPER_MAGIC && !memcmp(&sb->uuid8, sb->uuid.b, 8) &&
	       sb->crc == page_crc(sb->seed, sb);
}

static void super_step(struct store *st, int res)
{
	struct serial *s = &st->serial;

	if (res) {
		s->super_next(st, res);
		return;
	}
	if (++s->copy == FMT_SUPER_COPIES) {
		s->super_next(st, 0);
		return;
	}
	st_serial(st, DISK_WRITE, super_offset(st->super->bytes, s->copy), st->super, FMT_PAGE,
		  super_step);
}

/* Raises seq, writes st->super to all copies; next(err) once the last one is durable. */
void super_write(struct store *st, void (*next)(struct store *st, int err))
{
	struct serial *s = &st->serial;

	st->super->seq++;
	page_seal(st->super, st->super, FMT_SUPER_MAGIC);
	s->super_next = next;
	s->copy = 0;
	st_serial(st, DISK_WRITE, 0, st->super, FMT_PAGE, super_step);
}
