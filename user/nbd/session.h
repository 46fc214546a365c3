/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection of the NBD server: the machine, its socket, and the I/O under way on it. */
#ifndef XBD_NBD_SESSION_H
#define XBD_NBD_SESSION_H

#include "nbd/listen.h"
#include "nbd/proto.h"
#include "nbd/server.h"

#define NBD_SEND_IOV 256u

struct nbd_session {
	struct nbd_server *server;
	struct nbd_session *next;	/* in the free list */
	struct nbd_session *next_dirty; /* in the list of those with something to do */
	struct nbd_share share;
	struct loop_cb on_recv, on_send;
	uint64_t opened_ns;
	int fd; /* -1 = slot not in use */
	bool receiving, sending, dirty, pumping, stopping;
	struct msghdr recv_msg, send_msg;
	struct iovec recv_iov[NBD_RECV_IOV], send_iov[NBD_SEND_IOV];
	struct nbd_conn conn;
};

struct nbd_listener {
	struct loop_cb on_accept;
	struct nbd_server *server;
	int fd; /* -1 = none */
	bool accepting, retry;
};

struct nbd_server {
	struct loop *loop;
	struct nbd_env env;
	struct nbd_pool pool;
	struct nbd_counters count;
	struct nbd_backend backend;
	struct nbd_listener listeners[2];
	struct nbd_socket_file file;
	struct loop_hook hook;
	struct loop_timer tick;
	uint64_t handshake_ns, drain_ns; /* drain_ns: when patience with slow clients ends */
	struct nbd_session *sessions, *free, *dirty;
	unsigned sessions_max, open;
	uint16_t port;
	bool freed, draining, submitted;
	void (*drained)(void *ctx);
	void *drained_ctx;
};

/* A connection was accepted. False: no slot is free. */
bool nbd_session_open(struct nbd_server *s, int fd);
/* There is something to do for it before the turn ends. */
void nbd_session_dirty(struct nbd_session *ss);
/* Parse on, start what I/O can be started, or bring the connection to its end. */
void nbd_session_pump(struct nbd_session *ss);
/* The peer has closed its side. One system call. */
bool nbd_session_gone(const struct nbd_session *ss);

static inline struct nbd_session *nbd_session_of(struct nbd_conn *c)
{
	return (struct nbd_session *)((char *)c - offsetof(struct nbd_session, conn));
}

#endif
