/* SPDX-License-Identifier: BSD-2-Clause */
#include "nbd/session.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

void nbd_session_dirty(struct nbd_session *ss)
{
	if (ss->dirty || ss->pumping)
		return;
	ss->dirty = true;
	ss->next_dirty = ss->server->dirty;
	ss->server->dirty = ss;
}

bool nbd_session_gone(const struct nbd_session *ss)
{
	struct pollfd p = {.fd = ss->fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0;
}

static bool transient(int res)
{
	return res == -EAGAIN || res == -EINTR;
}

static void on_recv(struct loop_cb *cb, int res, unsigned flags)
{
	struct nbd_session *ss =
		(struct nbd_session *)((char *)cb - offsetof(struct nbd_session, on_recv));

	ss->receiving = false;
	if (res > 0)
		nbd_conn_received(&ss->conn, (size_t)res);
	else if (res == 0)
		nbd_conn_drain(&ss->conn);
	else if (!transient(res))
		nbd_conn_kill(&ss->conn);
	nbd_session_dirty(ss);
}

static void on_send(struct loop_cb *cb, int res, unsigned flags)
{
	struct nbd_session *ss =
		(struct nbd_session *)((char *)cb - offsetof(struct nbd_session, on_send));

	ss->sending = false;
	if (res > 0)
		nbd_conn_sent(&ss->conn, (size_t)res);
	else if (!transient(res))
		nbd_conn_kill(&ss->conn);
	nbd_session_dirty(ss);
}

static void start_recv(struct nbd_session *ss)
{
	unsigned n = ss->receiving ? 0 : nbd_conn_recv_iov(&ss->conn, ss->recv_iov);
	struct io_uring_sqe *sqe;

	if (n == 0)
		return;
	sqe = loop_sqe(ss->server->loop, &ss->on_recv);
	if (n == 1) {
		io_uring_prep_recv(sqe, ss->fd, ss->recv_iov[0].iov_base, ss->recv_iov[0].iov_len,
				   0);
	} else {
		ss->recv_msg.msg_iov = ss->recv_iov;
		ss->recv_msg.msg_iovlen = n;
		io_uring_prep_recvmsg(sqe, ss->fd, &ss->recv_msg, 0);
	}
	ss->receiving = true;
	ss->server->count.recvs++;
}

static void start_send(struct nbd_session *ss)
{
	unsigned n = ss->sending ? 0 : nbd_conn_send_iov(&ss->conn, ss->send_iov, NBD_SEND_IOV);
	struct io_uring_sqe *sqe;

	if (n == 0)
		return;
	sqe = loop_sqe(ss->server->loop, &ss->on_send);
	ss->send_msg.msg_iov = ss->send_iov;
	ss->send_msg.msg_iovlen = n;
	/* The kernel goes on until all is sent: one completion for the batch. */
	io_uring_prep_sendmsg(sqe, ss->fd, &ss->send_msg, MSG_NOSIGNAL | MSG_WAITALL);
	ss->sending = true;
	ss->server->count.sends++;
}

static void end(struct nbd_session *ss)
{
	struct nbd_server *s = ss->server;

	if (!ss->stopping) {
		/* Makes the I/O that is under way complete; what was sent is still delivered. */
		(void)shutdown(ss->fd, SHUT_RDWR);
		ss->stopping = true;
	}
	if (ss->receiving || ss->sending)
		return;
	nbd_conn_clear(&ss->conn);
	if (!nbd_conn_quiet(&ss->conn))
		return;
	close(ss->fd);
	ss->fd = -1;
	ss->next = s->free;
	s->free = ss;
	s->open--;
}

void nbd_session_pump(struct nbd_session *ss)
{
	if (ss->fd < 0)
		return;
	ss->pumping = true;
	/* Commands of a peer that has gone, possibly sent again elsewhere by now, must not run. */
	if (ss->conn.stalled && nbd_session_gone(ss))
		nbd_conn_drain(&ss->conn);
	nbd_conn_run(&ss->conn);
	if (ss->stopping || nbd_conn_finished(&ss->conn)) {
		end(ss);
	} else {
		start_send(ss);
		start_recv(ss);
	}
	ss->pumping = false;
}

bool nbd_session_open(struct nbd_server *s, int fd)
{
	struct nbd_session *ss = s->free;
	int one = 1;

	if (!ss)
		return false;
	s->free = ss->next;
	s->open++;
	ss->server = s;
	ss->fd = fd;
	ss->stopping = false;
	ss->opened_ns = loop_now(s->loop);
	ss->on_recv.fn = on_recv;
	ss->on_send.fn = on_send;
	/* Both fail on Unix sockets, which need neither. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	XBD_ASSERT(!ss->receiving && !ss->sending);
	nbd_conn_init(&ss->conn, &s->env, &ss->share);
	nbd_session_dirty(ss);
	return true;
}
