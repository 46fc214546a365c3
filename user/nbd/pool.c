/* SPDX-License-Identifier: BSD-2-Clause */
#include "nbd/pool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"

#define ITEMS_MIN 8u

static const uint32_t class_bytes[NBD_CLASSES] = {NBD_SMALL, NBD_LARGE};

static void put_free(struct nbd_pool *p, struct nbd_item *it)
{
	it->next = p->free[it->class];
	p->free[it->class] = it;
	p->nfree[it->class]++;
	XBD_ASSERT(p->nfree[it->class] <= p->count[it->class]);
}

/* One mapping: all items, then all buffers. */
int nbd_pool_init(struct nbd_pool *p, size_t mem_bytes)
{
	uint32_t small = (uint32_t)(mem_bytes / 3 / NBD_SMALL);
	uint32_t large = (uint32_t)((mem_bytes - mem_bytes / 3) / NBD_LARGE);
	size_t items = (sizeof(struct nbd_item) * (small + large) + 4095) & ~(size_t)4095;
	size_t total = items + (size_t)small * NBD_SMALL + (size_t)large * NBD_LARGE;
	uint8_t *mem;

	if (small < ITEMS_MIN || large < ITEMS_MIN)
		return -EINVAL;
	mem = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	p->mem = mem;
	p->mem_bytes = total;
	p->items = (struct nbd_item *)mem;
	p->count[NBD_CLASS_SMALL] = small;
	p->count[NBD_CLASS_LARGE] = large;
	p->wait_tail = &p->wait_head;
	mem += total;
	/* From the end, so that the free lists begin with the lowest addresses. */
	for (uint32_t i = small + large; i-- > 0;) {
		struct nbd_item *it = &p->items[i];

		it->pool = p;
		it->class = i < small ? NBD_CLASS_SMALL : NBD_CLASS_LARGE;
		mem -= class_bytes[it->class];
		it->mem = mem;
		put_free(p, it);
	}
	return 0;
}

void nbd_pool_free(struct nbd_pool *p)
{
	if (p->mem)
		munmap(p->mem, p->mem_bytes);
	memset(p, 0, sizeof(*p));
}

static void release(struct co_req *req)
{
	struct nbd_item *it = (struct nbd_item *)req;
	struct nbd_pool *p = it->pool;

	XBD_ASSERT(req->refs == 0 && it->share->held[it->class] > 0);
	it->share->held[it->class]--;
	put_free(p, it);
	if (p->wait_head && p->freed)
		p->freed(p);
}

static void wait(struct nbd_pool *p, struct nbd_share *s)
{
	if (s->waiting)
		return;
	s->waiting = true;
	s->next = NULL;
	*p->wait_tail = s;
	p->wait_tail = &s->next;
}

struct nbd_item *nbd_pool_get(struct nbd_pool *p, struct nbd_share *s, size_t bytes)
{
	unsigned class = bytes <= NBD_SMALL ? NBD_CLASS_SMALL : NBD_CLASS_LARGE;
	struct nbd_item *it = p->free[class];

	XBD_ASSERT(bytes <= NBD_LARGE);
	if (s->held[class] >= p->nfree[class]) {
		wait(p, s);
		return NULL;
	}
	p->free[class] = it->next;
	p->nfree[class]--;
	s->held[class]++;
	memset(&it->req, 0, sizeof(it->req));
	it->req.refs = 1;
	it->req.buf = it->mem;
	it->req.release = release;
	it->next = NULL;
	it->share = s;
	it->parent = NULL;
	return it;
}

struct nbd_share *nbd_pool_waiter(struct nbd_pool *p)
{
	struct nbd_share *s = p->wait_head;

	if (!s)
		return NULL;
	nbd_pool_unwait(p, s);
	return s;
}

void nbd_pool_unwait(struct nbd_pool *p, struct nbd_share *s)
{
	struct nbd_share **at = &p->wait_head;

	if (!s->waiting)
		return;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	if (p->wait_tail == &s->next)
		p->wait_tail = at;
	s->next = NULL;
	s->waiting = false;
}
