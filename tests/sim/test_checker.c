/* SPDX-License-Identifier: BSD-2-Clause */
/* The checker must see what is wrong and must not see what is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "checker.h"
#include "pattern.h"

struct fixture {
	struct checker c;
	struct arena a;
	uint8_t disk[4][PATTERN_BLOCK];
};

static jmp_buf failed;
static struct fixture f;

static void on_fail(void *ctx, const char *text)
{
	longjmp(failed, 1);
}

#define assert_violation(call)                                                                     \
	do {                                                                                       \
		if (setjmp(failed) == 0) {                                                         \
			call;                                                                      \
			fail_msg("no violation: %s", #call);                                       \
		}                                                                                  \
	} while (0)
#define assert_fine(call)                                                                          \
	do {                                                                                       \
		if (setjmp(failed) == 0)                                                           \
			call;                                                                      \
		else                                                                               \
			fail_msg("violation: %s", #call);                                          \
	} while (0)

static int set_up(void **state)
{
	arena_reset(&f.a);
	memset(f.disk, 0, sizeof(f.disk));
	f.c = (struct checker){.fail = on_fail, .cells = 2, .edge = {0, 1001, 4096}};
	checker_init(&f.c, &f.a, 4, 4, 100);
	for (uint32_t i = 0; i < 3; i++)
		checker_instance(&f.c, i);
	checker_serving(&f.c, 0, 0, 2);
	return 0;
}

static int tear_down(void **state)
{
	arena_free(&f.a);
	return 0;
}

static struct cwrite *begin(uint32_t inst, uint32_t from, uint32_t to)
{
	return checker_write(&f.c, inst, 0, 1, from, to, false);
}

static void store(const struct cwrite *w)
{
	checker_fill(&f.c, w, f.disk[0]);
}

static void whole_write(uint32_t inst)
{
	struct cwrite *w = begin(inst, 0, 2);

	store(w);
	checker_write_done(&f.c, w, true);
}

static void read_now(uint32_t inst)
{
	uint64_t inv = checker_read(&f.c, 0, 1);

	checker_read_done(&f.c, inst, inv, 0, 0, 2, f.disk[0]);
	checker_read_end(&f.c, inv, 0, 1);
}

static void a_completed_write_is_read(void **state)
{
	assert_fine(read_now(0));
	whole_write(0);
	assert_fine(read_now(0));
	whole_write(0);
	assert_fine(read_now(0));
}

static void a_stale_read_is_found(void **state)
{
	uint8_t old[PATTERN_BLOCK];

	whole_write(0);
	memcpy(old, f.disk[0], sizeof(old));
	whole_write(0);
	memcpy(f.disk[0], old, sizeof(old));
	assert_violation(read_now(0));
}

static void a_lost_write_is_found_even_if_only_zeroes_are_left(void **state)
{
	whole_write(0);
	memset(f.disk[0], 0, PATTERN_BLOCK);
	assert_violation(read_now(0));
}

static void foreign_content_is_found(void **state)
{
	whole_write(0);
	f.disk[0][2000] ^= 1;
	assert_violation(read_now(0));
}

static void content_of_a_neighbour_is_found(void **state)
{
	struct cwrite *w = checker_write(&f.c, 0, 0, 2, 0, 2, false);

	checker_fill(&f.c, w, f.disk[0]);
	checker_write_done(&f.c, w, true);
	assert_fine(read_now(0));
	memcpy(f.disk[0], f.disk[1], PATTERN_BLOCK);
	assert_violation(read_now(0));
}

static void concurrent_writes_may_take_effect_in_any_order(void **state)
{
	struct cwrite *a = begin(0, 0, 2), *b = begin(0, 0, 2);

	checker_write_done(&f.c, b, true);
	checker_write_done(&f.c, a, true);
	store(a);
	assert_fine(read_now(0));
	store(b);
	assert_violation(read_now(0));
}

static void a_pending_write_once_seen_stays(void **state)
{
	uint8_t old[PATTERN_BLOCK];
	struct cwrite *w;

	whole_write(0);
	memcpy(old, f.disk[0], sizeof(old));
	w = begin(0, 0, 2);
	store(w);
	assert_fine(read_now(0));
	memcpy(f.disk[0], old, sizeof(old));
	assert_violation(read_now(0));
}

static void a_write_pending_at_a_crash_may_survive(void **state)
{
	struct cwrite *w;

	whole_write(0);
	w = begin(0, 0, 2);
	checker_ends(&f.c, 0);
	checker_serving(&f.c, 1, 0, 3);
	store(w);
	assert_fine(read_now(1));
	assert_fine(read_now(1));
}

static void a_write_dropped_at_a_crash_never_comes_back(void **state)
{
	struct cwrite *w;

	whole_write(0);
	w = begin(0, 0, 2);
	checker_ends(&f.c, 0);
	checker_serving(&f.c, 1, 0, 3);
	assert_fine(read_now(1));
	checker_ends(&f.c, 1);
	checker_serving(&f.c, 2, 0, 4);
	store(w);
	assert_violation(read_now(2));
}

static void a_late_completion_of_a_dropped_write_is_found(void **state)
{
	struct cwrite *w;

	whole_write(0);
	w = begin(0, 0, 2);
	checker_serving(&f.c, 1, 0, 3);
	assert_fine(read_now(1));
	assert_violation(checker_write_done(&f.c, w, true));
}

static void a_write_issued_after_the_successor_is_dead(void **state)
{
	struct cwrite *w;

	checker_serving(&f.c, 1, 0, 3);
	w = begin(0, 0, 2);
	assert_violation(checker_write_done(&f.c, w, true));
}

static void a_zombie_must_not_read_old_content(void **state)
{
	uint8_t old[PATTERN_BLOCK];

	whole_write(0);
	memcpy(old, f.disk[0], sizeof(old));
	checker_serving(&f.c, 1, 0, 3);
	assert_fine(read_now(0));
	whole_write(1);
	memcpy(f.disk[0], old, sizeof(old));
	assert_violation(read_now(0));
}

static void a_write_there_in_part_is_found(void **state)
{
	struct cwrite *w;

	whole_write(0);
	w = begin(0, 0, 2);
	pattern_fill(f.disk[0], 2, 0, 1001); /* contents are numbered */
	(void)w;
	assert_violation(read_now(0));
}

static void parts_of_blocks_are_registers_of_their_own(void **state)
{
	struct cwrite *w;

	whole_write(0);
	w = begin(0, 1, 2);
	store(w);
	checker_write_done(&f.c, w, true);
	assert_fine(read_now(0));
	w = begin(0, 0, 1);
	store(w);
	checker_write_done(&f.c, w, true);
	assert_fine(read_now(0));
}

static void two_owners_of_one_epoch_are_found(void **state)
{
	checker_serving(&f.c, 1, 0, 3);
	assert_violation(checker_serving(&f.c, 2, 0, 3));
}

static void zeroes_over_zeroes_prove_nothing(void **state)
{
	struct cwrite *w = begin(0, 1, 2);

	store(w);
	checker_write_done(&f.c, w, true);
	(void)checker_write(&f.c, 0, 0, 1, 0, 2, true);
	checker_ends(&f.c, 0);
	checker_serving(&f.c, 1, 0, 3);
	assert_fine(read_now(1));
	assert_fine(read_now(1));
	memset(f.disk[0], 0, PATTERN_BLOCK);
	assert_violation(read_now(1));
}

static void zeroes_are_allowed_only_where_they_cannot_be_confused(void **state)
{
	struct cwrite *z;

	assert_true(checker_may_zero(&f.c, 0, 0));
	z = checker_write(&f.c, 0, 0, 1, 0, 2, true);
	assert_false(checker_may_zero(&f.c, 0, 0));
	assert_false(checker_may_write(&f.c, 0));
	checker_write_done(&f.c, z, true);
	assert_true(checker_may_write(&f.c, 0));
	whole_write(0);
	z = checker_write(&f.c, 0, 0, 1, 0, 2, true);
	assert_true(checker_may_write(&f.c, 0));
	checker_write_done(&f.c, z, true);
	assert_violation(read_now(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(a_completed_write_is_read),
		T(a_stale_read_is_found),
		T(a_lost_write_is_found_even_if_only_zeroes_are_left),
		T(foreign_content_is_found),
		T(content_of_a_neighbour_is_found),
		T(concurrent_writes_may_take_effect_in_any_order),
		T(a_pending_write_once_seen_stays),
		T(a_write_pending_at_a_crash_may_survive),
		T(a_write_dropped_at_a_crash_never_comes_back),
		T(a_late_completion_of_a_dropped_write_is_found),
		T(a_write_issued_after_the_successor_is_dead),
		T(a_zombie_must_not_read_old_content),
		T(a_write_there_in_part_is_found),
		T(parts_of_blocks_are_registers_of_their_own),
		T(two_owners_of_one_epoch_are_found),
		T(zeroes_over_zeroes_prove_nothing),
		T(zeroes_are_allowed_only_where_they_cannot_be_confused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
