/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/disk.h"

#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/disk_impl.h"

static void start(struct disk_req *r);

void disk_op_done(struct io_disk *d, struct disk_op *op, int res)
{
	switch (op->kind) {
	case DISK_READ:
		d->info.reads++;
		d->info.read_bytes += res ? 0 : op->len;
		break;
	case DISK_WRITE:
		d->info.writes++;
		d->info.fua += !!(op->flags & DISK_FUA);
		d->info.write_bytes += res ? 0 : op->len;
		break;
	case DISK_FLUSH:
		d->info.flushes++;
		break;
	default:
		d->info.discards++;
	}
	d->info.errors += res != 0;
	op->res = res;
	op->next = NULL;
	op->done(op);
}

/* Let the next request have the bounce buffer. */
static void bounce_release(struct io_disk *d, struct disk_req *r)
{
	if (d->bounce_user != r)
		return;
	d->bounce_user = d->bounce_wait;
	if (!d->bounce_wait)
		return;
	d->bounce_wait = d->bounce_user->next;
	if (!d->bounce_wait)
		d->bounce_tail = &d->bounce_wait;
	start(d->bounce_user);
}

static void req_begin(struct io_disk *d, struct disk_op *op)
{
	struct disk_req *r = d->free;

	d->free = r->next;
	d->inflight++;
	r->op = op;
	r->pos = 0;
	r->next = NULL;
	r->stuck = false;
	r->bounce = (op->kind == DISK_READ || op->kind == DISK_WRITE) &&
		    (uintptr_t)op->buf % d->info.mem_align;
	if (!r->bounce) {
		start(r);
		return;
	}
	d->info.copied_ops++;
	if (d->bounce_user) {
		*d->bounce_tail = r;
		d->bounce_tail = &r->next;
		return;
	}
	d->bounce_user = r;
	start(r);
}

static void req_end(struct disk_req *r, int res)
{
	struct io_disk *d = r->d;
	struct disk_op *op = r->op, *more = d->wait;

	r->op = NULL;
	bounce_release(d, r);
	XBD_ASSERT(d->inflight > 0);
	d->inflight--;
	r->next = d->free;
	d->free = r;
	if (more) {
		d->wait = more->next;
		if (!d->wait)
			d->wait_tail = &d->wait;
		req_begin(d, more);
	}
	disk_op_done(d, op, res);
}

/* Index of the registered buffer that holds all of [buf, buf + len), or -1. */
static int find_area(const struct io_disk *d, const uint8_t *buf, uint64_t len)
{
	for (unsigned i = 0; i < d->nareas; i++) {
		const uint8_t *base = d->areas[i].iov_base;

		if (buf >= base && len <= d->areas[i].iov_len &&
		    (uint64_t)(buf - base) <= d->areas[i].iov_len - len)
			return (int)i;
	}
	return -1;
}

static void prep_transfer(struct disk_req *r, struct io_uring_sqe *sqe)
{
	struct io_disk *d = r->d;
	const struct disk_op *op = r->op;
	uint8_t *buf = (uint8_t *)op->buf + r->pos;
	uint64_t left = op->len - r->pos, max = r->bounce ? DISK_BOUNCE : DISK_PIECE;
	int area;

	r->len = (uint32_t)(left < max ? left : max);
	if (r->bounce) {
		if (op->kind == DISK_WRITE)
			memcpy(d->bounce, buf, r->len);
		buf = d->bounce;
	}
	if (op->kind == DISK_READ)
		io_uring_prep_read(sqe, d->fd, buf, r->len, op->offset + r->pos);
	else
		io_uring_prep_write(sqe, d->fd, buf, r->len, op->offset + r->pos);
	area = find_area(d, buf, r->len);
	if (area >= 0) {
		sqe->opcode = op->kind == DISK_READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
		sqe->buf_index = (uint16_t)area;
		d->info.fixed_ops++;
	}
	if (op->kind == DISK_WRITE && op->flags & DISK_FUA)
		sqe->rw_flags = RWF_DSYNC;
}

/* Hand the rest of the op to the kernel. */
static void start(struct disk_req *r)
{
	struct io_disk *d = r->d;
	struct disk_op *op = r->op;
	struct io_uring_sqe *sqe = loop_sqe(d->loop, &r->cb);

	switch (op->kind) {
	case DISK_READ:
	case DISK_WRITE:
		prep_transfer(r, sqe);
		break;
	case DISK_FLUSH:
		io_uring_prep_fsync(sqe, d->fd, IORING_FSYNC_DATASYNC);
		break;
	default:
		/* The length is 64 bits wide and goes where a buffer's address would. */
		sqe->opcode = IORING_OP_FALLOCATE;
		sqe->fd = d->fd;
		sqe->off = op->offset;
		sqe->addr = op->len;
		sqe->len = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	}
	if (d->file >= 0) {
		sqe->fd = d->file;
		sqe->flags |= IOSQE_FIXED_FILE;
	}
}

/* res bytes were moved: finish, or go on with the rest. */
static void transferred(struct disk_req *r, uint32_t res)
{
	struct io_disk *d = r->d;
	struct disk_op *op = r->op;

	XBD_ASSERT(res <= r->len);
	/* The rest must start on a block again. */
	if (res < r->len)
		res -= res % d->disk.block_size;
	if (r->bounce && op->kind == DISK_READ)
		memcpy((uint8_t *)op->buf + r->pos, d->bounce, res);
	r->pos += res;
	if (r->pos == op->len) {
		req_end(r, 0);
		return;
	}
	/* Nothing moved, twice: the file is shorter than it was, or the device is gone. */
	if (!res && r->stuck) {
		req_end(r, -EIO);
		return;
	}
	r->stuck = !res;
	d->info.resumed++;
	start(r);
}

static void on_cqe(struct loop_cb *cb, int res, unsigned flags)
{
	struct disk_req *r = (struct disk_req *)cb;
	struct disk_op *op = r->op;

	XBD_ASSERT(op);
	if (res == -EAGAIN || res == -EINTR) {
		start(r);
	} else if (op->kind == DISK_DISCARD && (res == -EOPNOTSUPP || res == -ENOTSUP)) {
		r->d->disk.discard = 0;
		req_end(r, 0);
	} else if (res < 0 || op->kind == DISK_FLUSH || op->kind == DISK_DISCARD) {
		req_end(r, res < 0 ? res : 0);
	} else {
		transferred(r, (uint32_t)res);
	}
}

static void submit(struct disk *disk, struct disk_op *op)
{
	struct io_disk *d = (struct io_disk *)disk;

	XBD_ASSERT(op->done && op->kind <= DISK_DISCARD);
	if (op->kind != DISK_FLUSH) {
		XBD_ASSERT(op->len > 0 && op->len % disk->block_size == 0);
		XBD_ASSERT(op->offset % disk->block_size == 0);
		XBD_ASSERT(op->offset <= disk->size && op->len <= disk->size - op->offset);
	}
	op->next = NULL;
	if (d->info.memory) {
		disk_memory_submit(d, op);
		return;
	}
	if (d->free) {
		req_begin(d, op);
		return;
	}
	d->info.queued++;
	*d->wait_tail = op;
	d->wait_tail = &op->next;
}

static void setup(struct io_disk *d, struct loop *l, int fd, const struct disk_probe *p)
{
	d->disk = (struct disk){
		.submit = submit,
		.size = p->size,
		.block_size = p->block_size,
		.volatile_cache = p->volatile_cache,
		.discard = p->discard,
	};
	d->loop = l;
	d->fd = fd;
	d->file = loop_file_add(l, fd);
	d->info.direct = p->direct;
	d->info.fixed_file = d->file >= 0;
	d->info.block_device = p->block_device;
	d->info.mem_align = p->mem_align;
	d->info.memory = p->memory;
	if (p->memory)
		disk_memory_setup(d);
	d->bounce_tail = &d->bounce_wait;
	d->wait_tail = &d->wait;
	for (unsigned i = IO_DISK_DEPTH; i-- > 0;) {
		d->reqs[i].cb.fn = on_cqe;
		d->reqs[i].d = d;
		d->reqs[i].next = d->free;
		d->free = &d->reqs[i];
	}
}

int io_disk_open(struct io_disk **out, struct loop *l, const char *path, const char **why)
{
	static char text[512];
	struct disk_probe p;
	struct io_disk *d;
	int err, fd;

	*why = text;
	err = disk_probe_open(path, &fd, &p, text, sizeof(text));
	if (err)
		return err;
	d = calloc(1, sizeof(*d));
	if (d && p.mem_align > 1)
		d->bounce = aligned_alloc(4096, DISK_BOUNCE);
	if (!d || (p.mem_align > 1 && !d->bounce)) {
		free(d);
		close(fd);
		*why = "no memory";
		return -ENOMEM;
	}
	setup(d, l, fd, &p);
	*out = d;
	return 0;
}

int io_disk_register(struct io_disk *d, const struct iovec *areas, unsigned n)
{
	const uint64_t piece = 1u << 30; /* the kernel's limit for one buffer */
	int err, first = 0;

	XBD_ASSERT(!d->nareas);
	err = io_uring_register_buffers_sparse(&d->loop->ring, DISK_AREAS);
	if (err)
		return err;
	for (unsigned i = 0; i < n; i++) {
		for (uint64_t pos = 0; pos < areas[i].iov_len; pos += piece) {
			struct iovec v = {(uint8_t *)areas[i].iov_base + pos,
					  areas[i].iov_len - pos};
			__u64 tag = 0;

			if (v.iov_len > piece)
				v.iov_len = piece;
			err = d->nareas == DISK_AREAS
				      ? -ENFILE
				      : io_uring_register_buffers_update_tag(
						&d->loop->ring, d->nareas, &v, &tag, 1);
			if (err == 1)
				d->areas[d->nareas++] = v;
			else if (!first)
				first = err ? err : -EIO;
		}
	}
	d->info.fixed_buffers = d->nareas > 0;
	if (!d->nareas)
		(void)io_uring_unregister_buffers(&d->loop->ring);
	return first;
}

struct disk *io_disk_get(struct io_disk *d)
{
	return &d->disk;
}

void io_disk_info(const struct io_disk *d, struct io_disk_info *out)
{
	*out = d->info;
}

void io_disk_close(struct io_disk *d)
{
	if (!d)
		return;
	XBD_ASSERT(!d->inflight && !d->wait);
	if (d->info.memory)
		disk_memory_close(d);
	if (d->nareas)
		(void)io_uring_unregister_buffers(&d->loop->ring);
	loop_file_remove(d->loop, d->file);
	close(d->fd);
	free(d->bounce);
	free(d);
}
