/* SPDX-License-Identifier: BSD-2-Clause */
/* What each operation of the store does, one sentence per test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"
#include "store/format.h"

static const struct rig_opts small = {
	.disk = {.size = 16u << 20, .seed = 1},
	.format = {.uuid = {{1, 2, 3}}, .shards_max = 8, .journal_bytes = 256 * 1024, .seed = 7},
};

static int setup(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));

	rig_init(rig, &small);
	assert_int_equal(rig_state(rig, 5, 1), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	free(*state);
	return 0;
}

static void reopen(struct rig *rig)
{
	assert_int_equal(rig_close(rig), 0);
	assert_int_equal(rig_open(rig), 0);
}

static uint64_t free_slots(struct rig *rig)
{
	struct store_info info;

	store_info(rig->st, &info);
	return info.slots_free;
}

static void expect_block(struct rig *rig, uint32_t block, uint64_t ver, uint32_t flags)
{
	struct store_block b;

	assert_int_equal(rig_read(rig, 5, block, &b), 0);
	assert_int_equal(b.ver, ver);
	assert_int_equal(b.flags, flags);
	assert_int_equal(b.crc == 0, (flags & XBD_F_ZERO) != 0);
}

static void an_unformatted_disk_is_refused(void **state)
{
	struct rig rig = {.fd = fakedisk_new(&small.disk)};

	assert_int_equal(rig_open(&rig), -XBD_EFORMAT);
	fakedisk_free(rig.fd);
}

static void a_small_disk_is_refused(void **state)
{
	struct fakedisk_opts o = {.size = 2u << 20};
	struct rig rig = {.fd = fakedisk_new(&o)};

	assert_int_equal(rig_format(&rig, &small.format), -XBD_ETOOSMALL);
	fakedisk_free(rig.fd);
}

static void every_open_raises_boot(void **state)
{
	struct rig *rig = *state;
	struct store_info a, b;

	store_info(rig->st, &a);
	reopen(rig);
	store_info(rig->st, &b);
	assert_int_equal(b.boot, a.boot + 1);
	assert_memory_equal(&b.uuid, &small.format.uuid, 16);
}

static void a_block_never_written_is_a_hole(void **state)
{
	expect_block(*state, 0, 0, XBD_F_ZERO);
	expect_block(*state, XBD_SHARD_BLOCKS_MAX - 1, 0, XBD_F_ZERO);
}

static void what_was_written_is_read(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rig_write(rig, 5, 10, 32, 100), 0);
	for (uint32_t i = 10; i < 42; i++)
		expect_block(rig, i, 100, 0);
	reopen(rig);
	for (uint32_t i = 10; i < 42; i++)
		expect_block(rig, i, 100, 0);
	expect_block(rig, 42, 0, XBD_F_ZERO);
}

static void a_crash_keeps_what_was_acknowledged(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rig_write(rig, 5, 1000, 3, 7), 0);
	rig_crash(rig);
	expect_block(rig, 1000, 7, 0);
	expect_block(rig, 1002, 7, 0);
	assert_non_null(store_state(rig->st, 5));
	assert_int_equal(store_state(rig->st, 5)->prom, 1);
	rig_crash(rig);
	expect_block(rig, 1001, 7, 0);
}

static void a_lower_version_changes_nothing(void **state)
{
	struct rig *rig = *state;
	uint64_t before;

	assert_int_equal(rig_write(rig, 5, 0, 1, 9), 0);
	before = free_slots(rig);
	assert_int_equal(rig_write(rig, 5, 0, 1, 8), 0);
	assert_int_equal(rig_write(rig, 5, 0, 1, 9), 0);
	assert_int_equal(rig_zero(rig, 5, 0, 1, 5, 0), 0);
	expect_block(rig, 0, 9, 0);
	assert_int_equal(free_slots(rig), before);
}

static void overwriting_gives_the_old_slot_back(void **state)
{
	struct rig *rig = *state;
	uint64_t before;

	assert_int_equal(rig_write(rig, 5, 0, 8, 1), 0);
	before = free_slots(rig);
	for (uint64_t v = 2; v < 50; v++)
		assert_int_equal(rig_write(rig, 5, 0, 8, v), 0);
	assert_int_equal(free_slots(rig), before);
	reopen(rig);
	assert_int_equal(free_slots(rig), before);
	expect_block(rig, 7, 49, 0);
}

static void zero_and_trim_cover_128_mib_with_one_record(void **state)
{
	struct rig *rig = *state;
	struct store_counters a, b;
	uint64_t empty = free_slots(rig);

	assert_int_equal(rig_write(rig, 5, 100, 32, 1), 0);
	assert_int_equal(rig_write(rig, 5, 40000, 32, 5), 0);
	store_counters(rig->st, &a);
	assert_int_equal(rig_zero(rig, 5, 90, XBD_RANGE_BLOCKS, 3, STORE_F_TRIM), 0);
	store_counters(rig->st, &b);
	assert_in_range(b.journal_records - a.journal_records, 1, 3);
	assert_int_equal(rig_zero(rig, 5, 40000, 16, 4, 0), 0); /* lower: nothing */
	rig_crash(rig);
	expect_block(rig, 89, 0, XBD_F_ZERO);
	expect_block(rig, 90, 3, XBD_F_ZERO | XBD_F_TRIM);
	expect_block(rig, 100, 3, XBD_F_ZERO | XBD_F_TRIM);
	expect_block(rig, 90 + XBD_RANGE_BLOCKS - 1, 3, XBD_F_ZERO | XBD_F_TRIM);
	expect_block(rig, 40000, 5, 0);
	assert_int_equal(rig_zero(rig, 5, 40000, 32, 6, 0), 0);
	expect_block(rig, 40000, 6, XBD_F_ZERO);
	assert_int_equal(free_slots(rig), empty);
}

static void repair_is_a_compare_and_set(void **state)
{
	struct rig *rig = *state;
	uint64_t held = 0;

	assert_int_equal(rig_write(rig, 5, 3, 1, 50), 0);
	assert_int_equal(rig_repair(rig, 5, 3, 49, 60, 0, &held), -ESTALE);
	assert_int_equal(held, 50);
	assert_int_equal(rig_repair(rig, 5, 3, 50, 40, 0, &held), 0);
	assert_int_equal(held, 40);
	expect_block(rig, 3, 40, 0);
	assert_int_equal(rig_write(rig, 5, 3, 1, 45), 0);
	expect_block(rig, 3, 45, 0);
	rig_crash(rig);
	expect_block(rig, 3, 45, 0);
	assert_int_equal(rig_repair(rig, 5, 3, 45, 41, STORE_F_TRIM, &held), 0);
	expect_block(rig, 3, 41, XBD_F_ZERO | XBD_F_TRIM);
	assert_int_equal(rig_repair(rig, 5, 3, 41, 0, STORE_F_ZERO, &held), 0);
	rig_crash(rig);
	expect_block(rig, 3, 0, XBD_F_ZERO);
	assert_int_equal(rig_repair(rig, 5, 4, 0, 12, 0, &held), 0);
	expect_block(rig, 4, 12, 0);
}

static void list_tells_versions_and_checksums(void **state)
{
	struct rig *rig = *state;
	struct xbd_list_entry e[XBD_REGION_BLOCKS];
	struct store_op op = {.kind = STORE_LIST, .shard = 5, .block = 64, .list = e};
	uint8_t buf[XBD_BLOCK_SIZE];

	assert_int_equal(rig_write(rig, 5, 70, 2, 33), 0);
	assert_int_equal(rig_zero(rig, 5, 80, 1, 34, STORE_F_TRIM), 0);
	assert_int_equal(rig_do(rig, &op), 0);
	assert_int_equal(e[0].ver, 0);
	assert_int_equal(e[6].ver, 33);
	fill(buf, 5, 70, 33);
	assert_int_equal(e[6].crc, crc32c_block(5, 70, 33, buf));
	assert_int_equal(e[16].ver, 34);
	assert_int_equal(e[16].flags, XBD_F_TRIM | XBD_F_ZERO);
	op.shard = 6;
	assert_int_equal(rig_do(rig, &op), -XBD_ENOTFOUND);
}

static void regions_finds_what_is_newer(void **state)
{
	struct rig *rig = *state;
	uint32_t r[4];
	struct store_op op = {
		.kind = STORE_REGIONS, .shard = 5, .count = 4, .ver = 10, .regions = r};

	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(rig_write(rig, 5, i * 20000, 1, 8 + i), 0);
	assert_int_equal(rig_do(rig, &op), 0);
	assert_int_equal(op.count, 3);
	assert_int_equal(op.more, 0);
	assert_int_equal(r[0], 3 * 20000 / 64);
	assert_int_equal(r[2], 5 * 20000 / 64);
	op.count = 2;
	op.ver = 0;
	op.block = 1;
	rig_crash(rig);
	assert_int_equal(rig_do(rig, &op), 0);
	assert_int_equal(op.count, 2);
	assert_int_equal(op.more, 1);
	assert_int_equal(r[1], 2 * 20000 / 64);
	/* a REPAIR that lowers the version lowers the region too */
	assert_int_equal(rig_repair(rig, 5, 100000, 13, 9, 0, NULL), 0);
	op.ver = 12;
	op.count = 4;
	assert_int_equal(rig_do(rig, &op), 0);
	assert_int_equal(op.count, 0);
}

static void shards_are_independent_and_dropping_gives_space_back(void **state)
{
	struct rig *rig = *state;
	struct store_block b;
	uint64_t empty = free_slots(rig);
	uint32_t ids[4];

	assert_int_equal(rig_state(rig, 65535, 3), 0);
	assert_int_equal(store_shards(rig->st, ids, 4), 2);
	assert_int_equal(rig_write(rig, 65535, 7, 20, 1), 0);
	assert_int_equal(rig_write(rig, 5, 7, 1, 2), 0);
	assert_int_equal(rig_read(rig, 65535, 7, &b), 0);
	assert_int_equal(b.ver, 1);
	assert_int_equal(rig_drop(rig, 65535, 4), 0);
	assert_int_equal(store_state(rig->st, 65535)->retired, 1);
	for (unsigned i = 0; i < 100; i++)
		rig_settle(rig);
	assert_int_equal(free_slots(rig), empty - 1);
	assert_int_equal(rig_read(rig, 65535, 7, &b), 0);
	assert_int_equal(b.ver, 0);
	rig_crash(rig);
	assert_int_equal(store_state(rig->st, 65535)->prom, 4);
	assert_int_equal(free_slots(rig), empty - 1);
	assert_int_equal(rig_write(rig, 65535, 7, 1, 1), 0);
	rig_crash(rig);
	assert_int_equal(rig_read(rig, 65535, 7, &b), 0);
	assert_int_equal(b.ver, 1);
	assert_int_equal(rig_read(rig, 65535, 8, &b), 0);
	assert_int_equal(b.ver, 0);
}

static void unknown_shards_and_bad_arguments_are_refused(void **state)
{
	struct rig *rig = *state;
	struct store_block b;

	assert_int_equal(rig_write(rig, 6, 0, 1, 1), -XBD_ENOTFOUND);
	assert_int_equal(rig_read(rig, 6, 0, &b), -XBD_ENOTFOUND);
	assert_int_equal(rig_drop(rig, 6, 0), -XBD_ENOTFOUND);
	assert_int_equal(rig_zero(rig, 5, 0, 0, 1, 0), -EINVAL);
	assert_int_equal(rig_zero(rig, 5, XBD_SHARD_BLOCKS_MAX - 1, 2, 1, 0), -EINVAL);
	assert_int_equal(rig_state(rig, XBD_SHARDS_MAX, 0), -EINVAL);
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(rig_state(rig, 100 + i, 0), 0);
	assert_int_equal(rig_state(rig, 200, 0), -ENOSPC);
}

static void a_full_store_refuses_growth_but_not_overwriting(void **state)
{
	struct rig *rig = *state;
	uint32_t n = 0;
	uint64_t v = 1;

	while (!rig_write(rig, 5, n, 1, v++))
		n++;
	assert_true(n > 500);
	assert_int_equal(free_slots(rig), 0);
	assert_int_equal(rig_write(rig, 5, n, 1, v++), -ENOSPC);
	assert_int_equal(rig_write(rig, 5, 0, 32, v++), 0);
	assert_int_equal(rig_write(rig, 5, 17, 1, v++), 0);
	rig_crash(rig);
	assert_int_equal(rig_write(rig, 5, n, 1, v++), -ENOSPC);
	assert_int_equal(rig_zero(rig, 5, 0, 32, v++, STORE_F_TRIM), 0);
	assert_int_equal(rig_write(rig, 5, n, 1, v++), 0);
	/* table extents run out as well: nothing is accepted then */
	for (uint32_t i = 1; i < 100; i++) {
		int err = rig_zero(rig, 5, i * FMT_EXT_BLOCKS, 1, v++, 0);

		if (!err)
			continue;
		assert_int_equal(err, -ENOSPC);
		rig_crash(rig);
		expect_block(rig, i * FMT_EXT_BLOCKS, 0, XBD_F_ZERO);
		return;
	}
	fail();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unformatted_disk_is_refused),
		cmocka_unit_test(a_small_disk_is_refused),
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(every_open_raises_boot),
		T(a_block_never_written_is_a_hole),
		T(what_was_written_is_read),
		T(a_crash_keeps_what_was_acknowledged),
		T(a_lower_version_changes_nothing),
		T(overwriting_gives_the_old_slot_back),
		T(zero_and_trim_cover_128_mib_with_one_record),
		T(repair_is_a_compare_and_set),
		T(list_tells_versions_and_checksums),
		T(regions_finds_what_is_newer),
		T(shards_are_independent_and_dropping_gives_space_back),
		T(unknown_shards_and_bad_arguments_are_refused),
		T(a_full_store_refuses_growth_but_not_overwriting),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
