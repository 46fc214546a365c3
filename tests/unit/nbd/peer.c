/* SPDX-License-Identifier: BSD-2-Clause */
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define OUT_BYTES (80u << 20)
#define IOV	  64

enum peer_mode peer_mode;

static void kick(struct nbd_env *env, struct nbd_conn *c)
{
}

static void first(struct nbd_env *env, struct nbd_conn *c)
{
	((struct peer *)env->owner)->firsts++;
}

void peer_open(struct peer *p, size_t mem_bytes)
{
	memset(p, 0, sizeof(*p));
	assert_int_equal(nbd_pool_init(&p->pool, mem_bytes ? mem_bytes : 16 << 20), 0);
	assert_int_equal(memory_init(&p->memory, EXPORT_BYTES, 4096), 0);
	p->memory.reorder = true;
	snprintf(p->env.name, sizeof(p->env.name), EXPORT_NAME);
	snprintf(p->env.description, sizeof(p->env.description), "a volume");
	p->env.size = EXPORT_BYTES;
	p->env.pool = &p->pool;
	p->env.count = &p->count;
	p->env.backend = &p->memory;
	p->env.submit = memory_submit;
	p->env.owner = p;
	p->env.kick = kick;
	p->env.first = first;
	p->conn = calloc(1, sizeof(*p->conn));
	p->out = mmap(NULL, OUT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_non_null(p->conn);
	assert_ptr_not_equal(p->out, MAP_FAILED);
	nbd_conn_init(p->conn, &p->env, &p->share);
}

void peer_open_ready(struct peer *p, size_t mem_bytes, bool structured)
{
	static const char *const queries[] = {"base:allocation"};

	peer_open(p, mem_bytes);
	peer_flags(p, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
	if (structured) {
		peer_option(p, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
		peer_context(p, NBD_OPT_SET_META_CONTEXT, EXPORT_NAME, 1, queries);
	}
	peer_go(p, NBD_OPT_GO, EXPORT_NAME, 0, NULL);
	peer_settle(p);
	expect_state(p, NBD_COMMAND);
	p->seen = p->nout;
}

void peer_close(struct peer *p)
{
	nbd_conn_clear(p->conn);
	while (memory_run(&p->memory, 1))
		;
	memory_release(&p->memory);
	assert_true(nbd_conn_quiet(p->conn));
	for (unsigned i = 0; i < NBD_CLASSES; i++) {
		assert_int_equal(p->share.held[i], 0);
		assert_int_equal(p->pool.nfree[i], p->pool.count[i]);
	}
	assert_false(p->share.waiting);
	nbd_pool_free(&p->pool);
	memory_free(&p->memory);
	free(p->conn);
	munmap(p->out, OUT_BYTES);
}

static size_t cut(struct peer *p, size_t n)
{
	switch (peer_mode) {
	case PEER_BYTES:
		return 1;
	case PEER_RANDOM:
		return 1 + memory_random(&p->memory) % n;
	default:
		return n;
	}
}

/* Large transfers byte by byte would take minutes: only their ends are cut up. */
static size_t cut_large(struct peer *p, size_t n)
{
	return n > 65536 ? n - 512 : cut(p, n);
}

static bool take_output(struct peer *p)
{
	struct iovec iov[IOV];
	unsigned n = nbd_conn_send_iov(p->conn, iov, IOV);
	size_t total = 0, took = 0;

	for (unsigned i = 0; i < n; i++)
		total += iov[i].iov_len;
	if (total == 0)
		return false;
	total = cut_large(p, total);
	assert_true(p->nout + total <= OUT_BYTES);
	for (unsigned i = 0; took < total; i++) {
		size_t part = iov[i].iov_len < total - took ? iov[i].iov_len : total - took;

		memcpy(p->out + p->nout, iov[i].iov_base, part);
		p->nout += part;
		took += part;
	}
	nbd_conn_sent(p->conn, total);
	return true;
}

void peer_settle(struct peer *p)
{
	bool moved = true;

	while (moved) {
		uint64_t subs = p->count.subs;

		nbd_conn_run(p->conn);
		moved = p->count.subs != subs;
		if (!p->hold)
			moved |= memory_run(&p->memory, 1 + memory_random(&p->memory) % 8) > 0;
		while (!p->deaf && p->conn->state != NBD_DEAD && take_output(p))
			moved = true;
	}
}

static size_t feed(struct peer *p, const uint8_t *bytes, size_t n)
{
	struct iovec iov[NBD_RECV_IOV];
	unsigned count = nbd_conn_recv_iov(p->conn, iov);
	size_t room = 0, put = 0;

	for (unsigned i = 0; i < count; i++)
		room += iov[i].iov_len;
	if (room == 0)
		return 0;
	n = cut_large(p, n < room ? n : room);
	for (unsigned i = 0; put < n; i++) {
		size_t part = iov[i].iov_len < n - put ? iov[i].iov_len : n - put;

		memcpy(iov[i].iov_base, bytes + put, part);
		put += part;
	}
	nbd_conn_received(p->conn, n);
	return n;
}

size_t peer_send(struct peer *p, const void *bytes, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t took = feed(p, (const uint8_t *)bytes + done, n - done);

		if (took == 0) {
			peer_settle(p);
			took = feed(p, (const uint8_t *)bytes + done, n - done);
		}
		if (took == 0)
			break;
		done += took;
	}
	return done;
}

void peer_flags(struct peer *p, uint32_t flags)
{
	uint8_t b[4];

	nbd_put32(b, flags);
	peer_send(p, b, sizeof(b));
}

void peer_option(struct peer *p, uint32_t opt, const void *data, size_t n)
{
	uint8_t *b = malloc(NBD_OPT_BYTES + n), *at = b;

	assert_non_null(b);
	at = nbd_put64(at, NBD_OPT_MAGIC);
	at = nbd_put32(at, opt);
	at = nbd_put32(at, (uint32_t)n);
	if (n)
		memcpy(at, data, n);
	peer_send(p, b, NBD_OPT_BYTES + n);
	free(b);
}

static uint8_t *put_string(uint8_t *at, const char *s)
{
	at = nbd_put32(at, (uint32_t)strlen(s));
	memcpy(at, s, strlen(s));
	return at + strlen(s);
}

void peer_go(struct peer *p, uint32_t opt, const char *name, unsigned n, const uint16_t *infos)
{
	uint8_t b[1024], *at = put_string(b, name);

	at = nbd_put16(at, (uint16_t)n);
	for (unsigned i = 0; i < n; i++)
		at = nbd_put16(at, infos[i]);
	peer_option(p, opt, b, (size_t)(at - b));
}

void peer_context(struct peer *p, uint32_t opt, const char *name, unsigned n,
		  const char *const *queries)
{
	uint8_t b[1024], *at = put_string(b, name);

	at = nbd_put32(at, n);
	for (unsigned i = 0; i < n; i++)
		at = put_string(at, queries[i]);
	peer_option(p, opt, b, (size_t)(at - b));
}

size_t peer_command(struct peer *p, unsigned flags, unsigned type, uint64_t handle, uint64_t offset,
		    uint32_t len)
{
	uint8_t b[NBD_REQUEST_BYTES], *at = b;

	at = nbd_put32(at, NBD_REQUEST_MAGIC);
	at = nbd_put16(at, (uint16_t)flags);
	at = nbd_put16(at, (uint16_t)type);
	at = nbd_put64(at, handle);
	at = nbd_put64(at, offset);
	nbd_put32(at, len);
	return peer_send(p, b, sizeof(b));
}

const uint8_t *expect(struct peer *p, size_t n)
{
	const uint8_t *at = p->out + p->seen;

	peer_settle(p);
	assert_true(p->nout - p->seen >= n);
	p->seen += n;
	return at;
}

void expect_nothing(struct peer *p)
{
	peer_settle(p);
	assert_int_equal(p->nout - p->seen, 0);
}

void expect_greeting(struct peer *p)
{
	const uint8_t *b = expect(p, NBD_GREETING_BYTES);

	assert_memory_equal(b, "NBDMAGICIHAVEOPT\0\3", NBD_GREETING_BYTES);
}

const uint8_t *expect_rep(struct peer *p, uint32_t opt, uint32_t type, uint32_t *len)
{
	const uint8_t *b = expect(p, NBD_REP_BYTES);

	assert_int_equal(nbd_get64(b), NBD_REP_MAGIC);
	assert_int_equal(nbd_get32(b + 8), opt);
	assert_int_equal(nbd_get32(b + 12), type);
	if (len)
		*len = nbd_get32(b + 16);
	return expect(p, nbd_get32(b + 16));
}

void expect_simple(struct peer *p, uint64_t handle, uint32_t error)
{
	const uint8_t *b = expect(p, NBD_SIMPLE_BYTES);

	assert_int_equal(nbd_get32(b), NBD_SIMPLE_MAGIC);
	assert_int_equal(nbd_get32(b + 4), error);
	assert_int_equal(nbd_get64(b + 8), handle);
}

const uint8_t *expect_chunk(struct peer *p, uint64_t handle, unsigned flags, unsigned type,
			    uint32_t *len)
{
	const uint8_t *b = expect(p, NBD_CHUNK_BYTES);

	assert_int_equal(nbd_get32(b), NBD_CHUNK_MAGIC);
	assert_int_equal(nbd_get16(b + 4), flags);
	assert_int_equal(nbd_get16(b + 6), type);
	assert_int_equal(nbd_get64(b + 8), handle);
	if (len)
		*len = nbd_get32(b + 16);
	return expect(p, nbd_get32(b + 16));
}

void expect_error_chunk(struct peer *p, uint64_t handle, uint32_t error)
{
	uint32_t len;
	const uint8_t *b = expect_chunk(p, handle, NBD_CHUNK_DONE, NBD_CHUNK_ERROR, &len);

	assert_int_equal(len, 6);
	assert_int_equal(nbd_get32(b), error);
	assert_int_equal(nbd_get16(b + 4), 0);
}

void expect_state(struct peer *p, enum nbd_state state)
{
	peer_settle(p);
	assert_int_equal(p->conn->state, state);
}
