/* SPDX-License-Identifier: BSD-2-Clause */
/* Stores that go away, come back, fail, or come back as other stores. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "stores.h"

static void a_store_that_was_away_gets_what_it_missed(void **state)
{
	struct world *w = *state;
	struct co_shard_status st;
	struct want *q;

	world_do(w, CO_WRITE, 0, BLOCK, 1);
	w->store[2].silent = true;
	q = world_do(w, CO_WRITE, 0, BLOCK, 2);
	world_run(w, 400 * MS);
	assert_false(q->released);
	assert_int_equal(w->notes[CO_NOTE_REPLICA_DOWN], 0);
	world_run(w, 300 * MS); /* silent for 500 ms: down */
	assert_int_equal(w->notes[CO_NOTE_REPLICA_DOWN], 1);
	assert_true(q->released);
	for (uint32_t i = 0; i < 20; i++) { /* in regions of their own, not waiting for it */
		q = world_do(w, CO_WRITE, (uint64_t)i * 64 * BLOCK, BLOCK, (uint8_t)(10 + i));
		assert_true(q->released);
	}
	world_do(w, CO_TRIM, 30 * 64 * BLOCK, 64 * BLOCK, 0);
	st = world_status(w);
	assert_int_equal(st.rep[2].state, CO_REP_DOWN);
	assert_int_equal(st.rep[2].lag_regions, 21);
	world_run(w, 3000 * MS);
	assert_int_equal(w->store[2].block[64].ver, 0);
	w->store[2].silent = false;
	w->store[2].comp = 0;
	world_run(w, 150 * MS);
	assert_int_equal(w->notes[CO_NOTE_REPLICA_UP], 1);
	world_run(w, 500 * MS);
	assert_int_equal(w->notes[CO_NOTE_RESYNCED], 1);
	assert_int_equal(world_status(w).rep[2].state, CO_REP_SYNCED);
	for (uint32_t i = 0; i < 20; i++)
		assert_true(store_is(&w->store[2], i * 64, (uint8_t)(10 + i)));
	assert_true(w->store[2].block[30 * 64].ver == w->store[0].block[30 * 64].ver);
	assert_true(w->store[2].got[XBD_T_LIST] >= 21);
	assert_true(w->store[2].got[XBD_T_REPAIR] >= 20);
	assert_int_equal(w->store[0].got[XBD_T_REPAIR], 0);
}

static void the_complete_point_stays_while_a_store_lags(void **state)
{
	struct world *w = *state;
	uint64_t before;

	world_do(w, CO_WRITE, 0, BLOCK, 1);
	world_run(w, 150 * MS);
	assert_true(w->store[2].comp == XBD_VER(2, 1));
	before = w->store[2].st.comp;
	world_hold(w, 2, XBD_T_WRITE);
	world_do(w, CO_WRITE, 0, BLOCK, 2);
	world_run(w, 150 * MS);
	assert_true(w->store[0].comp == XBD_VER(2, 2));
	assert_true(w->store[2].comp == XBD_VER(2, 1)); /* has not acknowledged the second */
	world_hold(w, 2, XBD_T_LIST);
	world_run(w, 1000 * MS);
	world_do(w, CO_WRITE, 64 * BLOCK, BLOCK, 3);
	world_run(w, 150 * MS);
	assert_true(w->store[2].st.comp == before);
	world_let(w, 2, XBD_T_LIST);
	world_let(w, 2, XBD_T_WRITE);
	world_run(w, 1000 * MS);
	assert_true(w->store[2].comp == XBD_VER(2, 3));
	assert_true(store_is(&w->store[2], 0, 2));
}

static void a_repair_does_not_undo_a_write_in_between(void **state)
{
	struct world *w = *state;

	w->store[2].silent = true;
	world_run(w, 700 * MS);
	world_do(w, CO_WRITE, 0, BLOCK, 1);
	world_hold(w, 2, XBD_T_REPAIR);
	w->store[2].silent = false;
	world_run(w, 300 * MS);
	assert_true(world_kept(w, 2, XBD_T_REPAIR) > 0);
	world_do(w, CO_WRITE, 0, BLOCK, 2); /* all three have it */
	assert_true(store_is(&w->store[2], 0, 2));
	world_let(w, 2, XBD_T_REPAIR);
	world_run(w, 500 * MS);
	assert_true(store_is(&w->store[2], 0, 2));
	assert_int_equal(world_status(w).rep[2].state, CO_REP_SYNCED);
}

static void without_quorum_it_waits_and_goes_on(void **state)
{
	struct world *w = *state;
	struct want *write, *read, *part;

	world_do(w, CO_WRITE, 0, BLOCK, 1);
	w->store[1].silent = w->store[2].silent = true;
	write = world_submit(w, CO_WRITE, 8 * BLOCK, BLOCK, 2);
	read = world_submit(w, CO_READ, 8 * BLOCK, BLOCK, 0);
	part = world_submit(w, CO_WRITE, 9 * BLOCK, 7, 3);
	world_run(w, 1500 * MS);
	assert_int_equal(w->notes[CO_NOTE_SUSPENDED], 1);
	assert_int_equal(world_status(w).phase, CO_SUSPENDED);
	assert_int_equal(world_counters(w)->suspends, 1);
	world_run(w, 60000 * MS); /* however long it takes */
	assert_false(write->done || read->done || part->done);
	assert_int_equal(w->notes[CO_NOTE_SUSPENDED], 1);
	w->store[1].silent = false;
	world_run(w, 500 * MS);
	assert_int_equal(w->notes[CO_NOTE_RESUMED], 1);
	assert_true(write->done && write->r.res == 0);
	assert_true(read->done && read->r.res == 0 && world_is(read, 2));
	assert_true(part->done && part->r.res == 0);
	assert_int_equal(world_status(w).phase, CO_SERVING);
	assert_int_equal(world_status(w).epoch, 2);
	assert_int_equal(w->notes[CO_NOTE_FENCED], 0);
}

/* Store 0 is slow and gets no more than its window; then one of the two others is gone. */
static void writes_that_left_a_slow_store_out_come_back_to_it(void **state)
{
	struct world *w = *state;
	struct want *q[3];

	w->cfg.window_bytes = 4 * BLOCK;
	world_new_co(w);
	co_open(w->co, w->now);
	world_run(w, 10 * MS);
	assert_true(co_serving(w->co));
	world_hold(w, 0, XBD_T_WRITE);
	world_do(w, CO_WRITE, 640 * BLOCK, 4 * BLOCK, 1);
	world_hold(w, 2, XBD_T_WRITE);
	world_hold(w, 0, XBD_T_LIST);	 /* no repair in between */
	for (unsigned i = 0; i < 3; i++) /* one over the other */
		q[i] = world_submit(w, CO_WRITE, 0, 4 * BLOCK, (uint8_t)(2 + i));
	assert_int_equal(w->store[0].got[XBD_T_WRITE], 1);
	w->store[2].silent = true;
	world_let(w, 0, XBD_T_WRITE);
	world_run(w, 700 * MS);
	world_let(w, 0, XBD_T_LIST);
	world_run(w, 1300 * MS);
	for (unsigned i = 0; i < 3; i++)
		assert_true(q[i]->done && q[i]->r.res == 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_true(store_is(&w->store[0], i, 4));
	world_run(w, 500 * MS);
	assert_int_equal(world_status(w).rep[0].state, CO_REP_SYNCED);
}

static void a_store_with_a_disk_error_is_left_out_for_a_while(void **state)
{
	struct world *w = *state;
	struct held *h;
	unsigned before;

	world_hold(w, 2, XBD_T_WRITE);
	world_do(w, CO_WRITE, 0, BLOCK, 1);
	h = world_take(w, 2, XBD_T_WRITE);
	world_ack(w, h, 0, XBD_S_IO);
	world_drop(h);
	world_step(w);
	assert_int_equal(w->notes[CO_NOTE_FAILED], 1);
	assert_int_equal(w->note_arg[CO_NOTE_FAILED], XBD_S_IO);
	assert_int_equal(world_status(w).rep[2].state, CO_REP_DOWN);
	before = w->store[2].got[XBD_T_WRITE] + w->store[2].got[XBD_T_READ];
	for (unsigned i = 0; i < 20; i++) {
		assert_true(world_do(w, CO_WRITE, i * BLOCK, BLOCK, 2)->released);
		world_do(w, CO_READ, i * BLOCK, BLOCK, 0);
	}
	assert_int_equal(w->store[2].got[XBD_T_WRITE] + w->store[2].got[XBD_T_READ], before);
	world_let(w, 2, XBD_T_WRITE);
	world_run(w, 6000 * MS);
	assert_int_equal(world_status(w).rep[2].state, CO_REP_SYNCED);
	for (uint32_t i = 0; i < 20; i++)
		assert_true(store_is(&w->store[2], i, 2));
}

static void a_blank_store_is_filled_and_then_named_by_a_new_epoch(void **state)
{
	struct world *w = *state;
	struct pstore *p = &w->store[2];
	struct held *h[3];
	struct want *q;

	for (uint32_t i = 0; i < 10; i++)
		world_do(w, CO_WRITE, i * 100ull * BLOCK, BLOCK, (uint8_t)(1 + i));
	pstore_free(p); /* another disk in the place of the third */
	pstore_init(p, 2, &(struct xbd_record){0}, false);
	world_hold(w, 2, XBD_T_SYNC);
	world_run(w, 2000 * MS);
	assert_true(w->notes[CO_NOTE_BLANK] >= 1);
	assert_true(p->got[XBD_T_CREATE] >= 1);
	assert_true(p->got[XBD_T_JOIN] >= 1);
	assert_true(world_kept(w, 2, XBD_T_SYNC) >= 1); /* has all, is asked to say so */
	for (uint32_t i = 0; i < 10; i++)
		assert_true(store_is(p, i * 100, (uint8_t)(1 + i)));
	assert_int_equal(world_status(w).rep[2].state, CO_REP_LEARNER);
	/* until it is a member, its votes count nowhere, whatever it says */
	for (uint32_t i = 0; i < 3; i++)
		world_hold(w, i, XBD_T_WRITE);
	q = world_submit(w, CO_WRITE, 0, BLOCK, 77);
	for (uint32_t i = 0; i < 3; i++)
		h[i] = world_take(w, i, XBD_T_WRITE);
	world_ack(w, h[0], XBD_F_VOTER, 0);
	world_ack(w, h[2], XBD_F_VOTER, 0);
	world_step(w);
	assert_false(q->done);
	for (uint32_t i = 0; i < 3; i++) {
		world_answer(w, h[i]);
		world_let(w, i, XBD_T_WRITE);
	}
	assert_true(q->done);
	assert_int_equal(world_status(w).epoch, 3); /* it started in a new one */
	world_let(w, 2, XBD_T_SYNC);
	world_run(w, 1000 * MS);
	assert_true(co_serving(w->co));
	assert_int_equal(world_status(w).epoch, 4);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(w->store[i].st.rec.epoch, 4);
		assert_memory_equal(&w->store[i].st.rec.member[2], &p->st.store, 16);
		assert_int_equal(w->store[i].st.synced, 4);
	}
	world_hold(w, 1, XBD_T_WRITE);
	world_do(w, CO_WRITE, 0, BLOCK, 78); /* 0 and 2 are enough now */
}

/* A SYNC that was long on its way must not make a voter of a store that has nothing. */
static void a_blank_store_is_not_asked_anything_in_the_epoch_of_its_predecessor(void **state)
{
	struct world *w = *state;

	world_do(w, CO_WRITE, 0, BLOCK, 1);
	pstore_free(&w->store[2]);
	pstore_init(&w->store[2], 2, &(struct xbd_record){0}, false);
	world_hold(w, 2, XBD_T_PROMISE);
	world_run(w, 300 * MS);
	struct held *h = world_take(w, 2, XBD_T_PROMISE);

	assert_int_equal(XBD_VER_EPOCH(h->s.ver), 3);
	world_answer(w, h);
	world_let(w, 2, XBD_T_PROMISE);
	world_run(w, 1000 * MS);
	assert_int_equal(world_status(w).rep[2].state, CO_REP_SYNCED);
	assert_true(store_is(&w->store[2], 0, 1));
}

/* Asked before, answered after: by a store that is not the one that was asked. */
static void what_a_store_was_asked_its_successor_does_not_answer(void **state)
{
	struct world *w = *state;
	struct want *q;
	uint32_t asked = 0;

	for (uint32_t i = 0; i < 3; i++) {
		store_put(&w->store[i], 5, XBD_VER(1, 9), 5);
		w->store[i].st.comp = XBD_VER(1, 9); /* nothing to resolve */
	}
	w->cfg.lease_every_ms = 2; /* tell soon */
	world_new_co(w);
	co_open(w->co, w->now);
	world_run(w, 10 * MS);
	for (uint32_t i = 0; i < 3; i++)
		world_hold(w, i, XBD_T_LIST);
	q = world_submit(w, CO_MAP, 5 * BLOCK, BLOCK, 0);
	while (!world_kept(w, asked, XBD_T_LIST))
		asked++;
	w->store[asked].st.prom = w->store[asked].st.synced =
		1; /* its disk is as it was before the volume was written */
	w->store[asked].st.store = world_uuid(0x99);
	w->store[asked].block[5].ver = 0;
	w->store[asked].block[5].crc = 0;
	world_hold(w, asked, XBD_T_SYNC);
	w->store[asked].hold &= ~(1u << XBD_T_LIST);
	struct held *h = world_take(w, asked, XBD_T_LIST);

	while (w->store[asked].got[XBD_T_PROMISE] < 2)
		world_run(w, MS);
	world_run(w, MS);
	world_answer(w, h);
	world_step(w);
	assert_false(q->done);
	for (uint32_t i = 0; i < 3; i++)
		world_let(w, i, XBD_T_LIST);
	world_run(w, 300 * MS);
	assert_true(q->done && q->r.res == 0);
	assert_int_equal(q->r.buf[0], 0); /* data */
}

static void a_store_that_forgot_its_promise_is_asked_anew(void **state)
{
	struct world *w = *state;

	world_do(w, CO_WRITE, 0, BLOCK, 1);
	world_run(w, 150 * MS);
	/* its disk went back to what it was before the volume was opened */
	w->store[2].st.prom = w->store[2].st.synced = 1;
	w->store[2].st.comp = XBD_VER(1, 0);
	w->store[2].st.nlin = 1;
	w->store[2].st.lin[0] = 1;
	w->store[2].st.nhist = 0;
	w->store[2].block[0].ver = 0;
	w->store[2].block[0].crc = 0;
	world_run(w, 1000 * MS);
	assert_true(w->store[2].got[XBD_T_PROMISE] >= 2);
	assert_true(store_is(&w->store[2], 0, 1));
	assert_int_equal(w->store[2].st.synced, world_status(w).epoch);
	assert_int_equal(world_status(w).rep[2].state, CO_REP_SYNCED);
	assert_false(co_dead(w->co));
}

static void open_with_damage(struct world *w, uint8_t away)
{
	for (uint32_t i = 0; i < 3; i++)
		store_put(&w->store[i], 5, XBD_VER(1, 9), 5);
	for (uint32_t i = 0; i < 3; i++)
		w->store[i].block[5].flags = i == away ? 0 : XBD_F_BAD;
	w->store[away].silent = true;
	co_open(w->co, w->now);
	world_run(w, 5000 * MS);
}

static void it_does_not_serve_while_the_only_good_copy_is_away(void **state)
{
	struct world *w = *state;

	open_with_damage(w, 2);
	assert_false(co_serving(w->co));
	w->store[2].silent = false;
	world_run(w, 2000 * MS);
	assert_true(co_serving(w->co));
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(store_is(&w->store[i], 5, 5));
		assert_int_equal(w->store[i].block[5].flags, 0);
	}
	assert_true(world_is(world_do(w, CO_READ, 5 * BLOCK, BLOCK, 0), 5));
}

static void a_store_that_goes_away_while_opening_holds_nobody_up(void **state)
{
	struct world *w = *state;

	for (uint32_t i = 0; i < 200; i++) /* work for the resolution */
		store_put(&w->store[1], i * 64, XBD_VER(1, 1 + i), 1);
	world_hold(w, 2, XBD_T_LIST);
	co_open(w->co, w->now);
	world_run(w, 20 * MS);
	assert_false(co_serving(w->co));
	w->store[2].silent = true;
	world_run(w, 5000 * MS);
	assert_true(co_serving(w->co));
	assert_true(world_is(world_do(w, CO_READ, 64 * BLOCK, BLOCK, 0), 1));
}

#define TEST(name)  cmocka_unit_test_setup_teardown(name, world_setup_open, world_teardown)
#define FRESH(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_store_that_was_away_gets_what_it_missed),
		TEST(the_complete_point_stays_while_a_store_lags),
		TEST(a_repair_does_not_undo_a_write_in_between),
		TEST(without_quorum_it_waits_and_goes_on),
		FRESH(writes_that_left_a_slow_store_out_come_back_to_it),
		TEST(a_store_with_a_disk_error_is_left_out_for_a_while),
		TEST(a_blank_store_is_filled_and_then_named_by_a_new_epoch),
		TEST(a_blank_store_is_not_asked_anything_in_the_epoch_of_its_predecessor),
		FRESH(what_a_store_was_asked_its_successor_does_not_answer),
		TEST(a_store_that_forgot_its_promise_is_asked_anew),
		FRESH(it_does_not_serve_while_the_only_good_copy_is_away),
		FRESH(a_store_that_goes_away_while_opening_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
