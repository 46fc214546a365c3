/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's outer side: the parser's loop, bytes in, bytes out, the end of a connection. */
#include "nbd/proto.h"

#include <stddef.h>

#include "nbd/internal.h"

/* Beside a large payload only so much is read ahead: what follows it is not copied then. */
#define AHEAD_BYTES 4096u
#define AHEAD_FROM  (16u << 10)

void nbd_conn_init(struct nbd_conn *c, struct nbd_env *env, struct nbd_share *share)
{
	/* The buffers are as they were. */
	memset(c, 0, offsetof(struct nbd_conn, extents));
	c->env = env;
	c->share = share;
	c->streamer = NULL;
	c->held_head = c->out_head = NULL;
	c->held_tail = &c->held_head;
	c->out_tail = &c->out_head;
	c->out_sent = 0;
	memset(&c->text_out, 0, sizeof(c->text_out));
	c->outstanding = c->active = c->nrequests = 0;
	c->free = NULL;
	c->in_head = c->in_tail = 0;
	c->state = NBD_GREET;
	nbd_greet(c);
}

static enum nbd_step step(struct nbd_conn *c)
{
	switch ((enum nbd_state)c->state) {
	case NBD_GREET:
		return nbd_step_greet(c);
	case NBD_OPTION:
		return nbd_step_option(c);
	case NBD_OPTION_SKIP:
		return nbd_step_option_skip(c);
	case NBD_COMMAND:
		return nbd_step_command(c);
	case NBD_PAYLOAD:
		return nbd_step_payload(c);
	case NBD_ISSUE:
		return nbd_step_issue(c);
	case NBD_SKIP:
		return nbd_step_skip(c);
	case NBD_CLOSING:
	case NBD_DEAD:
		break;
	}
	return NBD_MORE;
}

void nbd_conn_run(struct nbd_conn *c)
{
	enum nbd_step s = NBD_MORE;

	if (c->state == NBD_DEAD)
		return;
	nbd_map_run(c);
	do
		s = step(c);
	while (s == NBD_AGAIN);
	if (s == NBD_STALL && !c->stalled)
		NBD_COUNT(c, stalls);
	c->stalled = s == NBD_STALL;
}

unsigned nbd_conn_recv_iov(struct nbd_conn *c, struct iovec iov[NBD_RECV_IOV])
{
	size_t left = nbd_in_bytes(c), room;
	unsigned n = 0;

	if (c->stalled || c->state >= NBD_CLOSING)
		return 0;
	if (c->in_head) {
		memmove(c->in, c->in + c->in_head, left);
		c->in_head = 0;
		c->in_tail = left;
	}
	room = NBD_IN_BYTES - left;
	XBD_ASSERT(room > 0);
	if (c->fill) {
		uint32_t rest = c->fill_bytes - c->filled;

		XBD_ASSERT(left == 0 && rest > 0);
		iov[n].iov_base = c->fill->req.buf + c->cur->at % XBD_BLOCK_SIZE + c->filled;
		iov[n++].iov_len = rest;
		if (rest >= AHEAD_FROM)
			room = AHEAD_BYTES;
	}
	iov[n].iov_base = c->in + c->in_tail;
	iov[n++].iov_len = room;
	return n;
}

void nbd_conn_received(struct nbd_conn *c, size_t bytes)
{
	/* Closing, the payload's request has lost its owner: the bytes are nobody's. */
	if (c->state >= NBD_CLOSING)
		return;
	XBD_ASSERT(!c->stalled);
	if (c->fill) {
		size_t rest = c->fill_bytes - c->filled;
		size_t n = bytes < rest ? bytes : rest;

		nbd_payload_received(c, n);
		bytes -= n;
	}
	c->in_tail += bytes;
	XBD_ASSERT(c->in_tail <= NBD_IN_BYTES);
	nbd_conn_run(c);
}

unsigned nbd_conn_send_iov(struct nbd_conn *c, struct iovec *iov, unsigned max)
{
	size_t skip = c->out_sent;
	unsigned n = 0;

	for (struct nbd_out *out = c->out_head; out && n + 2 <= max; out = out->next) {
		size_t head = skip < out->head_len ? skip : out->head_len;
		size_t body = skip - head;

		if (head < out->head_len) {
			iov[n].iov_base = out->head + head;
			iov[n++].iov_len = out->head_len - head;
		}
		if (body < out->body_len) {
			iov[n].iov_base = (void *)(uintptr_t)(out->body + body);
			iov[n++].iov_len = out->body_len - body;
		}
		skip = 0;
	}
	return n;
}

static void out_free(struct nbd_conn *c, struct nbd_out *out)
{
	switch ((enum nbd_out_kind)out->kind) {
	case NBD_OUT_TEXT:
		out->body_len = 0;
		if (c->stalled)
			c->env->kick(c->env, c);
		break;
	case NBD_OUT_ITEM:
		co_req_put(
			&((struct nbd_item *)((char *)out - offsetof(struct nbd_item, out)))->req);
		break;
	case NBD_OUT_REQUEST:
		nbd_request_free(
			(struct nbd_request *)((char *)out - offsetof(struct nbd_request, out)));
		break;
	}
}

static void out_pop(struct nbd_conn *c)
{
	struct nbd_out *out = c->out_head;

	c->out_head = out->next;
	if (!c->out_head)
		c->out_tail = &c->out_head;
	out_free(c, out);
}

void nbd_conn_sent(struct nbd_conn *c, size_t bytes)
{
	c->out_sent += bytes;
	while (c->out_head &&
	       c->out_sent >= (size_t)c->out_head->head_len + c->out_head->body_len) {
		c->out_sent -= (size_t)c->out_head->head_len + c->out_head->body_len;
		out_pop(c);
	}
	XBD_ASSERT(c->out_head || c->out_sent == 0);
}

static void abandon(struct nbd_request *r)
{
	if (!r || r->issued)
		return;
	r->abandoned = true;
	nbd_ready_drop(r);
	if (r->outstanding == 0)
		nbd_request_free(r);
}

void nbd_conn_drain(struct nbd_conn *c)
{
	struct nbd_request *cur = c->cur;

	if (c->state >= NBD_CLOSING)
		return;
	if (cur || c->map || c->stalled)
		NBD_COUNT(c, dropped);
	if (cur && c->streamer == cur) {
		/* Its reply cannot be completed, so nothing can come after it. */
		nbd_conn_kill(c);
		return;
	}
	c->state = NBD_CLOSING;
	c->stalled = false;
	c->cur = NULL;
	abandon(cur);
	abandon(c->map);
	nbd_pool_unwait(c->env->pool, c->share);
	c->env->kick(c->env, c);
}

void nbd_conn_kill(struct nbd_conn *c)
{
	if (c->state == NBD_DEAD)
		return;
	c->state = NBD_DEAD;
	c->stalled = false;
	nbd_pool_unwait(c->env->pool, c->share);
	c->env->kick(c->env, c);
}

bool nbd_conn_finished(const struct nbd_conn *c)
{
	return c->state == NBD_DEAD || (c->state == NBD_CLOSING && c->active == 0 && !c->out_head);
}

void nbd_conn_clear(struct nbd_conn *c)
{
	nbd_conn_kill(c);
	c->cur = c->map = NULL;
	nbd_release_held(c);
	while (c->out_head)
		out_pop(c);
	c->out_sent = 0;
	if (c->fill)
		co_req_put(&c->fill->req);
	c->fill = NULL;
	for (uint32_t i = 0; i < c->nrequests; i++)
		if (c->requests[i].active)
			nbd_ready_drop(&c->requests[i]);
}

bool nbd_conn_quiet(const struct nbd_conn *c)
{
	return c->outstanding == 0;
}

bool nbd_conn_transmission(const struct nbd_conn *c)
{
	return c->state >= NBD_COMMAND && c->state <= NBD_SKIP;
}
