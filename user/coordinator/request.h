/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One client request to a volume, as the NBD server (or ublk, or the simulator) hands it to the
 * coordinator. Requests and their buffers come from a pool of the caller's; the coordinator never
 * allocates.
 *
 * Rules the caller keeps: a request does not cross a multiple of CO_CHUNK bytes of the volume
 * (READ, WRITE, MAP) or of CO_RANGE bytes (TRIM, ZERO, which are also block-aligned). READ and
 * WRITE may be any byte range; a WRITE that covers a block in part makes the coordinator read and
 * merge that block, serialised with other writes to it.
 *
 * Ownership: co_submit takes one reference besides the caller's. `done` is called once, never from
 * inside co_submit, when the outcome is known. A WRITE's buffer may be needed after that, until
 * slow replicas have it too: the buffer may be reused only when `refs` is 0, which `release`
 * reports. The caller drops its own reference by co_req_put().
 */
#ifndef XBD_CO_REQUEST_H
#define XBD_CO_REQUEST_H

#include <stdint.h>

#include "proto/wire.h"

#define CO_CHUNK (XBD_OP_BLOCKS * XBD_BLOCK_SIZE)	       /* 128 KiB */
#define CO_RANGE ((uint64_t)XBD_RANGE_BLOCKS * XBD_BLOCK_SIZE) /* 128 MiB */

enum co_kind { CO_READ, CO_WRITE, CO_TRIM, CO_ZERO, CO_FLUSH, CO_MAP };

/* CO_MAP: one byte per block. */
#define CO_MAP_ZERO 0x01 /* reads as zeroes */
#define CO_MAP_HOLE 0x02 /* takes no space */

struct co_req {
	uint8_t kind;	 /* enum co_kind */
	uint8_t refs;	 /* 1 by the caller at submit */
	uint8_t no_hole; /* ZERO: keep the space allocated, if it is */
	uint8_t step;	 /* the coordinator's */
	uint32_t len;	 /* bytes; FLUSH 0 */
	uint64_t offset; /* bytes, in the volume */
	uint8_t *buf;	 /* 4096-aligned image of the whole blocks touched: the client's bytes start
			  * at buf + offset % XBD_BLOCK_SIZE. MAP: one byte per block. NULL for
			  * TRIM, ZERO, FLUSH. */
	int res;	 /* out: 0 or negative error: -EIO, -XBD_EFENCED, -ENOSPC, -EINVAL */
	void (*done)(struct co_req *req);
	void (*release)(struct co_req *req); /* refs reached 0 */
	void *owner;
	uint64_t cookie;

	/* the coordinator's from submit to done */
	struct co_req *next;
	uint64_t start_ns;
	uint32_t shard, block, count;
	uint64_t seq;
};

/* Drop a reference. */
static inline void co_req_put(struct co_req *req)
{
	if (--req->refs == 0)
		req->release(req);
}

#endif
