/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client for tests of the NBD machine: writes bytes by hand, drives the machine with a backend in
 * memory, and reads what came out. How bytes are cut into pieces on both ways is peer_mode's.
 */
#ifndef XBD_TEST_NBD_PEER_H
#define XBD_TEST_NBD_PEER_H

#include "memory.h"
#include "nbd/proto.h"

#define EXPORT_BYTES (8u << 20)
#define EXPORT_NAME  "vol"

enum peer_mode { PEER_WHOLE, PEER_BYTES, PEER_RANDOM, PEER_MODES };
extern enum peer_mode peer_mode;

struct peer {
	struct nbd_env env;
	struct nbd_pool pool;
	struct nbd_share share;
	struct nbd_counters count;
	struct memory memory;
	struct nbd_conn *conn;
	uint8_t *out; /* all that the machine has sent */
	size_t nout, seen;
	unsigned firsts;
	bool hold; /* peer_settle does not run the backend */
	bool deaf; /* peer_settle takes no output */
};

/* A connection before the handshake. mem_bytes: of the pool, 0 = plenty. */
void peer_open(struct peer *p, size_t mem_bytes);
/* One whose handshake is over; structured: with structured replies and base:allocation. */
void peer_open_ready(struct peer *p, size_t mem_bytes, bool structured);
/* Fails if anything of the pool has not come back. */
void peer_close(struct peer *p);

/* Run backend, output and parser until nothing moves. */
void peer_settle(struct peer *p);
/* Send, settling whenever the machine takes no more. Returns how many bytes it took. */
size_t peer_send(struct peer *p, const void *bytes, size_t n);

/* Requests. */
void peer_flags(struct peer *p, uint32_t flags);
void peer_option(struct peer *p, uint32_t opt, const void *data, size_t n);
/* GO or INFO with a name and up to 4 information requests. */
void peer_go(struct peer *p, uint32_t opt, const char *name, unsigned n, const uint16_t *infos);
void peer_context(struct peer *p, uint32_t opt, const char *name, unsigned n,
		  const char *const *queries);
size_t peer_command(struct peer *p, unsigned flags, unsigned type, uint64_t handle, uint64_t offset,
		    uint32_t len);

/* Expectations: each consumes what it expects of the output and fails if it is not there. */
const uint8_t *expect(struct peer *p, size_t n);
void expect_nothing(struct peer *p);
void expect_greeting(struct peer *p);
/* Returns the data; *len may be NULL. */
const uint8_t *expect_rep(struct peer *p, uint32_t opt, uint32_t type, uint32_t *len);
void expect_simple(struct peer *p, uint64_t handle, uint32_t error);
const uint8_t *expect_chunk(struct peer *p, uint64_t handle, unsigned flags, unsigned type,
			    uint32_t *len);
void expect_error_chunk(struct peer *p, uint64_t handle, uint32_t error);
void expect_state(struct peer *p, enum nbd_state state);

#endif
