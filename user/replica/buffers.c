/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations and data buffers: all taken at start, handed out and back in O(1). */
#include <string.h>

#include "replica/internal.h"

static const uint32_t class_blocks[BUF_CLASSES] = {1, 8, XBD_OP_BLOCKS};

static int pool_init(struct buf_pool *p, uint32_t blocks, uint64_t bytes)
{
	uint64_t each = (uint64_t)blocks * XBD_BLOCK_SIZE;

	p->blocks = blocks;
	p->total = (uint32_t)(bytes / each);
	if (p->total < 4)
		p->total = 4;
	p->mem = aligned_alloc(XBD_BLOCK_SIZE, p->total * each);
	p->free = malloc(p->total * sizeof(*p->free));
	if (!p->mem || !p->free)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->total; i++)
		p->free[i] = p->total - 1 - i;
	p->nfree = p->total;
	return 0;
}

int rep_pools_init(struct replica *r)
{
	static const uint32_t share[BUF_CLASSES] = {4, 4, 2}; /* 1/4, 1/4, 1/2 of the memory */

	for (unsigned c = 0; c < BUF_CLASSES; c++) {
		int err = pool_init(&r->pool[c], class_blocks[c], r->cfg.data_bytes / share[c]);

		if (err)
			return err;
	}
	r->rops = calloc(r->ops_max, sizeof(*r->rops));
	r->hash = calloc(r->hash_mask + 1, sizeof(struct rop *));
	if (!r->rops || !r->hash)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->ops_max; i++) {
		r->rops[i].next = r->free_ops;
		r->free_ops = &r->rops[i];
	}
	return 0;
}

void rep_pools_free(struct replica *r)
{
	for (unsigned c = 0; c < BUF_CLASSES; c++) {
		free(r->pool[c].mem);
		free(r->pool[c].free);
	}
	free(r->rops);
	free(r->hash);
}

struct rop *rep_op_get(struct replica *r)
{
	struct rop *op = r->free_ops;

	if (!op)
		return NULL;
	r->free_ops = op->next;
	r->ops_used++;
	memset(op, 0, offsetof(struct rop, crc));
	op->class = BUF_CLASSES;
	return op;
}

void rep_op_put(struct replica *r, struct rop *op)
{
	XBD_ASSERT(r->ops_used > 0);
	if (op->class < BUF_CLASSES) {
		struct buf_pool *p = &r->pool[op->class];

		XBD_ASSERT(p->nfree < p->total);
		p->free[p->nfree++] = op->buf_index;
	}
	op->class = BUF_CLASSES;
	op->next = r->free_ops;
	r->free_ops = op;
	r->ops_used--;
}

bool rep_buf_get(struct replica *r, struct rop *op, uint32_t count)
{
	XBD_ASSERT(count >= 1 && count <= XBD_OP_BLOCKS);
	XBD_ASSERT(op->class == BUF_CLASSES);
	for (unsigned c = 0; c < BUF_CLASSES; c++) {
		struct buf_pool *p = &r->pool[c];

		if (p->blocks < count || p->nfree == 0)
			continue;
		op->class = (uint8_t)c;
		op->buf_index = p->free[--p->nfree];
		op->s.buf = p->mem + (size_t)op->buf_index * p->blocks * XBD_BLOCK_SIZE;
		return true;
	}
	return false;
}

uint64_t rep_window(const struct replica *r)
{
	const struct buf_pool *p = &r->pool[BUF_32];

	return (uint64_t)p->nfree * p->blocks * XBD_BLOCK_SIZE;
}
