/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files in memory (tmpfs). There every transfer is a copy that never waits, but io_uring cannot
 * know and gives each one to a worker thread: several context switches for a microsecond of
 * copying. So these operations are carried out right here, at the end of the turn, by plain system
 * calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stddef.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/disk_impl.h"

/* Writes to neighbouring places that lie one after the other in the queue become one call. */
#define MERGE_MAX 16u

void disk_memory_submit(struct io_disk *d, struct disk_op *op)
{
	*d->mem_tail = op;
	d->mem_tail = &op->next;
}

static bool mergeable(const struct disk_op *a, const struct disk_op *b)
{
	return b && a->kind == b->kind && (a->kind == DISK_WRITE || a->kind == DISK_READ) &&
	       a->offset + a->len == b->offset;
}

/* Ops from `first` that one call can carry out; their number. */
static unsigned gather(struct disk_op *first, struct iovec *iov, uint64_t *len)
{
	unsigned n = 0;

	*len = 0;
	for (struct disk_op *op = first; op && n < MERGE_MAX; op = op->next) {
		iov[n++] = (struct iovec){op->buf, op->len};
		*len += op->len;
		if (!mergeable(op, op->next))
			break;
	}
	return n;
}

static int one_call(struct io_disk *d, const struct disk_op *op, struct iovec *iov, unsigned n,
		    uint64_t len)
{
	off_t at = (off_t)op->offset;
	ssize_t res;

	switch (op->kind) {
	case DISK_FLUSH:
		return 0; /* there is nothing more stable underneath */
	case DISK_DISCARD:
		return fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
				 (off_t)op->len)
			       ? -errno
			       : 0;
	default:
		do
			res = op->kind == DISK_READ ? preadv(d->fd, iov, (int)n, at)
						    : pwritev(d->fd, iov, (int)n, at);
		while (res < 0 && errno == EINTR);
		if (res < 0)
			return -errno;
		return (uint64_t)res == len ? 0 : -EIO;
	}
}

unsigned io_disk_run(struct io_disk *d)
{
	struct disk_op *op = d->mem_head;
	unsigned done = 0;

	if (!op)
		return 0;
	d->mem_head = NULL;
	d->mem_tail = &d->mem_head;
	while (op) {
		struct iovec iov[MERGE_MAX];
		uint64_t len;
		unsigned n = gather(op, iov, &len);
		int res = one_call(d, op, iov, n, len);

		d->info.inline_calls++;
		done += n;
		while (n-- > 0) {
			struct disk_op *next = op->next;

			disk_op_done(d, op, res); /* may submit more: a queue of its own */
			op = next;
		}
	}
	return done;
}

static void on_hook(struct loop_hook *h)
{
	struct io_disk *d = (struct io_disk *)((char *)h - offsetof(struct io_disk, hook));

	d->ran = io_disk_run(d) > 0;
}

/* What completed may have made work for hooks that ran before this one. */
static bool on_busy(struct loop_hook *h)
{
	struct io_disk *d = (struct io_disk *)((char *)h - offsetof(struct io_disk, hook));

	return d->mem_head || d->ran;
}

void disk_memory_setup(struct io_disk *d)
{
	d->mem_tail = &d->mem_head;
	d->hook.fn = on_hook;
	d->hook.busy = on_busy;
	loop_hook_add(d->loop, &d->hook);
}

void disk_memory_close(struct io_disk *d)
{
	XBD_ASSERT(!d->mem_head);
	loop_hook_remove(d->loop, &d->hook);
}
