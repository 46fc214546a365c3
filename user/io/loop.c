/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"

#define CQ_FACTOR 4u
/* Submission is retried that often while the kernel is short of memory: about a second. */
#define SUBMIT_TRIES 1000u

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The best set of flags this kernel takes; each step gives up what is newest. */
static int ring_init(struct io_uring *ring, unsigned entries)
{
	static const unsigned ladder[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
			IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
		0,
	};
	int err = -EINVAL;

	for (unsigned i = 0; i < sizeof(ladder) / sizeof(ladder[0]) && err == -EINVAL; i++) {
		struct io_uring_params p;

		memset(&p, 0, sizeof(p));
		p.flags = ladder[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
		p.cq_entries = entries * CQ_FACTOR;
		err = io_uring_queue_init_params(entries, ring, &p);
		/* A wait with a timeout in one system call is what everything here is built on. */
		if (!err && !(p.features & IORING_FEAT_EXT_ARG)) {
			io_uring_queue_exit(ring);
			err = -ENOSYS;
		}
	}
	return err;
}

int loop_init(struct loop *l, unsigned entries, unsigned timers_max)
{
	int err;

	memset(l, 0, sizeof(*l));
	err = ring_init(&l->ring, entries);
	if (err)
		return err;
	l->stash_max = l->ring.cq.ring_entries;
	l->stash = calloc(l->stash_max, sizeof(*l->stash));
	l->heap_max = timers_max;
	l->heap = calloc((size_t)timers_max + 1, sizeof(struct loop_timer *));
	if (!l->heap || !l->stash) {
		loop_free(l);
		return -ENOMEM;
	}
	/* Both only make system calls cheaper; a refusal changes nothing else. */
	(void)io_uring_register_ring_fd(&l->ring);
	l->files = io_uring_register_files_sparse(&l->ring, LOOP_FILES) == 0;
	l->now_ns = clock_ns();
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l->stash && !l->heap)
		return;
	io_uring_queue_exit(&l->ring);
	free(l->stash);
	free(l->heap);
	memset(l, 0, sizeof(*l));
}

static void run_cqe(struct loop *l, uint64_t user_data, int res, unsigned flags)
{
	struct loop_cb *cb = (struct loop_cb *)(uintptr_t)user_data;

	l->stats.cqes++;
	if (cb)
		cb->fn(cb, res, flags);
}

/* Move what the completion queue holds aside. Callbacks run later: nobody expects them now. */
static void stash_cqes(struct loop *l)
{
	struct io_uring_cqe *cqe;

	while (l->nstash < l->stash_max && io_uring_peek_cqe(&l->ring, &cqe) == 0) {
		l->stash[l->nstash].user_data = cqe->user_data;
		l->stash[l->nstash].res = cqe->res;
		l->stash[l->nstash].flags = cqe->flags;
		l->nstash++;
		io_uring_cqe_seen(&l->ring, cqe);
	}
}

/* Written by the kernel. */
static unsigned ring_flags(const struct loop *l)
{
	return __atomic_load_n(l->ring.sq.kflags, __ATOMIC_RELAXED);
}

static bool overflowed(const struct loop *l)
{
	return ring_flags(l) & IORING_SQ_CQ_OVERFLOW;
}

/*
 * Make room in the submission queue. The kernel refuses submissions while completions wait for room
 * (EBUSY) or memory is short (EAGAIN): take completions in and try again.
 */
static void submit_some(struct loop *l)
{
	for (unsigned i = 0; io_uring_sq_space_left(&l->ring) == 0; i++) {
		int n = io_uring_submit(&l->ring);

		l->stats.enters++;
		if (n > 0)
			continue;
		XBD_ASSERT(n == -EBUSY || n == -EAGAIN || n == -EINTR || n == -ENOMEM || n == 0);
		XBD_ASSERT(i < SUBMIT_TRIES);
		if (n == -EINTR)
			continue;
		stash_cqes(l);
		(void)io_uring_get_events(&l->ring);
		l->stats.enters++;
		if (n != -EBUSY) {
			struct timespec ms = {.tv_nsec = 1000000};

			nanosleep(&ms, NULL);
		}
	}
}

void loop_sqe_reserve(struct loop *l, unsigned n)
{
	XBD_ASSERT(n <= l->ring.sq.ring_entries);
	/* Submission takes the whole queue, so room for one is room for all. */
	if (io_uring_sq_space_left(&l->ring) >= n)
		return;
	(void)io_uring_submit(&l->ring);
	l->stats.enters++;
	submit_some(l);
	XBD_ASSERT(io_uring_sq_space_left(&l->ring) >= n);
}

struct io_uring_sqe *loop_sqe(struct loop *l, struct loop_cb *cb)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);

	if (!sqe) {
		submit_some(l);
		sqe = io_uring_get_sqe(&l->ring);
		XBD_ASSERT(sqe);
	}
	memset(sqe, 0, sizeof(*sqe));
	io_uring_sqe_set_data(sqe, cb);
	return sqe;
}

int loop_file_add(struct loop *l, int fd)
{
	if (!l->files)
		return -ENOTSUP;
	for (int i = 0; i < (int)LOOP_FILES; i++) {
		if (l->file_used & 1u << i)
			continue;
		int n = io_uring_register_files_update(&l->ring, (unsigned)i, &fd, 1);

		if (n != 1)
			return n < 0 ? n : -EIO;
		l->file_used |= 1u << i;
		return i;
	}
	return -ENFILE;
}

void loop_file_remove(struct loop *l, int index)
{
	int none = -1;

	if (index < 0)
		return;
	XBD_ASSERT(l->file_used & 1u << index);
	(void)io_uring_register_files_update(&l->ring, (unsigned)index, &none, 1);
	l->file_used &= ~(1u << index);
}

void loop_hook_add(struct loop *l, struct loop_hook *h)
{
	struct loop_hook **at = &l->hooks;

	while (*at) {
		XBD_ASSERT(*at != h);
		at = &(*at)->next;
	}
	l->busy = true; /* ask it before the next sleep */
	h->next = NULL;
	*at = h;
}

void loop_hook_remove(struct loop *l, struct loop_hook *h)
{
	for (struct loop_hook **at = &l->hooks; *at; at = &(*at)->next) {
		if (*at != h)
			continue;
		*at = h->next;
		if (l->hook_next == h)
			l->hook_next = h->next;
		h->next = NULL;
		return;
	}
}

/* Completions that were there when the turn began: new ones wait for the next turn. */
static void reap(struct loop *l)
{
	unsigned n, stashed = l->nstash;

	for (unsigned i = 0; i < stashed; i++)
		run_cqe(l, l->stash[i].user_data, l->stash[i].res, l->stash[i].flags);
	/* A callback may have put more aside. */
	memmove(l->stash, l->stash + stashed, (l->nstash - stashed) * sizeof(*l->stash));
	l->nstash -= stashed;
	if (l->nstash)
		return;

	n = io_uring_cq_ready(&l->ring);
	for (unsigned i = 0; i < n; i++) {
		struct io_uring_cqe *cqe;
		uint64_t user_data;
		int res;
		unsigned flags;

		/* A callback that had to put completions aside has taken the rest: keep order. */
		if (l->nstash || io_uring_peek_cqe(&l->ring, &cqe))
			return;
		user_data = cqe->user_data;
		res = cqe->res;
		flags = cqe->flags;
		io_uring_cqe_seen(&l->ring, cqe);
		run_cqe(l, user_data, res, flags);
	}
}

static void run_timers(struct loop *l)
{
	/* A timer that arms itself for a time that has passed runs again in the next turn. */
	for (unsigned n = l->nheap; n && l->nheap && l->heap[1]->deadline_ns <= l->now_ns; n--) {
		struct loop_timer *t = l->heap[1];

		loop_timer_cancel(l, t);
		t->fn(t);
	}
}

/* Runs all hooks; true = one of them has more to do. */
static bool run_hooks(struct loop *l)
{
	bool busy = false;
	struct loop_hook *h;

	for (h = l->hooks; h; h = l->hook_next) {
		l->hook_next = h->next;
		h->fn(h);
	}
	for (h = l->hooks; h && !busy; h = h->next)
		busy = h->busy && h->busy(h);
	return busy;
}

/* Submit, and take in what is ready, without sleeping: no system call when there is nothing. */
static int submit_nowait(struct loop *l)
{
	unsigned pending = ring_flags(l) & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);

	if (!io_uring_sq_ready(&l->ring) && !pending)
		return 0;
	l->stats.enters++;
	return io_uring_submit_and_get_events(&l->ring);
}

static int submit_and_sleep(struct loop *l)
{
	struct __kernel_timespec ts, *timeout = NULL;
	struct io_uring_cqe *cqe;

	if (l->nheap) {
		uint64_t now = clock_ns(), deadline = l->heap[1]->deadline_ns;

		if (deadline <= now)
			return submit_nowait(l);
		ts.tv_sec = (long long)((deadline - now) / 1000000000u);
		ts.tv_nsec = (long long)((deadline - now) % 1000000000u);
		timeout = &ts;
	}
	l->stats.enters++;
	l->stats.sleeps++;
	return io_uring_submit_and_wait_timeout(&l->ring, &cqe, 1, timeout, NULL);
}

/* Whether anything is known already that must be done before a sleep. */
static bool awake(const struct loop *l)
{
	return l->busy || l->nstash || io_uring_cq_ready(&l->ring);
}

int loop_turn(struct loop *l, bool wait)
{
	int err;

	l->stats.turns++;
	if (overflowed(l))
		l->stats.overflows++;
	err = wait && !awake(l) ? submit_and_sleep(l) : submit_nowait(l);
	l->now_ns = clock_ns();
	reap(l);
	run_timers(l);
	l->busy = run_hooks(l);
	/* Refused for now; with completions taken in, the next turn tries again. */
	if (err == -ETIME || err == -EINTR || err == -EBUSY || err == -EAGAIN)
		err = 0;
	return err < 0 ? err : 0;
}

const char *loop_why(int err)
{
	if (err == -EPERM)
		return "not permitted: see sysctl kernel.io_uring_disabled";
	return err == -ENOSYS ? "this kernel has none: Linux 6.1 or later is needed" : NULL;
}

int loop_run(struct loop *l)
{
	int err = 0;

	while (!l->stopping && !err)
		err = loop_turn(l, true);
	l->stopping = false;
	/* What the last callbacks wanted to send still leaves. */
	if (!err)
		(void)submit_nowait(l);
	return err;
}

void loop_stop(struct loop *l)
{
	l->stopping = true;
}
