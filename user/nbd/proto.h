/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server's side of one NBD connection as a machine without I/O: bytes go in, requests to the
 * backend and bytes to send come out. It owns no socket and no memory besides its struct; requests
 * and their buffers come from the pool.
 *
 *   GREET -> OPTION <-> OPTION_SKIP      handshake
 *              |
 *              v
 *           COMMAND -> PAYLOAD, ISSUE, SKIP -> COMMAND ...
 *              |
 *              v
 *           CLOSING (finish what runs, send it) -> DEAD
 *
 * A command of up to 32 MiB is cut into requests that fit one buffer. Each is given to the backend
 * as soon as its own data has come, and each part of a READ is sent as soon as it may be, so a
 * command never needs more than a few buffers to make progress. When the pool has none, the
 * connection is stalled: it parses and receives no further until some come back.
 *
 * The driver (the server, a test, a fuzzer) does
 *   n = nbd_conn_recv_iov(c, iov); receive; nbd_conn_received(c, bytes);
 *   n = nbd_conn_send_iov(c, iov, max); send; nbd_conn_sent(c, bytes);
 * with at most one of each under way, calls nbd_conn_run after env->kick, and when
 * nbd_conn_finished says so: stop both, nbd_conn_clear, wait for nbd_conn_quiet.
 */
#ifndef XBD_NBD_PROTO_H
#define XBD_NBD_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "nbd/count.h"
#include "nbd/pool.h"
#include "nbd/wire.h"

#define NBD_PAYLOAD_MAX	 (32u << 20)  /* bytes of READ or WRITE, as advertised */
#define NBD_IN_BYTES	 (256u << 10) /* receive buffer */
#define NBD_REQUESTS	 256u	      /* commands in progress on one connection */
#define NBD_OPT_DATA_MAX (16u << 10)  /* longer options are skipped and refused */
#define NBD_OPT_SKIP_MAX (1u << 20)   /* even longer ones end the connection */
#define NBD_OPTS_MAX	 1000u	      /* options in one handshake */
#define NBD_NAME_MAX	 255u	      /* bytes of the export's name and description */
#define NBD_TEXT_BYTES	 4096u	      /* replies to options not sent yet */
#define NBD_EXTENTS_MAX	 512u	      /* in one reply to BLOCK_STATUS */
#define NBD_MAP_CHUNKS	 1024u	      /* CO_CHUNKs looked at for one BLOCK_STATUS (128 MiB) */
#define NBD_MAP_WINDOW	 16u	      /* of them at the same time */
#define NBD_RECV_IOV	 2u

struct nbd_conn;

/* What all connections of a server share. */
struct nbd_env {
	char name[NBD_NAME_MAX + 1], description[NBD_NAME_MAX + 1]; /* description "" = none */
	uint64_t size;						    /* bytes */
	bool read_only;
	struct nbd_pool *pool;
	struct nbd_counters *count;
	void *backend; /* argument of submit; see struct nbd_backend */
	void (*submit)(void *backend, struct co_req *req);
	void *owner;
	/* There is something to send, or nbd_conn_run can get on. May come at any time. */
	void (*kick)(struct nbd_env *env, struct nbd_conn *c);
	/* The first command of a connection is about to be executed. May be NULL. */
	void (*first)(struct nbd_env *env, struct nbd_conn *c);
};

/* One command of a client. */
struct nbd_request {
	struct nbd_conn *conn;
	struct nbd_request *next; /* in the free list */
	uint64_t handle, offset, end;
	uint64_t at;	/* issued up to here */
	uint64_t shown; /* READ in order: put into the output up to here */
	uint32_t outstanding;
	uint32_t error; /* the first one, NBD_E* */
	uint16_t flags;
	uint8_t type;
	bool issued;	/* all of it */
	bool stream;	/* READ in order: do not wait until all is there */
	bool started;	/* READ in order: its reply has begun */
	bool abandoned; /* no reply, ever */
	bool active;
	struct nbd_item *ready; /* READ in order, BLOCK_STATUS: done, by offset */
	struct nbd_out out;
};

enum nbd_state {
	NBD_GREET,
	NBD_OPTION,
	NBD_OPTION_SKIP,
	NBD_COMMAND,
	NBD_PAYLOAD,
	NBD_ISSUE,
	NBD_SKIP,
	NBD_CLOSING,
	NBD_DEAD
};

struct nbd_extent {
	uint32_t len, flags;
};

struct nbd_conn {
	struct nbd_env *env;
	struct nbd_share *share;
	uint8_t state; /* enum nbd_state */
	bool stalled;  /* cannot parse on */
	bool fixed, no_zeroes, structured, context, begun;
	uint32_t options; /* so far */
	uint32_t opt;	  /* being skipped */
	uint64_t skip;	  /* bytes of an option or a WRITE to throw away */
	uint64_t size;	  /* of the export, when this connection asked for it */

	struct nbd_request *cur;     /* being issued: PAYLOAD, ISSUE */
	struct nbd_item *fill;	     /* PAYLOAD: where the data goes */
	uint32_t fill_bytes, filled; /* how many it takes, how many have come */

	struct nbd_request *map; /* the BLOCK_STATUS in progress, until its reply is sent */
	uint32_t map_chunks, nextents;
	struct nbd_extent extents[NBD_EXTENTS_MAX];
	uint8_t map_body[4 + 8 * NBD_EXTENTS_MAX];

	/* A reply in one piece of which only the first parts are in the output so far; what others
	 * have to say is held back until it is complete. */
	struct nbd_request *streamer;
	struct nbd_out *held_head, **held_tail;
	struct nbd_out *out_head, **out_tail;
	size_t out_sent; /* bytes of the first one */
	struct nbd_out text_out;
	uint8_t text[NBD_TEXT_BYTES];

	uint32_t outstanding; /* requests at the backend */
	uint32_t active;      /* commands in progress */
	uint32_t nrequests;   /* slots used so far */
	struct nbd_request *free;
	struct nbd_request requests[NBD_REQUESTS];

	size_t in_head, in_tail;
	uint8_t in[NBD_IN_BYTES];
};

/* A connection was made: the greeting is ready to be sent. `share` lives as long as the pool. */
void nbd_conn_init(struct nbd_conn *c, struct nbd_env *env, struct nbd_share *share);

/*
 * Where the next bytes go: 1 or 2 buffers (a large WRITE goes straight to its request's buffer).
 * 0 = nothing can be taken now. The buffers stay as they are until nbd_conn_received.
 */
unsigned nbd_conn_recv_iov(struct nbd_conn *c, struct iovec iov[NBD_RECV_IOV]);
/* `bytes` > 0 have been put there, in order. */
void nbd_conn_received(struct nbd_conn *c, size_t bytes);
/* Go on where the connection was stalled. */
void nbd_conn_run(struct nbd_conn *c);

/* What is to be sent, up to `max` pieces; 0 = nothing. Stays valid until nbd_conn_sent. */
unsigned nbd_conn_send_iov(struct nbd_conn *c, struct iovec *iov, unsigned max);
void nbd_conn_sent(struct nbd_conn *c, size_t bytes);

/* Take no more commands (end of file, shutdown); drop those not yet given to the backend. */
void nbd_conn_drain(struct nbd_conn *c);
/* Nothing works any more. */
void nbd_conn_kill(struct nbd_conn *c);
/* The connection is to be closed: it is dead, or all is finished and sent. */
bool nbd_conn_finished(const struct nbd_conn *c);
/* The driver uses no buffer of the connection any more: give back all that is not at the backend.
 * Kills. */
void nbd_conn_clear(struct nbd_conn *c);
/* The backend has nothing of it any more; the struct may be used again. */
bool nbd_conn_quiet(const struct nbd_conn *c);
/* Commands are being taken: the handshake is over. */
bool nbd_conn_transmission(const struct nbd_conn *c);

#endif
