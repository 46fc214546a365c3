/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes: when one is complete, what is sent again, when a buffer comes back. */
#include "world.h"

#include <string.h>

static void hold_writes(struct world *w)
{
	for (uint32_t i = 0; i < NODES; i++)
		world_hold(w, i, XBD_T_WRITE);
}

static void a_write_is_complete_with_w_voters(void **state)
{
	struct world *w = *state;
	struct want *q;
	struct held *h[3];

	hold_writes(w);
	q = world_submit(w, CO_WRITE, 3 * BLOCK, 2 * BLOCK, 1);
	for (uint32_t i = 0; i < 3; i++)
		h[i] = world_take(w, i, XBD_T_WRITE);
	assert_int_equal(h[0]->s.count, 2);
	assert_int_equal(h[0]->s.block, 3);
	assert_true(h[0]->s.ver == h[1]->s.ver && h[0]->s.crc[1] == h[2]->s.crc[1]);
	world_ack(w, h[0], XBD_F_VOTER, 0);
	world_step(w);
	assert_false(q->done);
	world_ack(w, h[0], XBD_F_VOTER, 0); /* the same store again */
	world_ack(w, h[0], XBD_F_VOTER, 0);
	world_step(w);
	assert_false(q->done);
	world_ack(w, h[1], 0, 0); /* has it, but is not synced */
	world_step(w);
	assert_false(q->done);
	world_ack(w, h[2], XBD_F_VOTER, 0);
	world_step(w);
	assert_true(q->done && q->released);
	assert_int_equal(q->r.res, 0);
	assert_int_equal(world_counters(w)->writes, 1);
	for (uint32_t i = 0; i < 3; i++)
		world_drop(h[i]);
}

static void an_ack_of_another_version_does_not_count(void **state)
{
	struct world *w = *state;
	struct want *q;
	struct held *h[3];

	hold_writes(w);
	q = world_submit(w, CO_WRITE, 0, BLOCK, 1);
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t ver;

		h[i] = world_take(w, i, XBD_T_WRITE);
		ver = h[i]->s.ver;
		h[i]->s.ver = ver + 1;
		world_ack(w, h[i], XBD_F_VOTER, 0);
		h[i]->s.ver = XBD_VER(1, XBD_VER_SEQ(ver)); /* of an older epoch */
		world_ack(w, h[i], XBD_F_VOTER, 0);
		h[i]->s.ver = ver;
	}
	world_step(w);
	assert_false(q->done);
	for (uint32_t i = 0; i < 3; i++)
		world_answer(w, h[i]);
	world_step(w);
	assert_true(q->done);
}

static void many_acks_come_in_one_packet(void **state)
{
	struct world *w = *state;
	struct want *q[8];

	hold_writes(w);
	for (unsigned i = 0; i < 8; i++)
		q[i] = world_submit(w, CO_WRITE, i * BLOCK, BLOCK, 1);
	for (uint32_t node = 0; node < 2; node++) {
		struct held *first = world_take(w, node, XBD_T_WRITE);
		struct xbd_hdr a = world_reply_to(first, XBD_T_ACK, 0);
		struct xbd_ack more[7];

		a.flags = XBD_F_VOTER;
		for (unsigned i = 0; i < 7; i++) {
			struct held *h = world_take(w, node, XBD_T_WRITE);

			more[i] = (struct xbd_ack){h->s.ver, h->s.block, 1, XBD_F_VOTER, 0};
			world_drop(h);
		}
		a.len = sizeof(more);
		world_say(w, node, &a, more);
		world_drop(first);
	}
	world_step(w);
	for (unsigned i = 0; i < 8; i++)
		assert_true(q[i]->done && !q[i]->released); /* node 2 has none yet */
	world_let(w, 2, XBD_T_WRITE);
	for (unsigned i = 0; i < 8; i++)
		assert_true(q[i]->released);
}

static void a_buffer_is_kept_until_the_slow_store_answers(void **state)
{
	struct world *w = *state;
	struct want *q;

	world_hold(w, 2, XBD_T_WRITE);
	q = world_do(w, CO_WRITE, 0, BLOCK, 1);
	world_run(w, 300 * MS);
	assert_false(q->released);
	world_let(w, 2, XBD_T_WRITE);
	assert_true(q->released);
	assert_int_equal(world_status(w).rep[2].lag_regions, 0);
	assert_int_equal(world_status(w).rep[2].inflight_bytes, 0);
}

static void a_buffer_is_kept_no_longer_than_the_lag_time(void **state)
{
	struct world *w = *state;
	struct want *q;

	world_hold(w, 2, XBD_T_WRITE); /* leases are answered: it is alive */
	world_hold(w, 2, XBD_T_LIST);
	q = world_do(w, CO_WRITE, 0, BLOCK, 1);
	world_run(w, 990 * MS);
	assert_false(q->released);
	world_run(w, 20 * MS);
	assert_true(q->released);
	assert_int_equal(world_counters(w)->lagged, 1);
	assert_int_equal(world_status(w).rep[2].state, CO_REP_LAGGING);
	assert_int_equal(world_status(w).rep[2].lag_regions, 1);
	assert_int_equal(world_status(w).rep[2].inflight_bytes, 0);
	world_let(w, 2, XBD_T_LIST);
	world_run(w, 500 * MS);
	assert_int_equal(world_status(w).rep[2].lag_regions, 0);
	assert_true(store_is(&w->store[2], 0, 1));
}

static void it_is_sent_again_less_and_less_often(void **state)
{
	struct world *w = *state;
	struct want *q;
	unsigned early;

	hold_writes(w);
	q = world_submit(w, CO_WRITE, 0, BLOCK, 1);
	assert_int_equal(w->store[0].got[XBD_T_WRITE], 1);
	world_run(w, 1 * MS);
	assert_int_equal(w->store[0].got[XBD_T_WRITE], 1); /* not before the RTO: 2 ms at least */
	world_run(w, 99 * MS);
	early = w->store[0].got[XBD_T_WRITE];
	assert_true(early >= 3 && early <= 8);
	world_run(w, 1000 * MS);
	assert_true(w->store[0].got[XBD_T_WRITE] - early >= 3); /* every 250 ms in the end */
	assert_true(w->store[0].got[XBD_T_WRITE] - early <= 10);
	assert_true(world_counters(w)->retransmits > 0);
	world_drop(world_take(w, 0, XBD_T_WRITE));
	struct held *h = world_take(w, 0, XBD_T_WRITE);

	assert_int_equal(h->s.flags, XBD_F_RETRY);
	assert_null(h->s.skip);
	world_drop(h);
	world_let(w, 0, XBD_T_WRITE);
	world_let(w, 1, XBD_T_WRITE);
	assert_true(q->done);
}

static void of_a_large_write_only_what_is_missing_is_sent_again(void **state)
{
	struct world *w = *state;
	struct xbd_units have = {{0x00ff00000fffffff, 0xfff0000000000000}};
	struct want *q;
	struct xbd_hdr a;
	struct held *h;

	hold_writes(w);
	q = world_submit(w, CO_WRITE, 0, 32 * BLOCK, 1);
	world_drop(world_take(w, 0, XBD_T_WRITE));
	world_run(w, 20 * MS);
	h = world_take(w, 0, XBD_T_WRITE); /* the question: its first block */
	assert_int_equal(h->s.flags, XBD_F_RETRY);
	assert_non_null(h->s.skip);
	assert_true(h->s.skip->bits[0] == UINT64_MAX << 4 && h->s.skip->bits[1] == UINT64_MAX);
	while (world_kept(w, 0, XBD_T_WRITE))
		world_drop(world_take(w, 0, XBD_T_WRITE));
	a = world_reply_to(h, XBD_T_ACK, 0);
	a.flags = XBD_F_PARTIAL;
	a.len = sizeof(have);
	world_say(w, 0, &a, &have);
	world_say(w, 0, &a, &have); /* two questions, one answer */
	world_step(w);
	assert_int_equal(world_kept(w, 0, XBD_T_WRITE), 1);
	world_drop(h);
	h = world_take(w, 0, XBD_T_WRITE);
	assert_int_equal(h->s.flags, 0);
	assert_memory_equal(h->s.skip, &have, sizeof(have));
	world_ack(w, h, XBD_F_VOTER, 0);
	world_drop(h);
	world_let(w, 1, XBD_T_WRITE);
	assert_true(q->done && q->r.res == 0);
	assert_true(world_counters(w)->partials > 0);
}

static void writes_to_one_block_get_rising_versions(void **state)
{
	struct world *w = *state;
	struct want *a, *b;
	struct held *h;
	uint64_t ver;

	hold_writes(w);
	a = world_submit(w, CO_WRITE, 0, BLOCK, 1);
	b = world_submit(w, CO_WRITE, 0, BLOCK, 2);
	h = world_take(w, 0, XBD_T_WRITE);
	ver = h->s.ver;
	world_answer(w, h);
	h = world_take(w, 0, XBD_T_WRITE);
	assert_true(h->s.ver > ver);
	world_answer(w, h);
	world_let(w, 1, XBD_T_WRITE); /* there the second comes after the first */
	assert_true(a->done && b->done);
	assert_true(world_is(world_do(w, CO_READ, 0, BLOCK, 0), 2));
}

static void a_part_of_a_block_is_merged_into_it(void **state)
{
	struct world *w = *state;

	world_do(w, CO_WRITE, 0, 4 * BLOCK, 1);
	world_do(w, CO_WRITE, 100, 200, 2);		     /* inside one */
	world_do(w, CO_WRITE, BLOCK + 512, 2 * BLOCK, 3);    /* first and last in part */
	world_do(w, CO_WRITE, 40 * BLOCK - 1, BLOCK + 1, 4); /* tail of one, a whole one */
	world_do(w, CO_WRITE, 50 * BLOCK, BLOCK + 7, 5);     /* a whole one, head of one */
	assert_true(world_is(world_do(w, CO_READ, 0, 100, 0), 1));
	assert_true(world_is(world_do(w, CO_READ, 100, 200, 0), 2));
	assert_true(world_is(world_do(w, CO_READ, 300, BLOCK + 212, 0), 1));
	assert_true(world_is(world_do(w, CO_READ, BLOCK + 512, 2 * BLOCK, 0), 3));
	assert_true(world_is(world_do(w, CO_READ, 3 * BLOCK + 512, BLOCK - 512, 0), 1));
	assert_true(world_is(world_do(w, CO_READ, 39 * BLOCK, BLOCK - 1, 0), 0));
	assert_true(world_is(world_do(w, CO_READ, 40 * BLOCK - 1, BLOCK + 1, 0), 4));
	assert_true(world_is(world_do(w, CO_READ, 50 * BLOCK, BLOCK + 7, 0), 5));
	assert_true(world_is(world_do(w, CO_READ, 51 * BLOCK + 7, BLOCK - 7, 0), 0));
	assert_int_equal(world_counters(w)->rmw, 4);
}

static void hold_reads(struct world *w)
{
	for (uint32_t i = 0; i < NODES; i++)
		world_hold(w, i, XBD_T_READ);
}

static void let_reads(struct world *w)
{
	for (uint32_t i = 0; i < NODES; i++)
		world_let(w, i, XBD_T_READ);
}

static void parts_of_one_block_are_written_one_after_the_other(void **state)
{
	struct world *w = *state;
	struct want *q[5];

	world_do(w, CO_WRITE, 0, BLOCK, 1);
	hold_reads(w);
	for (unsigned i = 0; i < 4; i++)
		q[i] = world_submit(w, CO_WRITE, i * 512, 512, (uint8_t)(10 + i));
	q[4] = world_submit(w, CO_WRITE, 4 * 512, BLOCK - 4 * 512 + BLOCK, 20);
	world_run(w, 5 * MS);
	for (unsigned i = 0; i < 5; i++)
		assert_false(q[i]->done);
	assert_int_equal(world_counters(w)->rmw, 1); /* one reads, the others wait */
	let_reads(w);
	world_run(w, 20 * MS);
	for (unsigned i = 0; i < 5; i++)
		assert_true(q[i]->done && q[i]->r.res == 0);
	for (unsigned i = 0; i < 4; i++)
		assert_true(world_is(world_do(w, CO_READ, i * 512, 512, 0), (uint8_t)(10 + i)));
	assert_true(world_is(world_do(w, CO_READ, 4 * 512, BLOCK, 0), 20));
}

static void a_whole_write_waits_for_a_merge_of_the_same_block(void **state)
{
	struct world *w = *state;
	struct want *part, *whole;

	hold_reads(w);
	part = world_submit(w, CO_WRITE, 100, 10, 1);
	whole = world_submit(w, CO_WRITE, 0, BLOCK, 2);
	assert_false(whole->done);
	let_reads(w);
	assert_true(part->done && whole->done);
	assert_true(world_is(world_do(w, CO_READ, 0, BLOCK, 0), 2)); /* the later one */
}

static void trim_covers_128_mib(void **state)
{
	struct world *w = *state;
	struct want *q, *r;

	world_do(w, CO_WRITE, 0, BLOCK, 1);
	world_do(w, CO_WRITE, CO_RANGE - BLOCK, BLOCK, 1);
	world_do(w, CO_WRITE, CO_RANGE, BLOCK, 1);
	hold_writes(w);
	q = world_submit(w, CO_TRIM, 0, CO_RANGE, 0);
	r = world_submit(w, CO_READ, CO_RANGE - BLOCK, BLOCK, 0);
	assert_false(q->done || r->done);
	assert_true(world_submit(w, CO_READ, CO_RANGE, BLOCK, 0)->done); /* not in its way */
	for (uint32_t i = 0; i < NODES; i++)
		world_let(w, i, XBD_T_WRITE);
	assert_true(q->done && q->released && q->r.res == 0);
	assert_true(r->done && world_is(r, 0));
	assert_true(world_is(world_do(w, CO_READ, 0, BLOCK, 0), 0));
	assert_true(world_is(world_do(w, CO_READ, CO_RANGE, BLOCK, 0), 1));
	assert_int_equal(w->store[0].block[0].flags & XBD_F_TRIM, XBD_F_TRIM);
	world_do(w, CO_ZERO, CO_RANGE, BLOCK, 0);
	assert_int_equal(w->store[0].block[32768].flags & XBD_F_TRIM, 0);
	assert_true(world_is(world_do(w, CO_READ, CO_RANGE, BLOCK, 0), 0));
	assert_int_equal(world_counters(w)->zeroes, 2);
}

static void flush_returns(void **state)
{
	struct world *w = *state;
	struct want *q;

	hold_writes(w);
	q = world_submit(w, CO_WRITE, 0, BLOCK, 1);
	world_do(w, CO_FLUSH, 0, 0, 0); /* what is complete is durable: nothing to wait for */
	assert_false(q->done);
	assert_int_equal(world_counters(w)->flushes, 1);
}

static void what_breaks_the_rules_is_refused(void **state)
{
	static const struct {
		enum co_kind kind;
		uint64_t offset;
		uint32_t len;
	} bad[] = {{CO_READ, 0, 0},
		   {CO_WRITE, CO_CHUNK - 1, 2},
		   {CO_READ, (uint64_t)BLOCKS * BLOCK - 1, 2},
		   {CO_READ, (uint64_t)BLOCKS * BLOCK, 1},
		   {CO_READ, UINT64_MAX - 5, 10},
		   {CO_TRIM, 512, BLOCK},
		   {CO_ZERO, 0, 512},
		   {CO_TRIM, CO_RANGE - BLOCK, 2 * BLOCK},
		   {CO_MAP, 100, BLOCK},
		   {(enum co_kind)77, 0, BLOCK}};
	struct world *w = *state;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct want *q = world_submit(w, bad[i].kind, bad[i].offset, bad[i].len, 1);

		assert_true(q->done && q->released);
		assert_int_equal(q->r.res, -EINVAL);
	}
}

static void more_requests_than_operations_wait_for_their_turn(void **state)
{
	struct world *w = *state;
	struct want *q[200];

	hold_writes(w);
	for (unsigned i = 0; i < 200; i++)
		q[i] = world_submit(w, CO_WRITE, i * BLOCK, BLOCK, (uint8_t)i);
	assert_int_equal(w->store[0].got[XBD_T_WRITE], 64);
	for (uint32_t i = 0; i < NODES; i++)
		world_let(w, i, XBD_T_WRITE);
	for (unsigned i = 0; i < 200; i++)
		assert_true(q[i]->done && q[i]->released && q[i]->r.res == 0);
	for (unsigned i = 0; i < 200; i++)
		assert_true(store_is(&w->store[i % 3], i, (uint8_t)i));
}

static void one_slow_store_does_not_use_up_the_operations(void **state)
{
	struct world *w = *state;

	world_hold(w, 2, XBD_T_WRITE);
	for (unsigned i = 0; i < 200; i++)
		world_do(w, CO_WRITE, i * BLOCK, BLOCK, (uint8_t)i);
	world_let(w, 2, XBD_T_WRITE);
	world_run(w, 1500 * MS);
	for (unsigned i = 0; i < 200; i++)
		assert_true(store_is(&w->store[2], i, (uint8_t)i));
	assert_int_equal(world_status(w).rep[2].state, CO_REP_SYNCED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup_open, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_write_is_complete_with_w_voters),
		TEST(an_ack_of_another_version_does_not_count),
		TEST(many_acks_come_in_one_packet),
		TEST(a_buffer_is_kept_until_the_slow_store_answers),
		TEST(a_buffer_is_kept_no_longer_than_the_lag_time),
		TEST(it_is_sent_again_less_and_less_often),
		TEST(of_a_large_write_only_what_is_missing_is_sent_again),
		TEST(writes_to_one_block_get_rising_versions),
		TEST(a_part_of_a_block_is_merged_into_it),
		TEST(parts_of_one_block_are_written_one_after_the_other),
		TEST(a_whole_write_waits_for_a_merge_of_the_same_block),
		TEST(trim_covers_128_mib),
		TEST(flush_returns),
		TEST(what_breaks_the_rules_is_refused),
		TEST(more_requests_than_operations_wait_for_their_turn),
		TEST(one_slow_store_does_not_use_up_the_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
