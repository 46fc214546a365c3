/* SPDX-License-Identifier: BSD-2-Clause */
#include "fdisk.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "mstore.h"

static uint8_t *page_get(struct fdisk *fd)
{
	uint8_t *p = fd->free_pages;

	if (p)
		memcpy(&fd->free_pages, p, sizeof(void *));
	else
		p = arena_get(&fd->sim->arena, FD_PAGE);
	return p;
}

static void page_put(struct fdisk *fd, uint8_t *p)
{
	memcpy(p, &fd->free_pages, sizeof(void *));
	fd->free_pages = p;
}

static void on_submit(struct disk *disk, struct disk_op *op)
{
	struct fdisk *fd = (struct fdisk *)disk;
	struct sim *s = fd->sim;
	struct fdop *f = arena_get(&s->arena, sizeof(*f));
	uint64_t t = 2 * US + prng_exp(&s->net, s->opt.store_us * US / 2) * s->host[fd->host].slow;

	XBD_ASSERT(op->kind == DISK_FLUSH ||
		   (op->offset % FD_SECTOR == 0 && op->len % FD_SECTOR == 0 &&
		    op->offset + op->len <= disk->size));
	*f = (struct fdop){.op = op, .fd = fd, .next = fd->head, .host = fd->host};
	f->number = ++fd->number;
	if (fd->head)
		fd->head->prev = f;
	fd->head = f;
	sim_after(s, t, EV_DISK, fd->host, 0, 0, f);
}

struct fdisk *fdisk_new(struct sim *s, uint8_t host, uint64_t bytes, bool cache)
{
	struct fdisk *fd = arena_zero(&s->arena, sizeof(*fd));

	fd->sim = s;
	fd->host = host;
	fd->npages = (uint32_t)(bytes / FD_PAGE);
	fd->page = arena_zero(&s->arena, fd->npages * sizeof(*fd->page));
	fd->disk = (struct disk){.submit = on_submit,
				 .size = bytes,
				 .block_size = FD_SECTOR,
				 .volatile_cache = cache,
				 .discard = true};
	return fd;
}

/* Ready for a change of the page by write `number`. */
static uint8_t *dirty_page(struct fdisk *fd, struct fpage *p, uint64_t number, bool fua)
{
	if (!p->now) {
		p->now = page_get(fd);
		memset(p->now, 0, FD_PAGE);
	}
	if (!fua && fd->disk.volatile_cache && !p->durable) {
		p->durable = page_get(fd);
		memcpy(p->durable, p->now, FD_PAGE);
		p->dirty = number;
	}
	return p->now;
}

static void write_sector(struct fdisk *fd, uint64_t at, const uint8_t *data, uint64_t number,
			 bool fua)
{
	struct fpage *p = &fd->page[at / FD_PAGE];

	memcpy(dirty_page(fd, p, number, fua) + at % FD_PAGE, data, FD_SECTOR);
	if (fua && p->durable)
		memcpy(p->durable + at % FD_PAGE, data, FD_SECTOR);
}

static void do_write(struct fdisk *fd, const struct fdop *f, bool torn)
{
	const struct disk_op *op = f->op;
	bool fua = op->flags & DISK_FUA || torn;

	for (uint64_t o = 0; o < op->len; o += FD_SECTOR)
		if (!torn || prng_percent(&fd->sim->fault, 50))
			write_sector(fd, op->offset + o, (const uint8_t *)op->buf + o, f->number,
				     fua);
}

static void do_read(struct fdisk *fd, const struct disk_op *op)
{
	for (uint64_t o = 0; o < op->len; o += FD_SECTOR) {
		const struct fpage *p = &fd->page[(op->offset + o) / FD_PAGE];
		uint8_t *to = (uint8_t *)op->buf + o;

		if (p->now)
			memcpy(to, p->now + (op->offset + o) % FD_PAGE, FD_SECTOR);
		else
			memset(to, 0, FD_SECTOR);
	}
}

static void clean(struct fdisk *fd, struct fpage *p)
{
	if (p->durable)
		page_put(fd, p->durable);
	p->durable = NULL;
}

static void do_flush(struct fdisk *fd, uint64_t number)
{
	for (uint32_t i = 0; i < fd->npages; i++)
		if (fd->page[i].durable && fd->page[i].dirty < number)
			clean(fd, &fd->page[i]);
}

static void do_discard(struct fdisk *fd, const struct disk_op *op)
{
	for (uint64_t at = op->offset; at + FD_PAGE <= op->offset + op->len; at += FD_PAGE) {
		struct fpage *p = &fd->page[at / FD_PAGE];

		if (p->now && prng_percent(&fd->sim->fault, 50))
			memset(p->now, 0, FD_PAGE);
	}
}

static void forget(struct fdop *f)
{
	if (f->prev)
		f->prev->next = f->next;
	else
		f->fd->head = f->next;
	if (f->next)
		f->next->prev = f->prev;
	f->op = NULL;
}

void fdisk_event(struct sim *s, const struct event *ev)
{
	struct fdop *f = ev->ptr;
	struct disk_op *op = f->op;

	if (!op)
		return;
	op->res = 0;
	if (f->fd->sim->host[f->host].disk->failed)
		op->res = -EIO;
	else if (op->kind == DISK_READ)
		do_read(f->fd, op);
	else if (op->kind == DISK_WRITE)
		do_write(f->fd, f, false);
	else if (op->kind == DISK_FLUSH)
		do_flush(f->fd, f->number);
	else
		do_discard(f->fd, op);
	forget(f);
	op->done(op);
}

void fdisk_crash(struct fdisk *fd, bool power)
{
	for (struct fdop *f = fd->head; f; f = fd->head) {
		if (f->op->kind == DISK_WRITE)
			do_write(fd, f, true);
		forget(f);
	}
	for (uint32_t i = 0; i < fd->npages; i++) {
		struct fpage *p = &fd->page[i];

		for (uint32_t o = 0; p->durable && power && o < FD_PAGE; o += FD_SECTOR)
			if (prng_percent(&fd->sim->fault, 50))
				memcpy(p->now + o, p->durable + o, FD_SECTOR);
		clean(fd, p);
	}
}

void fdisk_rot(struct fdisk *fd, uint32_t page)
{
	uint32_t at = prng_below(&fd->sim->fault, FD_PAGE);
	uint8_t bit = (uint8_t)(1u << prng_below(&fd->sim->fault, 8));

	if (fd->page[page].now)
		fd->page[page].now[at] ^= bit;
	if (fd->page[page].durable)
		fd->page[page].durable[at] ^= bit;
}
