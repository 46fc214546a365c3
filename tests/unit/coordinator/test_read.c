/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads: whom they are sent to, and what is taken for an answer. */
#include "world.h"

#include <string.h>

#include "base/crc32c.h"

static void hold_all(struct world *w, uint8_t type)
{
	for (uint32_t i = 0; i < NODES; i++)
		world_hold(w, i, type);
}

static void let_all(struct world *w, uint8_t type)
{
	for (uint32_t i = 0; i < NODES; i++)
		world_let(w, i, type);
}

/* The one READ that is on its way. */
static struct held *the_read(struct world *w)
{
	struct held *h = NULL;

	for (uint32_t i = 0; i < NODES; i++)
		if (world_kept(w, i, XBD_T_READ)) {
			assert_null(h);
			h = world_take(w, i, XBD_T_READ);
		}
	assert_non_null(h);
	return h;
}

/* Answer one block of data as the store has it, spoiled by the caller's changes. */
static void say_block(struct world *w, const struct held *h, uint64_t ver, uint32_t crc,
		      const uint8_t *data)
{
	struct xbd_hdr a = world_reply_to(h, XBD_T_DATA, 0);

	a.count = 1;
	a.nfrag = 1;
	a.len = BLOCK;
	a.ver2 = ver;
	a.crc = crc;
	world_say(w, h->node, &a, data);
}

static void a_read_waits_for_a_write_of_the_same_block(void **state)
{
	struct world *w = *state;
	struct want *r, *beside;

	world_do(w, CO_WRITE, 0, 4 * BLOCK, 1);
	hold_all(w, XBD_T_WRITE);
	world_submit(w, CO_WRITE, 2 * BLOCK, BLOCK, 2);
	r = world_submit(w, CO_READ, 0, 4 * BLOCK, 0);
	beside = world_submit(w, CO_READ, 0, 2 * BLOCK, 0);
	assert_true(beside->done && world_is(beside, 1));
	world_run(w, 100 * MS);
	assert_false(r->done);
	world_let(w, 0, XBD_T_WRITE);
	assert_false(r->done);
	world_let(w, 1, XBD_T_WRITE);
	assert_true(r->done && r->r.res == 0);
	assert_int_equal(r->r.buf[2 * BLOCK], 2);
	assert_int_equal(r->r.buf[3 * BLOCK], 1);
}

static void a_store_without_the_last_write_is_not_asked(void **state)
{
	struct world *w = *state;
	unsigned before;

	world_hold(w, 2, XBD_T_WRITE);
	world_do(w, CO_WRITE, 0, BLOCK, 1);
	before = w->store[2].got[XBD_T_READ];
	for (unsigned i = 0; i < 50; i++)
		assert_true(world_is(world_do(w, CO_READ, 0, BLOCK, 0), 1));
	assert_int_equal(w->store[2].got[XBD_T_READ], before);
	world_do(w, CO_READ, 64 * BLOCK, BLOCK, 0);
	world_let(w, 2, XBD_T_WRITE);
	for (unsigned i = 0; i < 50; i++)
		world_do(w, CO_READ, 0, BLOCK, 0);
	assert_true(w->store[2].got[XBD_T_READ] > before);
}

static void a_lagging_region_is_not_read_there(void **state)
{
	struct world *w = *state;
	unsigned before;

	world_hold(w, 2, XBD_T_WRITE);
	world_hold(w, 2, XBD_T_LIST);
	world_do(w, CO_WRITE, 0, BLOCK, 1);
	world_run(w, 1100 * MS);
	assert_int_equal(world_status(w).rep[2].lag_regions, 1);
	before = w->store[2].got[XBD_T_READ];
	for (unsigned i = 0; i < 30; i++)
		world_do(w, CO_READ, 63 * BLOCK, BLOCK, 0);
	assert_int_equal(w->store[2].got[XBD_T_READ], before);
	for (unsigned i = 0; i < 30; i++)
		world_do(w, CO_READ, 64 * BLOCK, BLOCK, 0);
	assert_true(w->store[2].got[XBD_T_READ] > before);
}

static void data_with_a_wrong_checksum_is_not_returned(void **state)
{
	struct world *w = *state;
	uint8_t bad[BLOCK];
	struct want *q;

	world_do(w, CO_WRITE, 7 * BLOCK, BLOCK, 1);
	hold_all(w, XBD_T_READ);
	q = world_submit(w, CO_READ, 7 * BLOCK, BLOCK, 0);
	memset(bad, 1, sizeof(bad));
	bad[1234] ^= 0x10;
	for (unsigned i = 0; i < 10; i++) {
		struct held *h = the_read(w);
		const struct pblock *b = &w->store[h->node].block[7];

		say_block(w, h, b->ver, b->crc, bad);
		world_drop(h);
		world_step(w);
		assert_false(q->done);
		while (!world_kept(w, 0, XBD_T_READ) && !world_kept(w, 1, XBD_T_READ) &&
		       !world_kept(w, 2, XBD_T_READ))
			world_run(w, MS); /* asked again */
	}
	let_all(w, XBD_T_READ);
	assert_true(q->done && world_is(q, 1));
	assert_true(world_counters(w)->read_retries >= 10);
}

static void an_old_version_is_not_returned(void **state)
{
	struct world *w = *state;
	uint8_t old[BLOCK];
	struct held *h;
	struct want *q;
	uint32_t first;

	world_do(w, CO_WRITE, 7 * BLOCK, BLOCK, 1);
	hold_all(w, XBD_T_READ);
	q = world_submit(w, CO_READ, 7 * BLOCK, BLOCK, 0);
	h = the_read(w);
	first = h->node;
	memset(old, 9, sizeof(old)); /* what was there before, with its own right checksum */
	say_block(w, h, XBD_VER(1, 5), crc32c_block(SHARD, 7, XBD_VER(1, 5), old), old);
	world_drop(h);
	world_step(w);
	assert_false(q->done);
	h = the_read(w);
	assert_int_not_equal(h->node, first);
	struct xbd_hdr a = world_reply_to(h, XBD_T_DATA, 0);

	a.flags = XBD_F_ZERO; /* never heard of it */
	a.count = 1;
	world_say(w, h->node, &a, NULL);
	world_drop(h);
	world_step(w);
	assert_false(q->done);
	let_all(w, XBD_T_READ);
	assert_true(q->done && world_is(q, 1));
}

static void a_version_that_is_not_complete_is_not_returned(void **state)
{
	struct world *w = *state;
	uint64_t ver = XBD_VER(2, 999);
	uint8_t data[BLOCK];
	struct held *h;
	struct want *q;

	hold_all(w, XBD_T_READ);
	q = world_submit(w, CO_READ, 7 * BLOCK, BLOCK, 0);
	h = the_read(w);
	memset(data, 9, sizeof(data));
	say_block(w, h, ver, crc32c_block(SHARD, 7, ver, data), data);
	world_drop(h);
	world_step(w);
	assert_false(q->done);
	let_all(w, XBD_T_READ);
	assert_true(q->done && world_is(q, 0));
}

static void fragments_come_in_any_order_and_twice(void **state)
{
	struct world *w = *state;
	struct held *h;
	struct want *q;

	for (uint32_t i = 0; i < 3; i++)
		world_do(w, CO_WRITE, i * BLOCK, BLOCK, (uint8_t)(1 + i));
	hold_all(w, XBD_T_READ);
	q = world_submit(w, CO_READ, 0, 3 * BLOCK, 0);
	h = the_read(w);
	for (uint32_t n = 0; n < 24; n++) { /* 12 fragments of 1 KiB */
		uint32_t k = (n * 7 + 5) % 12, blk = k / 4;
		struct xbd_hdr a = world_reply_to(h, XBD_T_DATA, 0);
		const struct pblock *b = &w->store[0].block[blk];

		assert_int_equal(q->done, n >= 12);
		a.nfrag = 12;
		a.frag = (uint8_t)k;
		a.len = 1024;
		a.ver2 = b->ver;
		a.crc = b->crc;
		world_say(w, h->node, &a, b->data + k % 4 * 1024);
		world_step(w);
	}
	world_drop(h);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(q->r.buf[i * BLOCK + 4095], 1 + i);
	assert_int_equal(world_counters(w)->dups, 12);
}

static void a_damaged_copy_leads_to_another_store_and_is_repaired(void **state)
{
	struct world *w = *state;
	unsigned damaged = 0;

	world_do(w, CO_WRITE, 7 * BLOCK, BLOCK, 1);
	for (uint32_t i = 0; i < 2; i++)
		w->store[i].block[7].flags = XBD_F_BAD;
	for (unsigned i = 0; i < 20; i++)
		assert_true(world_is(world_do(w, CO_READ, 7 * BLOCK, BLOCK, 0), 1));
	world_run(w, 200 * MS);
	for (unsigned i = 0; i < 20; i++)
		assert_true(world_is(world_do(w, CO_READ, 7 * BLOCK, BLOCK, 0), 1));
	world_run(w, 200 * MS);
	for (uint32_t i = 0; i < 3; i++) {
		damaged += w->store[i].block[7].flags & XBD_F_BAD ? 1 : 0;
		assert_true(store_is(&w->store[i], 7, 1));
	}
	assert_int_equal(damaged, 0);
	assert_int_equal(w->store[2].got[XBD_T_REPAIR], 0);
	assert_true(world_counters(w)->bad_blocks >= 2);
	assert_int_equal(world_counters(w)->repairs, 2);
	assert_true(w->notes[CO_NOTE_BAD_BLOCK] >= 2);
	assert_int_equal(w->note_arg[CO_NOTE_BAD_BLOCK], 7);
}

static void a_block_damaged_everywhere_is_an_error(void **state)
{
	struct world *w = *state;
	struct want *r, *p;

	world_do(w, CO_WRITE, 7 * BLOCK, BLOCK, 1);
	for (uint32_t i = 0; i < 3; i++)
		w->store[i].block[7].flags = XBD_F_BAD;
	r = world_submit(w, CO_READ, 7 * BLOCK, BLOCK, 0);
	p = world_submit(w, CO_WRITE, 7 * BLOCK + 5, 5, 2); /* has to read it */
	world_run(w, 500 * MS);
	assert_true(r->done && r->r.res == -EIO && r->released);
	assert_true(p->done && p->r.res == -EIO && p->released);
	world_do(w, CO_WRITE, 7 * BLOCK, BLOCK, 3); /* overwritten, it is good again */
	assert_true(world_is(world_do(w, CO_READ, 7 * BLOCK, BLOCK, 0), 3));
	assert_true(world_is(world_do(w, CO_READ, 8 * BLOCK, BLOCK, 0), 0));
}

static void a_good_copy_at_a_store_that_is_away_is_waited_for(void **state)
{
	struct world *w = *state;
	struct want *q;

	world_do(w, CO_WRITE, 7 * BLOCK, 2 * BLOCK, 1);
	w->store[0].block[7].flags = w->store[1].block[7].flags = XBD_F_BAD;
	w->store[2].silent = true;
	world_run(w, 700 * MS);
	q = world_submit(w, CO_READ, 7 * BLOCK, BLOCK, 0);
	world_run(w, 2000 * MS);
	assert_false(q->done);
	w->store[2].silent = false;
	world_run(w, 1000 * MS);
	assert_true(q->done && q->r.res == 0 && world_is(q, 1));
	w->store[2].silent = true;
	w->store[0].block[8].flags = w->store[1].block[8].flags = XBD_F_BAD;
	world_run(w, 700 * MS);
	q = world_submit(w, CO_READ, 8 * BLOCK, BLOCK, 0);
	world_run(w, 6000 * MS); /* but not for ever */
	assert_true(q->done && q->r.res == -EIO);
}

static void no_answer_leaves_without_a_majority_of_leases(void **state)
{
	struct world *w = *state;
	struct want *q;

	world_do(w, CO_WRITE, 0, BLOCK, 1);
	hold_all(w, XBD_T_LEASE);
	world_run(w, 450 * MS); /* still valid from before */
	world_do(w, CO_READ, 0, BLOCK, 0);
	world_run(w, 200 * MS); /* 600 ms after they were asked for */
	q = world_submit(w, CO_READ, 0, BLOCK, 0);
	world_run(w, 100 * MS);
	assert_false(q->done);
	world_let(w, 0, XBD_T_LEASE);
	world_run(w, 20 * MS);
	assert_false(q->done); /* one is no majority */
	world_let(w, 1, XBD_T_LEASE);
	world_run(w, 20 * MS);
	assert_true(q->done && world_is(q, 1));
}

static void a_lease_counts_from_the_time_it_was_asked_for(void **state)
{
	struct world *w = *state;
	struct held *h[2];
	struct want *q;

	hold_all(w, XBD_T_LEASE);
	world_run(w, 1100 * MS); /* all that was granted has run out */
	for (uint32_t i = 0; i < 2; i++) {
		h[i] = world_take(w, i, XBD_T_LEASE);
		assert_true(w->now - h[i]->s.stamp > 600 * MS);
		world_answer(w, h[i]); /* the first ones asked: over a second ago */
	}
	world_step(w);
	q = world_submit(w, CO_READ, 0, BLOCK, 0);
	world_run(w, 50 * MS);
	assert_false(q->done);
	let_all(w, XBD_T_LEASE);
	world_run(w, 50 * MS);
	assert_true(q->done);
}

static void a_silent_store_is_not_waited_for(void **state)
{
	struct world *w = *state;

	world_do(w, CO_WRITE, 0, BLOCK, 1);
	world_hold(w, 0, XBD_T_READ);
	world_hold(w, 1, XBD_T_READ);
	for (unsigned i = 0; i < 10; i++) {
		struct want *q = world_submit(w, CO_READ, 0, BLOCK, 0);

		world_run(w, 400 * MS);
		assert_true(q->done && world_is(q, 1));
	}
}

static void a_refusal_leads_to_another_store(void **state)
{
	struct world *w = *state;
	struct held *h;
	struct want *q;
	uint32_t first;

	hold_all(w, XBD_T_READ);
	q = world_submit(w, CO_READ, 0, BLOCK, 0);
	h = the_read(w);
	first = h->node;
	struct xbd_hdr a = world_reply_to(h, XBD_T_DATA, XBD_S_IO);

	world_say(w, h->node, &a, NULL);
	world_drop(h);
	world_step(w);
	h = the_read(w);
	assert_int_not_equal(h->node, first);
	world_answer(w, h);
	world_step(w);
	assert_true(q->done && q->r.res == 0);
}

static void the_map_tells_holes_from_data(void **state)
{
	struct world *w = *state;
	struct want *q;

	world_do(w, CO_WRITE, 32 * BLOCK, BLOCK, 1);
	world_do(w, CO_WRITE, 34 * BLOCK, BLOCK, 1);
	world_do(w, CO_TRIM, 34 * BLOCK, BLOCK, 0);
	q = world_do(w, CO_MAP, 32 * BLOCK, 4 * BLOCK, 0);
	assert_int_equal(q->r.buf[0], 0);
	assert_int_equal(q->r.buf[1], CO_MAP_ZERO | CO_MAP_HOLE);
	assert_int_equal(q->r.buf[2], CO_MAP_ZERO | CO_MAP_HOLE);
	hold_all(w, XBD_T_WRITE);
	world_submit(w, CO_WRITE, 35 * BLOCK, BLOCK, 1);
	q = world_submit(w, CO_MAP, 32 * BLOCK, 4 * BLOCK, 0);
	assert_false(q->done); /* waits like a read */
	let_all(w, XBD_T_WRITE);
	assert_true(q->done);
	assert_int_equal(q->r.buf[3], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup_open, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_read_waits_for_a_write_of_the_same_block),
		TEST(a_store_without_the_last_write_is_not_asked),
		TEST(a_lagging_region_is_not_read_there),
		TEST(data_with_a_wrong_checksum_is_not_returned),
		TEST(an_old_version_is_not_returned),
		TEST(a_version_that_is_not_complete_is_not_returned),
		TEST(fragments_come_in_any_order_and_twice),
		TEST(a_damaged_copy_leads_to_another_store_and_is_repaired),
		TEST(a_block_damaged_everywhere_is_an_error),
		TEST(a_good_copy_at_a_store_that_is_away_is_waited_for),
		TEST(no_answer_leaves_without_a_majority_of_leases),
		TEST(a_lease_counts_from_the_time_it_was_asked_for),
		TEST(a_silent_store_is_not_waited_for),
		TEST(a_refusal_leads_to_another_store),
		TEST(the_map_tells_holes_from_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
