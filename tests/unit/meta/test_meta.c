/* SPDX-License-Identifier: BSD-2-Clause */
/* The metadata in files: what is put is what is got, versions, and damage of every kind. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "meta/meta.h"

static char dir[64];
static struct meta *m;

static void wipe(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char sub[512];

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		if (unlink(sub))
			wipe(sub);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static int setup(void **state)
{
	char why[META_WHY_MAX];

	snprintf(dir, sizeof(dir), "/tmp/xbd-meta-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(meta_open(&m, dir, true, why, sizeof(why)), 0);
	return 0;
}

static int teardown(void **state)
{
	meta_close(m);
	wipe(dir);
	return 0;
}

static struct meta_node some_node(void)
{
	struct meta_node n = {.name = "a", .addr = "10.0.0.1:7117", .blocks = 1000};

	n.store.b[3] = 9;
	return n;
}

static struct meta_volume some_volume(void)
{
	struct meta_volume v = {
		.name = "v",
		.gen = 0xfedcba9876543210,
		.size = (256ull << 20) + 4096,
		.shard_blocks = XBD_RANGE_BLOCKS,
		.replicas = 2,
		.table_no = 1,
		.created = 1234567,
		.nshards = 3,
	};

	v.uuid.b[0] = 1;
	v.shards = calloc(3, sizeof(*v.shards));
	for (uint32_t i = 0; i < 3; i++) {
		v.shards[i].id = 10 + i;
		v.shards[i].n = 2;
		for (uint32_t k = 0; k < 2; k++) {
			snprintf(v.shards[i].member[k].node, 32, "n%u", k);
			v.shards[i].member[k].store.b[0] = (uint8_t)(k + 1);
		}
	}
	return v;
}

static void test_nodes(void **state)
{
	struct meta_node n = some_node(), got, *list;
	size_t count;

	assert_int_equal(meta_node_get(m, "a", &got), -XBD_ENOTFOUND);
	assert_int_equal(meta_node_list(m, &list, &count), 0);
	assert_int_equal(count, 0);
	free(list);
	assert_int_equal(meta_node_put(m, &n), 0);
	assert_int_equal(n.version, 1);
	assert_int_equal(meta_node_get(m, "a", &got), 0);
	assert_memory_equal(&n, &got, sizeof(n));
	n.version = 0;
	assert_int_equal(meta_node_put(m, &n), -XBD_EEXISTS);
	snprintf(n.name, sizeof(n.name), "b");
	assert_int_equal(meta_node_put(m, &n), 0);
	assert_int_equal(meta_node_list(m, &list, &count), 0);
	assert_int_equal(count, 2);
	assert_string_equal(list[0].name, "a");
	assert_string_equal(list[1].name, "b");
	free(list);
	assert_int_equal(meta_node_delete(m, "a", 7), -XBD_ESTALE);
	assert_int_equal(meta_node_delete(m, "a", 1), 0);
	assert_int_equal(meta_node_get(m, "a", &got), -XBD_ENOTFOUND);
	assert_int_equal(meta_node_get(m, "../cluster", &got), -EINVAL);
}

static void test_volumes(void **state)
{
	struct meta_volume v = some_volume(), got;
	struct xbd_record rec;

	assert_int_equal(meta_volume_put(m, &v), 0);
	assert_int_equal(meta_volume_get(m, "v", &got), 0);
	assert_true(got.gen == v.gen && got.size == v.size && got.created == v.created);
	assert_int_equal(got.nshards, 3);
	assert_memory_equal(got.shards, v.shards, 3 * sizeof(*v.shards));
	assert_string_equal(got.witness.node, "");
	assert_int_equal(meta_shard_blocks(&got, 0), XBD_RANGE_BLOCKS);
	assert_int_equal(meta_shard_blocks(&got, 2), 1);
	meta_shard_record(&got, 1, &rec);
	assert_int_equal(rec.n, 2);
	assert_int_equal(rec.w, 2);
	assert_int_equal(rec.d_mask, 3);
	assert_int_equal(rec.bal, 1);
	assert_int_equal(rec.epoch, 1);
	assert_int_equal(rec.member[1].b[0], 2);
	assert_memory_equal(rec.member, rec.base, sizeof(rec.member));
	meta_volume_free(&got);
	meta_volume_free(&v);
}

/* Two writers that read the same version: the second one is told. */
static void test_compare_and_swap(void **state)
{
	struct meta_node n = some_node(), one, two;

	assert_int_equal(meta_node_put(m, &n), 0);
	assert_int_equal(meta_node_get(m, "a", &one), 0);
	assert_int_equal(meta_node_get(m, "a", &two), 0);
	one.blocks = 1;
	two.blocks = 2;
	assert_int_equal(meta_node_put(m, &one), 0);
	assert_int_equal(one.version, 2);
	assert_int_equal(meta_node_put(m, &two), -XBD_ESTALE);
	assert_int_equal(two.version, 1);
	assert_int_equal(meta_node_get(m, "a", &n), 0);
	assert_int_equal(n.blocks, 1);
}

/* Many processes take shard numbers at once: no number is given out twice. */
static void test_shard_ids(void **state)
{
	enum { PROCS = 8, TURNS = 10 };
	uint32_t first;
	int pipes[2], status;
	char seen[XBD_SHARDS_MAX] = {0};

	assert_int_equal(pipe(pipes), 0);
	for (int p = 0; p < PROCS; p++) {
		if (fork())
			continue;
		/* an opening of its own: locks belong to it */
		if (meta_open(&m, dir, false, NULL, 0))
			_exit(1);
		for (int i = 0; i < TURNS; i++) {
			if (meta_shard_ids(m, 3, &first) ||
			    write(pipes[1], &first, sizeof(first)) != sizeof(first))
				_exit(1);
		}
		_exit(0);
	}
	for (int p = 0; p < PROCS; p++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	close(pipes[1]);
	while (read(pipes[0], &first, sizeof(first)) == sizeof(first)) {
		assert_true(first > 0);
		for (uint32_t i = first; i < first + 3; i++)
			assert_int_equal(seen[i]++, 0);
	}
	close(pipes[0]);
	assert_int_equal(meta_shard_ids(m, 1, &first), 0);
	assert_int_equal(first, 1 + 3 * PROCS * TURNS);
	assert_int_equal(meta_shard_ids(m, XBD_SHARDS_MAX, &first), -ENOSPC);
}

static char *slurp(const char *path, size_t *len)
{
	char *buf = calloc(1, 65536);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	*len = fread(buf, 1, 65535, f);
	fclose(f);
	return buf;
}

static void spill(const char *path, const char *buf, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(buf, 1, len, f), len);
	fclose(f);
}

/* Refused by get, list and put, and the file is named. */
static void damaged(const char *what, size_t at)
{
	struct meta_node n = some_node(), *list;
	size_t count;
	int err = meta_node_get(m, "a", &n);

	if (err != -XBD_ECORRUPT && err != -XBD_EFORMAT)
		fail_msg("%s at %zu: %d", what, at, err);
	assert_non_null(strstr(meta_why(m), "node/a"));
	assert_non_null(strstr(meta_why(m), dir));
	assert_true(meta_node_list(m, &list, &count) < 0);
	n.version = 1;
	assert_true(meta_node_put(m, &n) < 0);
}

static void test_every_damaged_byte_is_noticed(void **state)
{
	struct meta_node n = some_node();
	char path[128], *good;
	size_t len;

	assert_int_equal(meta_node_put(m, &n), 0);
	snprintf(path, sizeof(path), "%s/node/a", dir);
	good = slurp(path, &len);
	assert_true(len > 100);
	for (size_t i = 0; i < len; i++) {
		char was = good[i];

		for (unsigned bit = 0; bit < 8; bit++) {
			good[i] = (char)(was ^ 1 << bit);
			spill(path, good, len);
			damaged("flipped", i);
		}
		good[i] = was;
		spill(path, good, i);
		damaged("cut", i);
	}
	spill(path, good, len + 1); /* one byte more: the NUL after it */
	damaged("longer", len);
	spill(path, good, len);
	assert_int_equal(meta_node_get(m, "a", &n), 0);
	free(good);
}

static void test_a_renamed_record_is_noticed(void **state)
{
	struct meta_node n = some_node();
	char from[128], to[128];

	assert_int_equal(meta_node_put(m, &n), 0);
	snprintf(from, sizeof(from), "%s/node/a", dir);
	snprintf(to, sizeof(to), "%s/node/b", dir);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(meta_node_get(m, "b", &n), -XBD_ECORRUPT);
	assert_non_null(strstr(meta_why(m), "renamed"));
}

/* What a writer left that died before its rename does not count and is no harm. */
static void test_an_unfinished_write_does_not_count(void **state)
{
	struct meta_node n = some_node(), *list;
	char path[128];
	size_t count;

	assert_int_equal(meta_node_put(m, &n), 0);
	snprintf(path, sizeof(path), "%s/node/.new", dir);
	spill(path, "xbd-meta 1 ver", 14);
	assert_int_equal(meta_node_list(m, &list, &count), 0);
	assert_int_equal(count, 1);
	free(list);
	assert_int_equal(meta_node_put(m, &n), 0);
	assert_int_equal(access(path, F_OK), -1);
}

/* A put that cannot be written leaves the old record. */
static void test_a_failed_put_changes_nothing(void **state)
{
	struct meta_node n = some_node(), got;
	char path[128];

	assert_int_equal(meta_node_put(m, &n), 0);
	snprintf(path, sizeof(path), "%s/node/.new", dir);
	assert_int_equal(mkdir(path, 0755), 0); /* in the way of the new file, even for root */
	n.blocks = 5;
	assert_true(meta_node_put(m, &n) < 0);
	assert_int_equal(n.version, 1);
	assert_non_null(strstr(meta_why(m), "node/a"));
	assert_int_equal(meta_node_get(m, "a", &got), 0);
	assert_int_equal(got.blocks, 1000);
}

static void test_locations(void **state)
{
	char why[META_WHY_MAX], at[128];
	struct meta *other;

	snprintf(at, sizeof(at), "file:%s", dir);
	assert_int_equal(meta_open(&other, at, false, why, sizeof(why)), 0);
	meta_close(other);
	assert_int_equal(meta_open(&other, "etcd://h:1", false, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "etcd://h:1"));
	assert_int_equal(meta_open(&other, "meta", false, why, sizeof(why)), -EINVAL);
	assert_int_equal(meta_open(&other, "/nonexistent/meta", false, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "/nonexistent/meta"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nodes),
		TEST(test_volumes),
		TEST(test_compare_and_swap),
		TEST(test_shard_ids),
		TEST(test_every_damaged_byte_is_noticed),
		TEST(test_a_renamed_record_is_noticed),
		TEST(test_an_unfinished_write_does_not_count),
		TEST(test_a_failed_put_changes_nothing),
		TEST(test_locations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
