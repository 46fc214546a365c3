/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BLOCK_STATUS: asks the backend chunk by chunk, a window at a time, and merges what it says into
 * extents. One command at a time; a reply may cover less than was asked, so both the extents and
 * the chunks looked at are bounded.
 */
#include <errno.h>

#include "nbd/internal.h"

bool nbd_map_start(struct nbd_conn *c, struct nbd_request *r)
{
	if (c->map)
		return false;
	c->map = r;
	c->map_chunks = 0;
	c->nextents = 0;
	nbd_map_run(c);
	return true;
}

/* A backend that cannot tell is not an error: everything may be called data. */
static bool failed(const struct co_req *req)
{
	return req->res < 0 && req->res != -EOPNOTSUPP;
}

static uint32_t state_of(uint8_t byte)
{
	return (byte & CO_MAP_ZERO ? NBD_STATE_ZERO : 0) |
	       (byte & CO_MAP_HOLE ? NBD_STATE_HOLE : 0);
}

/* False: no room for another extent. */
static bool add(struct nbd_conn *c, uint32_t len, uint32_t flags)
{
	struct nbd_extent *last = c->nextents ? &c->extents[c->nextents - 1] : NULL;

	if (last && last->flags == flags) {
		last->len += len;
		return true;
	}
	if (c->nextents == NBD_EXTENTS_MAX)
		return false;
	c->extents[c->nextents++] = (struct nbd_extent){len, flags};
	return true;
}

static bool merge_item(struct nbd_conn *c, const struct co_req *req)
{
	uint64_t at = req->offset, end = req->offset + req->len;

	for (const uint8_t *byte = req->buf; at < end; byte++) {
		uint64_t next = (at | (XBD_BLOCK_SIZE - 1)) + 1;

		next = next < end ? next : end;
		if (!add(c, (uint32_t)(next - at), req->res ? 0 : state_of(*byte)))
			return false;
		at = next;
	}
	return true;
}

/* Everything asked for is there: take it in. True: the reply can go. */
static bool merge(struct nbd_conn *c, struct nbd_request *r)
{
	bool full = false, bad = false;

	while (r->ready) {
		struct nbd_item *it = r->ready;

		r->ready = it->next;
		bad |= failed(&it->req);
		/* What lies before a failure is still worth telling. */
		if (!full && !bad)
			full = !merge_item(c, &it->req);
		co_req_put(&it->req);
	}
	return full || bad || r->at == r->end || c->map_chunks == NBD_MAP_CHUNKS ||
	       (r->flags & NBD_F_REQ_ONE && c->nextents > 1);
}

static void reply(struct nbd_conn *c, struct nbd_request *r)
{
	uint8_t *p = c->map_body;
	struct nbd_out *out = &r->out;

	if (c->nextents == 0) {
		XBD_ASSERT(r->error);
		nbd_reply(r);
		return;
	}
	if (r->flags & NBD_F_REQ_ONE)
		c->nextents = 1;
	p = nbd_put32(p, 1); /* the context's id */
	for (uint32_t i = 0; i < c->nextents; i++) {
		p = nbd_put32(p, c->extents[i].len);
		p = nbd_put32(p, c->extents[i].flags);
	}
	r->issued = true;
	out->body = c->map_body;
	out->body_len = (uint32_t)(p - c->map_body);
	p = nbd_chunk(out->head, r, NBD_CHUNK_DONE, NBD_CHUNK_BLOCK_STATUS, out->body_len);
	out->head_len = (uint8_t)(p - out->head);
	out->kind = NBD_OUT_REQUEST;
	nbd_push(c, r, out);
}

static void ask(struct nbd_conn *c, struct nbd_request *r)
{
	for (uint32_t i = 0; i < NBD_MAP_WINDOW && r->at < r->end; i++) {
		uint64_t room = CO_CHUNK - r->at % CO_CHUNK, left = r->end - r->at;
		struct nbd_item *it;

		if (c->map_chunks == NBD_MAP_CHUNKS)
			return;
		it = nbd_pool_get(c->env->pool, c->share, XBD_OP_BLOCKS);
		if (!it)
			return;
		c->map_chunks++;
		nbd_submit(r, it, CO_MAP, (uint32_t)(left < room ? left : room));
	}
}

void nbd_map_run(struct nbd_conn *c)
{
	struct nbd_request *r = c->map;

	if (!r || r->issued || r->outstanding)
		return;
	if (r->at > r->offset && merge(c, r))
		reply(c, r);
	else
		ask(c, r);
}
