/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two hosts (network namespaces) over a veth pair: a storage node's side of the transport in one,
 * a client's in the other. All fragment sizes, IPv4 and IPv6, AF_XDP and UDP; every byte is looked
 * at. Prints packets per second.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "base/error.h"
#include "net/net.h"
#include "netns.h"

#define OPS	    64u /* in flight */
#define OP_BLOCKS   4u
#define DATA_BYTES  (XBD_OP_BLOCKS * XBD_BLOCK_SIZE)
#define STORE_HOST  2u
#define CLIENT_HOST 1u
#define LOST_MS	    100

static const unsigned mtus[] = {1500, 3498, 9000};
static const char *const transports[] = {"xdp", "udp"};

struct run {
	int family;
	enum net_transport transport;
	unsigned mtu;
	unsigned ms;
};

/* What the store's side tells when it is done. */
struct report {
	struct net_info info;
	struct net_counters count;
	uint32_t bad; /* bytes that differ */
	int err;
	char why[256];
};

static uint8_t pattern[DATA_BYTES];
static uint32_t crc[XBD_OP_BLOCKS];
static uint64_t vers[XBD_OP_BLOCKS];

static struct sockaddr_storage address(int family, unsigned host, uint16_t port)
{
	struct sockaddr_storage sa = {.ss_family = (sa_family_t)family};
	struct sockaddr_in *v4 = (void *)&sa;
	struct sockaddr_in6 *v6 = (void *)&sa;
	char text[64];

	if (family == AF_INET) {
		snprintf(text, sizeof(text), "10.77.0.%u", host);
		inet_pton(AF_INET, text, &v4->sin_addr);
		v4->sin_port = htons(port);
	} else {
		snprintf(text, sizeof(text), "fd77::%u", host);
		inet_pton(AF_INET6, text, &v6->sin6_addr);
		v6->sin6_port = htons(port);
	}
	return sa;
}

/* ---- the store's side ---- */

struct store {
	struct loop loop;
	struct net *net;
	struct report report;
	struct {
		uint64_t ver;
		uint32_t have;
	} op[OPS];
};

static void reply(struct store *s, const struct xbd_msg *m, struct xbd_send *a)
{
	a->shard = m->h.shard;
	a->block = m->h.block;
	a->ver = m->h.ver;
	a->stamp = m->h.stamp;
	net_send(s->net, &m->from, 1, a);
}

static void store_write(struct store *s, const struct xbd_msg *m)
{
	unsigned slot = XBD_VER_SEQ(m->h.ver) % OPS;
	struct xbd_send a = {.type = XBD_T_ACK};

	if (memcmp(m->body, pattern + (size_t)m->h.frag * m->h.len, m->body_len))
		s->report.bad++;
	if (s->op[slot].ver != m->h.ver) {
		s->op[slot].ver = m->h.ver;
		s->op[slot].have = 0;
	}
	if (++s->op[slot].have < m->h.nfrag)
		return;
	a.count = m->h.count;
	reply(s, m, &a);
}

static void store_rx(void *ctx, const struct xbd_msg *m)
{
	struct xbd_info body = {.boot = 1};
	struct store *s = ctx;
	struct xbd_send info = {.type = XBD_T_INFO_R, .body = &body, .body_len = sizeof(body)};
	struct xbd_send data = {.type = XBD_T_DATA,
				.count = m->h.count,
				.body = pattern,
				.body_len = m->h.count * XBD_BLOCK_SIZE,
				.crc = crc,
				.vers = vers};

	switch (m->h.type) {
	case XBD_T_WRITE:
		store_write(s, m);
		break;
	case XBD_T_READ:
		reply(s, m, &data);
		break;
	case XBD_T_INFO:
		reply(s, m, &info);
		break;
	case XBD_T_RETIRE:
		loop_stop(&s->loop);
		break;
	}
}

static void run_store(const struct run *r, int out)
{
	static struct store s;
	static const struct net_ops ops = {.rx = store_rx};
	struct net_config cfg = {.transport = r->transport, .side = XBD_SIDE_STORE};

	cfg.listen = address(r->family, STORE_HOST, XBD_PORT);
	s.report.err = loop_init(&s.loop, 1024, 8);
	if (!s.report.err)
		s.report.err = net_open(&s.net, &s.loop, &cfg, &ops, &s, s.report.why);
	if (!s.report.err) {
		net_info(s.net, &s.report.info);
		if (write(out, "+", 1) != 1)
			_exit(1);
		s.report.err = loop_run(&s.loop);
		net_counters(s.net, &s.report.count);
		net_close(s.net);
	} else if (write(out, "-", 1) != 1) {
		_exit(1);
	}
	if (write(out, &s.report, sizeof(s.report)) != sizeof(s.report))
		_exit(1);
	_exit(0);
}

/* ---- the client's side ---- */

struct client {
	struct loop loop;
	struct loop_timer tick;
	struct net *net;
	uint32_t store;
	uint64_t seq, end_ns, last_ns;
	uint64_t acks, reads, lost, bad;
	uint32_t in_flight;
	struct {
		uint64_t ver;
		uint32_t have; /* READ: fragments */
		bool read;
	} op[OPS];
	bool stopping;
};

static void start_op(struct client *c, unsigned slot)
{
	struct xbd_send s = {.sender = XBD_SLOT_NONE, .count = OP_BLOCKS, .shard = 1};

	c->seq++;
	c->op[slot].ver = s.ver = XBD_VER(1, c->seq * OPS + slot);
	c->op[slot].have = 0;
	c->op[slot].read = c->seq % 4 == 0;
	if (c->op[slot].read) {
		s.type = XBD_T_READ;
		s.count = c->seq % 32 ? OP_BLOCKS : XBD_OP_BLOCKS;
	} else {
		s.type = XBD_T_WRITE;
		s.body = pattern;
		s.body_len = OP_BLOCKS * XBD_BLOCK_SIZE;
		s.crc = crc;
	}
	net_send(c->net, &c->store, 1, &s);
}

static void client_rx(void *ctx, const struct xbd_msg *m)
{
	struct client *c = ctx;
	unsigned slot = XBD_VER_SEQ(m->h.ver) % OPS;

	if (m->h.ver != c->op[slot].ver)
		return;
	c->last_ns = loop_now(&c->loop);
	if (m->h.type == XBD_T_DATA) {
		c->bad += memcmp(m->body, pattern + (size_t)m->h.frag * m->h.len, m->body_len) != 0;
		if (++c->op[slot].have < m->h.nfrag)
			return;
		c->reads++;
	} else if (m->h.type == XBD_T_ACK) {
		c->acks++;
	}
	if (loop_now(&c->loop) < c->end_ns)
		start_op(c, slot);
}

static void tick(struct loop_timer *t)
{
	struct client *c = (void *)((char *)t - offsetof(struct client, tick));
	uint64_t now = loop_now(&c->loop);

	if (now >= c->end_ns) {
		loop_stop(&c->loop);
		return;
	}
	if (now - c->last_ns > LOST_MS * 1000000ull) {
		c->lost++;
		c->last_ns = now;
		for (unsigned i = 0; i < OPS; i++)
			start_op(c, i);
	}
	loop_timer_set(&c->loop, t, now + 10000000);
}

static void stop_store(struct client *c)
{
	struct xbd_send s = {.type = XBD_T_RETIRE, .sender = XBD_SLOT_NONE};

	for (int i = 0; i < 3; i++)
		net_send(c->net, &c->store, 1, &s);
	net_flush(c->net);
}

static int run_client(struct client *c, const struct run *r, struct net_counters *count)
{
	static const struct net_ops ops = {.rx = client_rx};
	struct net_config cfg = {.transport = NET_UDP, .side = XBD_SIDE_CLIENT};
	struct sockaddr_storage to = address(r->family, STORE_HOST, XBD_PORT);
	char why[256];
	int err = loop_init(&c->loop, 1024, 8);

	cfg.listen = address(r->family, CLIENT_HOST, 0);
	if (!err)
		err = net_open(&c->net, &c->loop, &cfg, &ops, c, why);
	if (err) {
		printf("client: %s\n", why);
		return err;
	}
	c->store = net_peer_add(c->net, (void *)&to, sizeof(to));
	c->last_ns = loop_now(&c->loop);
	c->end_ns = c->last_ns + r->ms * 1000000ull;
	c->tick.fn = tick;
	loop_timer_set(&c->loop, &c->tick, c->last_ns + 10000000);
	for (unsigned i = 0; i < OPS; i++)
		start_op(c, i);
	err = loop_run(&c->loop);
	net_counters(c->net, count);
	stop_store(c);
	net_close(c->net);
	loop_free(&c->loop);
	return err;
}

/* ---- one run ---- */

static bool expect(bool ok, const char *what)
{
	if (!ok)
		printf("  FAILED: %s\n", what);
	return ok;
}

static bool judge(const struct run *r, const struct client *c, const struct report *rep,
		  const struct net_counters *cc)
{
	uint32_t frag = r->mtu >= 9000 ? 4096 : r->mtu > 2200 ? 2048 : 1024;
	bool ok = expect(c->acks > 100 && c->reads > 10, "operations complete"), bulk;

	ok &= expect(!c->bad && !rep->bad, "all bytes are right");
	ok &= expect(rep->info.frag_len == frag, "fragment size follows the MTU");
	for (unsigned v = XBD_V_SHORT; v < XBD_V_END; v++)
		if (cc->verdict[v] || rep->count.verdict[v]) {
			printf("  verdict %u: client %lu store %lu\n", v, cc->verdict[v],
			       rep->count.verdict[v]);
			ok = false;
		}
	if (r->transport == NET_UDP)
		return ok;
	bulk = rep->count.rx_xsk > 1000 && rep->count.tx_xsk > 100;
	ok &= expect(rep->info.mode != NET_MODE_UDP, "AF_XDP is used");
	ok &= expect(bulk, "packets go through AF_XDP");
	ok &= expect(rep->count.rx_udp < rep->count.rx_xsk / 100, "and not around it");
	return ok;
}

static bool run_pair(const struct run *r, pid_t store, int in)
{
	static struct client c;
	struct net_counters cc = {0};
	struct report rep;
	char started;
	uint64_t packets;
	bool ok;

	memset(&c, 0, sizeof(c));
	ok = read(in, &started, 1) == 1 && started == '+' && !run_client(&c, r, &cc);
	if (read(in, &rep, sizeof(rep)) != sizeof(rep) || rep.err || !ok) {
		printf("  FAILED: store: %s\n", rep.why);
		kill(store, SIGKILL);
		return false;
	}
	packets = rep.count.rx_packets + rep.count.tx_packets;
	printf("mtu %u IPv%c %-19s frag %u: %6lu packets/s at the store, %6lu ops/s, %lu MB/s, "
	       "stalls %lu, calls/packet %.2f%s%s\n",
	       r->mtu, r->family == AF_INET ? '4' : '6', rep.info.mode_text, rep.info.frag_len,
	       packets * 1000 / r->ms, (c.acks + c.reads) * 1000 / r->ms,
	       (rep.count.rx_bytes + rep.count.tx_bytes) / 1000 / r->ms, c.lost,
	       (double)rep.count.tx_calls / (double)(rep.count.tx_packets + 1),
	       rep.info.why[0] ? " - " : "", rep.info.why);
	return judge(r, &c, &rep, &cc);
}

/* The store's process waits for the veth to arrive before it sets it up. */
static pid_t fork_store(const struct run *r, int out)
{
	int go[2];
	char c;
	pid_t pid;

	if (pipe(go) || (pid = fork()) < 0)
		exit(1);
	if (!pid) {
		netns_enter_new();
		if (write(out, "n", 1) != 1 || read(go[0], &c, 1) != 1 ||
		    netns_up("s0", STORE_HOST, r->mtu))
			_exit(1);
		run_store(r, out);
	}
	close(go[0]);
	(void)!dup2(go[1], 100);
	close(go[1]);
	return pid;
}

static bool run_one(const struct run *r)
{
	int in[2], status;
	bool ok = false;
	char c;
	pid_t pid;

	if (pipe(in))
		return false;
	pid = fork_store(r, in[1]);
	close(in[1]);
	if (read(in[0], &c, 1) == 1 && !netns_join("c0", "s0", pid, 2) &&
	    !netns_up("c0", CLIENT_HOST, r->mtu) && write(100, "g", 1) == 1)
		ok = run_pair(r, pid, in[0]);
	close(100);
	close(in[0]);
	sh("ip link del c0 2>/dev/null"); /* may be gone with the other end already */
	waitpid(pid, &status, 0);
	return ok;
}

int main(int argc, char **argv)
{
	bool ok = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	netns_enter_new();
	for (unsigned i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 13 + i / 251);
	for (unsigned t = 0; t < 2; t++)
		for (unsigned m = 0; m < 3; m++)
			for (unsigned f = 0; f < 2; f++) {
				struct run r = {
					.family = f ? AF_INET6 : AF_INET,
					.transport = t ? NET_UDP : NET_XDP,
					.mtu = mtus[m],
					.ms = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 400,
				};

				if (argc > 2 && strcmp(argv[2], transports[t]))
					continue;
				ok &= run_one(&r);
			}
	return ok ? 0 : 1;
}
