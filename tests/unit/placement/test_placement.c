/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "placement/placement.h"

#define NODES  12
#define SHARDS 20000

static struct place_node nodes[NODES];
static const struct xbd_uuid volume = {{1, 2, 3}};

static int setup(void **state)
{
	for (unsigned i = 0; i < NODES; i++) {
		memset(nodes[i].store.b, 0, sizeof(nodes[i].store.b));
		nodes[i].store.b[0] = (uint8_t)(i * 17 + 1);
		nodes[i].store.b[15] = (uint8_t)i;
		nodes[i].weight = 1000;
	}
	return 0;
}

static void test_shards(void **state)
{
	const uint64_t gib = 1ull << 30;
	uint32_t n = 0;

	assert_int_equal(place_shards(4096, XBD_SHARD_BLOCKS_MAX, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(place_shards(64 * gib, XBD_SHARD_BLOCKS_MAX, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(place_shards(64 * gib + 4096, XBD_SHARD_BLOCKS_MAX, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(place_shards(gib, XBD_RANGE_BLOCKS, &n), 0);
	assert_int_equal(n, 8);
	n = 77;
	assert_int_equal(place_shards(0, XBD_SHARD_BLOCKS_MAX, &n), -EINVAL);
	assert_int_equal(place_shards(4097, XBD_SHARD_BLOCKS_MAX, &n), -EINVAL);
	assert_int_equal(place_shards(gib, 0, &n), -EINVAL);
	assert_int_equal(place_shards(gib, XBD_RANGE_BLOCKS + 1, &n), -EINVAL);
	assert_int_equal(place_shards(gib, 2 * XBD_SHARD_BLOCKS_MAX, &n), -EINVAL);
	assert_int_equal(place_shards(65537ull << 36, XBD_SHARD_BLOCKS_MAX, &n), -E2BIG);
	assert_int_equal(n, 77);
}

static void test_never_two_on_one_node(void **state)
{
	uint32_t pick[XBD_REPLICAS_MAX];

	for (uint32_t r = 1; r <= XBD_REPLICAS_MAX; r++) {
		for (uint32_t i = 0; i < 1000; i++) {
			assert_int_equal(place_replicas(nodes, NODES, &volume, i, r, pick), 0);
			for (uint32_t a = 0; a < r; a++) {
				assert_true(pick[a] < NODES);
				for (uint32_t b = 0; b < a; b++)
					assert_int_not_equal(pick[a], pick[b]);
			}
		}
	}
}

static void test_refusals(void **state)
{
	uint32_t pick[XBD_REPLICAS_MAX] = {9, 9, 9, 9, 9};

	assert_int_equal(place_replicas(nodes, 2, &volume, 0, 3, pick), -ENOSPC);
	assert_int_equal(place_replicas(nodes, 0, &volume, 0, 1, pick), -ENOSPC);
	assert_int_equal(place_replicas(nodes, 3, &volume, 0, 0, pick), -EINVAL);
	assert_int_equal(place_replicas(nodes, NODES, &volume, 0, XBD_REPLICAS_MAX + 1, pick),
			 -EINVAL);
	nodes[0].weight = 0;
	assert_int_equal(place_replicas(nodes, 3, &volume, 0, 3, pick), -ENOSPC);
	assert_int_equal(pick[0], 9);
	assert_int_equal(place_replicas(nodes, 3, &volume, 0, 2, pick), 0);
	assert_int_not_equal(pick[0], 0);
	assert_int_not_equal(pick[1], 0);
}

static void count(uint32_t n, uint32_t replicas, uint32_t *per_node)
{
	uint32_t pick[XBD_REPLICAS_MAX];

	memset(per_node, 0, NODES * sizeof(*per_node));
	for (uint32_t i = 0; i < SHARDS; i++) {
		assert_int_equal(place_replicas(nodes, n, &volume, i, replicas, pick), 0);
		for (uint32_t r = 0; r < replicas; r++)
			per_node[pick[r]]++;
	}
}

static void about(uint32_t got, double want)
{
	if (got < want * 0.94 || got > want * 1.06)
		fail_msg("%u, expected about %.0f", got, want);
}

static void test_even(void **state)
{
	uint32_t per_node[NODES];

	count(NODES, 3, per_node);
	for (uint32_t i = 0; i < NODES; i++)
		about(per_node[i], SHARDS * 3.0 / NODES);
}

static void test_weights(void **state)
{
	uint32_t per_node[NODES];

	nodes[2].weight = 3000;
	count(4, 1, per_node);
	for (uint32_t i = 0; i < 4; i++)
		about(per_node[i], SHARDS * (i == 2 ? 3.0 : 1.0) / 6);
}

/* A node more takes its share from the others and moves nothing between them. */
static void test_growth_moves_little(void **state)
{
	uint32_t before[XBD_REPLICAS_MAX], after[XBD_REPLICAS_MAX], moved = 0;

	for (uint32_t i = 0; i < SHARDS; i++) {
		place_replicas(nodes, NODES - 1, &volume, i, 1, before);
		place_replicas(nodes, NODES, &volume, i, 1, after);
		if (before[0] == after[0])
			continue;
		assert_int_equal(after[0], NODES - 1);
		moved++;
	}
	about(moved, SHARDS / (double)NODES);
}

/* The order in which nodes are listed does not matter; and the choice is the same for ever: shards
 * of a volume that grows must not depend on the version of the program. */
static void test_deterministic(void **state)
{
	static const uint32_t golden[4][3] = {{1, 10, 9}, {9, 4, 10}, {8, 4, 5}, {5, 6, 9}};
	struct place_node turned[NODES];
	uint32_t a[XBD_REPLICAS_MAX], b[XBD_REPLICAS_MAX];

	for (uint32_t i = 0; i < NODES; i++)
		turned[i] = nodes[NODES - 1 - i];
	for (uint32_t i = 0; i < 1000; i++) {
		place_replicas(nodes, NODES, &volume, i, 3, a);
		place_replicas(turned, NODES, &volume, i, 3, b);
		for (uint32_t r = 0; r < 3; r++) {
			assert_int_equal(a[r], NODES - 1 - b[r]);
			if (i < 4)
				assert_int_equal(a[r], golden[i][r]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_shards, setup),
		cmocka_unit_test_setup(test_never_two_on_one_node, setup),
		cmocka_unit_test_setup(test_refusals, setup),
		cmocka_unit_test_setup(test_even, setup),
		cmocka_unit_test_setup(test_weights, setup),
		cmocka_unit_test_setup(test_growth_moves_little, setup),
		cmocka_unit_test_setup(test_deterministic, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
