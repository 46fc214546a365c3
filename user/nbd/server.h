/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NBD server on the event loop: listens on a Unix socket, a TCP address or both, and turns what
 * clients ask for into requests to one backend. One export, many connections at once
 * (CAN_MULTI_CONN: the backend must make a FLUSH cover what completed on any of them).
 *
 * Open it after whatever adds a hook that completes requests (the transport): replies are gathered
 * by a hook of the server, which should run after them.
 *
 * All memory is taken at open. No call may come from another thread than the loop's.
 */
#ifndef XBD_NBD_SERVER_H
#define XBD_NBD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "coordinator/request.h"
#include "io/loop.h"
#include "nbd/count.h"

#define NBD_WHY 256

/*
 * Where requests go. submit is called with refs = 1 and done and release set; it keeps a reference
 * of its own for as long as it needs the buffer. The outcome comes by req->done, once, and never
 * from inside submit. submit may be called while a completion or a hook of the loop runs, but never
 * from inside done or release.
 */
struct nbd_backend {
	void *ctx;
	void (*submit)(void *ctx, struct co_req *req);
};

struct nbd_export {
	const char *name;	 /* 1..255 bytes; the empty name means this export too */
	const char *description; /* up to 255 bytes; may be NULL */
	uint64_t size;		 /* bytes */
	bool read_only;
};

struct nbd_server_config {
	struct nbd_export export;	    /* strings are copied */
	const char *unix_path;		    /* NULL = none. Mode 0660: its group may connect too */
	const struct sockaddr_storage *tcp; /* NULL = none */
	/* NBD over TCP is neither encrypted nor authenticated: an address that is not loopback is
	 * refused with -EACCES unless this is set. */
	bool tcp_insecure;
	unsigned conns_max;    /* 0 = 64, at most 1024 */
	size_t mem_bytes;      /* of request buffers; 0 = 96 MiB, at least 4 MiB */
	unsigned handshake_ms; /* a client that takes longer is closed; 0 = 10000 */
};

struct nbd_server;

/*
 * Listen. Errors: -EADDRINUSE (a living server has the socket), -EEXIST (something that is not a
 * socket is at unix_path), -EACCES, -EINVAL, -ENOMEM, other errno values of socket calls; then
 * `why` (NBD_WHY bytes) says in words what went wrong. A socket file left by a dead process is
 * replaced.
 */
int nbd_server_open(struct nbd_server **out, struct loop *l, const struct nbd_server_config *cfg,
		    const struct nbd_backend *be, char *why);

/*
 * Stop accepting and reading, let the backend finish what it was given, send those replies, close
 * all connections, then call `fn` from the loop (once; also if nothing ran). Requests not given to
 * the backend are dropped without a reply: a client that reconnects sends them again. A backend
 * that never completes (no quorum) keeps it waiting; nbd_server_close ends that.
 */
void nbd_server_shutdown(struct nbd_server *s, void (*fn)(void *ctx), void *ctx);

/*
 * Close everything and free it; s may be NULL. Not from inside a callback. The backend must not
 * touch any request from this call on: after nbd_server_shutdown's callback it holds at most
 * references to buffers of completed WRITEs, which it has to drop (or forget) first.
 */
void nbd_server_close(struct nbd_server *s);

const struct nbd_counters *nbd_server_counters(const struct nbd_server *s);
/* Connections open now. */
unsigned nbd_server_conns(const struct nbd_server *s);
/* Port of the TCP socket (useful when 0 was asked for); 0 if there is none. */
uint16_t nbd_server_port(const struct nbd_server *s);
/* A volume that has grown: connections made from now on see the new size. */
void nbd_server_resize(struct nbd_server *s, uint64_t size);

#endif
