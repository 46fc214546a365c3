/* SPDX-License-Identifier: BSD-2-Clause */
/* What must not happen before something else is on disk: one disk op is held back, and all waits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"
#include "store/internal.h"

static const struct rig_opts small = {
	.disk = {.size = 16u << 20, .seed = 1},
	.format = {.uuid = {{1, 2, 3}}, .shards_max = 8, .journal_bytes = 16 * 4096, .seed = 7},
};

struct job {
	struct store_op op;
	struct xbd_state state;
	uint8_t *buf;
	uint32_t crc;
	bool done;
};

static int setup(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));

	rig_init(rig, &small);
	assert_int_equal(rig_state(rig, 5, 9), 0);
	assert_int_equal(rig_write(rig, 5, 0, 4, 20), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	free(*state);
	return 0;
}

static void job_done(struct store_op *op)
{
	((struct job *)op->owner)->done = true;
}

static struct job *submit(struct rig *rig, uint8_t kind, uint32_t block, uint64_t ver,
			  uint64_t expect)
{
	struct job *j = calloc(1, sizeof(*j));

	j->buf = aligned_alloc(4096, XBD_BLOCK_SIZE);
	fill(j->buf, 5, block, ver);
	j->crc = crc32c_block(5, block, ver, j->buf);
	j->state.prom = (uint32_t)ver;
	j->op = (struct store_op){.kind = kind,
				  .shard = 5,
				  .block = block,
				  .count = 1,
				  .ver = ver,
				  .expect = expect,
				  .buf = j->buf,
				  .done = job_done,
				  .owner = j};
	if (kind == STORE_STATE || kind == STORE_DROP)
		j->op.state = &j->state;
	else
		j->op.crc = &j->crc;
	store_submit(rig->st, &j->op);
	return j;
}

static void job_free(struct job *j)
{
	free(j->buf);
	free(j);
}

static void hold_next_slot(struct rig *rig)
{
	fakedisk_hold(rig->fd, slot_offset(rig->st, rig->st->slots.cursor), FMT_PAGE);
}

static void release(struct rig *rig)
{
	fakedisk_hold(rig->fd, 0, 0);
	rig_settle(rig);
}

static void settle(struct rig *rig)
{
	for (unsigned i = 0; i < 4; i++)
		rig_settle(rig);
}

static void a_write_waits_for_its_data_alone(void **state)
{
	struct rig *rig = *state;
	struct job *slow, *fast;

	hold_next_slot(rig);
	slow = submit(rig, STORE_WRITE, 9, 30, 0);
	fast = submit(rig, STORE_WRITE, 10, 31, 0);
	settle(rig);
	assert_false(slow->done);
	assert_true(fast->done);
	release(rig);
	assert_true(slow->done);
	job_free(slow);
	job_free(fast);
}

static void a_repair_waits_until_all_before_it_is_durable(void **state)
{
	struct rig *rig = *state;
	struct job *slow, *repair, *later;

	hold_next_slot(rig);
	slow = submit(rig, STORE_WRITE, 9, 30, 0);
	settle(rig);
	repair = submit(rig, STORE_REPAIR, 0, 3, 20);
	settle(rig);
	later = submit(rig, STORE_WRITE, 0, 10, 0);
	settle(rig);
	assert_false(repair->done || later->done);
	release(rig);
	settle(rig);
	assert_true(slow->done && repair->done && later->done);
	assert_int_equal(repair->op.res | later->op.res, 0);
	assert_int_equal(table_entry(rig->st, shard_find(rig->st, 5), 0)->ver, 10);
	job_free(slow);
	job_free(repair);
	job_free(later);
}

static void a_repair_waits_for_the_block_and_later_writes_wait_for_it(void **state)
{
	struct rig *rig = *state;
	struct job *slow, *repair, *later;

	hold_next_slot(rig);
	slow = submit(rig, STORE_WRITE, 0, 30, 0);
	repair = submit(rig, STORE_REPAIR, 0, 3, 30);
	later = submit(rig, STORE_WRITE, 0, 29, 0);
	settle(rig);
	assert_false(slow->done || repair->done || later->done);
	release(rig);
	settle(rig);
	assert_true(slow->done && repair->done && later->done);
	assert_int_equal(repair->op.res, 0);
	assert_int_equal(table_entry(rig->st, shard_find(rig->st, 5), 0)->ver, 29);
	job_free(slow);
	job_free(repair);
	job_free(later);
}

static void a_drop_waits_for_everything_in_its_shard(void **state)
{
	struct rig *rig = *state;
	struct job *slow, *drop, *later;

	hold_next_slot(rig);
	slow = submit(rig, STORE_WRITE, 0, 30, 0);
	drop = submit(rig, STORE_DROP, 0, 40, 0);
	later = submit(rig, STORE_WRITE, 7, 31, 0);
	settle(rig);
	assert_false(slow->done || drop->done || later->done);
	assert_int_equal(store_state(rig->st, 5)->prom, 9);
	release(rig);
	settle(rig);
	assert_true(slow->done && drop->done && later->done);
	assert_int_equal(store_state(rig->st, 5)->prom, 40);
	assert_int_equal(table_entry(rig->st, shard_find(rig->st, 5), 0)->ver, 0);
	assert_int_equal(table_entry(rig->st, shard_find(rig->st, 5), 7)->ver, 31);
	job_free(slow);
	job_free(drop);
	job_free(later);
}

static void the_journal_is_not_reused_before_the_superblock_is_durable(void **state)
{
	struct rig *rig = *state;
	struct job *j[64];
	unsigned done = 0;
	uint64_t ckpt = rig->st->ckpt_lsn;
	struct store_block b;

	fakedisk_hold(rig->fd, FMT_SUPER_STEP, FMT_PAGE); /* the second copy */
	for (unsigned i = 0; i < 64; i++) {
		j[i] = submit(rig, STORE_WRITE, i, 100 + i, 0);
		rig_settle(rig);
	}
	for (unsigned i = 0; i < 64; i++)
		done += j[i]->done;
	assert_in_range(done, 8, 16);
	assert_true(rig->st->ckpt.running);
	assert_true(rig->st->j.lsn - 1 - ckpt < rig->st->j.ring);
	fakedisk_hold(rig->fd, 0, 0);
	rig_crash(rig);
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(rig_read(rig, 5, i, &b), 0);
		if (j[i]->done)
			assert_int_equal(b.ver, 100 + i);
		job_free(j[i]);
	}
}

/* A copy of the shard page, or of the first table page. */
static uint64_t page_at(struct rig *rig, bool table, unsigned copy)
{
	const struct fmt_super *sb = rig->st->super;
	const struct shard *sh = shard_find(rig->st, 5);

	if (table)
		return sb->table_at + (sh->page.ext[0] - 1) * (uint64_t)FMT_EXT_BYTES +
		       copy * (uint64_t)FMT_EXT_BYTES / 2;
	return sb->shards_at + (copy * sb->shards_max + sh->index) * (uint64_t)FMT_PAGE;
}

static void opening(void *ctx, int err)
{
	((struct rig *)ctx)->err = err;
}

/* Opens with one copy of a page damaged: the other one is left alone until that one is whole. */
static void open_with_damage(struct rig *rig, bool table, unsigned bad)
{
	static uint8_t before[FMT_PAGE], after[FMT_PAGE];
	uint64_t page[2] = {page_at(rig, table, 0), page_at(rig, table, 1)};

	/* something is in the journal, so that the page must change */
	assert_int_equal(rig_write(rig, 5, 0, 1, 20 + rig->st->j.lsn), 0);
	assert_int_equal(rig_state(rig, 5, 9), 0);
	fakedisk_crash(rig->fd);
	store_free(rig->st);
	fakedisk_rot(rig->fd, page[bad] + 100, 1);
	fakedisk_peek(rig->fd, page[!bad], FMT_PAGE, before);
	rig->st = store_new(fakedisk_get(rig->fd));
	rig->err = 1;
	store_open(rig->st, opening, rig);
	while (!rig->st->ckpt.running)
		assert_true(fakedisk_step(rig->fd));
	fakedisk_hold(rig->fd, page[bad], FMT_PAGE);
	fakedisk_run(rig->fd);
	fakedisk_peek(rig->fd, page[!bad], FMT_PAGE, after);
	assert_int_equal(rig->err, 1);
	assert_memory_equal(before, after, FMT_PAGE);
	fakedisk_hold(rig->fd, 0, 0);
	fakedisk_run(rig->fd);
	assert_int_equal(rig->err, 0);
	fakedisk_peek(rig->fd, page[0], FMT_PAGE, before);
	fakedisk_peek(rig->fd, page[1], FMT_PAGE, after);
	assert_memory_equal(before, after, FMT_PAGE);
	assert_int_equal(store_state(rig->st, 5)->synced, 9);
}

static void recovery_does_not_touch_the_only_good_copy(void **state)
{
	struct rig *rig = *state;

	rig_crash(rig);
	for (unsigned i = 0; i < 8; i++)
		open_with_damage(rig, i & 2, i & 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_write_waits_for_its_data_alone),
		T(a_repair_waits_until_all_before_it_is_durable),
		T(a_repair_waits_for_the_block_and_later_writes_wait_for_it),
		T(a_drop_waits_for_everything_in_its_shard),
		T(the_journal_is_not_reused_before_the_superblock_is_durable),
		T(recovery_does_not_touch_the_only_good_copy),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
