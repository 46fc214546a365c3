/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the NBD machine: byte 0 of the input picks the situation, byte 1 how the stream is cut and
 * when backend and output run, the rest is what the client sends. The backend asserts what it is
 * promised, structured output has to be well-formed, and all buffers have to come back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "nbd/memory.h"
#include "nbd/proto.h"

#define SIZE (5u * CO_CHUNK + 1000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum situation {
	READY = 0x01,	   /* the handshake is over */
	STRUCTURED = 0x02, /* with structured replies */
	LITTLE = 0x04,	   /* few buffers */
	READ_ONLY = 0x08,
	FAILING = 0x10, /* part of the volume cannot be read or written */
	LATE = 0x20	/* buffers of writes come back late */
};

static struct nbd_conn conn;
static struct nbd_pool pools[2];
static struct nbd_counters count;
static struct memory memory;
static struct nbd_env env;

/* The output, parsed as far as it has come. */
static struct output {
	bool check;
	uint8_t head[NBD_CHUNK_BYTES];
	uint32_t have, body;
} output;

static void kick(struct nbd_env *e, struct nbd_conn *c)
{
}

static void setup(void)
{
	XBD_ASSERT(nbd_pool_init(&pools[0], 64 << 20) == 0);
	XBD_ASSERT(nbd_pool_init(&pools[1], 2 << 20) == 0);
	XBD_ASSERT(memory_init(&memory, SIZE, 4096) == 0);
	snprintf(env.name, sizeof(env.name), "vol");
	snprintf(env.description, sizeof(env.description), "fuzzed");
	env.size = SIZE;
	env.count = &count;
	env.backend = &memory;
	env.submit = memory_submit;
	env.kick = kick;
}

/* In structured mode a simple reply has no data, so the stream can be followed without knowing the
 * commands. */
static void check_byte(struct output *o, uint8_t byte)
{
	uint32_t magic;

	o->head[o->have++] = byte;
	if (o->have < 4)
		return;
	magic = nbd_get32(o->head);
	XBD_ASSERT(magic == NBD_SIMPLE_MAGIC || magic == NBD_CHUNK_MAGIC);
	if (magic == NBD_SIMPLE_MAGIC && o->have == NBD_SIMPLE_BYTES)
		o->have = 0;
	if (o->have < NBD_CHUNK_BYTES)
		return;
	o->have = 0;
	o->body = nbd_get32(o->head + 16);
	XBD_ASSERT(o->body <= NBD_PAYLOAD_MAX + 8);
	XBD_ASSERT(nbd_get16(o->head + 4) <= NBD_CHUNK_DONE);
}

static void check_bytes(struct output *o, const uint8_t *b, size_t n)
{
	while (n) {
		size_t skip = o->body < n ? o->body : n;

		o->body -= (uint32_t)skip;
		b += skip;
		n -= skip;
		if (n) {
			check_byte(o, *b++);
			n--;
		}
	}
}

static bool take_output(size_t max)
{
	struct iovec iov[8];
	unsigned n;
	size_t took = 0;

	if (conn.state == NBD_DEAD)
		return false;
	n = nbd_conn_send_iov(&conn, iov, 8);
	for (unsigned i = 0; i < n && took < max; i++) {
		size_t part = iov[i].iov_len < max - took ? iov[i].iov_len : max - took;

		if (output.check)
			check_bytes(&output, iov[i].iov_base, part);
		took += part;
	}
	if (took)
		nbd_conn_sent(&conn, took);
	return took;
}

static size_t feed(const uint8_t *data, size_t size)
{
	struct iovec iov[NBD_RECV_IOV];
	unsigned n = nbd_conn_recv_iov(&conn, iov);
	size_t put = 0;

	for (unsigned i = 0; i < n && put < size; i++) {
		size_t part = iov[i].iov_len < size - put ? iov[i].iov_len : size - put;

		memcpy(iov[i].iov_base, data + put, part);
		put += part;
	}
	if (put)
		nbd_conn_received(&conn, put);
	return put;
}

static void settle(void)
{
	bool moved = true;

	while (moved) {
		uint64_t subs = count.subs;

		nbd_conn_run(&conn);
		moved = memory_run(&memory, 100) > 0;
		memory_release(&memory);
		while (take_output(SIZE_MAX))
			moved = true;
		moved |= subs != count.subs;
	}
}

static void handshake(bool structured)
{
	feed((const uint8_t *)"\0\0\0\3", 4);
	if (structured) {
		feed((const uint8_t *)"IHAVEOPT\0\0\0\10\0\0\0\0", 16);
		feed((const uint8_t *)"IHAVEOPT\0\0\0\12\0\0\0\36"
				      "\0\0\0\3vol\0\0\0\1\0\0\0\17base:allocation",
		     46);
	}
	feed((const uint8_t *)"IHAVEOPT\0\0\0\7\0\0\0\6\0\0\0\0\0\0", 22);
	settle();
	XBD_ASSERT(nbd_conn_transmission(&conn) && conn.context == structured);
	output.check = structured;
}

static void converse(const uint8_t *data, size_t size)
{
	bool whole = memory.seed % 4 == 0;
	size_t at = 0;

	while (at < size) {
		uint64_t r = memory_random(&memory);
		size_t n = whole ? size - at : 1 + r / 8 % 100;
		size_t took;

		if (r % 8 == 0)
			memory_run(&memory, r / 8 % 10);
		if (r % 8 == 1)
			take_output(r / 8 % 5000);
		if (r % 8 == 2)
			nbd_conn_run(&conn);
		took = feed(data + at, n < size - at ? n : size - at);
		at += took;
		if (took)
			continue;
		settle();
		if (conn.state >= NBD_CLOSING)
			return;
		XBD_ASSERT(!conn.stalled);
	}
}

static void finish(struct nbd_share *share, const struct nbd_pool *pool)
{
	switch (memory_random(&memory) % 4) {
	case 0:
		nbd_conn_kill(&conn);
		break;
	case 1:
		break;
	default:
		nbd_conn_drain(&conn);
		settle();
		XBD_ASSERT(nbd_conn_finished(&conn));
		XBD_ASSERT(conn.state == NBD_DEAD || (output.have == 0 && output.body == 0) ||
			   !output.check || count.dropped);
		break;
	}
	nbd_conn_clear(&conn);
	while (memory_run(&memory, 100))
		;
	memory_release(&memory);
	XBD_ASSERT(nbd_conn_quiet(&conn));
	for (unsigned i = 0; i < NBD_CLASSES; i++)
		XBD_ASSERT(share->held[i] == 0 && pool->nfree[i] == pool->count[i]);
	XBD_ASSERT(!share->waiting && !pool->wait_head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nbd_share share = {0};

	if (!memory.data)
		setup();
	if (size < 2)
		return 0;
	memset(&output, 0, sizeof(output));
	memset(&count, 0, sizeof(count));
	memset(memory.state, 0, SIZE / XBD_BLOCK_SIZE);
	env.pool = &pools[data[0] & LITTLE ? 1 : 0];
	env.read_only = data[0] & READ_ONLY;
	memory.reorder = data[1] & 1;
	memory.slow_release = data[0] & LATE;
	memory.seed = data[1] + 1;
	memory.fail_from = 2 * CO_CHUNK;
	memory.fail_to = data[0] & FAILING ? 3 * CO_CHUNK : 0;
	memory.fail_res = -EIO;
	nbd_conn_init(&conn, &env, &share);
	if (data[0] & READY)
		handshake(data[0] & STRUCTURED);
	converse(data + 2, size - 2);
	finish(&share, env.pool);
	return 0;
}
