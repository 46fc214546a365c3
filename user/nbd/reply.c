/* SPDX-License-Identifier: BSD-2-Clause */
/* From the backend's outcome to bytes for the client. */
#include <stddef.h>

#include "base/error.h"
#include "nbd/internal.h"

struct nbd_request *nbd_request_new(struct nbd_conn *c)
{
	struct nbd_request *r = c->free;

	if (r)
		c->free = r->next;
	else if (c->nrequests < NBD_REQUESTS)
		r = &c->requests[c->nrequests++];
	else
		return NULL;
	memset(r, 0, sizeof(*r));
	r->conn = c;
	r->active = true;
	c->active++;
	return r;
}

void nbd_request_free(struct nbd_request *r)
{
	struct nbd_conn *c = r->conn;

	XBD_ASSERT(r->active && r->outstanding == 0 && !r->ready && c->cur != r);
	if (c->map == r)
		c->map = NULL;
	r->active = false;
	r->next = c->free;
	c->free = r;
	c->active--;
	if (c->stalled || c->state == NBD_CLOSING)
		c->env->kick(c->env, c);
}

void nbd_push(struct nbd_conn *c, const struct nbd_request *r, struct nbd_out *out)
{
	struct nbd_out ***tail = c->streamer && c->streamer != r ? &c->held_tail : &c->out_tail;

	XBD_ASSERT(c->state != NBD_DEAD);
	out->next = NULL;
	**tail = out;
	*tail = &out->next;
	c->env->kick(c->env, c);
}

void nbd_release_held(struct nbd_conn *c)
{
	c->streamer = NULL;
	if (!c->held_head)
		return;
	*c->out_tail = c->held_head;
	c->out_tail = c->held_tail;
	c->held_head = NULL;
	c->held_tail = &c->held_head;
}

static uint32_t error_of(int res)
{
	switch (-res) {
	case 0:
		return 0;
	case EPERM:
	case EROFS:
		return NBD_EPERM;
	case ENOMEM:
		return NBD_ENOMEM;
	case EINVAL:
		return NBD_EINVAL;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return NBD_ENOSPC;
	case EOPNOTSUPP:
		return NBD_ENOTSUP;
	case ESHUTDOWN:
	case XBD_EFENCED:
	case XBD_ECLOSED:
		return NBD_ESHUTDOWN;
	default:
		return NBD_EIO;
	}
}

uint8_t *nbd_chunk(uint8_t *p, const struct nbd_request *r, unsigned flags, unsigned type,
		   uint32_t len)
{
	p = nbd_put32(p, NBD_CHUNK_MAGIC);
	p = nbd_put16(p, (uint16_t)flags);
	p = nbd_put16(p, (uint16_t)type);
	p = nbd_put64(p, r->handle);
	return nbd_put32(p, len);
}

static uint8_t *simple(uint8_t *p, const struct nbd_request *r, uint32_t error)
{
	p = nbd_put32(p, NBD_SIMPLE_MAGIC);
	p = nbd_put32(p, error);
	return nbd_put64(p, r->handle);
}

/* Only what can carry data has to be answered by chunks. */
static bool chunked(const struct nbd_request *r)
{
	return r->conn->structured && (r->type == NBD_CMD_READ || r->type == NBD_CMD_BLOCK_STATUS);
}

bool nbd_in_order(const struct nbd_request *r)
{
	return r->type == NBD_CMD_READ && (!r->conn->structured || r->flags & NBD_F_DF);
}

void nbd_reply(struct nbd_request *r)
{
	uint8_t *p = r->out.head;

	r->issued = true;
	if (!chunked(r)) {
		p = simple(p, r, r->error);
	} else if (r->error) {
		p = nbd_chunk(p, r, NBD_CHUNK_DONE, NBD_CHUNK_ERROR, 6);
		p = nbd_put32(p, r->error);
		p = nbd_put16(p, 0); /* length of a text */
	} else {
		p = nbd_chunk(p, r, NBD_CHUNK_DONE, NBD_CHUNK_NONE, 0);
	}
	r->out.head_len = (uint8_t)(p - r->out.head);
	r->out.body = NULL;
	r->out.body_len = 0;
	r->out.kind = NBD_OUT_REQUEST;
	nbd_push(r->conn, r, &r->out);
}

/* Put out the data of one finished READ request; `head_len` bytes of its header are there. */
static void push_data(struct nbd_request *r, struct nbd_item *it, const uint8_t *head_end)
{
	it->out.head_len = (uint8_t)(head_end - it->out.head);
	it->out.body = it->req.buf + it->req.offset % XBD_BLOCK_SIZE;
	it->out.body_len = it->req.len;
	it->out.kind = NBD_OUT_ITEM;
	nbd_push(r->conn, r, &it->out);
}

void nbd_ready_insert(struct nbd_request *r, struct nbd_item *it)
{
	struct nbd_item **at = &r->ready;

	while (*at && (*at)->req.offset < it->req.offset)
		at = &(*at)->next;
	it->next = *at;
	*at = it;
}

void nbd_ready_drop(struct nbd_request *r)
{
	while (r->ready) {
		struct nbd_item *it = r->ready;

		r->ready = it->next;
		co_req_put(&it->req);
	}
}

/* The whole reply is one piece: only its first part has a header. */
static void push_in_order(struct nbd_request *r, struct nbd_item *it, unsigned chunk_flags)
{
	uint8_t *p = it->out.head;

	if (!r->started && chunked(r)) {
		p = nbd_chunk(p, r, chunk_flags, NBD_CHUNK_OFFSET_DATA,
			      (uint32_t)(r->end - r->offset) + 8);
		p = nbd_put64(p, r->offset);
	} else if (!r->started) {
		p = simple(p, r, 0);
	}
	r->started = true;
	r->shown += it->req.len;
	push_data(r, it, p);
}

/* The last part is out. */
static void end_in_order(struct nbd_request *r, bool whole)
{
	struct nbd_conn *c = r->conn;
	bool streamer = c->streamer == r;

	XBD_ASSERT(r->shown == r->end && !r->ready);
	if (!r->started || (chunked(r) && !whole))
		nbd_reply(r);
	else
		nbd_request_free(r);
	if (!streamer)
		return;
	nbd_release_held(c);
	c->env->kick(c->env, c); /* another one may want to stream */
}

void nbd_read_advance(struct nbd_request *r)
{
	struct nbd_conn *c = r->conn;
	bool last = r->issued && r->outstanding == 0;
	bool whole = last && !r->started && !r->error;
	bool stream = r->stream && (!c->streamer || c->streamer == r);

	if (r->error && !r->started) {
		nbd_ready_drop(r);
		if (last)
			nbd_reply(r);
		return;
	}
	if (r->error && !chunked(r)) {
		/* Success was promised already: there is no other way to say that it failed. */
		NBD_COUNT(c, e_read_late);
		nbd_conn_kill(c);
		return;
	}
	while ((last || stream) && r->ready && r->ready->req.offset == r->shown) {
		struct nbd_item *it = r->ready;

		r->ready = it->next;
		if (!last)
			c->streamer = r;
		push_in_order(r, it, whole ? NBD_CHUNK_DONE : 0);
	}
	if (last)
		end_in_order(r, whole);
}

static void done_in_order(struct nbd_request *r, struct nbd_item *it)
{
	if (it->req.res >= 0) {
		nbd_ready_insert(r, it);
	} else if (r->started && chunked(r)) {
		/* The length was promised; an error chunk follows. */
		memset(it->req.buf + it->req.offset % XBD_BLOCK_SIZE, 0, it->req.len);
		nbd_ready_insert(r, it);
	} else {
		co_req_put(&it->req);
	}
	nbd_read_advance(r);
}

static void done_read(struct nbd_request *r, struct nbd_item *it)
{
	bool last = r->issued && r->outstanding == 0;
	uint8_t *p = it->out.head;

	if (it->req.res < 0) {
		co_req_put(&it->req);
	} else {
		unsigned flags = last && !r->error ? NBD_CHUNK_DONE : 0;

		p = nbd_chunk(p, r, flags, NBD_CHUNK_OFFSET_DATA, it->req.len + 8);
		p = nbd_put64(p, it->req.offset);
		push_data(r, it, p);
	}
	if (last && r->error)
		nbd_reply(r);
	else if (last)
		nbd_request_free(r);
}

void nbd_issued(struct nbd_request *r)
{
	r->issued = true;
	if (nbd_in_order(r))
		nbd_read_advance(r);
	else if (r->outstanding == 0)
		nbd_reply(r);
}

static void done_abandoned(struct nbd_request *r, struct nbd_item *it)
{
	struct nbd_conn *c = r->conn;

	co_req_put(&it->req);
	if (c->state != NBD_DEAD && r->outstanding == 0)
		nbd_request_free(r);
	c->env->kick(c->env, c);
}

void nbd_done(struct co_req *req)
{
	struct nbd_item *it = (struct nbd_item *)req;
	struct nbd_request *r = it->parent;
	struct nbd_conn *c = r->conn;

	XBD_ASSERT(r->active && r->outstanding > 0 && c->outstanding > 0);
	r->outstanding--;
	c->outstanding--;
	if (req->res < 0) {
		NBD_COUNT(c, backend_errors);
		if (!r->error)
			r->error = error_of(req->res);
	}
	if (c->state == NBD_DEAD || r->abandoned) {
		done_abandoned(r, it);
		return;
	}
	if (nbd_in_order(r)) {
		done_in_order(r, it);
	} else if (req->kind == CO_READ) {
		done_read(r, it);
	} else if (req->kind == CO_MAP) {
		nbd_ready_insert(r, it);
		if (r->outstanding == 0)
			c->env->kick(c->env, c);
	} else {
		co_req_put(req);
		if (r->issued && r->outstanding == 0)
			nbd_reply(r);
	}
}
