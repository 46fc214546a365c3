/* SPDX-License-Identifier: BSD-2-Clause */
/* The event loop: order of timers, hooks, full queues, and callbacks that change what runs. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/loop.h"
#include "io/signals.h"

#define MS 1000000ull

static struct loop loop;

static int setup(void **state)
{
	return loop_init(&loop, 64, 1000);
}

static int teardown(void **state)
{
	loop_free(&loop);
	return 0;
}

struct counter {
	struct loop_cb cb;
	unsigned calls;
	int res;
};

static void count(struct loop_cb *cb, int res, unsigned flags)
{
	struct counter *c = (struct counter *)cb;

	c->calls++;
	c->res = res;
}

static void many_more_requests_than_queue_entries_all_complete_once(void **state)
{
	static struct counter c[3000];

	memset(c, 0, sizeof(c));
	for (unsigned i = 0; i < 3000; i++) {
		c[i].cb.fn = count;
		io_uring_prep_nop(loop_sqe(&loop, &c[i].cb));
		/* Never from inside loop_sqe, however full the queues are. */
		assert_int_equal(loop.stats.cqes, 0);
	}
	for (unsigned i = 0; i < 1000 && loop.stats.cqes < 3000; i++)
		assert_int_equal(loop_turn(&loop, true), 0);
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(c[i].calls, 1);
	assert_int_equal(loop.stats.cqes, 3000);
}

static void an_error_comes_as_result_and_nobody_need_listen(void **state)
{
	struct counter c = {.cb.fn = count};
	char buf[8];

	io_uring_prep_read(loop_sqe(&loop, NULL), -1, buf, sizeof(buf), 0);
	io_uring_prep_read(loop_sqe(&loop, &c.cb), -1, buf, sizeof(buf), 0);
	while (loop.stats.cqes < 2)
		assert_int_equal(loop_turn(&loop, true), 0);
	assert_int_equal(c.calls, 1);
	assert_int_equal(c.res, -EBADF);
}

static void reserved_entries_go_down_together(void **state)
{
	struct counter c[4] = {
		{.cb.fn = count}, {.cb.fn = count}, {.cb.fn = count}, {.cb.fn = count}};

	for (unsigned i = 0; i < 62; i++)
		io_uring_prep_nop(loop_sqe(&loop, NULL));
	loop_sqe_reserve(&loop, 4);
	for (unsigned i = 0; i < 4; i++) {
		struct io_uring_sqe *sqe = loop_sqe(&loop, &c[i].cb);

		if (i == 1)
			io_uring_prep_read(sqe, -1, NULL, 0, 0);
		else
			io_uring_prep_nop(sqe);
		if (i < 3)
			sqe->flags |= IOSQE_IO_LINK;
	}
	while (loop.stats.cqes < 66)
		assert_int_equal(loop_turn(&loop, true), 0);
	/* The chain was not torn apart: what follows the failure was cancelled. */
	assert_int_equal(c[0].res, 0);
	assert_int_equal(c[1].res, -EBADF);
	assert_int_equal(c[2].res, -ECANCELED);
	assert_int_equal(c[3].res, -ECANCELED);
}

static unsigned fired[1000], nfired;
static struct loop_timer timers[1000];

static void fire(struct loop_timer *t)
{
	assert_true(t->deadline_ns <= loop_now(&loop));
	assert_int_equal(t->heap_index, 0);
	fired[nfired++] = (unsigned)(t - timers);
}

static void timers_fire_in_order_and_cancelled_ones_do_not(void **state)
{
	uint64_t base = loop_now(&loop), prev = 0;
	uint32_t rnd = 12345;

	nfired = 0;
	memset(timers, 0, sizeof(timers));
	for (unsigned i = 0; i < 1000; i++) {
		timers[i].fn = fire;
		rnd = rnd * 1664525u + 1013904223u;
		loop_timer_set(&loop, &timers[i], base + rnd % (20 * MS));
	}
	/* Move a third, cancel a third (some of them twice). */
	for (unsigned i = 0; i < 1000; i += 3) {
		rnd = rnd * 1664525u + 1013904223u;
		loop_timer_set(&loop, &timers[i], base + rnd % (20 * MS));
	}
	for (unsigned i = 1; i < 1000; i += 3) {
		loop_timer_cancel(&loop, &timers[i]);
		loop_timer_cancel(&loop, &timers[i]);
	}
	while (loop.nheap)
		assert_int_equal(loop_turn(&loop, true), 0);
	assert_int_equal(nfired, 1000 - 333);
	for (unsigned i = 0; i < nfired; i++) {
		assert_true(fired[i] % 3 != 1);
		assert_true(timers[fired[i]].deadline_ns >= prev);
		prev = timers[fired[i]].deadline_ns;
	}
}

static void a_timer_ends_the_sleep_and_not_early(void **state)
{
	struct loop_timer t = {.fn = fire};
	uint64_t begin = loop_now(&loop);

	nfired = 0;
	loop_timer_set(&loop, &t, begin + 20 * MS);
	while (!nfired)
		assert_int_equal(loop_turn(&loop, true), 0);
	assert_true(loop_now(&loop) >= begin + 20 * MS);
	assert_true(loop.stats.turns <= 3);
}

static struct loop_timer eager, other;
static unsigned eager_runs;

static void fire_eager(struct loop_timer *t)
{
	eager_runs++;
	loop_timer_set(&loop, t, 0);
}

static void a_timer_that_is_always_due_does_not_starve_the_rest(void **state)
{
	eager = (struct loop_timer){.fn = fire_eager};
	other = (struct loop_timer){.fn = fire};
	nfired = eager_runs = 0;
	loop_timer_set(&loop, &eager, 0);
	loop_timer_set(&loop, &other, loop_now(&loop) + MS);
	for (unsigned i = 0; i < 1000000 && !nfired; i++)
		assert_int_equal(loop_turn(&loop, true), 0);
	assert_int_equal(nfired, 1);
	assert_true(eager_runs > 1);
	loop_timer_cancel(&loop, &eager);
}

struct hook {
	struct loop_hook h;
	unsigned runs, busy_turns;
	struct hook *victim;
};

static void hook_run(struct loop_hook *h)
{
	struct hook *x = (struct hook *)h;

	x->runs++;
	if (x->victim)
		loop_hook_remove(&loop, &x->victim->h);
}

static bool hook_busy(struct loop_hook *h)
{
	struct hook *x = (struct hook *)h;

	return x->busy_turns && x->busy_turns--;
}

static void a_busy_hook_keeps_the_loop_awake(void **state)
{
	struct hook h = {.h = {.fn = hook_run, .busy = hook_busy}, .busy_turns = 100};
	struct loop_timer t = {.fn = fire};

	nfired = 0;
	loop_hook_add(&loop, &h.h);
	loop_timer_set(&loop, &t, loop_now(&loop) + 10 * MS);
	while (h.busy_turns)
		assert_int_equal(loop_turn(&loop, true), 0);
	assert_int_equal(h.runs, 100);
	assert_int_equal(loop.stats.sleeps, 0);
	/* Nothing to submit, nothing to take: awake costs no system calls. */
	assert_int_equal(loop.stats.enters, 0);
	while (!nfired)
		assert_int_equal(loop_turn(&loop, true), 0);
	assert_true(loop.stats.sleeps >= 1);
	loop_hook_remove(&loop, &h.h);
}

static void hooks_run_in_order_and_may_be_removed_by_hooks(void **state)
{
	struct hook c = {.h.fn = hook_run}, b = {.h.fn = hook_run};
	struct hook a = {.h.fn = hook_run, .victim = &b};

	loop_hook_add(&loop, &a.h);
	loop_hook_add(&loop, &b.h);
	loop_hook_add(&loop, &c.h);
	assert_int_equal(loop_turn(&loop, false), 0);
	assert_int_equal(a.runs, 1);
	assert_int_equal(b.runs, 0);
	assert_int_equal(c.runs, 1);
	a.victim = &a; /* itself */
	assert_int_equal(loop_turn(&loop, false), 0);
	assert_int_equal(loop_turn(&loop, false), 0);
	assert_int_equal(a.runs, 2);
	assert_int_equal(c.runs, 3);
	loop_hook_remove(&loop, &c.h);
	loop_hook_remove(&loop, &c.h); /* not there: no harm */
}

static void on_signal(struct loop_signals *s, int signo)
{
	if (signo == SIGTERM)
		loop_stop(&loop);
}

static void signals_arrive_in_the_loop_every_time(void **state)
{
	struct loop_signals s = {.fn = on_signal};

	assert_int_equal(loop_signals_start(&s, &loop), 0);
	for (unsigned i = 0; i < 3; i++) {
		kill(getpid(), SIGINT);
		kill(getpid(), SIGTERM);
		assert_int_equal(loop_run(&loop), 0);
	}
	loop_signals_stop(&s);
}

static void files_can_be_registered_until_the_table_is_full(void **state)
{
	int index[LOOP_FILES];

	if (!loop.files)
		skip();
	for (unsigned i = 0; i < LOOP_FILES; i++) {
		index[i] = loop_file_add(&loop, 0);
		assert_true(index[i] >= 0);
	}
	assert_int_equal(loop_file_add(&loop, 0), -ENFILE);
	loop_file_remove(&loop, index[7]);
	assert_int_equal(loop_file_add(&loop, 0), index[7]);
	for (unsigned i = 0; i < LOOP_FILES; i++)
		loop_file_remove(&loop, index[i]);
	loop_file_remove(&loop, -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(many_more_requests_than_queue_entries_all_complete_once),
		T(an_error_comes_as_result_and_nobody_need_listen),
		T(reserved_entries_go_down_together),
		T(timers_fire_in_order_and_cancelled_ones_do_not),
		T(a_timer_ends_the_sleep_and_not_early),
		T(a_timer_that_is_always_due_does_not_starve_the_rest),
		T(a_busy_hook_keeps_the_loop_awake),
		T(hooks_run_in_order_and_may_be_removed_by_hooks),
		T(signals_arrive_in_the_loop_every_time),
		T(files_can_be_registered_until_the_table_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
