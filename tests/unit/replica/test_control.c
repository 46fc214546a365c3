/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of a shard's durable state: JOIN, SYNC, ACCEPT, CREATE, RETIRE, LEASE. */
#include "rig.h"

#include <string.h>

static void send_with(struct rig *g, uint32_t from, uint8_t type, uint32_t shard, uint32_t epoch,
		      const void *body, uint32_t len)
{
	struct xbd_send s = rig_ask(g, type, epoch);

	s.shard = shard;
	s.body = body;
	s.body_len = len;
	rig_send(g, from, &s);
}

static uint8_t status_of(struct rig *g, uint8_t type)
{
	const struct sent *a = &g->sent[g->taken];

	assert_true(g->taken < g->nsent);
	assert_int_equal(a->s.type, type);
	g->taken++;
	return a->s.status;
}

static struct xbd_record record(const struct rig *g, uint32_t epoch)
{
	struct xbd_record rec = g->st->state[SHARD].rec;

	rec.bal = rec.epoch = epoch;
	return rec;
}

/* Synced in 5, with a past: synced in 2 and 3 before. */
static void give_history(struct rig *g)
{
	struct xbd_state *st = &g->st->state[SHARD];

	st->nhist = 3;
	st->hist[0] = (struct xbd_hist){.epoch = 3, .comp = XBD_VER(3, 30)};
	st->hist[1] = (struct xbd_hist){.epoch = 2, .comp = XBD_VER(2, 20)};
	st->hist[2] = (struct xbd_hist){.epoch = 1, .comp = XBD_VER(1, 10)};
	st->nlin = 4;
	for (uint32_t i = 0; i < 4; i++)
		st->lin[i] = i ? 4 - i : 5;
}

static void join_steps_back_to_the_ancestor_with_its_complete_point(void **state)
{
	struct rig *g = *state;
	struct xbd_join j = {.anc = 2, .nlin = 4, .lin = {6, 4, 2, 1}};
	const struct xbd_state *st;

	rig_own(g, ALICE, 5, true);
	give_history(g);
	rig_own(g, ALICE, 6, false);
	j.rec = record(g, 4);
	send_with(g, ALICE, XBD_T_JOIN, SHARD, 6, &j, sizeof(j));
	rig_silent(g); /* durable before the answer */
	fake_end(g->st, 0);
	assert_int_equal(status_of(g, XBD_T_JOINED), XBD_S_OK);
	st = rig_state(g);
	assert_int_equal(st->synced, 2);
	assert_true(st->comp == XBD_VER(2, 20));
	assert_int_equal(st->nhist, 1);
	assert_int_equal(st->hist[0].epoch, 1);
	assert_int_equal(st->hist[1].epoch, 0);
	assert_int_equal(st->nlin, 2);
	assert_int_equal(st->lin[0], 2);
	assert_int_equal(st->lin[1], 1);
	g->st->submitted[STORE_STATE] = 0; /* again: nothing to do */
	send_with(g, ALICE, XBD_T_JOIN, SHARD, 6, &j, sizeof(j));
	assert_int_equal(status_of(g, XBD_T_JOINED), XBD_S_OK);
	assert_int_equal(g->st->submitted[STORE_STATE], 0);
}

static void join_with_nothing_in_common_forgets_all(void **state)
{
	struct rig *g = *state;
	struct xbd_join j = {.anc = 0, .nlin = 1, .lin = {6}};
	const struct xbd_state *st;

	rig_own(g, ALICE, 5, true);
	rig_own(g, ALICE, 6, false);
	j.rec = record(g, 6);
	send_with(g, ALICE, XBD_T_JOIN, SHARD, 6, &j, sizeof(j));
	fake_end(g->st, 0);
	assert_int_equal(status_of(g, XBD_T_JOINED), XBD_S_OK);
	st = rig_state(g);
	assert_int_equal(st->synced, 0);
	assert_true(st->comp == 0);
	assert_int_equal(st->nlin, 0);
	assert_int_equal(st->nhist, 0);
}

static void join_replaces_a_record_outside_the_lineage_and_keeps_one_inside(void **state)
{
	struct rig *g = *state;
	struct xbd_join j = {.anc = 1, .nlin = 2, .lin = {6, 1}};

	rig_own(g, ALICE, 6, false);
	j.rec = record(g, 4);
	j.rec.w = 3;
	g->st->state[SHARD].rec.epoch = 1; /* an ancestor's */
	send_with(g, ALICE, XBD_T_JOIN, SHARD, 6, &j, sizeof(j));
	assert_int_equal(status_of(g, XBD_T_JOINED), XBD_S_OK); /* nothing to change */
	assert_int_equal(rig_state(g)->rec.w, 2);
	g->st->state[SHARD].rec.epoch = 3; /* of a branch that died */
	send_with(g, ALICE, XBD_T_JOIN, SHARD, 6, &j, sizeof(j));
	fake_end(g->st, 0);
	assert_int_equal(status_of(g, XBD_T_JOINED), XBD_S_OK);
	assert_memory_equal(&rig_state(g)->rec, &j.rec, sizeof(j.rec));
	assert_int_equal(rig_state(g)->synced, 1);
}

static void join_cannot_raise_what_is_synced(void **state)
{
	struct rig *g = *state;
	struct xbd_join j = {.anc = 4, .nlin = 2, .lin = {6, 4}};

	rig_own(g, ALICE, 6, false);
	j.rec = record(g, 4);
	send_with(g, ALICE, XBD_T_JOIN, SHARD, 6, &j, sizeof(j));
	assert_int_equal(status_of(g, XBD_T_JOINED), XBD_S_INVALID);
	assert_int_equal(rig_state(g)->synced, 1);
}

static void sync_pushes_history(void **state)
{
	struct rig *g = *state;
	const struct xbd_state *st;

	rig_own(g, ALICE, 5, true);
	rig_lease(g, ALICE, 5, XBD_VER(5, 77));
	rig_sent(g, XBD_T_LEASED, ALICE);
	fake_end_all(g->st);
	rig_own(g, ALICE, 9, false);
	rig_sync(g, ALICE, 9);
	rig_silent(g);
	fake_end(g->st, 0);
	rig_sent(g, XBD_T_SYNCED, ALICE);
	st = rig_state(g);
	assert_int_equal(st->synced, 9);
	assert_true(st->comp == XBD_VER(9, 0));
	assert_int_equal(st->nhist, 2);
	assert_int_equal(st->hist[0].epoch, 5);
	assert_true(st->hist[0].comp == XBD_VER(5, 77)); /* as far as the owner said */
	assert_int_equal(st->hist[1].epoch, 1);
	assert_int_equal(st->lin[0], 9);
	assert_int_equal(g->notes[REPLICA_NOTE_SYNCED], 2);
	g->st->submitted[STORE_STATE] = 0;
	rig_sync(g, ALICE, 9);
	rig_sent(g, XBD_T_SYNCED, ALICE);
	assert_int_equal(g->st->submitted[STORE_STATE], 0);
}

/* Own every epoch up to `last`, each with all those before in its lineage. */
static void own_in_a_row(struct rig *g, uint32_t last)
{
	for (uint32_t epoch = 2; epoch <= last; epoch++) {
		struct xbd_sync sy = {.nlin = epoch < XBD_LINEAGE_MAX ? epoch : XBD_LINEAGE_MAX,
				      .store = g->st->info.uuid};

		for (uint32_t i = 0; i < sy.nlin; i++)
			sy.lin[i] = epoch - i;
		rig_own(g, ALICE, epoch, false);
		send_with(g, ALICE, XBD_T_SYNC, SHARD, epoch, &sy, sizeof(sy));
		fake_end(g->st, 0);
		assert_int_equal(status_of(g, XBD_T_SYNCED), XBD_S_OK);
	}
}

static void history_is_bounded(void **state)
{
	struct rig *g = *state;
	const struct xbd_state *st;

	own_in_a_row(g, 39);
	st = rig_state(g);
	assert_int_equal(st->nhist, XBD_HISTORY_MAX);
	for (uint32_t i = 0; i < XBD_HISTORY_MAX; i++)
		assert_int_equal(st->hist[i].epoch, 38 - i);
}

static void history_outside_the_lineage_is_forgotten(void **state)
{
	struct rig *g = *state;
	struct xbd_sync sy = {.nlin = 4, .lin = {30, 12, 7, 1}, .store = g->st->info.uuid};
	const struct xbd_state *st;

	own_in_a_row(g, 12);
	rig_own(g, ALICE, 30, false);
	send_with(g, ALICE, XBD_T_SYNC, SHARD, 30, &sy, sizeof(sy));
	fake_end(g->st, 0);
	st = rig_state(g);
	assert_int_equal(status_of(g, XBD_T_SYNCED), XBD_S_OK);
	assert_int_equal(st->nhist, 3);
	assert_int_equal(st->hist[0].epoch, 12);
	assert_int_equal(st->hist[1].epoch, 7);
	assert_int_equal(st->hist[2].epoch, 1);
	assert_int_equal(st->nlin, 4);
}

static void a_store_that_is_not_synced_says_so_with_its_lease(void **state)
{
	struct rig *g = *state;

	rig_own(g, ALICE, 5, false);
	rig_lease(g, ALICE, 5, 0);
	assert_int_equal(rig_sent(g, XBD_T_LEASED, ALICE)->s.status, XBD_S_NOTSYNCED);
	rig_sync(g, ALICE, 5);
	fake_end(g->st, 0);
	rig_sent(g, XBD_T_SYNCED, ALICE);
	rig_lease(g, ALICE, 5, 0);
	assert_int_equal(rig_sent(g, XBD_T_LEASED, ALICE)->s.status, XBD_S_OK);
}

static void sync_with_a_lineage_of_others_is_refused(void **state)
{
	struct rig *g = *state;
	struct xbd_sync bad[] = {{.nlin = 0}, {.nlin = 1, .lin = {4}}, {.nlin = 33, .lin = {5}}};

	rig_own(g, ALICE, 5, false);
	for (unsigned i = 0; i < 3; i++) {
		bad[i].store = g->st->info.uuid;
		send_with(g, ALICE, XBD_T_SYNC, SHARD, 5, &bad[i], sizeof(bad[i]));
		assert_int_equal(status_of(g, XBD_T_SYNCED), XBD_S_INVALID);
	}
	assert_int_equal(rig_state(g)->synced, 1);
}

static void sync_of_the_store_it_was_before_is_refused(void **state)
{
	struct rig *g = *state;
	struct xbd_sync sy = {.nlin = 2, .lin = {5, 1}, .store = rig_uuid(0x77)};

	rig_own(g, ALICE, 5, false);
	send_with(g, ALICE, XBD_T_SYNC, SHARD, 5, &sy, sizeof(sy));
	assert_int_equal(status_of(g, XBD_T_SYNCED), XBD_S_CONFLICT);
	assert_int_equal(rig_state(g)->synced, 1);
}

static void a_record_is_accepted_only_with_the_ballot_of_its_epoch(void **state)
{
	struct rig *g = *state;
	struct xbd_record rec;

	rig_own(g, ALICE, 5, true);
	rec = record(g, 4);
	send_with(g, ALICE, XBD_T_ACCEPT, SHARD, 5, &rec, sizeof(rec));
	assert_int_equal(status_of(g, XBD_T_ACCEPTED), XBD_S_INVALID);
	assert_int_equal(rig_state(g)->rec.bal, 1);
	rec = record(g, 5);
	send_with(g, ALICE, XBD_T_ACCEPT, SHARD, 5, &rec, sizeof(rec));
	rig_silent(g);
	fake_end(g->st, 0);
	assert_int_equal(status_of(g, XBD_T_ACCEPTED), XBD_S_OK);
	assert_memory_equal(&rig_state(g)->rec, &rec, sizeof(rec));
	send_with(g, ALICE, XBD_T_ACCEPT, SHARD, 5, &rec, sizeof(rec));
	assert_int_equal(status_of(g, XBD_T_ACCEPTED), XBD_S_OK);
}

static struct xbd_record new_volume(const struct rig *g, bool member)
{
	struct xbd_record rec = {.bal = 1, .epoch = 1, .n = 3, .d_mask = 7, .w = 2, .gen = 99};

	for (uint8_t i = 0; i < 3; i++)
		rec.member[i] = rec.base[i] = rig_uuid(0x31 + i);
	if (member)
		rec.member[1] = rec.base[1] = g->st->info.uuid;
	rec.volume = rig_uuid(0x77);
	return rec;
}

static void an_administrator_creates_a_shard_at_its_members(void **state)
{
	struct rig *g = *state;
	struct xbd_record rec = new_volume(g, true);

	send_with(g, 0xad, XBD_T_CREATE, 2, 0, &rec, sizeof(rec));
	rig_silent(g);
	fake_end(g->st, 0);
	assert_int_equal(status_of(g, XBD_T_CREATED), XBD_S_OK);
	assert_int_equal(g->st->state[2].prom, 1);
	assert_int_equal(g->st->state[2].synced, 1);
	assert_int_equal(g->st->state[2].lin[0], 1);
	assert_int_equal(g->notes[REPLICA_NOTE_CREATED], 1);
	send_with(g, 0xad, XBD_T_CREATE, 2, 0, &rec, sizeof(rec)); /* again is fine */
	assert_int_equal(status_of(g, XBD_T_CREATED), XBD_S_OK);
	rec.gen++; /* another volume is not */
	send_with(g, 0xad, XBD_T_CREATE, 2, 0, &rec, sizeof(rec));
	assert_int_equal(status_of(g, XBD_T_CREATED), XBD_S_EXISTS);
	rec = new_volume(g, false);
	send_with(g, 0xad, XBD_T_CREATE, 0, 0, &rec, sizeof(rec));
	assert_int_equal(status_of(g, XBD_T_CREATED), XBD_S_INVALID);
	assert_false(g->st->held[0]);
}

static void an_owner_creates_a_blank_shard_at_others_only(void **state)
{
	struct rig *g = *state;
	struct xbd_record rec = new_volume(g, true);

	send_with(g, ALICE, XBD_T_CREATE, 2, 7, &rec, sizeof(rec));
	assert_int_equal(status_of(g, XBD_T_CREATED), XBD_S_INVALID);
	assert_false(g->st->held[2]);
	rec = new_volume(g, false);
	send_with(g, ALICE, XBD_T_CREATE, 2, 7, &rec, sizeof(rec));
	fake_end(g->st, 0);
	assert_int_equal(status_of(g, XBD_T_CREATED), XBD_S_OK);
	assert_int_equal(g->st->state[2].synced, 0); /* counts nowhere until filled */
	assert_int_equal(g->st->state[2].nlin, 0);
	assert_int_equal(g->st->state[2].prom, 1);
}

static void a_record_that_makes_no_sense_creates_nothing(void **state)
{
	struct rig *g = *state;

	for (unsigned i = 0; i < 6; i++) {
		struct xbd_record rec = new_volume(g, true);

		switch (i) {
		case 0:
			rec.n = 0;
			break;
		case 1:
			rec.n = 6;
			break;
		case 2:
			rec.w = 0;
			break;
		case 3:
			rec.w = 4;
			break;
		case 4:
			rec.bal = 2;
			break;
		default:
			rec.epoch = 0;
			break;
		}
		send_with(g, 0xad, XBD_T_CREATE, 2, 0, &rec, sizeof(rec));
		assert_int_equal(status_of(g, XBD_T_CREATED), XBD_S_INVALID);
	}
	assert_int_equal(g->st->nops, 0);
}

static void retire_waits_for_the_lease_and_keeps_a_tombstone(void **state)
{
	struct rig *g = *state;
	struct xbd_record rec = new_volume(g, true);

	rig_own(g, ALICE, 5, true);
	rig_lease(g, ALICE, 5, 0);
	rig_sent(g, XBD_T_LEASED, ALICE);
	send_with(g, 0xad, XBD_T_RETIRE, SHARD, 0, NULL, 0);
	assert_int_equal(status_of(g, XBD_T_RETIRED), XBD_S_BUSY);
	rig_pass(g, GRACE);
	send_with(g, 0xad, XBD_T_RETIRE, SHARD, 0, NULL, 0);
	assert_int_equal(g->st->submitted[STORE_DROP], 1);
	rig_silent(g);
	fake_end(g->st, 0);
	assert_int_equal(status_of(g, XBD_T_RETIRED), XBD_S_OK);
	assert_int_equal(rig_state(g)->retired, 1);
	send_with(g, 0xad, XBD_T_RETIRE, SHARD, 0, NULL, 0);
	assert_int_equal(status_of(g, XBD_T_RETIRED), XBD_S_OK);
	assert_int_equal(g->st->submitted[STORE_DROP], 1);
	send_with(g, 0xad, XBD_T_CREATE, SHARD, 0, &rec, sizeof(rec)); /* it stays away */
	assert_int_equal(status_of(g, XBD_T_CREATED), XBD_S_EXISTS);
	rig_lease(g, ALICE, 5, 0);
	assert_int_equal(status_of(g, XBD_T_LEASED), XBD_S_NOSHARD);
}

static void a_lost_shard_or_promise_is_told_to_the_owner(void **state)
{
	struct rig *g = *state;

	rig_lease(g, ALICE, 9, 0); /* never promised: the disk was rolled back */
	assert_int_equal(rig_sent(g, XBD_T_LEASED, ALICE)->s.status, XBD_S_INVALID);
	assert_true(replica_lease_left(g->r, SHARD, g->now) == 0);
	send_with(g, ALICE, XBD_T_LEASE, 2, 9, NULL, 0);
	assert_int_equal(status_of(g, XBD_T_LEASED), XBD_S_NOSHARD);
	send_with(g, ALICE, XBD_T_LIST, SHARD, 9, NULL, 0); /* the rest is silence */
	send_with(g, ALICE, XBD_T_LIST, 2, 9, NULL, 0);
	rig_silent(g);
	assert_int_equal(rig_counters(g).unpromised, 2);
	assert_int_equal(rig_counters(g).no_shard, 2);
}

static void a_complete_point_only_rises_and_is_saved_once_a_second(void **state)
{
	struct rig *g = *state;

	rig_own(g, ALICE, 5, true);
	g->st->submitted[STORE_STATE] = 0;
	rig_lease(g, ALICE, 5, XBD_VER(5, 10));
	rig_lease(g, ALICE, 5, XBD_VER(5, 8));
	rig_lease(g, ALICE, 5, XBD_VER(4, 900));
	assert_int_equal(g->st->submitted[STORE_STATE], 0);
	rig_pass(g, 1000 * MS);
	rig_lease(g, ALICE, 5, XBD_VER(5, 9));
	assert_int_equal(g->st->submitted[STORE_STATE], 1);
	fake_end(g->st, 0);
	assert_true(rig_state(g)->comp == XBD_VER(5, 10));
	rig_pass(g, 1000 * MS);
	rig_lease(g, ALICE, 5, 0); /* nothing new: nothing written */
	assert_int_equal(g->st->submitted[STORE_STATE], 1);
	assert_true(replica_lease_left(g->r, SHARD, g->now) == GRACE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(join_steps_back_to_the_ancestor_with_its_complete_point),
		TEST(join_with_nothing_in_common_forgets_all),
		TEST(join_replaces_a_record_outside_the_lineage_and_keeps_one_inside),
		TEST(join_cannot_raise_what_is_synced),
		TEST(sync_pushes_history),
		TEST(history_is_bounded),
		TEST(history_outside_the_lineage_is_forgotten),
		TEST(a_store_that_is_not_synced_says_so_with_its_lease),
		TEST(sync_with_a_lineage_of_others_is_refused),
		TEST(sync_of_the_store_it_was_before_is_refused),
		TEST(a_record_is_accepted_only_with_the_ballot_of_its_epoch),
		TEST(an_administrator_creates_a_shard_at_its_members),
		TEST(an_owner_creates_a_blank_shard_at_others_only),
		TEST(a_record_that_makes_no_sense_creates_nothing),
		TEST(retire_waits_for_the_lease_and_keeps_a_tombstone),
		TEST(a_lost_shard_or_promise_is_told_to_the_owner),
		TEST(a_complete_point_only_rises_and_is_saved_once_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
