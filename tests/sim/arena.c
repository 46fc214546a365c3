/* SPDX-License-Identifier: BSD-2-Clause */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define CHUNK (2u << 20)

struct chunk {
	struct chunk *next;
	size_t size, used;
	uint8_t pad[40];
	uint8_t mem[];
};

static struct chunk *chunk_new(size_t len)
{
	size_t size = len > CHUNK ? len : CHUNK;
	struct chunk *c = aligned_alloc(4096, (sizeof(*c) + size + 4095) & ~(size_t)4095);

	XBD_ASSERT(c);
	c->next = NULL;
	c->size = size;
	c->used = 0;
	return c;
}

void *arena_get(struct arena *a, size_t len)
{
	void *p;

	len = (len + 63) & ~(size_t)63;
	if (!a->first)
		a->first = a->cur = chunk_new(len);
	while (a->cur->size - a->cur->used < len) {
		if (!a->cur->next)
			a->cur->next = chunk_new(len);
		a->cur = a->cur->next;
	}
	p = a->cur->mem + a->cur->used;
	a->cur->used += len;
	return p;
}

void *arena_zero(struct arena *a, size_t len)
{
	return memset(arena_get(a, len), 0, len);
}

void arena_reset(struct arena *a)
{
	for (struct chunk *c = a->first; c; c = c->next)
		c->used = 0;
	a->cur = a->first;
}

void arena_free(struct arena *a)
{
	for (struct chunk *c = a->first, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	*a = (struct arena){0};
}
