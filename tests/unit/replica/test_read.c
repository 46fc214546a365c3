/* SPDX-License-Identifier: BSD-2-Clause */
/* READ, LIST, REGIONS and REPAIR: what the store holds, and how one block of it is replaced. */
#include "rig.h"

#include <string.h>

#include "base/crc32c.h"

#define V(seq) XBD_VER(5, seq)

static int setup(void **state)
{
	struct xbd_send w;
	struct rig *g;

	rig_setup(state);
	g = *state;
	rig_own(g, ALICE, 5, true);
	for (uint32_t i = 0; i < 3; i++) { /* blocks 4, 5, 6 with versions 1, 2, 3 */
		w = rig_write(V(1 + i), 4 + i, 1);
		rig_send(g, ALICE, &w);
	}
	fake_end_all(g->st);
	rig_flush(g);
	rig_sent(g, XBD_T_ACK, ALICE);
	rig_silent(g);
	return 0;
}

static void ask_read(struct rig *g, uint32_t epoch, uint8_t flags, uint32_t block, uint16_t count)
{
	struct xbd_send s = rig_ask(g, XBD_T_READ, epoch);

	s.flags = flags;
	s.block = block;
	s.count = count;
	rig_send(g, ALICE, &s);
}

static void blocks_come_with_their_versions_and_checksums(void **state)
{
	struct rig *g = *state;
	uint8_t want[XBD_BLOCK_SIZE];
	const struct sent *a;

	ask_read(g, 5, 0, 4, 3);
	rig_silent(g);
	fake_end(g->st, 0);
	a = rig_sent(g, XBD_T_DATA, ALICE);
	assert_int_equal(a->s.block, 4);
	assert_int_equal(a->s.count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		rig_content(want, V(1 + i), 4 + i);
		assert_true(a->vers[i] == V(1 + i));
		assert_int_equal(a->crc[i], crc32c_block(SHARD, 4 + i, V(1 + i), want));
		assert_memory_equal(a->body + i * XBD_BLOCK_SIZE, want, sizeof(want));
	}
	rig_silent(g);
}

static void blocks_without_data_come_as_runs(void **state)
{
	struct rig *g = *state;
	struct xbd_send z = rig_write(V(9), 7, 2);
	const struct sent *a;

	z.crc = NULL;
	z.body = NULL;
	z.body_len = 0;
	z.flags = XBD_F_TRIM;
	rig_send(g, ALICE, &z);
	fake_end(g->st, 0);
	rig_flush(g);
	rig_sent(g, XBD_T_ACK, ALICE);
	ask_read(g, 5, 0, 2, 8); /* 2, 3 never written, 4..6 data, 7, 8 trimmed, 9 never written */
	fake_end(g->st, 0);
	a = rig_sent(g, XBD_T_DATA, ALICE);
	assert_int_equal(a->s.block, 2);
	assert_int_equal(a->s.count, 2);
	assert_int_equal(a->s.flags, XBD_F_ZERO);
	assert_true(a->s.ver2 == 0);
	assert_int_equal(a->s.body_len, 0);
	a = rig_sent(g, XBD_T_DATA, ALICE);
	assert_int_equal(a->s.block, 7);
	assert_int_equal(a->s.count, 2);
	assert_int_equal(a->s.flags, XBD_F_ZERO | XBD_F_TRIM);
	assert_true(a->s.ver2 == V(9));
	a = rig_sent(g, XBD_T_DATA, ALICE);
	assert_int_equal(a->s.block, 9);
	a = rig_sent(g, XBD_T_DATA, ALICE); /* the data, without what is known */
	assert_int_equal(a->s.block, 2);
	assert_int_equal(a->s.count, 8);
	assert_true(a->skip.bits[0] == 0xfff000ff && a->skip.bits[1] == 0);
	rig_silent(g);
}

static void a_damaged_block_is_said_to_be_damaged(void **state)
{
	struct rig *g = *state;
	const struct sent *a;

	g->st->block[SHARD][5].flags = XBD_F_BAD;
	ask_read(g, 5, 0, 5, 1);
	fake_end(g->st, 0);
	a = rig_sent(g, XBD_T_DATA, ALICE);
	assert_int_equal(a->s.flags, XBD_F_BAD);
	assert_int_equal(a->s.count, 1);
	assert_int_equal(a->s.body_len, 0);
	assert_int_equal(g->notes[REPLICA_NOTE_BAD_BLOCK], 1);
	rig_silent(g);
}

static void read_is_refused_before_the_store_is_synced(void **state)
{
	struct rig *g = *state;
	const struct sent *a;

	rig_own(g, ALICE, 6, false);
	ask_read(g, 6, 0, 4, 1);
	a = rig_sent(g, XBD_T_DATA, ALICE);
	assert_int_equal(a->s.status, XBD_S_NOTSYNCED);
	assert_int_equal(a->s.count, 1);
	rig_silent(g);
	assert_int_equal(g->st->nops, 0);
	ask_read(g, 6, XBD_F_RECOVER, 4, 1); /* the one who recovers may */
	fake_end(g->st, 0);
	assert_int_equal(rig_sent(g, XBD_T_DATA, ALICE)->s.status, XBD_S_OK);
}

static void a_region_is_listed_whole(void **state)
{
	struct rig *g = *state;
	struct xbd_list_entry list[XBD_REGION_BLOCKS];
	struct xbd_send s = rig_ask(g, XBD_T_LIST, 5);
	const struct sent *a;

	rig_send(g, ALICE, &s);
	fake_end(g->st, 0);
	a = rig_sent(g, XBD_T_LIST_R, ALICE);
	assert_int_equal(a->s.body_len, sizeof(list));
	memcpy(list, a->s.body, sizeof(list));
	assert_true(list[3].ver == 0 && list[4].ver == V(1) && list[6].ver == V(3));
	assert_int_equal(list[4].crc, rig_block(g, 4)->crc);
	rig_send(g, ALICE, &s);
	fake_end(g->st, -EIO);
	a = rig_sent(g, XBD_T_LIST_R, ALICE);
	assert_int_equal(a->s.status, XBD_S_IO);
	assert_int_equal(a->s.body_len, 0);
}

static void changed_regions_are_named(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(V(8), 200, 1), s = rig_ask(g, XBD_T_REGIONS, 5);
	const struct sent *a;

	rig_send(g, ALICE, &w);
	fake_end_all(g->st);
	rig_flush(g);
	rig_sent(g, XBD_T_ACK, ALICE);
	s.ver2 = V(0);
	rig_send(g, ALICE, &s);
	fake_end(g->st, 0);
	a = rig_sent(g, XBD_T_REGIONS_R, ALICE);
	assert_int_equal(a->s.count, 2);
	assert_int_equal(a->s.body_len, 8);
	assert_int_equal(((const uint32_t *)a->s.body)[0], 0);
	assert_int_equal(((const uint32_t *)a->s.body)[1], 3);
	s.ver2 = V(7);
	rig_send(g, ALICE, &s);
	fake_end(g->st, 0);
	assert_int_equal(rig_sent(g, XBD_T_REGIONS_R, ALICE)->s.count, 1);
	s.block = 1;
	s.ver2 = V(8);
	rig_send(g, ALICE, &s);
	fake_end(g->st, 0);
	assert_int_equal(rig_sent(g, XBD_T_REGIONS_R, ALICE)->s.count, 0);
}

static void a_repair_replaces_the_version_it_expects(void **state)
{
	struct rig *g = *state;
	struct xbd_send s = rig_repair(g, 5, 4, V(1), XBD_VER(4, 99));
	const struct sent *a;

	rig_send(g, ALICE, &s); /* to a lower version */
	rig_silent(g);
	fake_end(g->st, 0);
	a = rig_sent(g, XBD_T_REPAIRED, ALICE);
	assert_int_equal(a->s.status, XBD_S_OK);
	assert_true(a->s.ver == s.ver);
	assert_true(a->s.ver2 == XBD_VER(4, 99));
	assert_true(rig_block(g, 4)->ver == XBD_VER(4, 99));
	assert_int_equal(rig_counters(g).repairs, 1);
}

static void a_repair_of_another_version_changes_nothing(void **state)
{
	struct rig *g = *state;
	struct xbd_send s = rig_repair(g, 5, 4, XBD_VER(4, 50), V(0));
	const struct sent *a;

	rig_send(g, ALICE, &s);
	fake_end(g->st, 0);
	a = rig_sent(g, XBD_T_REPAIRED, ALICE);
	assert_int_equal(a->s.status, XBD_S_CONFLICT);
	assert_true(a->s.ver2 == V(1)); /* what is there */
	assert_true(rig_block(g, 4)->ver == V(1));
}

static void a_repair_with_wrong_data_is_never_applied(void **state)
{
	struct rig *g = *state;
	struct xbd_send s = rig_repair(g, 5, 4, V(1), XBD_VER(4, 99));
	struct packet p[4];

	sample_packets(&s, 1024, p, 4);
	p[2].bytes[64] ^= 1;
	for (unsigned i = 0; i < 4; i++)
		rig_packet(g, ALICE, &p[i]);
	assert_int_equal(g->st->nops, 0);
	p[2].bytes[64] ^= 1;
	for (unsigned i = 0; i < 4; i++)
		rig_packet(g, ALICE, &p[i]);
	assert_int_equal(g->st->nops, 1);
}

static void a_repair_to_zeroes_has_no_data(void **state)
{
	struct rig *g = *state;
	struct xbd_send s = rig_repair(g, 5, 4, V(1), 0);

	s.crc = NULL;
	s.body = NULL;
	s.body_len = 0;
	s.flags = XBD_F_ZERO;
	rig_send(g, ALICE, &s);
	rig_send(g, ALICE, &s); /* twice on its way */
	assert_int_equal(g->st->submitted[STORE_REPAIR], 1);
	fake_end(g->st, 0);
	rig_sent(g, XBD_T_REPAIRED, ALICE);
	assert_true(rig_block(g, 4)->ver == 0);
	rig_send(g, ALICE, &s); /* a late one: compared first, the answer tells */
	fake_end(g->st, 0);
	assert_int_equal(rig_sent(g, XBD_T_REPAIRED, ALICE)->s.status, XBD_S_CONFLICT);
}

static void who_is_there_is_told_to_anybody(void **state)
{
	struct rig *g = *state;
	struct xbd_send s = rig_ask(g, XBD_T_INFO, 0);
	struct xbd_info info;

	rig_pass(g, 1234 * MS);
	rig_send(g, 0xdd, &s);
	memcpy(&info, rig_sent(g, XBD_T_INFO_R, 0xdd)->s.body, sizeof(info));
	assert_memory_equal(&info.store, &g->st->info.uuid, 16);
	assert_memory_equal(&info.cluster, &g->st->info.cluster, 16);
	assert_int_equal(info.blocks, 1000);
	assert_int_equal(info.shards, 1);
	assert_int_equal(info.alive_ms, 1234);
	assert_int_equal(info.flags, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(blocks_come_with_their_versions_and_checksums),
		TEST(blocks_without_data_come_as_runs),
		TEST(a_damaged_block_is_said_to_be_damaged),
		TEST(read_is_refused_before_the_store_is_synced),
		TEST(a_region_is_listed_whole),
		TEST(changed_regions_are_named),
		TEST(a_repair_replaces_the_version_it_expects),
		TEST(a_repair_of_another_version_changes_nothing),
		TEST(a_repair_with_wrong_data_is_never_applied),
		TEST(a_repair_to_zeroes_has_no_data),
		TEST(who_is_there_is_told_to_anybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
