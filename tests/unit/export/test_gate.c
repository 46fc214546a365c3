/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate of exports that must not hang, with a coordinator that does what the test says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "export/gate.h"

#define MS    1000000ull
#define SHARD (1u << 20)

static struct co_req *held[64];
static unsigned nheld;
static enum co_shard_phase phase[2];

void co_submit(struct co *co, uint64_t now_ns, struct co_req *req)
{
	assert_true(nheld < 64);
	req->refs++;
	held[nheld++] = req;
}

bool co_shard_status(const struct co *co, uint32_t index, struct co_shard_status *out)
{
	memset(out, 0, sizeof(*out));
	if (index > 1)
		return false;
	out->phase = phase[index];
	return true;
}

struct client {
	struct co_req req;
	unsigned done, released;
};

static void on_done(struct co_req *req)
{
	((struct client *)req)->done++;
	co_req_put(req);
}

static void on_release(struct co_req *req)
{
	((struct client *)req)->released++;
}

static struct gate gate;
static struct client client[64];

static int setup(void **state)
{
	nheld = 0;
	memset(client, 0, sizeof(client));
	phase[0] = phase[1] = CO_SERVING;
	return gate_init(&gate, NULL, SHARD, 100, 4);
}

static int teardown(void **state)
{
	gate_free(&gate);
	return 0;
}

static struct client *ask(unsigned i, uint64_t now, enum co_kind kind, uint64_t offset)
{
	client[i].req = (struct co_req){.kind = (uint8_t)kind,
					.refs = 1,
					.len = 4096,
					.offset = offset,
					.done = on_done,
					.release = on_release};
	gate_submit(&gate, now, &client[i].req);
	return &client[i];
}

/* The coordinator ends a request, and lets go of its buffer. */
static void co_end(unsigned i, int res)
{
	held[i]->res = res;
	held[i]->done(held[i]);
}

static void outcomes_pass_through(void **state)
{
	struct client *a = ask(0, 0, CO_WRITE, 0), *b = ask(1, 0, CO_READ, SHARD);

	assert_int_equal(held[1]->offset, SHARD);
	co_end(1, -ENOSPC);
	assert_int_equal(b->done, 1);
	assert_int_equal(b->req.res, -ENOSPC);
	assert_int_equal(b->released, 0); /* the coordinator still has it */
	co_req_put(held[1]);
	assert_int_equal(b->released, 1);
	co_req_put(held[0]);
	co_end(0, 0);
	assert_int_equal(a->req.res, 0);
	assert_int_equal(a->released, 1);
	assert_true(gate_deadline(&gate) == UINT64_MAX);
}

static void requests_fail_after_the_time_and_only_where_it_is_due(void **state)
{
	struct client *a = ask(0, 0, CO_WRITE, 0), *b = ask(1, 0, CO_WRITE, SHARD), *c;

	phase[0] = CO_SUSPENDED;
	gate_serving(&gate, 5 * MS, false);
	gate_serving(&gate, 50 * MS, false); /* the first time counts */
	assert_true(gate_deadline(&gate) == 105 * MS);
	gate_tick(&gate, 104 * MS);
	assert_int_equal(a->done, 0);
	gate_tick(&gate, 105 * MS);
	assert_int_equal(a->done, 1);
	assert_int_equal(a->req.res, -EIO);
	assert_int_equal(b->done, 0);
	/* From now on at once, but never from inside the submission. */
	c = ask(2, 106 * MS, CO_READ, 4096);
	assert_int_equal(nheld, 2);
	assert_int_equal(c->done, 0);
	assert_true(gate_deadline(&gate) == 0);
	gate_tick(&gate, 106 * MS);
	assert_int_equal(c->done, 1);
	assert_int_equal(c->req.res, -EIO);
	assert_int_equal(c->released, 1);
	/* What the coordinator says later is nobody's business, but the buffer was its own. */
	assert_int_equal(a->released, 0);
	co_end(0, 0);
	co_req_put(held[0]);
	assert_int_equal(a->done, 1);
	assert_int_equal(a->released, 1);
	co_end(1, 0);
	co_req_put(held[1]);
	assert_int_equal(b->req.res, 0);
}

static void the_gate_opens_again(void **state)
{
	struct client *a;

	phase[0] = CO_SUSPENDED;
	gate_serving(&gate, MS, false);
	gate_tick(&gate, 1000 * MS);
	phase[0] = CO_SERVING;
	gate_serving(&gate, 1001 * MS, true);
	a = ask(0, 1001 * MS, CO_WRITE, 0);
	assert_int_equal(nheld, 1);
	gate_tick(&gate, 2000 * MS);
	assert_int_equal(a->done, 0);
	co_end(0, 0);
	co_req_put(held[0]);
	assert_int_equal(a->released, 1);
	/* A short outage is not added to an earlier one. */
	phase[0] = CO_SUSPENDED;
	gate_serving(&gate, 3000 * MS, false);
	assert_true(gate_deadline(&gate) == 3100 * MS);
}

static void more_requests_than_can_be_watched_wait(void **state)
{
	for (unsigned i = 0; i < 6; i++)
		ask(i, 0, CO_WRITE, 0);
	assert_int_equal(nheld, 6);
	assert_ptr_equal(held[4], &client[4].req);
	for (unsigned i = 0; i < 6; i++) {
		co_end(i, 0);
		co_req_put(held[i]);
		assert_int_equal(client[i].done, 1);
		assert_int_equal(client[i].released, 1);
	}
	ask(6, 0, CO_WRITE, 0);
	assert_ptr_not_equal(held[6], &client[6].req);
	co_end(6, 0);
	co_req_put(held[6]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(outcomes_pass_through),
		T(requests_fail_after_the_time_and_only_where_it_is_due),
		T(the_gate_opens_again),
		T(more_requests_than_can_be_watched_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
