/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening a volume, losing it to another, opening again. */
#include "world.h"

#include <string.h>

static void open_now(struct world *w)
{
	co_open(w->co, w->now);
	world_step(w);
}

static void it_opens_with_all_stores_at_once(void **state)
{
	struct world *w = *state;
	struct co_shard_status st;

	open_now(w);
	assert_true(co_serving(w->co));
	st = world_status(w);
	assert_int_equal(st.epoch, 2);
	assert_int_equal(st.phase, CO_SERVING);
	assert_int_equal(st.w, 2);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(st.rep[i].state, CO_REP_SYNCED);
		assert_int_equal(w->store[i].st.synced, 2);
		assert_int_equal(w->store[i].st.rec.bal, 2);
		assert_int_equal(w->store[i].got[XBD_T_PROMISE], 1);
	}
	assert_int_equal(w->notes[CO_NOTE_SERVING], 1);
}

static void it_opens_with_two_of_three(void **state)
{
	struct world *w = *state;
	struct co_shard_status st;

	w->store[1].silent = true;
	open_now(w);
	assert_false(co_serving(w->co)); /* the third may only be slow */
	world_run(w, 30 * MS);
	assert_true(co_serving(w->co));
	world_do(w, CO_WRITE, 0, BLOCK, 1);
	w->store[1].silent = false; /* late: it learns */
	world_run(w, 1000 * MS);
	st = world_status(w);
	assert_int_equal(st.epoch, 2);
	assert_int_equal(st.rep[1].state, CO_REP_SYNCED);
	assert_true(store_is(&w->store[1], 0, 1));
}

static void it_does_not_open_with_one_of_three(void **state)
{
	struct world *w = *state;
	struct want *q;

	w->store[0].silent = w->store[2].silent = true;
	open_now(w);
	q = world_submit(w, CO_READ, 0, BLOCK, 0);
	world_run(w, 20000 * MS);
	assert_false(co_serving(w->co));
	assert_false(q->done);
	w->store[2].silent = false;
	world_run(w, 1000 * MS);
	assert_true(q->done && q->r.res == 0 && world_is(q, 0));
}

static void it_takes_a_higher_epoch_if_it_is_refused_before_serving(void **state)
{
	struct world *w = *state;

	w->store[0].st.prom = w->store[2].st.prom = 40;
	open_now(w);
	assert_false(co_serving(w->co));
	world_run(w, 100 * MS);
	assert_true(co_serving(w->co));
	assert_int_equal(world_status(w).epoch, 41);
	assert_int_equal(w->notes[CO_NOTE_FENCED], 0);
}

static void fail_all_kinds(struct world *w)
{
	static const enum co_kind kinds[] = {CO_READ, CO_WRITE, CO_TRIM, CO_ZERO, CO_FLUSH, CO_MAP};

	for (unsigned i = 0; i < 6; i++) {
		struct want *q = world_submit(w, kinds[i], 0, kinds[i] == CO_FLUSH ? 0 : BLOCK, 1);

		assert_true(q->done && q->released);
		assert_int_equal(q->r.res, -XBD_EFENCED);
	}
}

static void a_newer_owner_ends_everything(void **state)
{
	struct world *w = *state;
	struct want *q[6];

	open_now(w);
	world_do(w, CO_WRITE, 50 * BLOCK, BLOCK, 1);
	for (uint32_t i = 0; i < 3; i++) {
		world_hold(w, i, XBD_T_WRITE);
		world_hold(w, i, XBD_T_READ);
	}
	q[0] = world_submit(w, CO_WRITE, 0, BLOCK, 1);
	q[1] = world_submit(w, CO_READ, 0, BLOCK, 1);		/* waits for the write */
	q[2] = world_submit(w, CO_READ, 50 * BLOCK, BLOCK, 1);	/* asked */
	q[3] = world_submit(w, CO_WRITE, 60 * BLOCK, 100, 1);	/* reads its edges */
	q[4] = world_submit(w, CO_TRIM, 0, 1u << 27, 1);	/* many regions */
	q[5] = world_submit(w, CO_WRITE, 60 * BLOCK, BLOCK, 1); /* waits for the other */
	w->store[1].st.prom = 7;
	world_run(w, 200 * MS); /* a lease tells */
	assert_true(co_dead(w->co));
	assert_false(co_serving(w->co));
	assert_int_equal(w->notes[CO_NOTE_FENCED], 1);
	assert_int_equal(w->note_arg[CO_NOTE_FENCED], 7);
	for (unsigned i = 0; i < 6; i++) {
		assert_true(q[i]->done && q[i]->released);
		assert_int_equal(q[i]->r.res, -XBD_EFENCED);
	}
	fail_all_kinds(w);
	for (uint32_t i = 0; i < 3; i++)
		world_let(w, i, XBD_T_WRITE); /* late answers: nothing to do with them */
}

static void a_fenced_owner_keeps_no_buffer(void **state)
{
	struct world *w = *state;
	struct want *q;

	open_now(w);
	world_hold(w, 2, XBD_T_WRITE);
	q = world_do(w, CO_WRITE, 0, BLOCK, 1);
	assert_false(q->released); /* the slow store */
	w->store[1].st.prom = 7;
	world_run(w, 200 * MS);
	assert_true(co_dead(w->co) && q->released);
	assert_int_equal(q->r.res, 0);
}

/* Two stores say they have lost their promise, so a new epoch is needed. */
static void reopen(struct world *w)
{
	struct held h = {.s = {.type = XBD_T_LEASE, .shard = SHARD}, .node = 2};
	struct xbd_hdr a = world_reply_to(&h, XBD_T_STALE, 0);

	/* a store that promised our own number to a loser: take a higher one */
	a.ver2 = XBD_VER(world_status(w).epoch, 1);
	a.ver = XBD_VER(world_status(w).epoch, 0);
	world_say(w, 2, &a, NULL);
}

static void a_new_epoch_issues_unfinished_writes_again(void **state)
{
	struct world *w = *state;
	struct want *q, *r, *m;
	struct held *h;

	open_now(w);
	world_do(w, CO_WRITE, 8 * BLOCK, BLOCK, 3);
	for (uint32_t i = 0; i < 3; i++)
		world_hold(w, i, XBD_T_WRITE);
	q = world_submit(w, CO_WRITE, 0, BLOCK, 1);
	m = world_submit(w, CO_WRITE, 8 * BLOCK + 10, 20, 5); /* merged and sent */
	r = world_submit(w, CO_READ, 0, BLOCK, 0);
	h = world_take(w, 0, XBD_T_WRITE);
	assert_int_equal(XBD_VER_EPOCH(h->s.ver), 2);
	world_answer(w, h); /* one has it: not enough */
	reopen(w);
	world_run(w, 150 * MS);
	assert_true(co_serving(w->co));
	assert_int_equal(world_status(w).epoch, 3);
	assert_false(q->done || r->done || m->done);
	for (uint32_t i = 0; i < 3; i++)
		world_let(w, i, XBD_T_WRITE);
	world_run(w, 50 * MS);
	assert_true(q->done && q->r.res == 0);
	assert_true(m->done && m->r.res == 0);
	assert_true(r->done && r->r.res == 0 && world_is(r, 1));
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(XBD_VER_EPOCH(w->store[i].block[0].ver), 3);
		assert_true(store_is(&w->store[i], 0, 1));
	}
	assert_true(world_is(world_do(w, CO_READ, 8 * BLOCK + 10, 20, 0), 5));
	assert_true(world_is(world_do(w, CO_READ, 8 * BLOCK, 10, 0), 3));
}

static void fenced_while_opening_again_too(void **state)
{
	struct world *w = *state;

	open_now(w);
	for (uint32_t i = 0; i < 3; i++)
		world_hold(w, i, XBD_T_PROMISE);
	reopen(w);
	world_run(w, 150 * MS);
	assert_int_equal(world_status(w).phase, CO_OPENING);
	w->store[0].st.prom = 3; /* our number, but another's */
	w->store[0].st.owner = world_uuid(0xb2);
	world_let(w, 0, XBD_T_PROMISE);
	assert_true(co_dead(w->co)); /* he may have served already */
}

static void what_the_last_owner_left_is_decided_before_serving(void **state)
{
	struct world *w = *state;

	/* block 5: on one store only; block 6: on two; block 7: an old and two newer copies */
	store_put(&w->store[2], 5, XBD_VER(1, 10), 5);
	store_put(&w->store[0], 6, XBD_VER(1, 11), 6);
	store_put(&w->store[1], 6, XBD_VER(1, 11), 6);
	store_put(&w->store[0], 7, XBD_VER(1, 4), 3);
	store_put(&w->store[1], 7, XBD_VER(1, 12), 7);
	store_put(&w->store[2], 7, XBD_VER(1, 12), 7);
	open_now(w);
	assert_true(co_serving(w->co));
	for (uint32_t b = 5; b <= 7; b++) {
		for (uint32_t i = 0; i < 3; i++) {
			assert_true(store_is(&w->store[i], b, (uint8_t)b));
			assert_true(w->store[i].block[b].ver == w->store[2].block[b].ver);
		}
		assert_true(world_is(world_do(w, CO_READ, b * BLOCK, BLOCK, 0), (uint8_t)b));
	}
	assert_int_equal(world_counters(w)->repairs, 4);
}

static void a_store_is_not_synced_before_its_repairs_are_answered(void **state)
{
	struct world *w = *state;

	store_put(&w->store[2], 5, XBD_VER(1, 10), 5);
	world_hold(w, 0, XBD_T_REPAIR);
	world_hold(w, 1, XBD_T_REPAIR);
	open_now(w);
	world_run(w, 50 * MS);
	assert_false(co_serving(w->co));
	assert_int_equal(w->store[0].got[XBD_T_SYNC], 0);
	world_let(w, 0, XBD_T_REPAIR);
	world_let(w, 1, XBD_T_REPAIR);
	world_run(w, 50 * MS);
	assert_true(co_serving(w->co));
}

static void a_store_that_is_behind_does_not_vote(void **state)
{
	struct world *w = *state;

	/* 0 and 1 were synced in 3, 2 was away since 1 and has a write nobody else knows */
	for (uint32_t i = 0; i < 2; i++) {
		w->store[i].st.synced = w->store[i].st.prom = 3;
		w->store[i].st.comp = XBD_VER(3, 0);
		w->store[i].st.nlin = 2;
		w->store[i].st.lin[0] = 3;
		w->store[i].st.lin[1] = 1;
		w->store[i].st.rec.bal = w->store[i].st.rec.epoch = 3;
		store_put(&w->store[i], 4, XBD_VER(1, 5), 4);
	}
	store_put(&w->store[2], 4, XBD_VER(1, 5), 4);
	store_put(&w->store[2], 5, XBD_VER(1, 6), 9);
	w->store[2].st.comp = XBD_VER(1, 5);
	open_now(w);
	world_run(w, 300 * MS);
	assert_true(co_serving(w->co));
	assert_int_equal(w->store[2].got[XBD_T_JOIN], 1);
	assert_int_equal(w->store[2].block[5].ver, 0); /* it never was complete */
	assert_true(store_is(&w->store[2], 4, 4));
	assert_int_equal(world_status(w).rep[2].state, CO_REP_SYNCED);
	assert_true(world_is(world_do(w, CO_READ, 5 * BLOCK, BLOCK, 0), 0));
}

static void a_state_that_makes_no_sense_is_no_promise(void **state)
{
	struct world *w = *state;
	struct xbd_state good = w->store[0].st;

	for (unsigned i = 0; i < 3; i++) {
		struct xbd_state *st = &w->store[0].st;

		*st = good;
		st->prom = 10 + i;
		if (i == 0)
			st->rec.n = 200;
		else if (i == 1)
			st->nlin = XBD_LINEAGE_MAX + 1;
		else
			st->nhist = XBD_HISTORY_MAX + 1;
		w->shard.rec.epoch = 20 + i; /* a number nobody has promised */
		world_new_co(w);
		open_now(w);
		world_run(w, 500 * MS);
		assert_true(co_serving(w->co)); /* with the two others */
		assert_int_equal(w->store[0].got[XBD_T_SYNC], 0);
	}
}

static void stores_that_get_their_disks_back_are_asked_again(void **state)
{
	struct world *w = *state;

	for (uint32_t i = 1; i < 3; i++) /* strangers in the place of two members */
		w->store[i].st.store = world_uuid((uint8_t)(0x70 + i));
	open_now(w);
	world_run(w, 3000 * MS);
	assert_false(co_serving(w->co));
	w->store[2].st.store = world_uuid(0x12);
	world_run(w, 10000 * MS);
	assert_true(co_serving(w->co));
}

static void leases_are_given_back_at_the_end(void **state)
{
	struct world *w = *state;

	open_now(w);
	world_do(w, CO_WRITE, 0, BLOCK, 1);
	co_close(w->co, w->now);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(w->store[i].got[XBD_T_RELEASE], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_opens_with_all_stores_at_once),
		TEST(it_opens_with_two_of_three),
		TEST(it_does_not_open_with_one_of_three),
		TEST(it_takes_a_higher_epoch_if_it_is_refused_before_serving),
		TEST(a_newer_owner_ends_everything),
		TEST(a_fenced_owner_keeps_no_buffer),
		TEST(a_new_epoch_issues_unfinished_writes_again),
		TEST(fenced_while_opening_again_too),
		TEST(what_the_last_owner_left_is_decided_before_serving),
		TEST(a_store_is_not_synced_before_its_repairs_are_answered),
		TEST(a_store_that_is_behind_does_not_vote),
		TEST(a_state_that_makes_no_sense_is_no_promise),
		TEST(stores_that_get_their_disks_back_are_asked_again),
		TEST(leases_are_given_back_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
