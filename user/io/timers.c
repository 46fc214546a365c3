/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop's timers: a binary heap by deadline; index 0 is unused, so that 0 means "not armed". */
#include "base/assert.h"
#include "io/loop.h"

static void place(struct loop *l, unsigned i, struct loop_timer *t)
{
	l->heap[i] = t;
	t->heap_index = i;
}

static void sift_up(struct loop *l, unsigned i)
{
	struct loop_timer *t = l->heap[i];

	for (; i > 1 && l->heap[i / 2]->deadline_ns > t->deadline_ns; i /= 2)
		place(l, i, l->heap[i / 2]);
	place(l, i, t);
}

static void sift_down(struct loop *l, unsigned i)
{
	struct loop_timer *t = l->heap[i];

	for (;;) {
		unsigned child = 2 * i;

		if (child > l->nheap)
			break;
		if (child < l->nheap &&
		    l->heap[child + 1]->deadline_ns < l->heap[child]->deadline_ns)
			child++;
		if (l->heap[child]->deadline_ns >= t->deadline_ns)
			break;
		place(l, i, l->heap[child]);
		i = child;
	}
	place(l, i, t);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ns)
{
	unsigned i = t->heap_index;

	XBD_ASSERT(t->fn);
	if (!i) {
		XBD_ASSERT(l->nheap < l->heap_max);
		i = ++l->nheap;
		l->heap[i] = t;
	}
	XBD_ASSERT(i <= l->nheap && l->heap[i] == t);
	/* Not before now: timers of the past would always come first and starve the others. */
	t->deadline_ns = deadline_ns < l->now_ns ? l->now_ns : deadline_ns;
	sift_up(l, i);
	sift_down(l, t->heap_index);
}

void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
	unsigned i = t->heap_index;
	struct loop_timer *last;

	if (!i)
		return;
	XBD_ASSERT(i <= l->nheap && l->heap[i] == t);
	t->heap_index = 0;
	last = l->heap[l->nheap--];
	if (last == t)
		return;
	place(l, i, last);
	sift_up(l, i);
	sift_down(l, last->heap_index);
}
