/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One event loop: io_uring completions, timers and end-of-turn hooks, on one thread. It sleeps in
 * the kernel when nothing is to do; submissions of a whole turn go down in the one system call that
 * also waits.
 *
 * A turn: reap all completions -> run expired timers -> run hooks -> submit and wait.
 */
#ifndef XBD_LOOP_H
#define XBD_LOOP_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

/* Embedded by whoever owns a request; fn runs once per CQE (several times for multishot). */
struct loop_cb {
	void (*fn)(struct loop_cb *cb, int res, unsigned cqe_flags);
};

struct loop_timer {
	void (*fn)(struct loop_timer *t);
	uint64_t deadline_ns; /* CLOCK_BOOTTIME; the loop's while armed */
	unsigned heap_index;  /* the loop's; 0 = not armed */
};

/* Run at the end of every turn, before submitting: where batches are flushed. */
struct loop_hook {
	void (*fn)(struct loop_hook *h);
	/* Optional: true = do not sleep this turn, more work is waiting. */
	bool (*busy)(struct loop_hook *h);
	struct loop_hook *next;
};

struct loop_stats {
	uint64_t turns, enters, cqes, sleeps;
};

struct loop {
	struct io_uring ring;
	uint64_t now_ns; /* CLOCK_BOOTTIME, read once per turn */
	struct loop_timer **heap;
	unsigned nheap, heap_max;
	struct loop_hook *hooks;
	struct loop_stats stats;
	bool stopping;
};

/* entries: SQ size. timers_max: timers that can be armed at once. 0 or negative errno. */
int loop_init(struct loop *l, unsigned entries, unsigned timers_max);
void loop_free(struct loop *l);

/* A zeroed SQE whose completion goes to cb; submits first if the queue is full. Never NULL. */
struct io_uring_sqe *loop_sqe(struct loop *l, struct loop_cb *cb);

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ns);
void loop_timer_cancel(struct loop *l, struct loop_timer *t);
void loop_hook_add(struct loop *l, struct loop_hook *h);
void loop_hook_remove(struct loop *l, struct loop_hook *h);

/* Time of this turn, nanoseconds of CLOCK_BOOTTIME. */
static inline uint64_t loop_now(const struct loop *l)
{
	return l->now_ns;
}

/* One turn; waits at most until the next timer. `wait` false: does not sleep. */
int loop_turn(struct loop *l, bool wait);
/* Turns until loop_stop. 0 or negative errno. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);

#endif
