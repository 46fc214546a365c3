/* SPDX-License-Identifier: BSD-2-Clause */
/* Promises: what has to be over and durable before one is given. */
#include "rig.h"

#include <string.h>

static void a_promise_is_durable_before_it_is_answered(void **state)
{
	struct rig *g = *state;
	const struct sent *a;
	struct xbd_state st;

	rig_promise(g, ALICE, 5);
	rig_silent(g);
	assert_int_equal(g->st->submitted[STORE_STATE], 1);
	assert_int_equal(rig_state(g)->prom, 1);
	assert_int_equal(g->fence[SHARD], 1); /* of the start */
	fake_end(g->st, 0);
	assert_int_equal(g->fence[SHARD], 5);
	a = rig_sent(g, XBD_T_PROMISED, ALICE);
	memcpy(&st, a->s.body, sizeof(st));
	assert_int_equal(a->s.status, XBD_S_OK);
	assert_int_equal(st.prom, 5);
	assert_int_equal(st.synced, 1);
	assert_int_equal(st.slot, 2);
	assert_int_equal(st.owner.b[0], ALICE);
	assert_memory_equal(&st.store, &g->st->info.uuid, 16);
	assert_int_equal(rig_state(g)->prom, 5);
	assert_int_equal(g->notes[REPLICA_NOTE_PROMISED], 1);
	rig_silent(g);
}

static void the_same_promise_again_is_answered_without_disk_work(void **state)
{
	struct rig *g = *state;

	rig_own(g, ALICE, 5, true);
	rig_lease(g, ALICE, 5, 0);
	rig_sent(g, XBD_T_LEASED, ALICE);
	g->st->submitted[STORE_STATE] = 0;
	rig_promise(g, ALICE, 5);
	rig_sent(g, XBD_T_PROMISED, ALICE);
	assert_int_equal(g->st->submitted[STORE_STATE], 0);
}

static void a_promise_waits_for_older_writes(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(XBD_VER(5, 1), 3, 1);

	rig_own(g, ALICE, 5, true);
	g->st->submitted[STORE_STATE] = 0;
	rig_send(g, ALICE, &w);
	rig_promise(g, BOB, 6);
	assert_int_equal(g->st->submitted[STORE_STATE], 0);
	/* nothing older is taken up any more */
	w = rig_write(XBD_VER(5, 2), 4, 1);
	rig_send(g, ALICE, &w);
	assert_int_equal(g->st->submitted[STORE_WRITE], 1);
	rig_silent(g);
	fake_end_kind(g->st, STORE_WRITE, 0);
	assert_int_equal(g->st->submitted[STORE_STATE], 1);
	fake_end(g->st, 0);
	rig_flush(g);
	rig_sent(g, XBD_T_PROMISED, BOB);
	rig_sent(g, XBD_T_ACK, ALICE);
	rig_silent(g);
	assert_int_equal(rig_block(g, 3)->ver, XBD_VER(5, 1));
	assert_int_equal(rig_block(g, 4)->ver, 0);
}

static void a_promise_drops_what_is_there_in_part(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(XBD_VER(5, 1), 3, 2);
	struct packet p[8];

	rig_own(g, ALICE, 5, true);
	sample_packets(&w, 1024, p, 8);
	rig_packet(g, ALICE, &p[0]);
	assert_false(replica_idle(g->r));
	rig_own(g, ALICE, 6, false);
	assert_true(replica_idle(g->r));
	rig_packet(g, ALICE, &p[1]);
	rig_sent(g, XBD_T_STALE, ALICE);
	assert_true(replica_idle(g->r));
}

static void a_promise_waits_for_the_lease_of_another_owner(void **state)
{
	struct rig *g = *state;

	rig_own(g, ALICE, 5, true);
	rig_lease(g, ALICE, 5, 0);
	rig_sent(g, XBD_T_LEASED, ALICE);
	rig_pass(g, 50 * MS);
	rig_promise(g, BOB, 6);
	fake_end_all(g->st);
	assert_int_equal(g->fence[SHARD], 6); /* writes are fenced at once */
	assert_true(replica_deadline(g->r) == g->now + GRACE - 50 * MS);
	rig_pass(g, GRACE - 50 * MS - 1);
	rig_promise(g, BOB, 6); /* asking again does not help */
	rig_silent(g);
	rig_pass(g, 1);
	rig_sent(g, XBD_T_PROMISED, BOB);
	rig_silent(g);
}

static void a_promise_does_not_wait_for_its_own_lease(void **state)
{
	struct rig *g = *state;

	rig_own(g, ALICE, 5, true);
	rig_lease(g, ALICE, 5, 0);
	rig_sent(g, XBD_T_LEASED, ALICE);
	rig_own(g, ALICE, 6, false);
}

static void a_second_promise_of_the_new_owner_waits_for_the_old_lease_too(void **state)
{
	struct rig *g = *state;

	rig_own(g, ALICE, 5, true);
	rig_lease(g, ALICE, 5, 0);
	rig_sent(g, XBD_T_LEASED, ALICE);
	rig_promise(g, BOB, 6);
	fake_end_all(g->st);
	rig_pass(g, 20 * MS);
	rig_promise(g, BOB, 7); /* refused elsewhere, he tries a higher epoch */
	fake_end_all(g->st);
	rig_silent(g);
	assert_int_equal(rig_state(g)->prom, 7);
	rig_pass(g, GRACE - 20 * MS - 1);
	rig_silent(g);
	rig_pass(g, 1);
	assert_int_equal(XBD_VER_EPOCH(rig_sent(g, XBD_T_PROMISED, BOB)->s.ver), 7);
	rig_silent(g);
}

static void a_released_lease_holds_nobody_up(void **state)
{
	struct rig *g = *state;
	struct xbd_send rel;

	rig_own(g, ALICE, 5, true);
	rig_lease(g, ALICE, 5, 0);
	rig_sent(g, XBD_T_LEASED, ALICE);
	rig_promise(g, BOB, 6);
	fake_end_all(g->st);
	rig_silent(g);
	rel = rig_ask(g, XBD_T_RELEASE, 4); /* of another epoch: means nothing */
	rig_send(g, ALICE, &rel);
	rig_silent(g);
	rel = rig_ask(g, XBD_T_RELEASE, 5);
	rig_send(g, ALICE, &rel);
	rig_sent(g, XBD_T_RELEASED, ALICE);
	rig_sent(g, XBD_T_PROMISED, BOB);
}

static void after_a_restart_it_waits_for_the_lease_once_more(void **state)
{
	struct rig *g = *state;

	rig_own(g, ALICE, 5, true);
	rig_restart(g);
	assert_int_equal(g->fence[SHARD], 5);
	assert_true(replica_lease_left(g->r, SHARD, g->now) == GRACE);
	rig_promise(g, BOB, 6);
	fake_end_all(g->st);
	rig_pass(g, GRACE - 1);
	rig_silent(g);
	rig_pass(g, 1);
	rig_sent(g, XBD_T_PROMISED, BOB);
}

static void a_restart_does_not_shorten_the_wait_of_a_promise(void **state)
{
	struct rig *g = *state;

	rig_own(g, ALICE, 5, true);
	rig_lease(g, ALICE, 5, 0);
	rig_sent(g, XBD_T_LEASED, ALICE);
	rig_promise(g, BOB, 6);
	fake_end_all(g->st);
	rig_restart(g);
	rig_promise(g, BOB, 6); /* durable, but Alice's lease runs */
	rig_silent(g);
	rig_pass(g, GRACE - 1);
	rig_silent(g);
	rig_pass(g, 1);
	rig_sent(g, XBD_T_PROMISED, BOB);
	rig_silent(g);
}

static void a_late_promise_of_the_owner_does_not_end_its_lease(void **state)
{
	struct rig *g = *state;

	rig_own(g, ALICE, 5, true);
	rig_restart(g);
	rig_promise(g, ALICE, 5); /* delayed on the way */
	rig_lease(g, ALICE, 5, 0);
	rig_sent(g, XBD_T_LEASED, ALICE); /* it asks: it has had its promise */
	rig_silent(g);
	rig_promise(g, ALICE, 5);
	rig_pass(g, 10 * MS);
	rig_sent(g, XBD_T_PROMISED, ALICE);
	rig_promise(g, BOB, 6);
	fake_end_all(g->st);
	rig_silent(g);
	rig_pass(g, GRACE - 10 * MS - 1);
	rig_silent(g);
	rig_pass(g, 1);
	rig_sent(g, XBD_T_PROMISED, BOB);
}

static void a_shard_nobody_owned_is_promised_at_once_after_a_restart(void **state)
{
	struct rig *g = *state;

	rig_restart(g);
	rig_own(g, ALICE, 2, false);
}

static void an_older_epoch_gets_stale_and_changes_nothing(void **state)
{
	struct rig *g = *state;
	struct xbd_record rec = {.bal = 4, .epoch = 4, .n = 3};
	struct xbd_state before;
	unsigned reads = 0;

	rig_own(g, ALICE, 5, true);
	before = *rig_state(g);
	for (uint8_t type = 1; type < XBD_T_END; type++) {
		static uint8_t zero[XBD_CONTROL_MAX];
		struct xbd_send s = rig_ask(g, type, 4);
		const struct sent *a;

		if (!xbd_type_fenced(type) || type == XBD_T_RELEASE)
			continue;
		if (type == XBD_T_WRITE)
			s = rig_write(XBD_VER(4, 9), 3, 1);
		if (type == XBD_T_REPAIR)
			s = rig_repair(g, 4, 3, 0, XBD_VER(4, 9));
		if (type == XBD_T_JOIN || type == XBD_T_SYNC || type == XBD_T_ACCEPT)
			s.body = type == XBD_T_ACCEPT ? (void *)&rec : zero;
		if (s.body && !s.crc)
			s.body_len = type == XBD_T_JOIN	  ? sizeof(struct xbd_join)
				     : type == XBD_T_SYNC ? sizeof(struct xbd_sync)
							  : sizeof(rec);
		rig_pass(g, MS);
		rig_send(g, BOB, &s);
		a = rig_sent(g, XBD_T_STALE, BOB);
		assert_int_equal(XBD_VER_EPOCH(a->s.ver), 5);
		assert_int_equal(a->s.ver2, s.ver);
		rig_silent(g);
		assert_int_equal(g->st->nops, 0);
		reads++;
	}
	assert_int_equal(reads, 9);
	assert_memory_equal(rig_state(g), &before, sizeof(before));
	assert_true(replica_lease_left(g->r, SHARD, g->now) == 0);
}

static void stale_is_said_once_per_millisecond(void **state)
{
	struct rig *g = *state;
	struct xbd_send s;

	rig_own(g, ALICE, 5, true);
	for (unsigned i = 0; i < 100; i++) {
		s = rig_ask(g, XBD_T_READ, 4);
		rig_send(g, BOB, &s);
	}
	rig_sent(g, XBD_T_STALE, BOB);
	rig_silent(g);
	assert_int_equal(rig_counters(g).stale, 100);
	rig_pass(g, MS);
	rig_send(g, BOB, &s);
	rig_sent(g, XBD_T_STALE, BOB);
}

static void one_epoch_is_promised_to_one_owner(void **state)
{
	struct rig *g = *state;

	rig_promise(g, ALICE, 5);
	rig_promise(g, BOB, 5); /* while it is being written */
	assert_int_equal(XBD_VER_EPOCH(rig_sent(g, XBD_T_STALE, BOB)->s.ver), 5);
	fake_end_all(g->st);
	rig_sent(g, XBD_T_PROMISED, ALICE);
	rig_promise(g, BOB, 5);
	assert_int_equal(XBD_VER_EPOCH(rig_sent(g, XBD_T_STALE, BOB)->s.ver), 5);
	rig_promise(g, BOB, 4);
	assert_int_equal(XBD_VER_EPOCH(rig_sent(g, XBD_T_STALE, BOB)->s.ver), 5);
	rig_silent(g);
	assert_int_equal(rig_state(g)->owner.b[0], ALICE);
}

static void the_higher_of_two_waiting_promises_wins(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(XBD_VER(5, 1), 3, 1);

	rig_own(g, ALICE, 5, true);
	rig_send(g, ALICE, &w);
	rig_promise(g, BOB, 6); /* waits for the write */
	rig_promise(g, 0xcc, 7);
	rig_promise(g, BOB, 6);
	assert_int_equal(XBD_VER_EPOCH(rig_sent(g, XBD_T_STALE, BOB)->s.ver), 7);
	fake_end_all(g->st);
	rig_sent(g, XBD_T_PROMISED, 0xcc);
	assert_int_equal(rig_state(g)->prom, 7);
}

static void a_disk_error_gives_no_promise(void **state)
{
	struct rig *g = *state;

	rig_promise(g, ALICE, 5);
	fake_end(g->st, -EIO);
	rig_silent(g);
	assert_int_equal(rig_state(g)->prom, 1);
	assert_int_equal(g->fence[SHARD], 1);
	assert_int_equal(g->notes[REPLICA_NOTE_DISK], 1);
	assert_int_equal(rig_counters(g).disk_errors, 1);
	rig_own(g, BOB, 5, false); /* nobody has it */
}

static void a_shard_that_is_not_here_cannot_be_promised(void **state)
{
	struct rig *g = *state;
	struct xbd_promise body = {.owner = rig_uuid(ALICE)};
	struct xbd_send s = rig_ask(g, XBD_T_PROMISE, 5);

	s.shard = 2;
	s.body = &body;
	s.body_len = sizeof(body);
	rig_send(g, ALICE, &s);
	assert_int_equal(g->nsent, 1);
	assert_int_equal(g->sent[0].s.type, XBD_T_PROMISED);
	assert_int_equal(g->sent[0].s.status, XBD_S_NOSHARD);
	g->taken++;
	g->st->state[SHARD].retired = 1;
	rig_promise(g, ALICE, 5);
	assert_int_equal(rig_sent(g, XBD_T_PROMISED, ALICE)->s.status, XBD_S_RETIRED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_promise_is_durable_before_it_is_answered),
		TEST(the_same_promise_again_is_answered_without_disk_work),
		TEST(a_promise_waits_for_older_writes),
		TEST(a_promise_drops_what_is_there_in_part),
		TEST(a_promise_waits_for_the_lease_of_another_owner),
		TEST(a_promise_does_not_wait_for_its_own_lease),
		TEST(a_second_promise_of_the_new_owner_waits_for_the_old_lease_too),
		TEST(a_released_lease_holds_nobody_up),
		TEST(after_a_restart_it_waits_for_the_lease_once_more),
		TEST(a_restart_does_not_shorten_the_wait_of_a_promise),
		TEST(a_late_promise_of_the_owner_does_not_end_its_lease),
		TEST(a_shard_nobody_owned_is_promised_at_once_after_a_restart),
		TEST(an_older_epoch_gets_stale_and_changes_nothing),
		TEST(stale_is_said_once_per_millisecond),
		TEST(one_epoch_is_promised_to_one_owner),
		TEST(the_higher_of_two_waiting_promises_wins),
		TEST(a_disk_error_gives_no_promise),
		TEST(a_shard_that_is_not_here_cannot_be_promised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
