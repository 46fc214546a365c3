/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pool of requests with their buffers: everything an NBD server needs per request, mapped once.
 * Two classes: small (8 KiB: two blocks, enough for any 4 KiB range) and large (CO_CHUNK).
 * Buffers are page-aligned; the one freed last is handed out first, so it is still in the cache.
 *
 * Fairness: every user of the pool (a connection) has a struct nbd_share, and gets a buffer only
 * while it holds fewer than are free. One user alone can take half of the pool, n greedy ones
 * 1/(n+1) each, and a newcomer always finds something.
 */
#ifndef XBD_NBD_POOL_H
#define XBD_NBD_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/request.h"

#define NBD_SMALL (2 * XBD_BLOCK_SIZE)
#define NBD_LARGE CO_CHUNK

enum nbd_class { NBD_CLASS_SMALL, NBD_CLASS_LARGE, NBD_CLASSES };

/* What one user holds, and its place in the queue for more. Zero it once; it must live as long as
 * the pool, because the last buffers may come back after its user is gone. */
struct nbd_share {
	uint32_t held[NBD_CLASSES];
	bool waiting;
	struct nbd_share *next;
};

struct nbd_request;

/* One piece of output: a header, then bytes of a buffer. */
struct nbd_out {
	struct nbd_out *next;
	const uint8_t *body;
	uint32_t body_len;
	uint8_t head_len;
	uint8_t kind; /* the machine's: who owns it */
	uint8_t head[38];
};

/* One request to the backend. `req` comes first: a pointer to one is a pointer to the other. */
struct nbd_item {
	struct co_req req;
	struct nbd_item *next; /* in the free list, or the machine's */
	struct nbd_pool *pool;
	struct nbd_share *share;
	struct nbd_request *parent; /* the machine's */
	uint8_t *mem;		    /* the buffer */
	uint8_t class;
	struct nbd_out out;
};

struct nbd_pool {
	struct nbd_item *items, *free[NBD_CLASSES];
	uint32_t count[NBD_CLASSES], nfree[NBD_CLASSES];
	uint8_t *mem;
	size_t mem_bytes;
	struct nbd_share *wait_head, **wait_tail;
	/* Called when something came back while somebody waits. May be NULL. */
	void (*freed)(struct nbd_pool *p);
	void *owner;
};

/* A third of mem_bytes goes to small buffers. -EINVAL if there would be fewer than 8 of a class,
 * -ENOMEM. */
int nbd_pool_init(struct nbd_pool *p, size_t mem_bytes);
/* Nothing may use an item any more. */
void nbd_pool_free(struct nbd_pool *p);

/*
 * An item whose buffer holds `bytes` (0..NBD_LARGE), with req zeroed except buf, refs = 1, and
 * release: the last co_req_put gives it back. NULL: the share has to wait, and is queued.
 */
struct nbd_item *nbd_pool_get(struct nbd_pool *p, struct nbd_share *s, size_t bytes);

/* The share that waits longest, taken off the queue; NULL if none. */
struct nbd_share *nbd_pool_waiter(struct nbd_pool *p);
/* Take a share off the queue, if it is there. */
void nbd_pool_unwait(struct nbd_pool *p, struct nbd_share *s);

#endif
