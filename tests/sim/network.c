/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network: messages become packets by the codec; packets are lost, doubled, damaged, late, and
 * come in any order; what arrives goes through the codec again.
 */
#include <string.h>

#include "base/assert.h"
#include "sim.h"

#define SMALL	   (sizeof(struct xbd_hdr) + XBD_CONTROL_MAX)
#define BIG	   (sizeof(struct xbd_hdr) + XBD_BODY_MAX)
#define FLYING_MAX 20000u /* packets; more are lost, as in any router */

struct packet {
	struct packet *next;
	uint32_t len;
	uint16_t refs;
	uint8_t from;
	bool big, damaged;
	uint8_t mem[] __attribute__((aligned(64)));
};

static const struct xbd_keyring ring = {
	.key = {{{0, 0}}, {{0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull}}},
	.live = 2,
	.use = 1,
};

static struct packet *packet_get(struct sim *s, uint32_t len)
{
	bool big = len > SMALL;
	struct packet **list = big ? &s->free_big : &s->free_small;
	struct packet *p = *list;

	if (p)
		*list = p->next;
	else
		p = arena_get(&s->arena, sizeof(*p) + (big ? BIG : SMALL));
	p->len = len;
	p->refs = 1;
	p->big = big;
	p->damaged = false;
	return p;
}

static void packet_put(struct sim *s, struct packet *p)
{
	struct packet **list = p->big ? &s->free_big : &s->free_small;

	if (--p->refs)
		return;
	p->next = *list;
	*list = p;
}

void network_init(struct sim *s)
{
	s->free_small = s->free_big = NULL;
	s->flying = 0;
	memset(s->blocked, 0, sizeof(s->blocked));
	for (unsigned a = 0; a < HOSTS_MAX; a++)
		for (unsigned b = 0; b < HOSTS_MAX; b++)
			s->frag_len[a][b] = 1024u << prng_below(&s->net, 3);
	if (prng_percent(&s->net, 50)) /* the same everywhere */
		for (unsigned a = 0; a < HOSTS_MAX; a++)
			for (unsigned b = 0; b < HOSTS_MAX; b++)
				s->frag_len[a][b] = s->frag_len[0][HOST_CO0];
}

static uint64_t delay(struct sim *s)
{
	uint64_t d = 5 * US + prng_exp(&s->net, s->opt.delay_us * US);

	if (s->opt.straggle && prng_permille(&s->net, s->opt.straggle))
		d += prng_exp(&s->net, s->opt.straggle_ms * MS);
	return d;
}

static struct packet *damage(struct sim *s, const struct packet *p)
{
	struct packet *q = packet_get(s, p->len);
	uint32_t flips = prng_range(&s->net, 1, 3);

	memcpy(q->mem, p->mem, p->len);
	q->from = p->from;
	if (prng_percent(&s->net, 10)) {
		q->len = prng_below(&s->net, p->len);
	} else {
		for (uint32_t i = 0, at; i < flips; i++) {
			at = prng_below(&s->net, p->len * 8);
			q->mem[at / 8] ^= (uint8_t)(1u << at % 8);
		}
	}
	q->damaged = memcmp(q->mem, p->mem, q->len) != 0 || q->len != p->len;
	return q;
}

static void launch(struct sim *s, struct packet *p, uint8_t to)
{
	if (s->opt.flip && prng_below(&s->net, 10000) < s->opt.flip)
		p = damage(s, p);
	else
		p->refs++;
	s->flying++;
	sim_after(s, delay(s), EV_PACKET, to, 0, 0, p);
}

static void carry(struct sim *s, struct packet *p, uint8_t to)
{
	if (s->blocked[p->from] >> to & 1)
		return;
	if (s->flying >= FLYING_MAX || prng_permille(&s->net, s->opt.loss))
		return;
	launch(s, p, to);
	while (s->opt.dup && prng_permille(&s->net, s->opt.dup) && s->flying < FLYING_MAX)
		launch(s, p, to);
}

static void send_cut(struct sim *s, uint8_t from, uint64_t mask, uint32_t frag_len,
		     const struct xbd_send *m)
{
	struct codec_iter it;
	struct xbd_hdr h;
	const uint8_t *body;
	uint32_t len;

	codec_begin(&it, m, &ring, frag_len);
	while (codec_next(&it, &h, &body, &len)) {
		struct packet *p = packet_get(s, (uint32_t)sizeof(h) + len);

		memcpy(p->mem, &h, sizeof(h));
		if (len)
			memcpy(p->mem + sizeof(h), body, len);
		p->from = from;
		for (uint64_t left = mask; left; left &= left - 1)
			carry(s, p, (uint8_t)__builtin_ctzll(left));
		packet_put(s, p);
	}
}

static const char *type_name(uint8_t type)
{
	static const char *const names[] = {
#define X(name, value, to_store, body, text) [value] = #name,
		XBD_TYPES(X)
#undef X
	};

	return type < sizeof(names) / sizeof(*names) && names[type] ? names[type] : "?";
}

static void trace_message(const struct sim *s, const char *what, unsigned from, uint64_t to,
			  const struct xbd_hdr *h)
{
	sim_trace(s,
		  "%s %u->%#lx %s shard %u ver %u.%lu block %u+%u frag %u/%u flags %#x ver2 %u.%lu"
		  " commit %u.%lu status %u stamp %lx",
		  what, from, (unsigned long)to, type_name(h->type), h->shard,
		  XBD_VER_EPOCH(h->ver), (unsigned long)XBD_VER_SEQ(h->ver), h->block, h->count,
		  h->frag, h->nfrag, h->flags, XBD_VER_EPOCH(h->ver2),
		  (unsigned long)XBD_VER_SEQ(h->ver2), XBD_VER_EPOCH(h->commit),
		  (unsigned long)XBD_VER_SEQ(h->commit), XBD_STATUS(h->stamp),
		  (unsigned long)(h->stamp & XBD_STAMP_MASK));
}

void network_send(struct sim *s, uint8_t from, uint64_t to_mask, const struct xbd_send *m)
{
	if (s->trace) {
		struct xbd_hdr h = {.type = m->type,
				    .flags = m->flags,
				    .shard = m->shard,
				    .ver = m->ver,
				    .block = m->block,
				    .count = m->count,
				    .ver2 = m->ver2,
				    .commit = m->commit,
				    .stamp = XBD_STAMP(m->stamp, m->status)};

		trace_message(s, "send", from, to_mask, &h);
	}
	for (uint32_t f = XBD_FRAG_MIN; f <= XBD_FRAG_MAX; f *= 2) {
		uint64_t mask = 0;

		for (uint64_t left = to_mask; left; left &= left - 1) {
			unsigned to = (unsigned)__builtin_ctzll(left);

			XBD_ASSERT(to < HOSTS_MAX);
			if (s->frag_len[from][to] == f)
				mask |= 1ull << to;
		}
		if (mask)
			send_cut(s, from, mask, f, m);
	}
}

/* What XDP would have dropped. */
static bool fenced(struct sim *s, const struct host *h, const struct xbd_msg *m)
{
	for (unsigned i = 0; i < s->opt.shards; i++)
		if (s->shard_id[i] == m->h.shard && xbd_is_stale(&m->h, h->fence[i]))
			return prng_permille(&s->net, s->opt.fence);
	return false;
}

void network_arrive(struct sim *s, const struct event *ev)
{
	struct packet *p = ev->ptr;
	struct host *h = &s->host[ev->host];
	enum xbd_side side = is_node(ev->host) ? XBD_SIDE_STORE : XBD_SIDE_CLIENT;
	struct xbd_msg m;
	int v;

	if (h->alive && host_asleep(h, ev))
		return;
	s->flying--;
	if (!h->alive || s->blocked[p->from] >> ev->host & 1) {
		packet_put(s, p);
		return;
	}
	v = codec_decode(&m, p->mem, p->len, &ring, side);
	m.from = p->from;
	if (v == XBD_V_ACCEPTED && p->damaged && !m.h.nfrag)
		sim_fail(s, "a damaged packet was accepted");
	if (v != XBD_V_ACCEPTED && !p->damaged)
		sim_fail(s, "packet %s from %u to %u refused with verdict %d", type_name(p->mem[2]),
			 p->from, ev->host, v);
	if (v == XBD_V_ACCEPTED) {
		if (s->trace)
			trace_message(s, "recv", p->from, 1ull << ev->host, &m.h);
		if (side == XBD_SIDE_CLIENT)
			cohost_packet(h, p->from, &m);
		else if (!fenced(s, h, &m))
			node_packet(h, &m);
		host_touch(h);
	}
	packet_put(s, p);
}
