/* SPDX-License-Identifier: BSD-2-Clause */
#include "stores.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"

void pstore_init(struct pstore *p, uint32_t node, const struct xbd_record *rec, bool member)
{
	*p = (struct pstore){.shard = member};
	p->block = calloc(BLOCKS, sizeof(*p->block));
	XBD_ASSERT(p->block);
	p->st.store = world_uuid((uint8_t)(member ? 0x10 + node : 0x90 + node));
	p->st.prom = 1;
	p->st.slot = XBD_SLOT_NONE;
	p->st.rec = *rec;
	if (member) {
		p->st.synced = 1;
		p->st.comp = XBD_VER(1, 0);
		p->st.nlin = 1;
		p->st.lin[0] = 1;
	}
}

void pstore_free(struct pstore *p)
{
	for (uint32_t i = 0; i < BLOCKS; i++)
		free(p->block[i].data);
	free(p->block);
}

static void put(struct pstore *p, uint32_t block, uint64_t ver, const uint8_t *data, uint8_t flags)
{
	struct pblock *b = &p->block[block];

	b->ver = ver;
	b->flags = flags;
	b->crc = data ? crc32c_block(SHARD, block, ver, data) : 0;
	if (data && !b->data)
		b->data = malloc(BLOCK);
	if (data) {
		XBD_ASSERT(b->data);
		memcpy(b->data, data, BLOCK);
	}
}

void store_put(struct pstore *p, uint32_t block, uint64_t ver, uint8_t tag)
{
	uint8_t data[BLOCK];

	memset(data, tag, sizeof(data));
	put(p, block, ver, data, 0);
}

bool store_is(const struct pstore *p, uint32_t block, uint8_t tag)
{
	const struct pblock *b = &p->block[block];

	if (!b->crc)
		return tag == 0;
	for (uint32_t i = 0; i < BLOCK; i++)
		if (b->data[i] != tag)
			return false;
	return true;
}

static void simple(struct world *w, uint32_t node, const struct held *h, uint8_t type,
		   uint8_t status)
{
	struct xbd_hdr a = world_reply_to(h, type, status);

	world_say(w, node, &a, NULL);
}

static void stale(struct world *w, uint32_t node, const struct held *h)
{
	struct xbd_hdr a = world_reply_to(h, XBD_T_STALE, 0);

	a.ver = XBD_VER(w->store[node].st.prom, 0);
	a.ver2 = h->s.ver;
	world_say(w, node, &a, NULL);
}

static void promise(struct world *w, uint32_t node, const struct held *h)
{
	struct pstore *p = &w->store[node];
	struct xbd_hdr a = world_reply_to(h, XBD_T_PROMISED, 0);
	uint32_t epoch = XBD_VER_EPOCH(h->s.ver);
	struct xbd_promise req;

	memcpy(&req, h->s.body, sizeof(req));
	if (!p->shard) {
		simple(w, node, h, XBD_T_PROMISED, XBD_S_NOSHARD);
		return;
	}
	if (epoch < p->st.prom ||
	    (epoch == p->st.prom && memcmp(&req.owner, &p->st.owner, sizeof(req.owner)))) {
		stale(w, node, h);
		return;
	}
	p->st.prom = epoch;
	p->st.owner = req.owner;
	p->st.slot = req.slot;
	a.len = sizeof(p->st);
	world_say(w, node, &a, &p->st);
}

static void write_blocks(struct world *w, uint32_t node, const struct held *h)
{
	struct pstore *p = &w->store[node];
	const struct xbd_send *s = &h->s;
	bool have = true, zero = s->flags & (XBD_F_ZERO | XBD_F_TRIM);

	for (uint32_t i = 0; i < s->count; i++)
		have = have && p->block[s->block + i].ver >= s->ver;
	if (!have && (s->flags & XBD_F_RETRY) && s->skip) { /* the question, then the rest */
		struct xbd_hdr a = world_reply_to(h, XBD_T_ACK, 0);
		struct xbd_units u = {{~s->skip->bits[0], ~s->skip->bits[1]}};

		a.flags = XBD_F_PARTIAL;
		a.len = sizeof(u);
		world_say(w, node, &a, &u);
		return;
	}
	for (uint32_t i = 0; i < s->count; i++)
		if (p->block[s->block + i].ver < s->ver)
			put(p, s->block + i, s->ver,
			    zero ? NULL : (const uint8_t *)s->body + (size_t)i * BLOCK,
			    s->flags & (XBD_F_ZERO | XBD_F_TRIM));
	world_ack(w, h, p->st.synced == XBD_VER_EPOCH(s->ver) ? XBD_F_VOTER : 0, XBD_S_OK);
}

static void read_blocks(struct world *w, uint32_t node, const struct held *h)
{
	const struct pstore *p = &w->store[node];

	for (uint32_t i = 0; i < h->s.count; i++) {
		const struct pblock *b = &p->block[h->s.block + i];
		struct xbd_hdr a = world_reply_to(h, XBD_T_DATA, 0);

		a.ver2 = b->ver;
		if (!b->crc || (b->flags & XBD_F_BAD)) {
			a.flags = b->flags & XBD_F_BAD ? XBD_F_BAD : XBD_F_ZERO;
			a.block = h->s.block + i;
			a.count = 1;
			world_say(w, node, &a, NULL);
			continue;
		}
		a.count = h->s.count;
		a.nfrag = (uint8_t)h->s.count;
		a.frag = (uint8_t)i;
		a.len = BLOCK;
		a.crc = b->crc;
		world_say(w, node, &a, b->data);
	}
}

static void repair(struct world *w, uint32_t node, const struct held *h)
{
	struct pblock *b = &w->store[node].block[h->s.block];
	bool ok = b->ver == h->s.ver2;
	struct xbd_hdr a = world_reply_to(h, XBD_T_REPAIRED, ok ? XBD_S_OK : XBD_S_CONFLICT);

	if (ok)
		put(&w->store[node], h->s.block, h->s.commit, h->s.crc ? h->s.body : NULL,
		    h->s.flags & (XBD_F_ZERO | XBD_F_TRIM));
	a.ver2 = b->ver;
	world_say(w, node, &a, NULL);
}

static void list(struct world *w, uint32_t node, const struct held *h)
{
	struct xbd_hdr a = world_reply_to(h, XBD_T_LIST_R, 0);
	struct xbd_list_entry l[XBD_REGION_BLOCKS] = {{0}};

	for (uint32_t i = 0; i < XBD_REGION_BLOCKS && h->s.block + i < BLOCKS; i++) {
		const struct pblock *b = &w->store[node].block[h->s.block + i];

		l[i] = (struct xbd_list_entry){b->ver, b->crc, b->flags};
	}
	a.len = sizeof(l);
	a.count = XBD_REGION_BLOCKS;
	world_say(w, node, &a, l);
}

static void regions(struct world *w, uint32_t node, const struct held *h)
{
	struct xbd_hdr a = world_reply_to(h, XBD_T_REGIONS_R, 0);
	uint32_t nos[XBD_REGIONS_MAX], n = 0;

	for (uint32_t r = h->s.block; r < BLOCKS / XBD_REGION_BLOCKS; r++) {
		bool newer = false;

		for (uint32_t i = 0; i < XBD_REGION_BLOCKS; i++) {
			const struct pblock *b = &w->store[node].block[r * XBD_REGION_BLOCKS + i];

			newer = newer || b->ver > h->s.ver2 || (b->flags & XBD_F_BAD);
		}
		if (newer && n == XBD_REGIONS_MAX)
			a.flags = XBD_F_MORE;
		else if (newer)
			nos[n++] = r;
	}
	a.count = (uint16_t)n;
	a.len = (uint16_t)(n * 4);
	world_say(w, node, &a, nos);
}

static void join(struct pstore *p, const struct held *h)
{
	struct xbd_join j;

	memcpy(&j, h->s.body, sizeof(j));
	if (p->st.synced == XBD_VER_EPOCH(h->s.ver))
		return;
	p->st.synced = j.anc;
	p->st.rec = j.rec;
}

static void sync_store(struct pstore *p, const struct held *h)
{
	struct xbd_sync sy;
	uint32_t epoch = XBD_VER_EPOCH(h->s.ver);

	memcpy(&sy, h->s.body, sizeof(sy));
	if (p->st.synced == epoch)
		return;
	memmove(p->st.hist + 1, p->st.hist, (XBD_HISTORY_MAX - 1) * sizeof(p->st.hist[0]));
	p->st.hist[0] = (struct xbd_hist){.epoch = p->st.synced, .comp = p->st.comp};
	p->st.nhist += p->st.nhist < XBD_HISTORY_MAX;
	p->st.synced = epoch;
	p->st.comp = XBD_VER(epoch, 0);
	p->st.nlin = (uint8_t)sy.nlin;
	memcpy(p->st.lin, sy.lin, sizeof(sy.lin));
}

static void control(struct world *w, uint32_t node, const struct held *h)
{
	struct pstore *p = &w->store[node];

	switch (h->s.type) {
	case XBD_T_JOIN:
		join(p, h);
		simple(w, node, h, XBD_T_JOINED, XBD_S_OK);
		break;
	case XBD_T_SYNC:
		sync_store(p, h);
		simple(w, node, h, XBD_T_SYNCED, XBD_S_OK);
		break;
	case XBD_T_ACCEPT:
		memcpy(&p->st.rec, h->s.body, sizeof(p->st.rec));
		simple(w, node, h, XBD_T_ACCEPTED, XBD_S_OK);
		break;
	case XBD_T_LEASE:
		p->comp = h->s.commit;
		if (h->s.commit > p->st.comp && p->st.synced == XBD_VER_EPOCH(h->s.ver))
			p->st.comp = h->s.commit;
		simple(w, node, h, XBD_T_LEASED,
		       p->st.synced == XBD_VER_EPOCH(h->s.ver) ? XBD_S_OK : XBD_S_NOTSYNCED);
		break;
	case XBD_T_RELEASE:
		simple(w, node, h, XBD_T_RELEASED, XBD_S_OK);
		break;
	default:
		break;
	}
}

static void inside(struct world *w, uint32_t node, const struct held *h)
{
	switch (h->s.type) {
	case XBD_T_WRITE:
		write_blocks(w, node, h);
		break;
	case XBD_T_READ:
		read_blocks(w, node, h);
		break;
	case XBD_T_REPAIR:
		repair(w, node, h);
		break;
	case XBD_T_LIST:
		list(w, node, h);
		break;
	case XBD_T_REGIONS:
		regions(w, node, h);
		break;
	default:
		control(w, node, h);
		break;
	}
}

void pstore_obey(struct world *w, uint32_t node, const struct held *h)
{
	struct pstore *p = &w->store[node];
	uint32_t epoch = XBD_VER_EPOCH(h->s.ver);

	if (h->s.type == XBD_T_PROMISE) {
		promise(w, node, h);
	} else if (h->s.type == XBD_T_CREATE) {
		memcpy(&p->st.rec, h->s.body, sizeof(p->st.rec));
		p->shard = true;
		simple(w, node, h, XBD_T_CREATED, XBD_S_OK);
	} else if (!p->shard || epoch > p->st.prom) {
		if (h->s.type == XBD_T_LEASE)
			simple(w, node, h, XBD_T_LEASED, p->shard ? XBD_S_INVALID : XBD_S_NOSHARD);
	} else if (epoch < p->st.prom) {
		stale(w, node, h);
	} else {
		inside(w, node, h);
	}
}
