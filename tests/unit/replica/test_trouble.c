/* SPDX-License-Identifier: BSD-2-Clause */
/* Disk errors and too much at once: said and counted, and nothing is left behind. */
#include "rig.h"

#include <string.h>

#define V(seq) XBD_VER(5, seq)

static int setup(void **state)
{
	rig_setup(state);
	rig_own(*state, ALICE, 5, true);
	return 0;
}

static void a_disk_error_is_a_status(void **state)
{
	static const struct {
		int res;
		uint8_t status;
	} errors[] = {{-EIO, XBD_S_IO}, {-XBD_EFAILED, XBD_S_IO}, {-ENOSPC, XBD_S_NOSPACE}};
	struct rig *g = *state;

	for (unsigned i = 0; i < 3; i++) {
		struct xbd_send w = rig_write(V(i + 1), 3, 1);
		struct xbd_send r = rig_ask(g, XBD_T_READ, 5), p;

		rig_send(g, ALICE, &w);
		fake_end(g->st, errors[i].res);
		rig_flush(g);
		assert_int_equal(rig_sent(g, XBD_T_ACK, ALICE)->s.status, errors[i].status);
		p = rig_repair(g, 5, 3, 0, XBD_VER(4, 1));
		rig_send(g, ALICE, &p);
		fake_end(g->st, errors[i].res);
		assert_int_equal(rig_sent(g, XBD_T_REPAIRED, ALICE)->s.status, errors[i].status);
		rig_send(g, ALICE, &r);
		fake_end(g->st, errors[i].res);
		assert_int_equal(rig_sent(g, XBD_T_DATA, ALICE)->s.status, errors[i].status);
		rig_silent(g);
		assert_true(replica_idle(g->r));
	}
	assert_int_equal(rig_block(g, 3)->ver, 0);
	assert_int_equal(g->notes[REPLICA_NOTE_DISK], 6);
}

static void a_failed_write_is_tried_again_when_it_comes_again(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(V(1), 3, 1);

	g->frag_len = 4096;
	w.flags = XBD_F_RETRY;
	rig_send(g, ALICE, &w);
	fake_end(g->st, -EIO);
	rig_flush(g);
	assert_int_equal(rig_sent(g, XBD_T_ACK, ALICE)->s.status, XBD_S_IO);
	rig_send(g, ALICE, &w);
	rig_silent(g);
	fake_end(g->st, 0);
	rig_flush(g);
	assert_int_equal(rig_sent(g, XBD_T_ACK, ALICE)->s.status, XBD_S_OK);
}

static void a_failed_change_of_state_changes_nothing(void **state)
{
	struct rig *g = *state;
	struct xbd_state before;

	rig_own(g, ALICE, 6, false);
	before = *rig_state(g);
	rig_sync(g, ALICE, 6);
	fake_end(g->st, -EIO);
	assert_int_equal(rig_sent(g, XBD_T_SYNCED, ALICE)->s.status, XBD_S_IO);
	assert_memory_equal(rig_state(g), &before, sizeof(before));
	rig_sync(g, ALICE, 6); /* and can be tried again */
	fake_end(g->st, 0);
	assert_int_equal(rig_sent(g, XBD_T_SYNCED, ALICE)->s.status, XBD_S_OK);
}

static void one_change_of_state_runs_at_a_time(void **state)
{
	struct rig *g = *state;
	struct xbd_record rec = rig_state(g)->rec;
	struct xbd_send s;

	rig_own(g, ALICE, 6, false);
	g->st->submitted[STORE_STATE] = 0;
	rig_sync(g, ALICE, 6);
	rig_sync(g, ALICE, 6);
	rec.bal = rec.epoch = 6;
	s = rig_ask(g, XBD_T_ACCEPT, 6);
	s.body = &rec;
	s.body_len = sizeof(rec);
	rig_send(g, ALICE, &s); /* dropped: the sender asks again */
	assert_int_equal(g->st->submitted[STORE_STATE], 1);
	rig_promise(g, BOB, 7); /* waits for it */
	assert_int_equal(g->st->submitted[STORE_STATE], 1);
	fake_end(g->st, 0);
	rig_sent(g, XBD_T_SYNCED, ALICE);
	assert_int_equal(g->st->submitted[STORE_STATE], 2);
	fake_end(g->st, 0);
	rig_sent(g, XBD_T_PROMISED, BOB);
	assert_int_equal(rig_state(g)->synced, 6);
	assert_int_equal(rig_state(g)->rec.bal, 1);
}

/* 64 operations and 4 MiB of buffers: more than that at a time is dropped. */
static void too_many_operations_are_dropped_and_counted(void **state)
{
	struct rig *g = *state;
	unsigned acks = 0;

	for (uint32_t i = 0; i < 100; i++) {
		struct xbd_send w = rig_write(V(i + 1), i, 1);

		rig_send(g, ALICE, &w);
	}
	assert_int_equal(g->st->submitted[STORE_WRITE], 64);
	assert_true(rig_counters(g).no_buffer > 0);
	rig_promise(g, BOB, 6); /* no room for it either, until the writes end */
	fake_end_all(g->st);
	rig_flush(g);
	rig_sent(g, XBD_T_PROMISED, BOB);
	while (g->taken < g->nsent)
		acks += 1 + rig_sent(g, XBD_T_ACK, ALICE)->s.body_len / sizeof(struct xbd_ack);
	assert_int_equal(acks, 64);
	assert_true(replica_idle(g->r));
}

static void too_much_data_is_dropped_and_counted(void **state)
{
	struct rig *g = *state;
	const struct sent *a;
	unsigned taken = 0;

	for (uint32_t i = 0; i < 60; i++) {
		struct xbd_send w = rig_write(V(i + 1), 0, 32);

		rig_send(g, ALICE, &w);
	}
	taken = g->st->submitted[STORE_WRITE];
	assert_true(taken >= 4 && taken < 60);
	assert_true(rig_counters(g).no_buffer > 0);
	fake_end(g->st, 0); /* one buffer is free again */
	rig_flush(g);
	a = rig_sent(g, XBD_T_ACK, ALICE);
	assert_true(a->s.ver2 >= XBD_OP_BLOCKS * XBD_BLOCK_SIZE); /* and that is told */
	struct xbd_send w = rig_write(V(100), 0, 32);

	rig_send(g, ALICE, &w);
	assert_int_equal(g->st->submitted[STORE_WRITE], taken + 1);
	fake_end_all(g->st);
	rig_flush(g);
	assert_true(replica_idle(g->r));
}

static void reads_without_a_buffer_are_dropped_too(void **state)
{
	struct rig *g = *state;

	for (uint32_t i = 0; i < 100; i++) {
		struct xbd_send s = rig_ask(g, i % 3 ? XBD_T_READ : XBD_T_LIST, 5);

		s.count = i % 3 ? 32 : 0;
		rig_send(g, ALICE, &s);
	}
	assert_true(rig_counters(g).no_buffer > 0);
	fake_end_all(g->st);
	rig_flush(g);
	assert_true(replica_idle(g->r));
}

static void a_flood_of_single_fragments_is_forgotten_in_time(void **state)
{
	struct rig *g = *state;

	for (uint32_t i = 0; i < 1000; i++) {
		struct xbd_send w = rig_write(V(i + 1), i % 200, 1);
		struct packet p[4];

		sample_packets(&w, 1024, p, 4);
		rig_packet(g, ALICE, &p[i % 4]);
	}
	rig_flush(g);
	assert_int_equal(g->st->nops, 0);
	for (unsigned i = 0; i < 100; i++) {
		rig_pass(g, 50 * MS);
		while (g->taken < g->nsent)
			rig_sent(g, XBD_T_ACK, ALICE);
		rig_silent(g);
	}
	assert_true(replica_idle(g->r));
	assert_int_equal(rig_counters(g).expired, 64);
	assert_true(replica_deadline(g->r) == UINT64_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_disk_error_is_a_status),
		TEST(a_failed_write_is_tried_again_when_it_comes_again),
		TEST(a_failed_change_of_state_changes_nothing),
		TEST(one_change_of_state_runs_at_a_time),
		TEST(too_many_operations_are_dropped_and_counted),
		TEST(too_much_data_is_dropped_and_counted),
		TEST(reads_without_a_buffer_are_dropped_too),
		TEST(a_flood_of_single_fragments_is_forgotten_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
