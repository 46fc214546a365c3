/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xbdd, the storage daemon: glue between store, replica, network and event loop.
 *
 *   packet -> net -> replica_msg -> store_submit -> disk -> ... -> replica_flush -> net_send
 *
 * Start and stop run step by step, waiting in turns of the loop; in between everything is events.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "cmd/doc.h"
#include "cmd/parse.h"
#include "cmd/xbdd.h"
#include "io/log.h"
#include "io/patience.h"

#define IDLE_KICK_NS 10000000ull /* between turns while the store is not settled */
#define RING_ENTRIES 1024u
#define TIMERS	     64u
#define STOP_MS	     2000u /* how long operations may take to end when asked to stop */
#define AREAS	     16u

static void rx(void *ctx, const struct xbd_msg *m)
{
	struct xbdd *d = ctx;

	if (d->replica && !d->stopping)
		replica_msg(d->replica, loop_now(&d->loop), m);
}

static const struct net_ops net_ops = {.rx = rx};

static void rep_send(void *ctx, uint32_t to, const struct xbd_send *s)
{
	struct xbdd *d = ctx;

	net_send(d->net, &to, 1, s);
}

static void rep_fence(void *ctx, uint32_t shard, uint32_t epoch)
{
	struct xbdd *d = ctx;

	net_fence(d->net, shard, epoch);
}

static void rep_note(void *ctx, enum replica_note what, uint32_t shard, uint64_t arg)
{
	unsigned long long n = arg;

	switch (what) {
	case REPLICA_NOTE_PROMISED:
		log_info("shard %u: promised epoch %llu", shard, n);
		break;
	case REPLICA_NOTE_SYNCED:
		log_info("shard %u: synced in epoch %llu", shard, n);
		break;
	case REPLICA_NOTE_CREATED:
		log_info("shard %u: created", shard);
		break;
	case REPLICA_NOTE_RETIRED:
		log_info("shard %u: retired", shard);
		break;
	case REPLICA_NOTE_BAD_BLOCK:
		log_warn("shard %u: block %llu is damaged on disk", shard, n);
		break;
	case REPLICA_NOTE_DISK:
		log_warn("shard %u: disk error: %s", shard, xbd_strerror((int)n));
		break;
	}
}

static const struct replica_ops replica_ops = {rep_send, rep_fence, rep_note};

/* End of every turn, before the network's own hook. */
static void on_hook(struct loop_hook *h)
{
	struct xbdd *d = (struct xbdd *)((char *)h - offsetof(struct xbdd, hook));
	uint64_t deadline;

	if (!d->replica) {
		if (d->store)
			store_kick(d->store);
		return;
	}
	do
		replica_flush(d->replica, loop_now(&d->loop));
	while (io_disk_run(d->disk));
	deadline = replica_deadline(d->replica);
	if (store_wants_kicks(d->store) && deadline > loop_now(&d->loop) + IDLE_KICK_NS)
		deadline = loop_now(&d->loop) + IDLE_KICK_NS;
	if (deadline == UINT64_MAX)
		loop_timer_cancel(&d->loop, &d->timer);
	else
		loop_timer_set(&d->loop, &d->timer, deadline);
}

static void on_timer(struct loop_timer *t)
{
	struct xbdd *d = (struct xbdd *)((char *)t - offsetof(struct xbdd, timer));

	if (d->replica)
		replica_tick(d->replica, loop_now(&d->loop));
}

static void on_stop_timer(struct loop_timer *t)
{
	struct xbdd *d = (struct xbdd *)((char *)t - offsetof(struct xbdd, stop_timer));

	d->stop_late = true;
}

static void on_signal(struct loop_signals *s, int signo)
{
	struct xbdd *d = (struct xbdd *)((char *)s - offsetof(struct xbdd, signals));

	d->stopping = true;
	loop_stop(&d->loop);
}

static void store_ended(void *ctx, int err)
{
	struct xbdd *d = ctx;

	d->store_err = err;
}

/* Turns of the loop until the store has called back. The hook at the end of a turn gets the store
 * going, so the first one must not sleep: there may be nothing that wakes it. */
static int store_wait(struct xbdd *d)
{
	int err = loop_turn(&d->loop, false);

	while (d->store_err == 1 && !err)
		err = loop_turn(&d->loop, true);
	return err ? err : d->store_err;
}

static int start_loop(struct xbdd *d)
{
	int err = loop_init(&d->loop, RING_ENTRIES, TIMERS);

	if (err)
		return log_failed(err, "cannot set up io_uring", loop_why(err));
	d->start_ns = loop_now(&d->loop);
	d->hook.fn = on_hook;
	loop_hook_add(&d->loop, &d->hook);
	d->timer.fn = on_timer;
	d->stop_timer.fn = on_stop_timer;
	d->signals.fn = on_signal;
	err = loop_signals_start(&d->signals, &d->loop);
	return err ? log_failed(err, "cannot catch signals", NULL) : 0;
}

static int check_cluster(struct xbdd *d)
{
	char ours[XBD_UUID_TEXT], its[XBD_UUID_TEXT];
	struct store_info info;

	store_info(d->store, &info);
	if (uuid_zero(&d->conf.cluster) || uuid_zero(&info.cluster) ||
	    uuid_equal(&d->conf.cluster, &info.cluster))
		return 0;
	xbd_uuid_text(&d->conf.cluster, ours);
	xbd_uuid_text(&info.cluster, its);
	log_warn("%s belongs to cluster %s, but this node is configured for %s", d->conf.node.store,
		 its, ours);
	return -XBD_ECONFIG;
}

/* One line on what the store is. */
static void log_store(const struct xbdd *d)
{
	char uuid[XBD_UUID_TEXT], size[32];
	struct io_disk_info disk;
	struct store_info info;

	store_info(d->store, &info);
	io_disk_info(d->disk, &disk);
	xbd_uuid_text(&info.uuid, uuid);
	text_size_human(info.disk_bytes, size, sizeof(size));
	log_info("%s: store %s, %s, %u shards, start %llu%s", d->conf.node.store, uuid, size,
		 info.shards, (unsigned long long)info.boot,
		 disk.direct ? "" : "; its file system refuses direct I/O: the page cache is used");
}

static int start_store(struct xbdd *d)
{
	const char *why = NULL;
	unsigned tries = 0;
	int err;

	do
		err = io_disk_open(&d->disk, &d->loop, d->conf.node.store, &why);
	while (patience(err, &tries));
	if (err) {
		log_failed(err, "store", why);
		if (err == -ENOENT)
			log_warn("a store is made by: xbd node init %s", d->conf.node.store);
		return err;
	}
	d->store = store_new(io_disk_get(d->disk));
	if (!d->store)
		return log_failed(-ENOMEM, d->conf.node.store, NULL);
	d->store_err = 1;
	store_open(d->store, store_ended, d);
	err = store_wait(d);
	if (err) {
		log_failed(err, d->conf.node.store, store_why(d->store));
		if (err == -XBD_EFORMAT)
			log_warn("a store is made by: xbd node init %s", d->conf.node.store);
		return err;
	}
	d->store_open = true;
	return check_cluster(d);
}

static int start_net(struct xbdd *d)
{
	const struct conf_node *n = &d->conf.node;
	struct net_config cfg = {
		.transport = (enum net_transport)n->transport,
		.side = XBD_SIDE_STORE,
		.interface = n->interface[0] ? n->interface : NULL,
		.frames = n->frames,
		.pin_dir = n->pin_dir[0] ? n->pin_dir : NULL,
	};
	char why[256] = "";
	unsigned tries = 0;
	socklen_t len;
	int err;

	err = text_addr(n->listen, XBD_PORT, &cfg.listen, &len, why, sizeof(why));
	if (!err) {
		text_addr_format((const struct sockaddr *)&cfg.listen, d->listen,
				 sizeof(d->listen));
		do
			err = net_open(&d->net, &d->loop, &cfg, &net_ops, d, why);
		while (patience(err, &tries));
	}
	if (err)
		return log_failed(err, n->listen, why);
	return 0;
}

/* How packets come in, and why not better. */
static void log_net(const struct xbdd *d)
{
	struct net_info info;

	net_info(d->net, &info);
	log_info("%s by %s%s%s", d->listen, info.mode_text, info.why[0] ? ": " : "", info.why);
}

static int start_replica(struct xbdd *d)
{
	const struct conf_node *n = &d->conf.node;
	struct replica_config cfg = {
		.store = d->store,
		.lease_ms = n->lease_ms,
		.ops_max = n->ops_max,
		.data_bytes = n->data_memory,
		.witness = n->witness,
	};
	struct iovec areas[AREAS];
	struct store_info info;

	store_info(d->store, &info);
	cfg.blocks = info.slots;
	snprintf(cfg.name, sizeof(cfg.name), "%s", n->name);
	d->replica = replica_new(&cfg, &replica_ops, d, loop_now(&d->loop));
	if (!d->replica)
		return log_failed(-ENOMEM, "operations (ops_max, data_memory)", NULL);
	/* Works as well without, a little slower. */
	(void)io_disk_register(d->disk, areas, replica_areas(d->replica, areas, AREAS));
	/* Do not be swapped out; memory not touched yet is not claimed by this. */
	(void)mlockall(MCL_CURRENT | MCL_ONFAULT);
	return 0;
}

static int start_admin(struct xbdd *d)
{
	unsigned tries = 0;
	char path[CONF_PATH_MAX + 64], why[ADMIN_WHY_MAX] = "";
	int err = admin_path(path, sizeof(path), d->conf.run_dir, "node", d->conf.node.name);

	if (err)
		return log_failed(err, d->conf.run_dir, "the path is too long for a socket");
	do
		err = admin_open(&d->admin, &d->loop, path, xbdd_handlers, d, why, sizeof(why));
	while (patience(err, &tries));
	return err ? log_failed(err, "control socket", why) : 0;
}

static int start(struct xbdd *d)
{
	int err = start_loop(d);

	if (!err)
		err = start_store(d);
	if (!err)
		err = start_net(d);
	if (!err)
		err = start_replica(d);
	if (!err)
		err = start_admin(d);
	return err;
}

/* Let what runs end, for a while; then close the store, so that the next start is quick. */
static int stop(struct xbdd *d)
{
	int err = 0;

	d->stopping = true;
	admin_close(d->admin);
	if (d->replica) {
		loop_timer_set(&d->loop, &d->stop_timer, loop_now(&d->loop) + STOP_MS * 1000000ull);
		while (!err && !d->stop_late && !replica_idle(d->replica))
			err = loop_turn(&d->loop, true);
		loop_timer_cancel(&d->loop, &d->stop_timer);
		loop_timer_cancel(&d->loop, &d->timer);
	}
	if (d->store_open) {
		d->store_err = 1;
		store_close(d->store, store_ended, d);
		err = store_wait(d);
		if (err)
			log_warn("%s: not closed cleanly: %s", d->conf.node.store,
				 store_why(d->store));
	}
	net_close(d->net);
	replica_free(d->replica);
	store_free(d->store);
	io_disk_close(d->disk);
	loop_signals_stop(&d->signals);
	loop_free(&d->loop);
	return err;
}

static int run(struct xbdd *d)
{
	int err = start(d), stop_err;

	if (!err && !d->stopping) { /* a start that fails says only why */
		log_store(d);
		log_net(d);
		log_ready(d->listen);
		err = loop_run(&d->loop);
		if (err)
			log_failed(err, "event loop", NULL);
	}
	stop_err = stop(d);
	if (!err && !stop_err)
		log_info("stopped");
	return err ? err : stop_err;
}

/* xbdd takes the options of `xbd node run`, whose words it puts in front. */
static int parse(int argc, char **argv, struct cmd_line *line, char *why, size_t why_size)
{
	static char node[] = "node", word[] = "run";
	char **args = calloc((size_t)argc + 3, sizeof(char *));
	int err;

	if (!args)
		return -ENOMEM;
	args[0] = argv[0];
	args[1] = node;
	args[2] = word;
	for (int i = 1; i < argc; i++)
		args[i + 2] = argv[i];
	err = cmd_parse(argc + 2, args, line, why, why_size);
	free(args);
	return err;
}

static int configure(const struct cmd_line *line, struct xbd_conf *c, char *why, size_t size)
{
	int err;

	conf_defaults(c);
	err = conf_load(line->config, c, why, size);
	if (!err)
		err = cmd_apply(line, c, why, size);
	if (err)
		return err;
	if (!c->node.name[0] || !c->node.store[0] || !c->node.listen[0]) {
		snprintf(why, size,
			 "%s is needed: give %s or set node.%s in the configuration file",
			 !c->node.name[0]    ? "a name"
			 : !c->node.store[0] ? "a store"
					     : "an address",
			 !c->node.name[0]    ? "--name NAME"
			 : !c->node.store[0] ? "--store PATH"
					     : "--listen ADDR[:PORT]",
			 !c->node.name[0]    ? "name"
			 : !c->node.store[0] ? "store"
					     : "listen");
		return -XBD_ECONFIG;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct xbdd d;
	struct cmd_line line;
	char why[CONF_WHY_MAX] = "";

	if (parse(argc, argv, &line, why, sizeof(why))) {
		fprintf(stderr, "xbdd: %s\n", why);
		return CMD_USAGE;
	}
	if (line.help) {
		doc_xbdd(stdout);
		return CMD_OK;
	}
	if (configure(&line, &d.conf, why, sizeof(why))) {
		fprintf(stderr, "xbdd: %s\n", why);
		return CMD_USAGE;
	}
	log_open("xbdd", d.conf.node.name, cmd_opt(&line, "quiet") != NULL);
	return run(&d) ? CMD_FAILED : CMD_OK;
}
