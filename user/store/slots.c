/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Free data slots: a bit per slot and a bit per 64 of them, searched from a cursor that moves on
 * (next fit), so that what is written together lies together. Slots freed by a trim are discarded
 * on the disk later, while they are still free: a slot under discard is taken out of the bitmap.
 */
#include <string.h>

#include "store/internal.h"

#define TRIES 32u /* free runs looked at before the longest of them is taken */

uint64_t slot_offset(const struct store *st, uint32_t slot)
{
	XBD_ASSERT(slot >= 1 && slot <= st->super->slots);
	return st->super->data_at + (uint64_t)(slot - 1) * FMT_PAGE;
}

int slots_alloc(struct store *st)
{
	struct slots *s = &st->slots;

	s->count = st->super->slots;
	s->words = s->count / 64 + 1; /* bit = slot number; bit 0 is never free */
	s->sums = s->words / 64 + 1;
	s->free = st_alloc(st, s->words * 8ull);
	s->summary = st_alloc(st, s->sums * 8ull);
	st->discards = st_alloc(st, DISCARD_MAX * sizeof(struct range));
	return s->free && s->summary && st->discards ? 0 : -ENOMEM;
}

void slots_all_free(struct store *st)
{
	struct slots *s = &st->slots;

	memset(s->free, 0xff, s->words * 8ull);
	memset(s->summary, 0, s->sums * 8ull);
	s->free[0] &= ~1ull;
	if (s->count % 64 != 63)
		s->free[s->words - 1] &= (2ull << (s->count % 64)) - 1;
	for (uint32_t w = 0; w < s->words; w++)
		if (s->free[w])
			s->summary[w / 64] |= 1ull << (w % 64);
	s->nfree = s->count;
	s->cursor = 1;
}

static bool is_free(const struct slots *s, uint32_t slot)
{
	return s->free[slot / 64] >> (slot % 64) & 1;
}

static void take(struct slots *s, uint32_t slot)
{
	XBD_ASSERT(is_free(s, slot));
	s->free[slot / 64] &= ~(1ull << (slot % 64));
	if (!s->free[slot / 64])
		s->summary[slot / 64 / 64] &= ~(1ull << (slot / 64 % 64));
	s->nfree--;
}

bool slots_take_one(struct store *st, uint32_t slot)
{
	XBD_ASSERT(slot >= 1 && slot <= st->slots.count);
	if (!is_free(&st->slots, slot))
		return false;
	take(&st->slots, slot);
	return true;
}

/* First free slot at or after `from`; 0 = none up to the end. */
static uint32_t next_free(const struct slots *s, uint32_t from)
{
	uint32_t w = from / 64, sum;
	uint64_t bits;

	if (w >= s->words)
		return 0;
	bits = s->free[w] & ~0ull << (from % 64);
	if (bits)
		return w * 64 + (uint32_t)__builtin_ctzll(bits);
	if (++w >= s->words)
		return 0;
	sum = w / 64;
	bits = s->summary[sum] & ~0ull << (w % 64);
	while (!bits) {
		if (++sum >= s->sums)
			return 0;
		bits = s->summary[sum];
	}
	w = sum * 64 + (uint32_t)__builtin_ctzll(bits);
	XBD_ASSERT(s->free[w]);
	return w * 64 + (uint32_t)__builtin_ctzll(s->free[w]);
}

static uint32_t run_length(const struct slots *s, uint32_t slot, uint32_t want)
{
	uint32_t n = 1;

	while (n < want && slot + n <= s->count && is_free(s, slot + n))
		n++;
	return n;
}

/* Takes 1..want consecutive slots; returns how many. At least one must be free. */
uint32_t slots_take(struct store *st, uint32_t want, uint32_t *slot)
{
	struct slots *s = &st->slots;
	uint32_t from = s->cursor, best = 0, best_n = 0;

	XBD_ASSERT(s->nfree > 0 && want > 0);
	for (uint32_t tries = 0; tries < TRIES; tries++) {
		uint32_t at = next_free(s, from), n;

		if (!at)
			at = next_free(s, 1);
		XBD_ASSERT(at);
		n = run_length(s, at, want);
		if (n > best_n) {
			best = at;
			best_n = n;
		}
		if (n == want)
			break;
		from = at + n;
	}
	for (uint32_t i = 0; i < best_n; i++)
		take(s, best + i);
	s->cursor = best + best_n;
	*slot = best;
	return best_n;
}

void slots_give(struct store *st, uint32_t slot, uint32_t count)
{
	struct slots *s = &st->slots;

	for (; count; slot++, count--) {
		XBD_ASSERT(slot >= 1 && slot <= s->count && !is_free(s, slot));
		s->free[slot / 64] |= 1ull << (slot % 64);
		s->summary[slot / 64 / 64] |= 1ull << (slot / 64 % 64);
		s->nfree++;
	}
}

/* Remember a freed slot for discard; best effort. */
void slots_trimmed(struct store *st, uint32_t slot)
{
	struct range *last;

	if (!st->disk->discard || st->discard_off)
		return;
	last = st->ndiscards ? &st->discards[st->ndiscards - 1] : NULL;
	if (last && last->count < DISCARD_SLOTS && slot == last->slot + last->count) {
		last->count++;
		return;
	}
	if (last && last->count < DISCARD_SLOTS && slot + 1 == last->slot) {
		last->slot--;
		last->count++;
		return;
	}
	if (st->ndiscards < DISCARD_MAX)
		st->discards[st->ndiscards++] = (struct range){slot, 1};
}

static void discard_done(struct disk_op *d)
{
	struct store *st = d->owner;
	struct discard *b = (struct discard *)d;

	st->ios--;
	b->busy = false;
	st->slots.held -= b->r.count;
	slots_give(st, b->r.slot, b->r.count);
	if (d->res)
		st->discard_off = true;
}

/* The part of the newest range that is still free; count 0 = nothing left of it. */
static struct range discard_next(struct store *st)
{
	struct range *r = &st->discards[st->ndiscards - 1];
	struct range out = {0, 0};

	while (r->count && !is_free(&st->slots, r->slot)) {
		r->slot++;
		r->count--;
	}
	out.slot = r->slot;
	while (r->count && is_free(&st->slots, r->slot)) {
		r->slot++;
		r->count--;
		out.count++;
	}
	if (!r->count)
		st->ndiscards--;
	return out;
}

/* Starts discards, at most DISCARD_BUSY at a time. */
void discard_kick(struct store *st)
{
	for (unsigned i = 0; i < DISCARD_BUSY && st->ndiscards && !st->discard_off; i++) {
		struct discard *b = &st->discard[i];

		if (b->busy)
			continue;
		b->r = discard_next(st);
		if (!b->r.count)
			continue;
		for (uint32_t k = 0; k < b->r.count; k++)
			take(&st->slots, b->r.slot + k);
		st->slots.held += b->r.count;
		b->busy = true;
		b->d = (struct disk_op){
			.kind = DISK_DISCARD,
			.offset = slot_offset(st, b->r.slot),
			.len = (uint64_t)b->r.count * FMT_PAGE,
			.done = discard_done,
			.owner = st,
		};
		st_io(st, &b->d);
	}
}
