/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The superblock: four copies, written one after the other, each with FUA. The newest sequence
 * number that two valid copies carry is the truth, so the old one holds until the second copy of
 * the new one is on disk. Copies that do not carry the truth are written first: one crash after the
 * other in the middle of this leaves two good ones, too.
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

static void super_step(struct store *st, int res);

static void write_copy(struct store *st)
{
	uint32_t copy = st->super_order[st->serial.copy];

	st_serial(st, DISK_WRITE, super_offset(st->super->bytes, copy), st->super, FMT_PAGE,
		  super_step);
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
	write_copy(st);
}

void super_order(struct store *st, const bool *current)
{
	uint8_t n = 0;

	for (unsigned pass = 0; pass < 2; pass++)
		for (uint8_t i = 0; i < FMT_SUPER_COPIES; i++)
			if (current[i] == (pass == 1))
				st->super_order[n++] = i;
	XBD_ASSERT(n == FMT_SUPER_COPIES);
}

/* Raises seq, writes st->super to all copies; next(err) once the last one is durable. */
void super_write(struct store *st, void (*next)(struct store *st, int err))
{
	struct serial *s = &st->serial;

	st->super->seq++;
	page_seal(st->super, st->super, FMT_SUPER_MAGIC);
	s->super_next = next;
	s->copy = 0;
	write_copy(st);
}
