/* SPDX-License-Identifier: BSD-2-Clause */
#include "nbd/server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "nbd/session.h"

#define CONNS_DEFAULT	     64u
#define CONNS_LIMIT	     1024u
#define MEM_DEFAULT	     (96u << 20)
#define MEM_MIN		     (4u << 20)
#define HANDSHAKE_DEFAULT_MS 10000u
#define TICK_NS		     250000000u
#define DRAIN_NS	     5000000000u /* patience with clients that do not read */

static void kick(struct nbd_env *env, struct nbd_conn *c)
{
	nbd_session_dirty(nbd_session_of(c));
}

static void submit(void *backend, struct co_req *req)
{
	struct nbd_server *s = backend;

	s->submitted = true;
	s->backend.submit(s->backend.ctx, req);
}

static void freed(struct nbd_pool *p)
{
	struct nbd_server *s = p->owner;

	s->freed = true;
}

/*
 * A client that lost patience with an old connection closes it, sends its commands again on a new
 * one, and goes on writing. Commands of the old one that are still waiting here would then undo
 * newer writes: so before the first command of a connection runs, those whose peer has closed are
 * drained.
 */
static void first(struct nbd_env *env, struct nbd_conn *c)
{
	struct nbd_server *s = env->owner;

	for (unsigned i = 0; s->open > 1 && i < s->sessions_max; i++) {
		struct nbd_session *ss = &s->sessions[i];

		if (ss->fd >= 0 && &ss->conn != c && nbd_session_gone(ss))
			nbd_conn_drain(&ss->conn);
	}
}

static void accept_start(struct nbd_listener *li)
{
	struct io_uring_sqe *sqe;

	if (li->fd < 0 || li->accepting || li->server->draining)
		return;
	sqe = loop_sqe(li->server->loop, &li->on_accept);
	io_uring_prep_multishot_accept(sqe, li->fd, NULL, NULL, SOCK_CLOEXEC);
	li->accepting = true;
	li->retry = false;
}

static void listener_close(struct nbd_listener *li)
{
	if (li->fd >= 0)
		close(li->fd);
	li->fd = -1;
}

static void tick_start(struct nbd_server *s)
{
	if (s->tick.heap_index == 0)
		loop_timer_set(s->loop, &s->tick, loop_now(s->loop) + TICK_NS);
}

static void accepted(struct nbd_server *s, int fd)
{
	if (s->draining || !nbd_session_open(s, fd)) {
		s->count.refused++;
		close(fd);
		return;
	}
	s->count.connections++;
	tick_start(s);
}

static void on_accept(struct loop_cb *cb, int res, unsigned flags)
{
	struct nbd_listener *li =
		(struct nbd_listener *)((char *)cb - offsetof(struct nbd_listener, on_accept));

	if (res >= 0)
		accepted(li->server, res);
	if (flags & IORING_CQE_F_MORE)
		return;
	li->accepting = false;
	if (li->server->draining) {
		listener_close(li);
	} else if (res < 0 && res != -ECONNABORTED && res != -EINTR) {
		/* No descriptors or no memory: try again in a while. */
		li->retry = true;
		tick_start(li->server);
	} else {
		accept_start(li);
	}
}

/* Clients that take too long: over the handshake, or over their last replies. */
static void on_tick(struct loop_timer *t)
{
	struct nbd_server *s = (struct nbd_server *)((char *)t - offsetof(struct nbd_server, tick));
	uint64_t now = loop_now(s->loop);
	bool again = s->draining && s->open;

	for (unsigned i = 0; i < 2; i++)
		if (s->listeners[i].retry)
			accept_start(&s->listeners[i]);
	for (unsigned i = 0; i < s->sessions_max; i++) {
		struct nbd_session *ss = &s->sessions[i];

		if (ss->fd < 0)
			continue;
		if (s->draining && now >= s->drain_ns && ss->conn.out_head)
			nbd_conn_kill(&ss->conn);
		if (ss->conn.state > NBD_OPTION_SKIP)
			continue;
		again = true;
		if (now - ss->opened_ns < s->handshake_ns)
			continue;
		s->count.e_handshake_timeout++;
		nbd_conn_kill(&ss->conn);
	}
	if (again)
		tick_start(s);
}

static void wake_waiters(struct nbd_server *s)
{
	struct nbd_share *share;

	s->freed = false;
	while ((share = nbd_pool_waiter(&s->pool)))
		nbd_session_dirty((struct nbd_session *)((char *)share -
							 offsetof(struct nbd_session, share)));
}

static bool listening(const struct nbd_server *s)
{
	return s->listeners[0].fd >= 0 || s->listeners[1].fd >= 0;
}

static void on_hook(struct loop_hook *h)
{
	struct nbd_server *s = (struct nbd_server *)((char *)h - offsetof(struct nbd_server, hook));

	s->submitted = false;
	while (s->freed || s->dirty) {
		struct nbd_session *ss = s->dirty;

		if (!ss) {
			wake_waiters(s);
			continue;
		}
		s->dirty = ss->next_dirty;
		ss->dirty = false;
		nbd_session_pump(ss);
	}
	if (s->draining && s->drained && s->open == 0 && !listening(s)) {
		void (*fn)(void *ctx) = s->drained;

		s->drained = NULL;
		fn(s->drained_ctx);
	}
}

/* Requests given out by the hook, or outcomes that came after it, are not to wait for the next
 * event. */
static bool hook_busy(struct loop_hook *h)
{
	struct nbd_server *s = (struct nbd_server *)((char *)h - offsetof(struct nbd_server, hook));

	return s->submitted || s->dirty || s->freed;
}

static bool config_ok(const struct nbd_server_config *cfg, char *why)
{
	const struct nbd_export *e = &cfg->export;

	if (!e->name || !e->name[0] || strlen(e->name) > NBD_NAME_MAX ||
	    (e->description && strlen(e->description) > NBD_NAME_MAX))
		snprintf(why, NBD_WHY, "an export has a name of 1 to %u bytes", NBD_NAME_MAX);
	else if (e->size > INT64_MAX)
		snprintf(why, NBD_WHY, "the export is too large");
	else if (!cfg->unix_path && !cfg->tcp)
		snprintf(why, NBD_WHY, "neither a Unix socket nor a TCP address is given");
	else if (cfg->conns_max > CONNS_LIMIT)
		snprintf(why, NBD_WHY, "at most %u connections are possible", CONNS_LIMIT);
	else if (cfg->mem_bytes && cfg->mem_bytes < MEM_MIN)
		snprintf(why, NBD_WHY, "request buffers need at least %u bytes", MEM_MIN);
	else
		return true;
	return false;
}

static int memory(struct nbd_server *s, const struct nbd_server_config *cfg, char *why)
{
	size_t mem = cfg->mem_bytes ? cfg->mem_bytes : MEM_DEFAULT;
	int err;

	s->sessions_max = cfg->conns_max ? cfg->conns_max : CONNS_DEFAULT;
	err = nbd_pool_init(&s->pool, mem);
	/* Every connection may hold one buffer that waits for its client; some must be left. */
	if (!err && s->pool.count[NBD_CLASS_LARGE] <= s->sessions_max) {
		snprintf(why, NBD_WHY,
			 "request buffers of %zu bytes are too few for %u connections", mem,
			 s->sessions_max);
		return -EINVAL;
	}
	if (!err) {
		s->sessions = calloc(s->sessions_max, sizeof(*s->sessions));
		err = s->sessions ? 0 : -ENOMEM;
	}
	if (err) {
		snprintf(why, NBD_WHY, "request buffers: %s", strerror(-err));
		return err;
	}
	for (unsigned i = s->sessions_max; i-- > 0;) {
		s->sessions[i].fd = -1;
		s->sessions[i].next = s->free;
		s->free = &s->sessions[i];
	}
	return 0;
}

static void environment(struct nbd_server *s, const struct nbd_export *e)
{
	snprintf(s->env.name, sizeof(s->env.name), "%s", e->name);
	if (e->description)
		snprintf(s->env.description, sizeof(s->env.description), "%s", e->description);
	s->env.size = e->size;
	s->env.read_only = e->read_only;
	s->env.pool = &s->pool;
	s->env.count = &s->count;
	s->env.backend = s;
	s->env.submit = submit;
	s->env.owner = s;
	s->env.kick = kick;
	s->env.first = first;
	s->pool.freed = freed;
	s->pool.owner = s;
}

static int listen_all(struct nbd_server *s, const struct nbd_server_config *cfg, char *why)
{
	for (unsigned i = 0; i < 2; i++) {
		s->listeners[i].server = s;
		s->listeners[i].fd = -1;
		s->listeners[i].on_accept.fn = on_accept;
	}
	if (cfg->unix_path)
		s->listeners[0].fd = nbd_listen_unix(cfg->unix_path, &s->file, why);
	if (cfg->unix_path && s->listeners[0].fd < 0)
		return s->listeners[0].fd;
	if (cfg->tcp)
		s->listeners[1].fd = nbd_listen_tcp(cfg->tcp, cfg->tcp_insecure, &s->port, why);
	if (cfg->tcp && s->listeners[1].fd < 0)
		return s->listeners[1].fd;
	return 0;
}

static void destroy(struct nbd_server *s)
{
	for (unsigned i = 0; i < 2; i++)
		listener_close(&s->listeners[i]);
	nbd_unlisten_unix(&s->file);
	free(s->sessions);
	nbd_pool_free(&s->pool);
	free(s);
}

int nbd_server_open(struct nbd_server **out, struct loop *l, const struct nbd_server_config *cfg,
		    const struct nbd_backend *be, char *why)
{
	struct nbd_server *s;
	int err;

	if (!config_ok(cfg, why))
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s) {
		snprintf(why, NBD_WHY, "out of memory");
		return -ENOMEM;
	}
	s->listeners[0].fd = s->listeners[1].fd = -1;
	s->loop = l;
	s->backend = *be;
	s->handshake_ns =
		1000000ull * (cfg->handshake_ms ? cfg->handshake_ms : HANDSHAKE_DEFAULT_MS);
	s->tick.fn = on_tick;
	s->hook.fn = on_hook;
	s->hook.busy = hook_busy;
	err = memory(s, cfg, why);
	if (!err)
		err = listen_all(s, cfg, why);
	if (err) {
		destroy(s);
		return err;
	}
	environment(s, &cfg->export);
	loop_hook_add(l, &s->hook);
	accept_start(&s->listeners[0]);
	accept_start(&s->listeners[1]);
	*out = s;
	return 0;
}

static void stop_accepting(struct nbd_server *s)
{
	for (unsigned i = 0; i < 2; i++) {
		struct nbd_listener *li = &s->listeners[i];

		if (li->accepting) {
			struct io_uring_sqe *sqe = loop_sqe(s->loop, NULL);

			io_uring_prep_cancel(sqe, &li->on_accept, 0);
		} else {
			listener_close(li);
		}
	}
	nbd_unlisten_unix(&s->file);
}

void nbd_server_shutdown(struct nbd_server *s, void (*fn)(void *ctx), void *ctx)
{
	if (s->draining)
		return;
	s->draining = true;
	s->drained = fn;
	s->drained_ctx = ctx;
	s->drain_ns = loop_now(s->loop) + DRAIN_NS;
	s->submitted = true; /* the hook runs again before anybody sleeps */
	stop_accepting(s);
	for (unsigned i = 0; i < s->sessions_max; i++)
		if (s->sessions[i].fd >= 0)
			nbd_conn_drain(&s->sessions[i].conn);
	tick_start(s);
}

static bool io_pending(const struct nbd_server *s)
{
	bool pending = s->listeners[0].accepting || s->listeners[1].accepting;

	for (unsigned i = 0; i < s->sessions_max; i++)
		pending |= s->sessions[i].receiving || s->sessions[i].sending;
	return pending;
}

void nbd_server_close(struct nbd_server *s)
{
	if (!s)
		return;
	s->drained = NULL;
	if (!s->draining) {
		s->draining = true;
		stop_accepting(s);
	}
	for (unsigned i = 0; i < s->sessions_max; i++)
		if (s->sessions[i].fd >= 0)
			nbd_conn_kill(&s->sessions[i].conn);
	while (io_pending(s) && loop_turn(s->loop, true) == 0)
		;
	for (unsigned i = 0; i < s->sessions_max; i++)
		if (s->sessions[i].fd >= 0)
			close(s->sessions[i].fd);
	loop_timer_cancel(s->loop, &s->tick);
	loop_hook_remove(s->loop, &s->hook);
	destroy(s);
}

const struct nbd_counters *nbd_server_counters(const struct nbd_server *s)
{
	return &s->count;
}

unsigned nbd_server_conns(const struct nbd_server *s)
{
	return s->open;
}

uint16_t nbd_server_port(const struct nbd_server *s)
{
	return s->port;
}

void nbd_server_resize(struct nbd_server *s, uint64_t size)
{
	s->env.size = size;
}
