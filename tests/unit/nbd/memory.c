/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"

#define BLOCK XBD_BLOCK_SIZE

static uint64_t blocks(const struct memory *m)
{
	return (m->size + BLOCK - 1) / BLOCK;
}

static void *map(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int memory_init(struct memory *m, uint64_t size, size_t queue_max)
{
	memset(m, 0, sizeof(*m));
	m->size = size;
	m->max = queue_max;
	m->seed = 1;
	m->data = map(blocks(m) * BLOCK + BLOCK);
	m->state = map(blocks(m) + 1);
	m->queue = calloc(queue_max, sizeof(*m->queue));
	m->linger = calloc(queue_max, sizeof(*m->linger));
	if (m->data == MAP_FAILED || m->state == MAP_FAILED || !m->queue || !m->linger)
		return -ENOMEM;
	memset(m->state, CO_MAP_ZERO | CO_MAP_HOLE, blocks(m));
	return 0;
}

void memory_free(struct memory *m)
{
	munmap(m->data, blocks(m) * BLOCK + BLOCK);
	munmap(m->state, blocks(m) + 1);
	free(m->queue);
	free(m->linger);
}

uint64_t memory_random(struct memory *m)
{
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 7;
	m->seed ^= m->seed << 17;
	return m->seed;
}

/* The promises of request.h. */
static void check(const struct memory *m, const struct co_req *req)
{
	uint64_t end = req->offset + req->len;
	uint64_t unit = req->kind == CO_TRIM || req->kind == CO_ZERO ? CO_RANGE : CO_CHUNK;

	XBD_ASSERT(req->refs == 1 && req->done && req->release && req->kind <= CO_MAP);
	if (req->kind == CO_FLUSH) {
		XBD_ASSERT(req->len == 0 && !req->buf);
		return;
	}
	XBD_ASSERT(req->len > 0 && end <= m->size && end > req->offset);
	XBD_ASSERT(req->offset / unit == (end - 1) / unit);
	if (unit == CO_RANGE)
		XBD_ASSERT(req->offset % BLOCK == 0 && req->len % BLOCK == 0 && !req->buf);
	else
		XBD_ASSERT(req->buf && (uintptr_t)req->buf % BLOCK == 0);
}

void memory_submit(void *ctx, struct co_req *req)
{
	struct memory *m = ctx;

	check(m, req);
	XBD_ASSERT(m->n < m->max);
	req->refs++;
	m->by_kind[req->kind]++;
	m->queue[m->n++] = req;
}

static void mark(struct memory *m, const struct co_req *req, uint8_t state)
{
	for (uint64_t b = req->offset / BLOCK; b * BLOCK < req->offset + req->len; b++)
		m->state[b] = state;
}

static void execute(struct memory *m, struct co_req *req)
{
	uint8_t *data = m->data + req->offset;
	uint8_t *buf = req->buf ? req->buf + req->offset % BLOCK : NULL;

	switch ((enum co_kind)req->kind) {
	case CO_READ:
		memcpy(buf, data, req->len);
		break;
	case CO_WRITE:
		memcpy(data, buf, req->len);
		mark(m, req, 0);
		break;
	case CO_TRIM:
	case CO_ZERO:
		memset(data, 0, req->len);
		mark(m, req, req->no_hole ? CO_MAP_ZERO : CO_MAP_ZERO | CO_MAP_HOLE);
		break;
	case CO_FLUSH:
		break;
	case CO_MAP:
		for (uint64_t b = req->offset / BLOCK; b * BLOCK < req->offset + req->len; b++)
			req->buf[b - req->offset / BLOCK] = m->state[b];
		break;
	}
}

static void complete(struct memory *m, struct co_req *req)
{
	bool write = req->kind == CO_WRITE;

	req->res = 0;
	if (req->kind != CO_FLUSH && req->offset < m->fail_to &&
	    req->offset + req->len > m->fail_from)
		req->res = m->fail_res;
	else
		execute(m, req);
	req->done(req);
	if (write && m->slow_release && m->nlinger < m->max)
		m->linger[m->nlinger++] = req;
	else
		co_req_put(req);
}

size_t memory_run(struct memory *m, size_t count)
{
	size_t ran = 0;

	for (; ran < count && m->n; ran++) {
		size_t i = m->reorder ? memory_random(m) % m->n : 0;
		struct co_req *req = m->queue[i];

		m->n--;
		if (m->reorder)
			m->queue[i] = m->queue[m->n];
		else
			memmove(m->queue, m->queue + 1, m->n * sizeof(*m->queue));
		complete(m, req);
	}
	return ran;
}

void memory_release(struct memory *m)
{
	while (m->nlinger)
		co_req_put(m->linger[--m->nlinger]);
}
