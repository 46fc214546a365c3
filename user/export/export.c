/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Life of an exporting process: start everything, open the volume, then let clients in; on SIGTERM
 * the same backwards.
 */
#include "export/export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "export/private.h"
#include "io/log.h"
#include "io/patience.h"

#define RING_ENTRIES 1024u
#define TIMERS	     64u
#define GATE_REQS    8192u /* more than the NBD server has buffers */
#define STOP_MS	     5000u /* how long requests may take to end when asked to stop */
#define WHY	     512

static void quit(struct export *x, int err)
{
	if (!x->err)
		x->err = err;
	loop_stop(&x->loop);
}

static void on_first(struct loop_hook *h)
{
	struct export *x = (struct export *)((char *)h - offsetof(struct export, first));

	export_tick(x);
}

/* The volume serves for the first time: let clients in. */
static void open_door(struct export *x)
{
	char why[NBD_WHY] = "", uri[EXPORT_URI_MAX];
	int err = export_listen(x, why);

	if (err) {
		quit(x, log_failed(err, "cannot listen for NBD clients", why));
		return;
	}
	/* The server's hook has to run between ours. */
	loop_hook_remove(&x->loop, &x->last);
	loop_hook_add(&x->loop, &x->last);
	export_uri(x, uri, sizeof(uri));
	log_ready(uri);
}

static void on_last(struct loop_hook *h)
{
	struct export *x = (struct export *)((char *)h - offsetof(struct export, last));

	export_tick(x);
	net_flush(x->net);
	if (x->nbd || x->signals_seen)
		return;
	if (co_dead(x->co))
		quit(x, -XBD_EFENCED);
	else if (co_serving(x->co))
		open_door(x);
}

/* Outcomes that are ready must not wait for an event. */
static bool last_busy(struct loop_hook *h)
{
	struct export *x = (struct export *)((char *)h - offsetof(struct export, last));

	return x->fresh;
}

static void on_timer(struct loop_timer *t)
{
	/* The hooks look at the coordinator's deadline; waking up is all that is needed. */
}

static void on_stop_timer(struct loop_timer *t)
{
	struct export *x = (struct export *)((char *)t - offsetof(struct export, stop_timer));

	x->late = true;
}

static void on_signal(struct loop_signals *s, int signo)
{
	struct export *x = (struct export *)((char *)s - offsetof(struct export, signals));

	/* The second one: somebody is in a hurry. */
	if (x->signals_seen++)
		x->late = true;
	loop_stop(&x->loop);
}

static int start_loop(struct export *x)
{
	int err = loop_init(&x->loop, RING_ENTRIES, TIMERS);

	if (err)
		return log_failed(err, "cannot set up io_uring", loop_why(err));
	x->start_ns = loop_now(&x->loop);
	x->first.fn = on_first;
	x->last.fn = on_last;
	x->last.busy = last_busy;
	x->timer.fn = on_timer;
	x->stop_timer.fn = on_stop_timer;
	x->signals.fn = on_signal;
	err = loop_signals_start(&x->signals, &x->loop);
	return err ? log_failed(err, "cannot catch signals", NULL) : 0;
}

/* Address that packets to `to` would leave from. False = no route. */
static bool source_of(const struct sockaddr *to, socklen_t len, struct sockaddr_storage *from)
{
	int fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t from_len = sizeof(*from);
	bool ok;

	if (fd < 0)
		return false;
	memset(from, 0, sizeof(*from));
	ok = !connect(fd, to, len) && !getsockname(fd, (struct sockaddr *)from, &from_len);
	close(fd);
	if (ok && from->ss_family == AF_INET6)
		((struct sockaddr_in6 *)from)->sin6_port = 0;
	else if (ok)
		((struct sockaddr_in *)from)->sin_port = 0;
	return ok;
}

/*
 * Without an address of our own in the configuration: the one that the routes to all nodes agree
 * on, or any. A node without a route right now has no say.
 */
static void choose_address(const struct export_args *a, struct sockaddr_storage *out)
{
	struct sockaddr_storage from;
	bool found = false;

	for (uint32_t i = 0; i < a->nnodes; i++) {
		const struct export_node *n = &a->nodes[i];

		if (!source_of((const struct sockaddr *)&n->addr, n->addr_len, &from))
			continue;
		if (found && memcmp(&from, out, sizeof(from))) {
			memset(out, 0, sizeof(*out));
			break;
		}
		*out = from;
		found = true;
	}
	out->ss_family = a->nodes[0].addr.ss_family;
}

static int add_peers(struct export *x)
{
	const struct export_args *a = x->args;

	memset(x->node_of_peer, UINT8_MAX, sizeof(x->node_of_peer));
	for (uint32_t i = 0; i < a->nnodes; i++) {
		uint32_t peer = net_peer_add(x->net, (const struct sockaddr *)&a->nodes[i].addr,
					     a->nodes[i].addr_len);

		if (peer >= NET_PEERS_MAX)
			return log_failed(
				-EAFNOSUPPORT, a->nodes[i].name,
				"its address cannot be used from the address of this host");
		if (x->node_of_peer[peer] != UINT8_MAX)
			return log_failed(-EINVAL, a->nodes[i].name,
					  "has the same address as another node");
		x->peer[i] = peer;
		x->node_of_peer[peer] = (uint8_t)i;
	}
	return 0;
}

static int start_net(struct export *x)
{
	const struct conf_export *c = &x->args->conf->export;
	struct net_config cfg = {
		.transport = (enum net_transport)c->transport,
		.side = XBD_SIDE_CLIENT,
		.interface = c->interface[0] ? c->interface : NULL,
		.pin_dir = c->pin_dir[0] ? c->pin_dir : NULL,
	};
	char why[WHY] = "", text[XBD_ADDR_TEXT];
	struct net_info info;
	socklen_t len;
	int err = 0;

	if (c->listen[0])
		err = text_addr(c->listen, 0, &cfg.listen, &len, why, sizeof(why));
	else
		choose_address(x->args, &cfg.listen);
	if (!err)
		err = net_open(&x->net, &x->loop, &cfg, &export_net_ops, x, why);
	if (err)
		return log_failed(err, "network", why);
	net_info(x->net, &info);
	text_addr_format((const struct sockaddr *)&cfg.listen, text, sizeof(text));
	log_info("from %s by %s%s%s", text, info.mode_text, info.why[0] ? ": " : "", info.why);
	return add_peers(x);
}

static int start_co(struct export *x)
{
	const struct export_args *a = x->args;
	const struct conf_export *c = &a->conf->export;
	struct co_config cfg = {
		.size = a->size,
		.shard_blocks = a->shard_blocks,
		.nshards = a->nshards,
		.nnodes = a->nnodes,
		.shards = a->shards,
		.ops_max = c->ops_max,
		.lease_ms = c->lease_ms,
		.lease_every_ms = c->lease_every_ms,
		.lag_ms = c->lag_ms,
		.window_bytes = (uint32_t)c->window,
	};
	int err = xbd_uuid_random(&cfg.owner);

	if (!err)
		err = xbd_random(&cfg.prng_seed, sizeof(cfg.prng_seed));
	if (err)
		return log_failed(err, "no random numbers", NULL);
	x->co = co_new(&cfg, &export_co_ops, x);
	if (!x->co)
		return log_failed(-ENOMEM, a->volume,
				  "no memory, or its record is beyond the limits of this version");
	x->gated = c->on_no_quorum == CONF_IO_ERROR;
	if (x->gated) {
		err = gate_init(&x->gate, x->co, (uint64_t)a->shard_blocks * XBD_BLOCK_SIZE,
				c->no_quorum_ms, GATE_REQS);
		if (err)
			return log_failed(err, a->volume, NULL);
	}
	loop_hook_add(&x->loop, &x->last);
	co_open(x->co, loop_now(&x->loop));
	x->fresh = true;
	return 0;
}

static int start_admin(struct export *x)
{
	unsigned tries = 0;
	char path[CONF_PATH_MAX + 64], why[ADMIN_WHY_MAX] = "";
	int err = admin_path(path, sizeof(path), x->args->conf->run_dir, "export", x->args->volume);

	if (err)
		return log_failed(err, x->args->conf->run_dir, "the path is too long for a socket");
	do
		err = admin_open(&x->admin, &x->loop, path, export_handlers, x, why, sizeof(why));
	while (patience(err, &tries));
	return err ? log_failed(err, "control socket", why) : 0;
}

static int start(struct export *x)
{
	char why[WHY] = "";
	int err = start_loop(x);

	if (err)
		return err;
	err = export_listen_plan(x, why, sizeof(why));
	if (err)
		return log_failed(err, "NBD socket", why);
	loop_hook_add(&x->loop, &x->first);
	err = start_net(x);
	if (!err)
		err = start_co(x);
	if (!err)
		err = start_admin(x);
	/* Do not be swapped out; memory not touched yet is not claimed by this. */
	if (!err)
		(void)mlockall(MCL_CURRENT | MCL_ONFAULT);
	return err;
}

static void on_drained(void *ctx)
{
	struct export *x = ctx;

	x->drained = true;
}

/* No new requests; those that were given to the coordinator end, if they do in time. */
static int drain(struct export *x)
{
	int err = 0;

	if (!x->nbd || co_dead(x->co)) {
		x->drained = true;
		return 0;
	}
	nbd_server_shutdown(x->nbd, on_drained, x);
	loop_timer_set(&x->loop, &x->stop_timer, loop_now(&x->loop) + STOP_MS * 1000000ull);
	while (!err && !x->drained && !x->late)
		err = loop_turn(&x->loop, true);
	loop_timer_cancel(&x->loop, &x->stop_timer);
	if (x->drained)
		return err;
	log_warn("stopped with requests unfinished");
	return -ETIMEDOUT;
}

static int stop(struct export *x)
{
	int err = x->co ? drain(x) : 0;

	admin_close(x->admin);
	if (x->co && x->drained && !co_dead(x->co)) {
		co_close(x->co, loop_now(&x->loop));
		net_flush(x->net);
		(void)loop_turn(&x->loop, false);
	}
	loop_hook_remove(&x->loop, &x->first);
	loop_hook_remove(&x->loop, &x->last);
	loop_timer_cancel(&x->loop, &x->timer);
	co_free(x->co);
	x->co = NULL;
	nbd_server_close(x->nbd);
	gate_free(&x->gate);
	net_close(x->net);
	loop_signals_stop(&x->signals);
	loop_free(&x->loop);
	return err;
}

int export_run(const struct export_args *args)
{
	struct export *x = calloc(1, sizeof(*x));
	int err, stop_err;

	log_open("xbd-export", args->volume, args->quiet);
	if (!x)
		return log_failed(-ENOMEM, args->volume, NULL);
	x->args = args;
	x->name = args->export_name ? args->export_name : args->volume;
	err = start(x);
	if (!err && !x->signals_seen) {
		err = loop_run(&x->loop);
		if (err)
			log_failed(err, "event loop", NULL);
	}
	if (!err)
		err = x->err;
	if (!err && co_dead(x->co))
		err = -XBD_EFENCED;
	stop_err = stop(x);
	free(x);
	err = err ? err : stop_err;
	if (!err)
		log_info("stopped");
	return err;
}
