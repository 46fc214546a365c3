/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One event loop: io_uring completions, timers and end-of-turn hooks, on one thread. It sleeps in
 * the kernel when nothing is to do; submissions of a whole turn go down in the one system call that
 * also waits.
 *
 * A turn: submit and wait -> reap all completions -> run expired timers -> run hooks. Waiting comes
 * first so that `while (!done) loop_turn(l, true);` ends with the turn in which done becomes true.
 *
 * Callbacks of any kind may add and remove requests, timers and hooks, also themselves. Only the
 * thread that called loop_init may use the loop.
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

/* Zeroed before its first use. */
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

/* Counters: X(name, text) */
#define LOOP_COUNTERS(X)                                                                           \
	X(turns, "turns of the event loop")                                                        \
	X(enters, "system calls of the event loop")                                                \
	X(cqes, "completions handled")                                                             \
	X(sleeps, "times the loop went to sleep")                                                  \
	X(overflows, "times the completion queue was full")

struct loop_stats {
#define X(name, text) uint64_t name;
	LOOP_COUNTERS(X)
#undef X
};

struct loop {
	struct io_uring ring;
	uint64_t now_ns; /* CLOCK_BOOTTIME, read once per turn */
	struct loop_timer **heap;
	unsigned nheap, heap_max;
	struct loop_hook *hooks, *hook_next;
	struct loop_stats stats;
	struct io_uring_cqe *stash; /* completions taken early to let submission go on */
	unsigned nstash, stash_max;
	bool files;	    /* the ring has a table of registered files */
	uint32_t file_used; /* bit = index in use */
	bool busy;	    /* a hook had more to do at the end of the last turn */
	bool stopping;
};

/*
 * entries: SQ size, rounded up to a power of two; the completion queue has four times as many.
 * timers_max: timers that can be armed at once. 0 or negative errno. The struct must not move.
 */
int loop_init(struct loop *l, unsigned entries, unsigned timers_max);
/* Nothing may be in flight any more that writes to memory which goes away. */
/* What to do about an error of loop_init, one line; NULL = nothing beyond the error's text. */
const char *loop_why(int err);
void loop_free(struct loop *l);

/*
 * A zeroed SQE whose completion goes to cb (NULL = nobody wants to know); submits first if the
 * queue is full. Never NULL. Fill it with io_uring_prep_* and IOSQE_* flags; user_data is the
 * loop's.
 */
struct io_uring_sqe *loop_sqe(struct loop *l, struct loop_cb *cb);
/* Room for `n` SQEs (<= entries) without a submission in between: needed before linked SQEs. */
void loop_sqe_reserve(struct loop *l, unsigned n);

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ns);
void loop_timer_cancel(struct loop *l, struct loop_timer *t);
/* Hooks run in the order in which they were added. */
void loop_hook_add(struct loop *l, struct loop_hook *h);
void loop_hook_remove(struct loop *l, struct loop_hook *h);

/* Register a file descriptor with the ring: its index for IOSQE_FIXED_FILE, or negative errno. */
#define LOOP_FILES 16u
int loop_file_add(struct loop *l, int fd);
void loop_file_remove(struct loop *l, int index);

/* Time of this turn, nanoseconds of CLOCK_BOOTTIME. */
static inline uint64_t loop_now(const struct loop *l)
{
	return l->now_ns;
}

/* One turn; waits at most until the next timer. `wait` false: does not sleep. 0 or negative
 * errno: the ring cannot be used any more. */
int loop_turn(struct loop *l, bool wait);
/* Turns until loop_stop. 0 or negative errno. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);

#endif
