/* SPDX-License-Identifier: BSD-2-Clause */
#include "event.h"

#include <stdlib.h>

#include "base/assert.h"

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void calendar_clear(struct calendar *c)
{
	c->n = 0;
	c->order = 0;
}

void calendar_push(struct calendar *c, struct event ev)
{
	uint32_t i;

	if (c->n == c->room) {
		c->room = c->room ? c->room * 2 : 4096;
		c->heap = realloc(c->heap, c->room * sizeof(*c->heap));
		XBD_ASSERT(c->heap);
	}
	ev.order = c->order++;
	for (i = c->n++; i && before(&ev, &c->heap[(i - 1) / 2]); i = (i - 1) / 2)
		c->heap[i] = c->heap[(i - 1) / 2];
	c->heap[i] = ev;
}

bool calendar_pop(struct calendar *c, struct event *ev)
{
	struct event last;
	uint32_t i = 0, kid;

	if (!c->n)
		return false;
	*ev = c->heap[0];
	last = c->heap[--c->n];
	while ((kid = 2 * i + 1) < c->n) {
		if (kid + 1 < c->n && before(&c->heap[kid + 1], &c->heap[kid]))
			kid++;
		if (!before(&c->heap[kid], &last))
			break;
		c->heap[i] = c->heap[kid];
		i = kid;
	}
	if (c->n)
		c->heap[i] = last;
	return true;
}

void calendar_free(struct calendar *c)
{
	free(c->heap);
	*c = (struct calendar){0};
}
