/* SPDX-License-Identifier: BSD-2-Clause */
/* What `xbd status` warns of, from answers of daemons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/warn.h"

#define VERSION "\"version\":\"" XBD_VERSION_TEXT "\","
#define HEAD	"{\"kind\":\"export\",\"name\":\"v\",\"answer\":{" VERSION
#define SERVING "\"serving\":true,\"dead\":false,"
#define WAITING "\"serving\":false,\"dead\":false,"
#define DEAD	"\"serving\":false,\"dead\":true,"
#define REP(node, state, lag)                                                                      \
	"{\"node\":\"" node "\",\"state\":\"" state "\",\"lag_regions\":" lag "}"
#define SHARD(phase, reps) "{\"id\":1,\"phase\":\"" phase "\",\"replicas\":[" reps "]}"
/* An export with these flags and shards. */
#define EXPORT(flags, shards) "[" HEAD flags "\"shards\":[" shards "]}}]"
#define NODE(store)                                                                                \
	"[{\"kind\":\"node\",\"name\":\"a\",\"answer\":{" VERSION "\"store\":{" store "}}}]"

#define GOOD   REP("a", "synced", "0")
#define B_DOWN GOOD "," REP("b", "down", "0")
#define LAGS   SHARD("serving", REP("a", "lagging", "5") "," REP("b", "synced", "0"))
#define LEARNS SHARD("serving", REP("a", "learner", "7"))

/* The daemons in `text` give as many warnings as there are texts, in this order. */
static void warns(const char *text, ...)
{
	json_t *daemons = json_loads(text, 0, NULL), *list;
	const char *want, *got;
	va_list ap;
	size_t i = 0;

	assert_non_null(daemons);
	list = warn_all(daemons);
	va_start(ap, text);
	for (; (want = va_arg(ap, const char *)); i++) {
		got = json_string_value(json_object_get(json_array_get(list, i), "text"));
		if (!got || !strstr(got, want))
			fail_msg("wanted \"%s\", got \"%s\"", want, got ? got : "nothing");
	}
	va_end(ap);
	assert_int_equal(json_array_size(list), i);
	json_decref(list);
	json_decref(daemons);
}

static void test_all_is_well(void **state)
{
	warns("[]", NULL);
	warns(EXPORT(SERVING, SHARD("serving", GOOD)), NULL);
	warns(NODE("\"slots\":100,\"slots_free\":50,\"failed\":false"), NULL);
}

static void test_replicas(void **state)
{
	warns(EXPORT(SERVING, SHARD("serving", B_DOWN)), "1 replica on node b is down", NULL);
	warns(EXPORT(SERVING, LAGS "," LEARNS),
	      "2 replicas on node a are behind and being brought up to date (12 regions", NULL);
}

static void test_phases(void **state)
{
	warns(EXPORT(DEAD, SHARD("dead", REP("a", "down", "0"))), "another host has taken over",
	      NULL);
	warns(EXPORT(WAITING, SHARD("serving", GOOD) "," SHARD("suspended", "")), "no majority",
	      NULL);
	warns(EXPORT(WAITING, SHARD("opening", "")), "(opening)", NULL);
	/* an answer of another version, without what is expected: not taken for health */
	warns("[" HEAD "\"x\":1}}]", "requests wait", NULL);
}

static void test_nodes(void **state)
{
	warns(NODE("\"slots\":100,\"slots_free\":5,\"failed\":false"), "95 % full", NULL);
	warns(NODE("\"slots\":9,\"slots_free\":9,\"failed\":true,\"fail_text\":\"EIO\""),
	      "disk error (EIO)", NULL);
	warns("[{\"kind\":\"node\",\"name\":\"a\",\"error\":\"gone\"}]", "gone", NULL);
	warns("[{\"kind\":\"node\",\"name\":\"a\",\"answer\":{\"version\":\"0.0\"}}]",
	      "runs version 0.0", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_is_well),
		cmocka_unit_test(test_replicas),
		cmocka_unit_test(test_phases),
		cmocka_unit_test(test_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
