/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal: records gather in one buffer while the other is being written; one write is in
 * flight at a time, so a group commit forms by itself. Records of one operation lie in one block.
 */
#include <string.h>

#include "store/internal.h"

int journal_alloc(struct store *st)
{
	struct journal *j = &st->j;

	j->ring = st->super->journal_blocks;
	j->open = st_alloc(st, j->ring * sizeof(*j->open));
	for (unsigned i = 0; i < 2; i++)
		j->buf[i] = st_alloc_pages(st, GROUP_MAX * FMT_PAGE);
	return j->open && j->buf[0] && j->buf[1] ? 0 : -ENOMEM;
}

/* Begin after `lsn`, which a checkpoint covers. */
void journal_start(struct store *st, uint64_t lsn)
{
	struct journal *j = &st->j;

	st->ckpt_lsn = lsn;
	j->lsn = lsn + 1;
	j->chain = 0;
	j->written = j->wal_durable = j->durable = j->told = j->last = lsn;
	j->blocks = j->off = 0;
	txns_init(&j->group);
	txns_init(&j->in_write);
}

/* May the buffer get one more block? Keeps to the group size, the ring's end and its free part. */
static bool room_for_block(const struct store *st)
{
	const struct journal *j = &st->j;
	uint64_t next = j->lsn + j->blocks;

	return j->blocks < GROUP_MAX && j->blocks < j->ring / 4 &&
	       (j->blocks == 0 || next % j->ring != 0) && next - st->ckpt_lsn < j->ring;
}

/*
 * Can records of `bytes` be added, all in one block? If yes, the current block is closed should it
 * have no room for all of them.
 */
bool journal_room(struct store *st, uint32_t bytes)
{
	struct journal *j = &st->j;

	XBD_ASSERT(bytes <= FMT_JOURNAL_BODY);
	if (j->off && j->off + bytes <= FMT_PAGE)
		return true;
	if (!room_for_block(st))
		return false;
	j->off = 0;
	return true;
}

/* Bytes of a record that carries `count` checksums. */
uint32_t journal_write_len(uint32_t count)
{
	uint32_t more = count > 2 ? count - 2 : 0;

	return (uint32_t)sizeof(struct fmt_record) + (more * 4 + 7) / 8 * 8;
}

static struct fmt_journal *block_at(struct journal *j, uint32_t i)
{
	return (struct fmt_journal *)(j->buf[j->fill] + (size_t)i * FMT_PAGE);
}

/* A new zeroed record of `len` bytes; journal_room must have said yes for all of the operation. */
struct fmt_record *journal_add(struct store *st, uint8_t type, uint32_t shard, uint32_t len)
{
	struct journal *j = &st->j;
	struct fmt_journal *b;
	struct fmt_record *r;

	XBD_ASSERT(len % 8 == 0 && len >= sizeof(*r));
	XBD_ASSERT(j->off + len <= FMT_PAGE);
	if (!j->off) {
		XBD_ASSERT(room_for_block(st));
		memset(block_at(j, j->blocks), 0, FMT_PAGE);
		j->blocks++;
		j->off = FMT_PAGE - FMT_JOURNAL_BODY;
	}
	b = block_at(j, j->blocks - 1);
	r = (struct fmt_record *)((uint8_t *)b + j->off);
	r->type = type;
	r->shard = (uint16_t)shard;
	r->len = (uint16_t)len;
	j->off += len;
	b->records++;
	j->last = j->lsn + j->blocks - 1;
	st->n.journal_records++;
	return r;
}

/* The records added last are all of `t`'s: it is durable when their block and its data are. */
void journal_log(struct store *st, struct txn *t)
{
	struct journal *j = &st->j;

	XBD_ASSERT(j->blocks && !t->logged);
	t->lsn = j->lsn + j->blocks - 1;
	t->logged = true;
	st->logged++;
	j->open[t->lsn % j->ring]++;
	txns_add(&j->group, t);
}

static void journal_written(struct disk_op *d)
{
	struct store *st = d->owner;
	struct journal *j = &st->j;
	struct txn *t;

	st->ios--;
	j->writing = false;
	if (d->res)
		st_fail(st, d->res, "write of the journal");
	if (!st->failed) {
		j->written += j->writing_blocks;
		if (!st->disk->volatile_cache)
			j->wal_durable = j->written;
	}
	while ((t = txns_pop(&j->in_write))) {
		t->walled = true;
		txn_check(st, t);
	}
	if (!st->failed)
		txn_advance(st);
	st_deliver(st);
}

static void seal_blocks(struct store *st)
{
	struct journal *j = &st->j;

	for (uint32_t i = 0; i < j->blocks; i++) {
		struct fmt_journal *b = block_at(j, i);
		const struct fmt_record *r;
		uint32_t off = FMT_PAGE - FMT_JOURNAL_BODY;

		for (uint32_t k = 0; k < b->records; k++) {
			r = (const struct fmt_record *)((uint8_t *)b + off);
			off += r->len;
		}
		b->used = (uint16_t)(off - (FMT_PAGE - FMT_JOURNAL_BODY));
		b->lsn = j->lsn + i;
		b->durable = j->durable;
		b->boot = st->super->boot;
		b->chain = j->chain;
		page_seal(st->super, b, FMT_JOURNAL_MAGIC);
		j->chain = (uint64_t)b->crc << 32 | (uint32_t)b->lsn;
	}
	j->told = j->durable;
}

static void journal_write(struct store *st)
{
	struct journal *j = &st->j;
	struct txn *t;

	seal_blocks(st);
	XBD_ASSERT(!j->in_write.head);
	while ((t = txns_pop(&j->group)))
		txns_add(&j->in_write, t);
	j->d = (struct disk_op){
		.kind = DISK_WRITE,
		.offset = st->super->journal_at + j->lsn % j->ring * FMT_PAGE,
		.len = (uint64_t)j->blocks * FMT_PAGE,
		.buf = j->buf[j->fill],
		.done = journal_written,
		.owner = st,
	};
	j->writing = true;
	j->writing_blocks = j->blocks;
	st->n.journal_writes += j->blocks;
	j->lsn += j->blocks;
	j->fill ^= 1;
	j->blocks = j->off = 0;
	st_io(st, &j->d);
}

/* Idle, all is durable, but no block in the journal says so of the last one. */
bool journal_unsealed(const struct store *st)
{
	const struct journal *j = &st->j;

	return !st->writers && j->told < j->last && j->durable >= j->last;
}

/*
 * Writes what has gathered. After a while without changes, an empty block tells that the last ones
 * are durable: from then on damage to their journal blocks or data cannot pass for a torn tail.
 */
void journal_kick(struct store *st)
{
	struct journal *j = &st->j;

	if (j->writing)
		return;
	if (j->blocks) {
		st->idle_kicks = 0;
		journal_write(st);
		return;
	}
	if (!journal_unsealed(st)) {
		st->idle_kicks = 0;
		return;
	}
	if (++st->idle_kicks < SEAL_KICKS || !room_for_block(st))
		return;
	st->idle_kicks = 0;
	memset(block_at(j, 0), 0, FMT_PAGE);
	j->blocks = 1;
	journal_write(st);
}

bool journal_busy(const struct store *st)
{
	return st->j.writing || st->j.blocks;
}
