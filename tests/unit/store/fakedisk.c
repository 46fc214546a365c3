/* SPDX-License-Identifier: BSD-2-Clause */
#include "fakedisk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define PAGE	4096u
#define SECTORS (PAGE / FAKEDISK_SECTOR)

/* An op in flight, or a completed write that is not durable yet. */
struct pending {
	struct disk_op *op;
	uint8_t *data; /* WRITE: copy taken at submit */
	uint64_t offset, len;
	uint64_t stamp; /* when it was done; FLUSH: when it was submitted */
};

struct list {
	struct pending *v;
	unsigned n, max;
};

struct fakedisk {
	struct disk disk;
	struct fakedisk_opts opts;
	uint64_t rng;
	uint8_t **cur; /* by page: what a reader sees */
	uint8_t **dur; /* volatile: what survives */
	uint64_t pages;
	struct list inflight, cached;
	uint64_t clock;
	uint64_t fail_nth;
	unsigned fail_kinds;
	int fail_err;
	bool fail_sticky;
	uint64_t bad_offset, bad_len;
	uint64_t hold_offset, hold_len;
	struct fakedisk_stats stats;
};

uint64_t fakedisk_rand(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static uint64_t rnd(struct fakedisk *fd, uint64_t n)
{
	return fakedisk_rand(&fd->rng) % n;
}

static struct pending *list_add(struct list *l)
{
	if (l->n == l->max) {
		l->max = l->max ? l->max * 2 : 64;
		l->v = realloc(l->v, l->max * sizeof(*l->v));
		XBD_ASSERT(l->v);
	}
	return &l->v[l->n++];
}

static void put(uint8_t **pages, uint64_t offset, const uint8_t *data, uint64_t len)
{
	while (len) {
		uint64_t in = offset % PAGE, n = PAGE - in < len ? PAGE - in : len;
		uint8_t **p = &pages[offset / PAGE];

		if (!*p) {
			*p = calloc(1, PAGE);
			XBD_ASSERT(*p);
		}
		memcpy(*p + in, data, n);
		offset += n;
		data += n;
		len -= n;
	}
}

static void get(uint8_t *const *pages, uint64_t offset, uint8_t *data, uint64_t len)
{
	while (len) {
		uint64_t in = offset % PAGE, n = PAGE - in < len ? PAGE - in : len;

		if (pages[offset / PAGE])
			memcpy(data, pages[offset / PAGE] + in, n);
		else
			memset(data, 0, n);
		offset += n;
		data += n;
		len -= n;
	}
}

/* Any subset of the sectors. */
static void put_torn(struct fakedisk *fd, uint8_t **pages, const struct pending *p)
{
	fd->stats.torn++;
	for (uint64_t at = 0; at < p->len; at += FAKEDISK_SECTOR)
		if (rnd(fd, 2))
			put(pages, p->offset + at, p->data + at, FAKEDISK_SECTOR);
}

static void submit(struct disk *disk, struct disk_op *op)
{
	struct fakedisk *fd = (struct fakedisk *)disk;
	struct pending *p = list_add(&fd->inflight);

	*p = (struct pending){.op = op, .offset = op->offset, .len = op->len, .stamp = fd->clock++};
	fd->stats.ops++;
	if (op->kind == DISK_FLUSH) {
		fd->stats.flushes++;
		return;
	}
	XBD_ASSERT(op->len && op->offset % FAKEDISK_SECTOR == 0 && op->len % FAKEDISK_SECTOR == 0);
	XBD_ASSERT(op->offset + op->len <= fd->opts.size);
	if (op->kind == DISK_WRITE) {
		XBD_ASSERT((uintptr_t)op->buf % FAKEDISK_SECTOR == 0);
		p->data = malloc(op->len);
		XBD_ASSERT(p->data);
		memcpy(p->data, op->buf, op->len);
		fd->stats.writes++;
		fd->stats.write_bytes += op->len;
	} else if (op->kind == DISK_READ) {
		fd->stats.reads++;
		fd->stats.read_bytes += op->len;
	} else {
		fd->stats.discards++;
	}
}

static void finish_write(struct fakedisk *fd, struct pending *p)
{
	XBD_ASSERT(!memcmp(p->data, p->op->buf, p->len)); /* the buffer was the disk's */
	if (p->op->res) {
		put_torn(fd, fd->cur, p);
		free(p->data);
		return;
	}
	put(fd->cur, p->offset, p->data, p->len);
	if (p->offset < fd->bad_offset + fd->bad_len && fd->bad_offset < p->offset + p->len)
		fd->bad_len = 0;
	if (!fd->opts.volatile_cache) {
		free(p->data);
		return;
	}
	if (p->op->flags & DISK_FUA)
		put(fd->dur, p->offset, p->data, p->len);
	p->stamp = fd->clock++;
	*list_add(&fd->cached) = *p;
}

static void finish_flush(struct fakedisk *fd, const struct pending *p)
{
	unsigned keep = 0;

	for (unsigned i = 0; i < fd->cached.n; i++) {
		struct pending *c = &fd->cached.v[i];

		if (c->stamp > p->stamp) {
			fd->cached.v[keep++] = *c;
			continue;
		}
		put(fd->dur, c->offset, c->data, c->len);
		free(c->data);
	}
	fd->cached.n = keep;
}

static void finish_read(struct fakedisk *fd, const struct pending *p)
{
	struct disk_op *op = p->op;

	if (p->offset < fd->bad_offset + fd->bad_len && fd->bad_offset < p->offset + p->len)
		op->res = -EIO;
	if (op->res)
		memset(op->buf, 0xee, op->len);
	else
		get(fd->cur, op->offset, op->buf, op->len);
}

static void finish_discard(struct fakedisk *fd, const struct pending *p)
{
	static const uint8_t zero[PAGE], junk[PAGE] = {1, 2, 3};

	for (uint64_t at = 0; at < p->len; at += PAGE) {
		uint64_t r = rnd(fd, 3);

		if (r == 2)
			continue;
		put(fd->cur, p->offset + at, r ? zero : junk, PAGE);
		if (fd->opts.volatile_cache)
			put(fd->dur, p->offset + at, r ? zero : junk, PAGE);
	}
}

static int injected(struct fakedisk *fd, uint8_t kind)
{
	if (!fd->fail_nth || !(fd->fail_kinds >> kind & 1))
		return 0;
	if (fd->fail_nth > 1) {
		fd->fail_nth--;
		return 0;
	}
	if (!fd->fail_sticky)
		fd->fail_nth = 0;
	fd->stats.errors++;
	return fd->fail_err;
}

static void complete(struct fakedisk *fd, unsigned i)
{
	struct pending p = fd->inflight.v[i];

	memmove(&fd->inflight.v[i], &fd->inflight.v[i + 1], (fd->inflight.n - i - 1) * sizeof(p));
	fd->inflight.n--;
	p.op->res = injected(fd, p.op->kind);
	switch (p.op->kind) {
	case DISK_READ:
		finish_read(fd, &p);
		break;
	case DISK_WRITE:
		finish_write(fd, &p);
		break;
	case DISK_FLUSH:
		if (!p.op->res)
			finish_flush(fd, &p);
		break;
	default:
		if (!p.op->res)
			finish_discard(fd, &p);
	}
	p.op->done(p.op);
}

static bool held(const struct fakedisk *fd, unsigned i)
{
	const struct pending *p = &fd->inflight.v[i];

	return p->op->kind != DISK_FLUSH && p->offset < fd->hold_offset + fd->hold_len &&
	       fd->hold_offset < p->offset + p->len;
}

static unsigned choose(struct fakedisk *fd)
{
	unsigned n = fd->inflight.n;

	if (fd->opts.order == FAKEDISK_IN_ORDER)
		return 0;
	if (fd->opts.order == FAKEDISK_NEWEST && n > 4 && rnd(fd, 50))
		return n - 1 - (unsigned)rnd(fd, 4);
	return (unsigned)rnd(fd, n);
}

bool fakedisk_step(struct fakedisk *fd)
{
	unsigned i;

	if (!fd->inflight.n)
		return false;
	i = choose(fd);
	for (unsigned tries = 0; held(fd, i); i = (i + 1) % fd->inflight.n)
		if (++tries > fd->inflight.n)
			return false;
	complete(fd, i);
	return true;
}

bool fakedisk_step_kind(struct fakedisk *fd, uint8_t kind)
{
	for (unsigned i = 0; i < fd->inflight.n; i++) {
		if (fd->inflight.v[i].op->kind == kind) {
			complete(fd, i);
			return true;
		}
	}
	return false;
}

void fakedisk_run(struct fakedisk *fd)
{
	while (fakedisk_step(fd))
		;
}

unsigned fakedisk_inflight(const struct fakedisk *fd)
{
	return fd->inflight.n;
}

static void survive(struct fakedisk *fd, const struct pending *p)
{
	uint8_t **pages = fd->opts.volatile_cache ? fd->dur : fd->cur;

	switch (rnd(fd, 4)) {
	case 0:
		put(pages, p->offset, p->data, p->len);
		break;
	case 1:
		put_torn(fd, pages, p);
		break;
	default:
		fd->stats.lost++;
	}
}

static void crash_list(struct fakedisk *fd, struct list *l)
{
	while (l->n) {
		unsigned i = (unsigned)rnd(fd, l->n);

		if (l->v[i].data) {
			survive(fd, &l->v[i]);
			free(l->v[i].data);
		}
		l->v[i] = l->v[--l->n];
	}
}

void fakedisk_crash(struct fakedisk *fd)
{
	fd->stats.crashes++;
	crash_list(fd, &fd->cached);
	crash_list(fd, &fd->inflight);
	if (!fd->opts.volatile_cache)
		return;
	for (uint64_t i = 0; i < fd->pages; i++) {
		if (fd->dur[i])
			put(fd->cur, i * PAGE, fd->dur[i], PAGE);
		else if (fd->cur[i])
			memset(fd->cur[i], 0, PAGE);
	}
}

void fakedisk_fail(struct fakedisk *fd, uint64_t nth, unsigned kinds, int err, bool sticky)
{
	fd->fail_nth = nth;
	fd->fail_kinds = kinds;
	fd->fail_err = err;
	fd->fail_sticky = sticky;
}

void fakedisk_bad_range(struct fakedisk *fd, uint64_t offset, uint64_t len)
{
	fd->bad_offset = offset;
	fd->bad_len = len;
}

void fakedisk_hold(struct fakedisk *fd, uint64_t offset, uint64_t len)
{
	fd->hold_offset = offset;
	fd->hold_len = len;
}

void fakedisk_rot(struct fakedisk *fd, uint64_t offset, uint64_t len)
{
	for (uint64_t at = offset; at < offset + len; at++) {
		uint8_t b, **sets[2] = {fd->cur, fd->opts.volatile_cache ? fd->dur : NULL};

		get(fd->cur, at, &b, 1);
		b ^= (uint8_t)(1 + rnd(fd, 255));
		for (unsigned i = 0; i < 2; i++)
			if (sets[i])
				put(sets[i], at, &b, 1);
	}
}

void fakedisk_peek(const struct fakedisk *fd, uint64_t offset, uint64_t len, void *buf)
{
	get(fd->cur, offset, buf, len);
}

const struct fakedisk_stats *fakedisk_stats(const struct fakedisk *fd)
{
	return &fd->stats;
}

struct disk *fakedisk_get(struct fakedisk *fd)
{
	return &fd->disk;
}

struct fakedisk *fakedisk_new(const struct fakedisk_opts *opts)
{
	struct fakedisk *fd = calloc(1, sizeof(*fd));

	if (!fd)
		return NULL;
	fd->opts = *opts;
	fd->rng = opts->seed;
	fd->disk.submit = submit;
	fd->disk.size = opts->size;
	fd->disk.block_size = FAKEDISK_SECTOR;
	fd->disk.volatile_cache = opts->volatile_cache;
	fd->disk.discard = opts->discard;
	fd->pages = (opts->size + PAGE - 1) / PAGE;
	fd->cur = calloc(fd->pages, sizeof(*fd->cur));
	fd->dur = calloc(fd->pages, sizeof(*fd->dur));
	if (!fd->cur || !fd->dur) {
		fakedisk_free(fd);
		return NULL;
	}
	return fd;
}

void fakedisk_free(struct fakedisk *fd)
{
	if (!fd)
		return;
	for (unsigned i = 0; i < fd->inflight.n; i++)
		free(fd->inflight.v[i].data);
	for (unsigned i = 0; i < fd->cached.n; i++)
		free(fd->cached.v[i].data);
	for (uint64_t i = 0; i < fd->pages; i++) {
		if (fd->cur)
			free(fd->cur[i]);
		if (fd->dur)
			free(fd->dur[i]);
	}
	free(fd->inflight.v);
	free(fd->cached.v);
	free(fd->cur);
	free(fd->dur);
	free(fd);
}
