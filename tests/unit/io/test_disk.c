/* SPDX-License-Identifier: BSD-2-Clause */
/* The disk driver over files: transfers, alignment, flags, discards, and what it refuses. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "io/disk.h"

#define SIZE (8u << 20)

static struct loop loop;
static struct io_disk *disk;
static char path[256];
static const char *dir;

struct op {
	struct disk_op op;
	unsigned done;
};

static void on_done(struct disk_op *op)
{
	((struct op *)op)->done++;
}

static int make_file(off_t size)
{
	int fd;

	snprintf(path, sizeof(path), "%s/xbd-test-disk-XXXXXX", dir);
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, size))
		return -1;
	close(fd);
	return 0;
}

static int setup(void **state)
{
	const char *why;

	if (make_file(SIZE) || loop_init(&loop, 64, 16))
		return -1;
	if (io_disk_open(&disk, &loop, path, &why)) {
		print_error("%s\n", why);
		return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	io_disk_close(disk);
	disk = NULL;
	loop_free(&loop);
	unlink(path);
	return 0;
}

static int run(uint8_t kind, uint8_t flags, uint64_t offset, uint64_t len, void *buf)
{
	struct op o = {.op = {.kind = kind,
			      .flags = flags,
			      .offset = offset,
			      .len = len,
			      .buf = buf,
			      .res = 77,
			      .done = on_done}};

	disk_submit(io_disk_get(disk), &o.op);
	assert_int_equal(o.done, 0); /* never from inside submit */
	while (!o.done)
		assert_int_equal(loop_turn(&loop, true), 0);
	assert_int_equal(o.done, 1);
	return o.op.res;
}

static uint8_t *buffer(size_t len, uint8_t seed)
{
	uint8_t *b = aligned_alloc(4096, (len + 4095) / 4096 * 4096);

	assert_non_null(b);
	for (size_t i = 0; i < len; i++)
		b[i] = (uint8_t)(i / 512 * 7 + i + seed);
	return b;
}

static void data_written_is_read_back(void **state)
{
	uint8_t *w = buffer(1 << 20, 3), *r = buffer(1 << 20, 0);
	struct io_disk_info info;

	assert_int_equal(run(DISK_WRITE, 0, 4096, 1 << 20, w), 0);
	assert_int_equal(run(DISK_WRITE, DISK_FUA, 0, 4096, w), 0);
	assert_int_equal(run(DISK_FLUSH, 0, 0, 0, NULL), 0);
	assert_int_equal(run(DISK_READ, 0, 4096, 1 << 20, r), 0);
	assert_memory_equal(r, w, 1 << 20);
	io_disk_info(disk, &info);
	assert_int_equal(info.writes, 2);
	assert_int_equal(info.fua, 1);
	assert_int_equal(info.flushes, 1);
	assert_int_equal(info.read_bytes, 1 << 20);
	assert_int_equal(info.copied_ops, 0);
	assert_int_equal(info.errors, 0);
	free(w);
	free(r);
}

static void the_end_of_the_disk_can_be_used(void **state)
{
	struct disk *d = io_disk_get(disk);
	uint8_t *w = buffer(4096, 9), *r = buffer(4096, 1);

	assert_int_equal(d->size, SIZE);
	assert_int_equal(run(DISK_WRITE, 0, SIZE - 4096, 4096, w), 0);
	assert_int_equal(run(DISK_READ, 0, SIZE - 4096, 4096, r), 0);
	assert_memory_equal(r, w, 4096);
	free(w);
	free(r);
}

static void misaligned_buffers_are_copied_and_counted(void **state)
{
	uint8_t *w = buffer(3 << 20, 5), *r = buffer(3 << 20, 0);
	struct op ops[5];
	struct io_disk_info info;

	/* Larger than the bounce buffer, and several at once. */
	for (unsigned i = 0; i < 5; i++) {
		ops[i] = (struct op){.op = {.kind = DISK_WRITE,
					    .offset = i << 20,
					    .len = 512 << 10,
					    .buf = w + (i << 19) + 8 + i,
					    .done = on_done}};
		disk_submit(io_disk_get(disk), &ops[i].op);
	}
	for (unsigned i = 0; i < 5; i++)
		while (!ops[i].done)
			assert_int_equal(loop_turn(&loop, true), 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(ops[i].op.res, 0);
		assert_int_equal(run(DISK_READ, 0, i << 20, 512 << 10, r + 4), 0);
		assert_memory_equal(r + 4, w + (i << 19) + 8 + i, 512 << 10);
	}
	io_disk_info(disk, &info);
	assert_int_equal(info.copied_ops, info.mem_align > 8 ? 10 : info.copied_ops);
	if (info.mem_align == 1)
		assert_int_equal(info.copied_ops, 0);
	free(w);
	free(r);
}

static void registered_buffers_carry_transfers(void **state)
{
	uint8_t *a = buffer(1 << 20, 1), *b = buffer(1 << 20, 2), *c = buffer(4096, 3);
	struct iovec areas[2] = {{a, 1 << 20}, {b, 1 << 20}};
	struct io_disk_info info;

	if (io_disk_register(disk, areas, 2)) {
		free(a), free(b), free(c);
		print_message("memory cannot be registered here\n");
		skip();
	}
	assert_int_equal(run(DISK_WRITE, 0, 0, 4096, a + (1 << 20) - 4096), 0);
	assert_int_equal(run(DISK_READ, 0, 0, 4096, b + 4096), 0);
	assert_memory_equal(b + 4096, a + (1 << 20) - 4096, 4096);
	assert_int_equal(run(DISK_READ, 0, 0, 4096, c), 0);
	assert_memory_equal(c, b + 4096, 4096);
	io_disk_info(disk, &info);
	assert_true(info.fixed_buffers);
	assert_int_equal(info.fixed_ops, info.memory ? 0 : 2); /* no io_uring for memory */
	io_disk_close(disk);
	disk = NULL;
	free(a), free(b), free(c);
}

static void more_ops_than_slots_wait_their_turn(void **state)
{
	enum { N = 2000 };
	static struct op ops[N];
	uint8_t *w = buffer(4096, 4);
	struct io_disk_info info;
	unsigned done = 0;

	for (unsigned i = 0; i < N; i++) {
		ops[i] = (struct op){.op = {.kind = i % 10 ? DISK_WRITE : DISK_FLUSH,
					    .offset = i % 1024 * 4096,
					    .len = i % 10 ? 4096 : 0,
					    .buf = w,
					    .done = on_done}};
		disk_submit(io_disk_get(disk), &ops[i].op);
	}
	for (unsigned turn = 0; turn < 100000 && done < N; turn++) {
		assert_int_equal(loop_turn(&loop, true), 0);
		done = 0;
		for (unsigned i = 0; i < N; i++)
			done += ops[i].done;
	}
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(ops[i].done, 1);
		assert_int_equal(ops[i].op.res, 0);
	}
	io_disk_info(disk, &info);
	assert_int_equal(info.queued, info.memory ? 0 : N - IO_DISK_DEPTH);
	free(w);
}

static void a_discard_gives_space_back_and_reads_as_zeroes(void **state)
{
	uint8_t *w = buffer(1 << 20, 8), *r = buffer(1 << 20, 0), *zero;
	struct stat before, after;

	if (!io_disk_get(disk)->discard) {
		free(w), free(r);
		skip();
	}
	zero = calloc(1, 1 << 20);
	assert_int_equal(run(DISK_WRITE, DISK_FUA, 1 << 20, 1 << 20, w), 0);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(run(DISK_DISCARD, 0, 1 << 20, 1 << 20, NULL), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(after.st_size, SIZE);
	assert_int_equal(run(DISK_READ, 0, 1 << 20, 1 << 20, r), 0);
	assert_memory_equal(r, zero, 1 << 20);
	free(w), free(r), free(zero);
}

static void a_file_that_shrank_is_an_io_error(void **state)
{
	uint8_t *r = buffer(8192, 0);

	assert_int_equal(truncate(path, SIZE / 2), 0);
	assert_int_equal(run(DISK_READ, 0, SIZE - 8192, 8192, r), -EIO);
	/* Half of it is there. */
	assert_int_equal(run(DISK_READ, 0, SIZE / 2 - 4096, 8192, r), -EIO);
	assert_int_equal(run(DISK_READ, 0, SIZE / 2 - 4096, 4096, r), 0);
	free(r);
}

static void a_disk_that_is_open_is_in_use(void **state)
{
	struct io_disk *second = NULL;
	const char *why = NULL;

	assert_int_equal(io_disk_open(&second, &loop, path, &why), -XBD_EINUSE);
	assert_null(second);
	assert_non_null(strstr(why, "in use"));
	assert_non_null(strstr(why, path));
	io_disk_close(disk);
	assert_int_equal(io_disk_open(&disk, &loop, path, &why), 0);
}

static void expect_refusal(const char *name, int err, const char *text)
{
	struct io_disk *d = NULL;
	const char *why = NULL;

	assert_int_equal(io_disk_open(&d, &loop, name, &why), err);
	assert_null(d);
	assert_non_null(strstr(why, text));
}

static void what_is_no_disk_is_refused_with_a_reason(void **state)
{
	expect_refusal("/nonexistent/store", -ENOENT, "No such file");
	expect_refusal("/dev/null", -EINVAL, "neither a regular file nor a block device");
	expect_refusal("/", -EINVAL, "neither a regular file nor a block device");
	assert_int_equal(truncate(path, 100), 0);
	io_disk_close(disk);
	disk = NULL;
	expect_refusal(path, -XBD_ETOOSMALL, "is empty");
}

static void geometry_is_told(void **state)
{
	struct disk *d = io_disk_get(disk);
	struct io_disk_info info;

	io_disk_info(disk, &info);
	assert_true(d->block_size == 512 || d->block_size == 4096);
	assert_false(info.block_device);
	assert_int_equal(d->volatile_cache, strncmp(path, "/dev/shm", 8) != 0);
	print_message("%s: direct %d, block %u, memory %u, registered file %d, discard %d\n", dir,
		      info.direct, d->block_size, info.mem_align, info.fixed_file, d->discard);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static int run_in(const char *where)
{
	const struct CMUnitTest tests[] = {
		T(data_written_is_read_back),
		T(the_end_of_the_disk_can_be_used),
		T(misaligned_buffers_are_copied_and_counted),
		T(registered_buffers_carry_transfers),
		T(more_ops_than_slots_wait_their_turn),
		T(a_discard_gives_space_back_and_reads_as_zeroes),
		T(a_file_that_shrank_is_an_io_error),
		T(a_disk_that_is_open_is_in_use),
		T(what_is_no_disk_is_refused_with_a_reason),
		T(geometry_is_told),
	};

	dir = where;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	int failed = run_in(tmp ? tmp : "/var/tmp");

	if (access("/dev/shm", W_OK) == 0)
		failed += run_in("/dev/shm");
	return failed != 0;
}
