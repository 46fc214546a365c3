/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands: checked, cut into requests, given to the backend. */
#include "nbd/internal.h"

struct command {
	bool known, writes;
	uint16_t flags;	      /* taken besides FUA */
	uint32_t range_error; /* NBD_E* */
};

static const struct command commands[] = {
#define X(name, value, counter, flags, writes, range_error)                                        \
	[value] = {true, writes, flags, range_error},
	NBD_COMMANDS(X)
#undef X
};

static void count_command(struct nbd_conn *c, const struct nbd_request *r)
{
	switch (r->type) {
#define X(name, value, counter, flags, writes, range_error)                                        \
	case value:                                                                                \
		NBD_COUNT(c, counter);                                                             \
		break;
		NBD_COMMANDS(X)
#undef X
	}
	/* A write is durable when it completes, so FUA asks for nothing more. */
	if (r->flags & NBD_F_FUA)
		NBD_COUNT(c, fua);
}

static bool flags_ok(const struct nbd_conn *c, const struct nbd_request *r)
{
	uint32_t allowed = commands[r->type].flags | NBD_F_FUA;

	if (!c->structured)
		allowed &= ~NBD_F_DF;
	return !(r->flags & ~allowed);
}

/* 0 or the error to reply with. */
static uint32_t check(struct nbd_conn *c, const struct nbd_request *r, uint32_t type, uint32_t len)
{
	if (type >= sizeof(commands) / sizeof(commands[0]) || !commands[type].known) {
		NBD_COUNT(c, e_command);
		return NBD_EINVAL;
	}
	count_command(c, r);
	if (!flags_ok(c, r)) {
		NBD_COUNT(c, e_flags);
		return NBD_EINVAL;
	}
	if (commands[type].writes && c->env->read_only) {
		NBD_COUNT(c, e_read_only);
		return NBD_EPERM;
	}
	if (type == NBD_CMD_BLOCK_STATUS && !c->context) {
		NBD_COUNT(c, e_context);
		return NBD_EINVAL;
	}
	if (type == NBD_CMD_FLUSH)
		return 0; /* its range is reserved */
	if (r->offset > c->size || len > c->size - r->offset) {
		NBD_COUNT(c, e_range);
		return commands[type].range_error;
	}
	if (type == NBD_CMD_READ && len > NBD_PAYLOAD_MAX) {
		NBD_COUNT(c, e_length);
		return NBD_EOVERFLOW;
	}
	if (type == NBD_CMD_BLOCK_STATUS && len == 0) {
		NBD_COUNT(c, e_length);
		return NBD_EINVAL;
	}
	return 0;
}

static void start_trim(struct nbd_request *r)
{
	uint64_t mask = XBD_BLOCK_SIZE - 1;

	/* Only whole blocks can be given back; the rest of the hint is ignored. */
	r->at = (r->offset + mask) & ~mask;
	r->end &= ~mask;
	if (r->at > r->end)
		r->at = r->end;
}

static void start(struct nbd_conn *c, struct nbd_request *r, uint32_t len)
{
	switch (r->type) {
	case NBD_CMD_WRITE:
		c->env->count->write_bytes += len;
		c->state = NBD_PAYLOAD;
		break;
	case NBD_CMD_BLOCK_STATUS:
		nbd_map_start(c, r);
		return;
	case NBD_CMD_READ:
		c->env->count->read_bytes += len;
		c->state = NBD_ISSUE;
		break;
	case NBD_CMD_TRIM:
		start_trim(r);
		c->state = NBD_ISSUE;
		break;
	default:
		c->state = NBD_ISSUE;
		break;
	}
	c->cur = r;
}

static void refuse(struct nbd_conn *c, struct nbd_request *r, uint32_t len, uint32_t error)
{
	r->error = error;
	if (r->type == NBD_CMD_WRITE && len) {
		c->skip = len;
		c->state = NBD_SKIP;
	}
	nbd_reply(r);
}

/* What ends the connection. */
static bool command_fatal(struct nbd_conn *c, const uint8_t *head)
{
	if (nbd_get32(head) != NBD_REQUEST_MAGIC)
		NBD_COUNT(c, e_magic);
	else if (nbd_get16(head + 6) == NBD_CMD_WRITE && nbd_get32(head + 24) > NBD_PAYLOAD_MAX)
		NBD_COUNT(c, e_length);
	else
		return false;
	nbd_conn_kill(c);
	return true;
}

/* u32 magic, u16 flags, u16 type, u64 handle, u64 offset, u32 length */
enum nbd_step nbd_step_command(struct nbd_conn *c)
{
	const uint8_t *head = c->in + c->in_head;
	struct nbd_request *r;
	uint32_t type, len, error;

	if (nbd_in_bytes(c) < NBD_REQUEST_BYTES)
		return NBD_MORE;
	if (command_fatal(c, head))
		return NBD_AGAIN;
	type = nbd_get16(head + 6);
	len = nbd_get32(head + 24);
	if (type == NBD_CMD_DISC) {
		c->in_head = c->in_tail;
		c->state = NBD_CLOSING;
		return NBD_AGAIN;
	}
	if (type == NBD_CMD_BLOCK_STATUS && c->map)
		return NBD_STALL;
	r = nbd_request_new(c);
	if (!r)
		return NBD_STALL;
	if (!c->begun && c->env->first)
		c->env->first(c->env, c);
	c->begun = true;
	c->in_head += NBD_REQUEST_BYTES;
	r->flags = nbd_get16(head + 4);
	r->type = type < 256 ? (uint8_t)type : 255;
	r->handle = nbd_get64(head + 8);
	r->offset = nbd_get64(head + 16);
	error = check(c, r, type, len);
	if (error) {
		refuse(c, r, len, error);
		return NBD_AGAIN;
	}
	r->at = r->shown = r->offset;
	r->end = r->offset + len;
	start(c, r, len);
	return NBD_AGAIN;
}

void nbd_submit(struct nbd_request *r, struct nbd_item *it, enum co_kind kind, uint32_t len)
{
	struct nbd_conn *c = r->conn;
	struct co_req *req = &it->req;

	XBD_ASSERT(!r->issued && c->state != NBD_DEAD);
	req->kind = (uint8_t)kind;
	req->offset = r->at;
	req->len = len;
	req->no_hole = kind == CO_ZERO && r->flags & NBD_F_NO_HOLE;
	req->done = nbd_done;
	if (kind == CO_TRIM || kind == CO_ZERO || kind == CO_FLUSH)
		req->buf = NULL;
	it->parent = r;
	r->at += len;
	r->outstanding++;
	c->outstanding++;
	NBD_COUNT(c, subs);
	c->env->submit(c->env->backend, req);
}

/* Bytes from r->at to the end of the command or of the unit they are in. */
static uint32_t piece(const struct nbd_request *r, uint64_t end, uint64_t unit)
{
	uint64_t n = end - r->at, room = unit - r->at % unit;

	return (uint32_t)(n < room ? n : room);
}

static struct nbd_item *get(struct nbd_request *r, uint32_t len)
{
	return nbd_pool_get(r->conn->env->pool, r->conn->share, r->at % XBD_BLOCK_SIZE + len);
}

static bool issue_read(struct nbd_request *r)
{
	uint32_t len = piece(r, r->end, CO_CHUNK);
	struct nbd_item *it = get(r, len);

	if (it) {
		nbd_submit(r, it, CO_READ, len);
	} else if (nbd_in_order(r)) {
		/* Too large to be gathered: send what is there, or the buffers never come back. */
		r->stream = true;
		nbd_read_advance(r);
	}
	return it;
}

static bool issue_trim(struct nbd_request *r)
{
	struct nbd_item *it = nbd_pool_get(r->conn->env->pool, r->conn->share, 0);

	if (it)
		nbd_submit(r, it, CO_TRIM, piece(r, r->end, CO_RANGE));
	return it;
}

/* Whole blocks are zeroed as such, what is left of a block at either end is written. */
static bool issue_zero(struct nbd_request *r)
{
	uint64_t end = r->end & ~(uint64_t)(XBD_BLOCK_SIZE - 1);
	bool whole = r->at % XBD_BLOCK_SIZE == 0 && r->at < end;
	uint32_t len = whole ? piece(r, end, CO_RANGE) : piece(r, r->end, XBD_BLOCK_SIZE);
	struct nbd_item *it = nbd_pool_get(r->conn->env->pool, r->conn->share, NBD_SMALL);

	if (!it)
		return false;
	if (!whole)
		memset(it->req.buf + r->at % XBD_BLOCK_SIZE, 0, len);
	nbd_submit(r, it, whole ? CO_ZERO : CO_WRITE, len);
	return true;
}

static bool issue_flush(struct nbd_request *r)
{
	struct nbd_item *it = nbd_pool_get(r->conn->env->pool, r->conn->share, 0);

	if (!it)
		return false;
	r->offset = r->at = r->end = 0;
	nbd_submit(r, it, CO_FLUSH, 0);
	return true;
}

/* One request of a command that carries no data; false: no buffer. */
static bool issue_one(struct nbd_request *r)
{
	switch (r->type) {
	case NBD_CMD_READ:
		return issue_read(r);
	case NBD_CMD_TRIM:
		return issue_trim(r);
	case NBD_CMD_WRITE_ZEROES:
		return issue_zero(r);
	case NBD_CMD_FLUSH:
		return issue_flush(r);
	default: /* CACHE is advice, and there is no cache: done */
		r->at = r->end;
		return true;
	}
}

static void all_issued(struct nbd_conn *c)
{
	struct nbd_request *r = c->cur;

	c->cur = NULL;
	c->state = NBD_COMMAND;
	nbd_issued(r);
}

enum nbd_step nbd_step_issue(struct nbd_conn *c)
{
	struct nbd_request *r = c->cur;
	bool flush = r->type == NBD_CMD_FLUSH;

	if ((flush || r->at < r->end) && !issue_one(r))
		return NBD_STALL;
	if (c->state == NBD_ISSUE && r->at == r->end)
		all_issued(c);
	return NBD_AGAIN;
}

/* The request in c->fill is complete. */
static void filled(struct nbd_conn *c)
{
	struct nbd_item *it = c->fill;

	c->fill = NULL;
	nbd_submit(c->cur, it, CO_WRITE, c->fill_bytes);
}

void nbd_payload_received(struct nbd_conn *c, size_t bytes)
{
	c->filled += (uint32_t)bytes;
	XBD_ASSERT(c->filled <= c->fill_bytes);
	if (c->filled == c->fill_bytes)
		filled(c);
}

enum nbd_step nbd_step_payload(struct nbd_conn *c)
{
	struct nbd_request *r = c->cur;
	size_t n = nbd_in_bytes(c);

	if (r->at == r->end) {
		all_issued(c);
		return NBD_AGAIN;
	}
	if (!c->fill) {
		c->fill_bytes = piece(r, r->end, CO_CHUNK);
		c->filled = 0;
		c->fill = get(r, c->fill_bytes);
		if (!c->fill)
			return NBD_STALL;
	}
	if (n > c->fill_bytes - c->filled)
		n = c->fill_bytes - c->filled;
	if (n == 0)
		return NBD_MORE;
	memcpy(c->fill->req.buf + r->at % XBD_BLOCK_SIZE + c->filled, c->in + c->in_head, n);
	c->in_head += n;
	nbd_payload_received(c, n);
	return NBD_AGAIN;
}

bool nbd_skipped(struct nbd_conn *c)
{
	size_t n = nbd_in_bytes(c);

	n = n < c->skip ? n : (size_t)c->skip;
	c->in_head += n;
	c->skip -= n;
	return !c->skip;
}

enum nbd_step nbd_step_skip(struct nbd_conn *c)
{
	if (!nbd_skipped(c))
		return NBD_MORE;
	c->state = NBD_COMMAND;
	return NBD_AGAIN;
}
