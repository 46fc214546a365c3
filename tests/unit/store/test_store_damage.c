/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Damage on disk, in every zone: contents are never guessed. First what each kind of damage does,
 * then random damage to stores made by random work.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "store/internal.h"
#include "trial.h"

static const struct rig_opts small = {
	.disk = {.size = 16u << 20, .seed = 1},
	.format = {.uuid = {{1, 2, 3}}, .shards_max = 8, .journal_bytes = 256 * 1024, .seed = 7},
};

static int setup(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));

	rig_init(rig, &small);
	assert_int_equal(rig_state(rig, 5, 9), 0);
	assert_int_equal(rig_write(rig, 5, 0, 4, 20), 0);
	assert_int_equal(rig_zero(rig, 5, 4, 1, 21, STORE_F_TRIM), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	rig_free(rig);
	free(rig);
	return 0;
}

/* Close and open: contents are in the pages, the journal is empty. */
static void reopen(struct rig *rig)
{
	assert_int_equal(rig_close(rig), 0);
	assert_int_equal(rig_open(rig), 0);
}

static void expect_synced(struct rig *rig, uint32_t synced)
{
	const struct xbd_state *s = store_state(rig->st, 5);

	assert_non_null(s);
	assert_int_equal(s->synced, synced);
	assert_int_equal(s->prom, 9);
	if (!synced)
		assert_int_equal(s->comp | s->nlin | s->nhist, 0);
}

static void expect_block(struct rig *rig, uint32_t block, uint64_t ver, uint32_t flags)
{
	struct store_block b;

	assert_int_equal(rig_read(rig, 5, block, &b), 0);
	assert_int_equal(b.ver, ver);
	assert_int_equal(b.flags, flags);
}

static uint64_t slot_of(struct rig *rig, uint32_t block)
{
	const struct fmt_entry *e = table_entry(rig->st, shard_find(rig->st, 5), block);

	return slot_offset(rig->st, e->slot & ~FMT_SLOT_BAD);
}

static uint64_t table_at(struct rig *rig, uint32_t page, uint32_t copy)
{
	uint32_t ext = shard_find(rig->st, 5)->page.ext[0] - 1;

	return rig->st->super->table_at + (uint64_t)ext * FMT_EXT_BYTES +
	       (uint64_t)(copy * FMT_EXT_PAGES + page) * FMT_PAGE;
}

static void a_damaged_block_is_told_and_can_be_repaired(void **state)
{
	struct rig *rig = *state;
	struct xbd_list_entry e[XBD_REGION_BLOCKS];
	uint32_t regions[2];
	struct store_op list = {.kind = STORE_LIST, .shard = 5, .list = e};
	struct store_op find = {
		.kind = STORE_REGIONS, .shard = 5, .count = 2, .ver = 100, .regions = regions};

	fakedisk_rot(rig->fd, slot_of(rig, 1) + 777, 1);
	expect_block(rig, 0, 20, 0);
	expect_block(rig, 1, 20, XBD_F_BAD);
	assert_int_equal(rig_do(rig, &list), 0);
	assert_int_equal(e[0].flags, 0);
	assert_int_equal(e[1].flags, XBD_F_BAD);
	assert_int_equal(e[1].ver, 20);
	assert_int_equal(rig_do(rig, &find), 0);
	assert_int_equal(find.count, 1);
	reopen(rig);
	expect_block(rig, 1, 20, XBD_F_BAD);
	assert_int_equal(rig_repair(rig, 5, 1, 20, 20, 0, NULL), 0);
	expect_block(rig, 1, 20, 0);
	find.count = 2;
	assert_int_equal(rig_do(rig, &find), 0);
	assert_int_equal(find.count, 0);
}

static void an_unreadable_block_is_bad_and_its_neighbours_are_not(void **state)
{
	struct rig *rig = *state;
	static uint8_t buf[4 * XBD_BLOCK_SIZE] __attribute__((aligned(4096)));
	struct store_block b[4];
	struct store_op op = {.kind = STORE_READ, .shard = 5, .count = 4, .buf = buf, .blocks = b};

	fakedisk_bad_range(rig->fd, slot_of(rig, 2), 512);
	assert_int_equal(rig_do(rig, &op), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(b[i].flags, i == 2 ? XBD_F_BAD : 0);
		assert_int_equal(b[i].ver, 20);
		assert_true(filled(buf + i * XBD_BLOCK_SIZE, 5, i, i == 2 ? 0 : 20));
	}
	fakedisk_bad_range(rig->fd, 0, 0);
	expect_block(rig, 2, 20, 0); /* it was the disk's mood only */
}

static void one_damaged_copy_of_a_page_costs_nothing(void **state)
{
	struct rig *rig = *state;

	reopen(rig);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t shard = rig->st->super->shards_at;

		fakedisk_rot(rig->fd, table_at(rig, 0, i & 1) + 100, 1);
		fakedisk_rot(rig->fd, shard + (i >> 1) * rig->st->super->shards_max * 4096 + 70, 3);
		fakedisk_rot(rig->fd, super_offset(small.disk.size, i) + 33, 1);
		rig_crash(rig);
		expect_synced(rig, 9);
		expect_block(rig, 3, 20, 0);
		expect_block(rig, 4, 21, XBD_F_TRIM | XBD_F_ZERO);
	}
}

static void both_copies_of_a_table_page_make_a_learner(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rig_write(rig, 5, 300, 1, 30), 0);
	reopen(rig);
	fakedisk_rot(rig->fd, table_at(rig, 0, 0) + 100, 1);
	fakedisk_rot(rig->fd, table_at(rig, 0, 1) + 1000, 1);
	rig_crash(rig);
	expect_synced(rig, 0);
	expect_block(rig, 0, 0, XBD_F_BAD);
	expect_block(rig, 200, 0, XBD_F_BAD);
	expect_block(rig, 300, 30, 0);
	assert_int_equal(rig_write(rig, 5, 0, 1, 40), 0);
	reopen(rig);
	expect_synced(rig, 0);
	expect_block(rig, 0, 40, 0);
	expect_block(rig, 1, 0, XBD_F_BAD);
}

static void both_copies_of_a_shard_page_lose_that_shard_only(void **state)
{
	struct rig *rig = *state;
	uint64_t at;

	assert_int_equal(rig_state(rig, 77, 3), 0);
	reopen(rig);
	at = rig->st->super->shards_at + shard_find(rig->st, 5)->index * 4096ull;
	fakedisk_rot(rig->fd, at + 500, 1);
	fakedisk_rot(rig->fd, at + 500 + rig->st->super->shards_max * 4096ull, 1);
	rig_crash(rig);
	assert_null(store_state(rig->st, 5));
	assert_int_equal(store_state(rig->st, 77)->synced, 3);
	assert_non_null(strstr(store_why(rig->st), "1 shards lost"));
}

static void a_damaged_journal_makes_learners(void **state)
{
	struct rig *rig = *state;
	uint64_t lsn;

	reopen(rig);
	lsn = rig->st->j.lsn;
	assert_int_equal(rig_write(rig, 5, 6, 1, 50), 0);
	assert_int_equal(rig_write(rig, 5, 7, 1, 51), 0);
	assert_int_equal(rig_write(rig, 5, 8, 1, 52), 0); /* proves that the others are durable */
	fakedisk_rot(rig->fd, rig->st->super->journal_at + lsn % rig->st->j.ring * 4096 + 99, 1);
	rig_crash(rig);
	expect_synced(rig, 0);
	expect_block(rig, 3, 20, 0);
	expect_block(rig, 7, 51, 0);
	expect_block(rig, 8, 52, 0);
	assert_non_null(strstr(store_why(rig->st), "1 journal blocks"));
}

static void an_idle_store_seals_its_journal(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rig_write(rig, 5, 8, 1, 50), 0);
	for (unsigned i = 0; i < 2 * SEAL_KICKS; i++)
		rig_settle(rig);
	/* now damage to the data of the very last write cannot pass for a write that never was */
	fakedisk_rot(rig->fd, slot_of(rig, 8) + 5, 1);
	rig_crash(rig);
	expect_block(rig, 8, 50, XBD_F_BAD);
}

static void two_good_superblocks_are_needed(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rig_close(rig), 0);
	fakedisk_rot(rig->fd, super_offset(small.disk.size, 0), 10);
	fakedisk_rot(rig->fd, super_offset(small.disk.size, 3) + 4000, 1);
	assert_int_equal(rig_open(rig), 0);
	assert_int_equal(rig_close(rig), 0);
	for (unsigned i = 0; i < 3; i++)
		fakedisk_rot(rig->fd, super_offset(small.disk.size, i) + 300, 1);
	assert_int_equal(rig_open(rig), -XBD_ECORRUPT);
	fakedisk_rot(rig->fd, super_offset(small.disk.size, 3) + 300, 1);
	assert_int_equal(rig_open(rig), -XBD_EFORMAT);
}

static void a_disk_that_cannot_be_read_is_not_written(void **state)
{
	struct rig *rig = *state;
	uint64_t k = 1;
	int err;

	assert_int_equal(rig_close(rig), 0);
	/* from the k-th read on, until k is behind the last one */
	do {
		fakedisk_fail(rig->fd, k++, 1u << DISK_READ, -EIO, true);
		err = rig_open(rig);
		assert_true(err == 0 || err == -EIO);
	} while (err);
	assert_true(k > 8);
	fakedisk_fail(rig->fd, 0, 0, 0, false);
	expect_synced(rig, 9);
	expect_block(rig, 3, 20, 0);
}

/* --- random --- */

static uint64_t rot_trials, rot_demoted, rot_bad, rot_lost, rot_none;

static uint64_t rot_journal(struct trial *r, const struct store *st)
{
	uint64_t used = st->j.lsn - 1 - st->ckpt_lsn;
	uint64_t lsn = st->ckpt_lsn + 1 + (used ? trial_rand(r, used) : 0);

	return st->super->journal_at + lsn % st->j.ring * FMT_PAGE;
}

/* twin: distance to the second copy of the page, 0 = there is none. */
static uint64_t rot_place(struct trial *r, const struct store *st, uint64_t *twin)
{
	const struct fmt_super *sb = st->super;
	const struct shard *sh = &st->shards[trial_rand(r, MODEL_SHARDS)];
	uint32_t i = (uint32_t)trial_rand(r, MODEL_BLOCKS);
	uint32_t block = FMT_EXT_BLOCKS - MODEL_BLOCKS / 2 + i;
	uint32_t ext = sh->page.ext[block / FMT_EXT_BLOCKS];
	const struct fmt_entry *e = table_entry(st, sh, block);

	*twin = 0;
	switch (trial_rand(r, 5)) {
	case 0:
		return super_offset(sb->bytes, (uint32_t)trial_rand(r, 4));
	case 1:
		*twin = (uint64_t)sb->shards_max * FMT_PAGE;
		return sb->shards_at + (uint64_t)sh->index * FMT_PAGE;
	case 2:
		return rot_journal(r, st);
	case 3:
		*twin = FMT_EXT_BYTES / 2;
		return sb->table_at + (ext ? ext - 1 : 0) * (uint64_t)FMT_EXT_BYTES +
		       block % FMT_EXT_BLOCKS / FMT_ENTRIES * FMT_PAGE;
	default:
		return e && slot_real(e->slot) ? slot_offset(st, e->slot & ~FMT_SLOT_BAD)
					       : sb->data_at;
	}
}

static void check_rotten_shard(struct trial *r, uint32_t shard)
{
	const struct xbd_state *s = store_state(r->rig.st, shard);
	bool bad = false;

	if (!s) {
		rot_lost++;
		return;
	}
	for (uint32_t i = 0; i < MODEL_BLOCKS; i++) {
		uint32_t block = FMT_EXT_BLOCKS - MODEL_BLOCKS / 2 + i;
		struct store_block b;
		struct states may;

		/* content that is not of the version told stops the test in there */
		trial_check(r, rig_read(&r->rig, shard, block, &b) == 0, "read failed");
		model_now(&r->block[shard][i], &may);
		bad |= b.flags & XBD_F_BAD;
		if (s->synced && !(b.flags & XBD_F_BAD && !b.ver))
			trial_check(r, states_has(&may, b.ver), "wrong version, shard not demoted");
	}
	rot_bad += bad;
	rot_demoted += !s->synced;
	rot_none += s->synced && !bad;
}

static void damage_is_never_taken_for_contents(void **state)
{
	time_t start = time(NULL);

	for (uint64_t seed = 1; seed <= 800 && difftime(time(NULL), start) < 15; seed++) {
		struct trial *r = trial_new(seed);
		uint64_t at, twin;

		r->crashes = r->ckpt_crashes = 0;
		trial_work(r, 50 + (unsigned)trial_rand(r, 300));
		for (unsigned i = 0; i < 2 * SEAL_KICKS; i++)
			trial_settle(r);
		at = rot_place(r, r->rig.st, &twin) + trial_rand(r, FMT_PAGE - 64);
		trial_cut(r);
		fakedisk_rot(r->rig.fd, at, 1 + trial_rand(r, 64));
		if (twin && trial_rand(r, 2))
			fakedisk_rot(r->rig.fd, at + twin, 1 + trial_rand(r, 64));
		trial_check(r, trial_open(r) == 0, "does not open");
		for (uint32_t s = 0; s < MODEL_SHARDS; s++)
			check_rotten_shard(r, s);
		trial_free(r);
		rot_trials++;
	}
	printf("%llu damaged stores; shards: %llu demoted, %llu with bad blocks, %llu lost, %llu "
	       "unharmed\n",
	       (unsigned long long)rot_trials, (unsigned long long)rot_demoted,
	       (unsigned long long)rot_bad, (unsigned long long)rot_lost,
	       (unsigned long long)rot_none);
	assert_true(rot_demoted && rot_bad && rot_none && rot_lost);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_damaged_block_is_told_and_can_be_repaired),
		T(an_unreadable_block_is_bad_and_its_neighbours_are_not),
		T(one_damaged_copy_of_a_page_costs_nothing),
		T(both_copies_of_a_table_page_make_a_learner),
		T(both_copies_of_a_shard_page_lose_that_shard_only),
		T(a_damaged_journal_makes_learners),
		T(an_idle_store_seals_its_journal),
		T(two_good_superblocks_are_needed),
		T(a_disk_that_cannot_be_read_is_not_written),
#undef T
		cmocka_unit_test(damage_is_never_taken_for_contents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
