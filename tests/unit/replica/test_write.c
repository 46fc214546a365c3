/* SPDX-License-Identifier: BSD-2-Clause */
/* WRITE: from fragments to one durable operation and its acknowledgement. */
#include "rig.h"

#include <string.h>

#define V(seq) XBD_VER(5, seq)

static struct packet pkts[2 * XBD_OP_UNITS];

static int setup(void **state)
{
	rig_setup(state);
	rig_own(*state, ALICE, 5, true);
	return 0;
}

static void assert_content(struct rig *g, uint64_t ver, uint32_t block, uint32_t count)
{
	static uint8_t want[XBD_BLOCK_SIZE];

	for (uint32_t i = block; i < block + count; i++) {
		rig_content(want, ver, i);
		assert_true(rig_block(g, i)->ver == ver);
		assert_memory_equal(rig_block(g, i)->data, want, sizeof(want));
	}
}

static void a_write_is_acknowledged_when_it_is_durable(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(V(7), 3, 2);
	const struct sent *a;

	rig_send(g, ALICE, &w);
	assert_int_equal(g->st->submitted[STORE_WRITE], 1);
	rig_silent(g);
	fake_end(g->st, 0);
	rig_silent(g); /* acks leave at the end of the turn */
	rig_flush(g);
	a = rig_sent(g, XBD_T_ACK, ALICE);
	assert_true(a->s.ver == V(7));
	assert_int_equal(a->s.block, 3);
	assert_int_equal(a->s.count, 2);
	assert_int_equal(a->s.flags, XBD_F_VOTER);
	assert_int_equal(a->s.status, XBD_S_OK);
	assert_true(a->s.stamp == w.stamp);
	assert_int_equal(a->s.sender, 2);
	assert_int_equal(a->s.body_len, 0);
	rig_silent(g);
	assert_content(g, V(7), 3, 2);
	assert_true(replica_idle(g->r));
}

/* A deterministic shuffle. */
static void shuffle(struct packet *p, unsigned n, uint32_t seed)
{
	for (unsigned i = n; i > 1; i--) {
		struct packet t = p[i - 1];
		unsigned k = (seed = seed * 1664525 + 1013904223) % i;

		p[i - 1] = p[k];
		p[k] = t;
	}
}

static void fragments_of_any_order_number_and_size_make_one_write(void **state)
{
	struct rig *g = *state;

	for (uint32_t seed = 1; seed <= 20; seed++) {
		struct xbd_send w = rig_write(V(seed), 32, 1 + seed % 32);
		uint32_t a = 1024u << seed % 3, b = 1024u << seed / 3 % 3;
		unsigned n = sample_packets(&w, a, pkts, XBD_OP_UNITS);

		n += sample_packets(&w, b, pkts + n, XBD_OP_UNITS);
		shuffle(pkts, n, seed);
		for (unsigned i = 0; i < n; i++)
			rig_packet(g, ALICE, &pkts[i]);
		assert_int_equal(g->st->submitted[STORE_WRITE], seed);
		fake_end(g->st, 0);
		for (unsigned i = 0; i < n; i++) /* and all of them once more */
			rig_packet(g, ALICE, &pkts[i]);
		assert_int_equal(g->st->nops, 0);
		rig_flush(g);
		rig_sent(g, XBD_T_ACK, ALICE);
		rig_silent(g);
		assert_content(g, V(seed), 32, w.count);
		assert_true(replica_idle(g->r));
	}
}

static void a_block_with_a_wrong_checksum_is_never_written(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(V(7), 3, 2);
	struct xbd_units missing;
	const struct sent *a;

	sample_packets(&w, 1024, pkts, 8);
	pkts[6].bytes[64 + 100] ^= 4; /* in the second block */
	for (unsigned i = 0; i < 8; i++)
		rig_packet(g, ALICE, &pkts[i]);
	assert_int_equal(g->st->nops, 0);
	assert_int_equal(rig_counters(g).crc_errors, 1);
	rig_pass(g, 4 * MS);
	a = rig_sent(g, XBD_T_ACK, ALICE);
	assert_int_equal(a->s.flags, XBD_F_PARTIAL);
	memcpy(&missing, a->s.body, sizeof(missing));
	assert_int_equal(missing.bits[0], 0x0f); /* the whole block is asked for again */
	assert_int_equal(missing.bits[1], 0);
	pkts[6].bytes[64 + 100] ^= 4;
	for (unsigned i = 4; i < 8; i++)
		rig_packet(g, ALICE, &pkts[i]);
	fake_end(g->st, 0);
	assert_content(g, V(7), 3, 2);
}

static void missing_fragments_are_asked_for_less_and_less_often(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(V(7), 0, 32);
	uint64_t begin = g->now, due = 0;
	struct xbd_units have;
	const struct sent *a;

	sample_packets(&w, 4096, pkts, 32);
	rig_packet(g, ALICE, &pkts[0]);
	rig_packet(g, ALICE, &pkts[17]);
	for (uint64_t gap = 4 * MS; gap <= 256 * MS; gap *= 2) {
		due += gap;
		assert_true(replica_deadline(g->r) == begin + due);
		rig_pass(g, begin + due - 1 - g->now);
		rig_silent(g);
		rig_pass(g, 1);
		a = rig_sent(g, XBD_T_ACK, ALICE);
		assert_int_equal(a->s.flags, XBD_F_PARTIAL);
		assert_true(a->s.ver == V(7));
		assert_int_equal(a->s.count, 32);
		assert_int_equal(a->s.body_len, sizeof(have));
		memcpy(&have, a->s.body, sizeof(have));
		assert_true(have.bits[0] == 0xf);
		assert_true(have.bits[1] == 0xfull << 4);
		rig_silent(g);
	}
}

static void a_retry_is_told_at_once_what_is_there(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(V(7), 0, 2);
	struct xbd_units have;

	w.flags = XBD_F_RETRY;
	sample_packets(&w, 2048, pkts, 4);
	rig_packet(g, ALICE, &pkts[3]);
	memcpy(&have, rig_sent(g, XBD_T_ACK, ALICE)->s.body, sizeof(have));
	assert_true(have.bits[0] == 0xc0 && have.bits[1] == 0);
	rig_silent(g);
}

static void what_stays_partial_is_given_up(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(V(7), 0, 2);

	sample_packets(&w, 1024, pkts, 8);
	rig_packet(g, ALICE, &pkts[0]);
	rig_pass(g, 4300 * MS);
	assert_true(replica_idle(g->r));
	assert_int_equal(rig_counters(g).expired, 1);
	rig_send(g, ALICE, &w); /* starts from nothing */
	assert_int_equal(g->st->submitted[STORE_WRITE], 1);
}

static void a_completed_write_is_acknowledged_again_without_disk_work(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(V(7), 3, 4);
	const struct sent *a;

	rig_send(g, ALICE, &w);
	rig_send(g, ALICE, &w); /* on its way to disk: the answer comes by itself */
	fake_end(g->st, 0);
	rig_flush(g);
	rig_sent(g, XBD_T_ACK, ALICE);
	rig_send(g, ALICE, &w); /* late duplicates are no questions */
	rig_silent(g);
	w.flags = XBD_F_RETRY;
	w.skip = &(struct xbd_units){{UINT64_MAX << 4, UINT64_MAX}};
	g->frag_len = 4096;
	rig_send(g, ALICE, &w);
	a = rig_sent(g, XBD_T_ACK, ALICE);
	assert_int_equal(a->s.flags, XBD_F_VOTER);
	assert_true(a->s.ver == V(7));
	rig_silent(g);
	assert_int_equal(g->st->submitted[STORE_WRITE], 1);
}

static struct xbd_ack inner(const struct sent *a, uint32_t i)
{
	struct xbd_ack k;

	memcpy(&k, (const uint8_t *)a->s.body + i * sizeof(k), sizeof(k));
	return k;
}

static void acknowledgements_of_a_turn_leave_together(void **state)
{
	struct rig *g = *state;
	const struct sent *a;

	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 35; i++) {
			struct xbd_send w = rig_write(V(1 + round * 35 + i), i, 1);

			sample_packets(&w, 4096, pkts, 1);
			rig_packet(g, ALICE, &pkts[0]);
		}
		fake_end_all(g->st); /* all in one turn: no flush in between */
	}
	rig_silent(g);
	rig_flush(g);
	a = rig_sent(g, XBD_T_ACK, ALICE);
	assert_true(a->s.ver == V(1));
	assert_int_equal(a->s.body_len, 60 * sizeof(struct xbd_ack)); /* one packet's worth */
	for (uint32_t i = 0; i < 60; i++) {
		assert_true(inner(a, i).ver == V(2 + i));
		assert_int_equal(inner(a, i).block, (i + 1) % 35);
		assert_int_equal(inner(a, i).count, 1);
		assert_int_equal(inner(a, i).flags, XBD_F_VOTER);
		assert_int_equal(inner(a, i).status, XBD_S_OK);
	}
	a = rig_sent(g, XBD_T_ACK, ALICE);
	assert_true(a->s.ver == V(62));
	assert_int_equal(a->s.body_len, 8 * sizeof(struct xbd_ack));
	rig_silent(g);
	assert_int_equal(rig_counters(g).acks, 70);
	assert_int_equal(rig_counters(g).ack_packets, 2);
}

static void a_store_that_is_not_synced_does_not_vote(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(XBD_VER(6, 1), 3, 1);

	rig_own(g, ALICE, 6, false); /* promised, synced in 5 */
	rig_send(g, ALICE, &w);
	fake_end(g->st, 0);
	rig_flush(g);
	assert_int_equal(rig_sent(g, XBD_T_ACK, ALICE)->s.flags, 0);
	w.flags = XBD_F_RETRY;
	rig_send(g, ALICE, &w);
	assert_int_equal(rig_sent(g, XBD_T_ACK, ALICE)->s.flags, 0);
	rig_sync(g, ALICE, 6);
	fake_end(g->st, 0);
	rig_sent(g, XBD_T_SYNCED, ALICE);
	rig_send(g, ALICE, &w); /* from now on it counts, this one too */
	assert_int_equal(rig_sent(g, XBD_T_ACK, ALICE)->s.flags, XBD_F_VOTER);
}

static void answers_go_where_the_lease_came_from(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(V(7), 3, 1);

	rig_send(g, 0xee, &w); /* whoever sent the packet */
	fake_end(g->st, 0);
	rig_flush(g);
	rig_sent(g, XBD_T_ACK, ALICE);
	rig_lease(g, 0xaf, 5, 0); /* the owner has moved */
	rig_sent(g, XBD_T_LEASED, 0xaf);
	w.flags = XBD_F_RETRY;
	rig_send(g, 0xee, &w);
	rig_sent(g, XBD_T_ACK, 0xaf);
}

static void trim_and_zero_have_no_data(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(V(7), 0, 8), z = w;

	rig_send(g, ALICE, &w);
	z.body = NULL;
	z.body_len = 0;
	z.crc = NULL;
	z.ver = V(8);
	z.flags = XBD_F_TRIM;
	z.count = XBD_RANGE_BLOCKS;
	rig_send(g, ALICE, &z);
	rig_send(g, ALICE, &z); /* twice on its way is once */
	assert_int_equal(g->st->submitted[STORE_ZERO], 1);
	assert_int_equal(g->st->ops[1].op->flags & STORE_F_TRIM, STORE_F_TRIM);
	assert_int_equal(g->st->ops[1].op->count, XBD_RANGE_BLOCKS);
	z.ver = V(9);
	z.flags = XBD_F_ZERO;
	z.count = 2;
	rig_send(g, ALICE, &z);
	assert_int_equal(g->st->ops[2].op->flags & STORE_F_TRIM, 0);
	fake_end_all(g->st);
	rig_flush(g);
	rig_sent(g, XBD_T_ACK, ALICE);
	assert_true(rig_block(g, 1)->ver == V(9));
	assert_true(rig_block(g, 2)->ver == V(8));
	rig_send(g, ALICE, &z); /* again, after it is done: answered */
	rig_sent(g, XBD_T_ACK, ALICE);
	assert_int_equal(g->st->submitted[STORE_ZERO], 2);
}

static void a_fragment_that_does_not_fit_its_operation_is_ignored(void **state)
{
	struct rig *g = *state;
	struct xbd_send w = rig_write(V(7), 3, 2), other = rig_write(V(7), 3, 4);

	sample_packets(&other, 4096, pkts, 4);
	sample_packets(&w, 4096, pkts + 4, 2);
	rig_packet(g, ALICE, &pkts[4]);
	rig_packet(g, ALICE, &pkts[1]); /* same version and place, another length */
	assert_int_equal(g->st->nops, 0);
	rig_packet(g, ALICE, &pkts[5]);
	assert_int_equal(g->st->nops, 1);
	fake_end(g->st, 0);
	assert_content(g, V(7), 3, 2);
	assert_int_equal(rig_block(g, 5)->ver, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_write_is_acknowledged_when_it_is_durable),
		TEST(fragments_of_any_order_number_and_size_make_one_write),
		TEST(a_block_with_a_wrong_checksum_is_never_written),
		TEST(missing_fragments_are_asked_for_less_and_less_often),
		TEST(a_retry_is_told_at_once_what_is_there),
		TEST(what_stays_partial_is_given_up),
		TEST(a_completed_write_is_acknowledged_again_without_disk_work),
		TEST(acknowledgements_of_a_turn_leave_together),
		TEST(a_store_that_is_not_synced_does_not_vote),
		TEST(answers_go_where_the_lease_came_from),
		TEST(trim_and_zero_have_no_data),
		TEST(a_fragment_that_does_not_fit_its_operation_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
