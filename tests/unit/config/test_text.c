/* SPDX-License-Identifier: BSD-2-Clause */
/* Sizes, numbers, addresses, names and UUIDs as people write them. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/text.h"
#include "config/uuid.h"

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0", 0},
		    {"4096", 4096},
		    {"64K", 65536},
		    {"64k", 65536},
		    {"1.5G", 1610612736},
		    {"1T", 1099511627776},
		    {"1TiB", 1099511627776},
		    {"2GB", 2147483648},
		    {"512B", 512},
		    {"15E", 15ull << 60},
		    {"18446744073709551615", UINT64_MAX}};
	static const char *const bad[] = {"",
					  "G",
					  "1X",
					  "-1",
					  "1 G",
					  "1..5G",
					  ".5G",
					  "0x10",
					  "1.3K",
					  "16E",
					  "1KiBB",
					  "1Ki",
					  "1BB",
					  "1e3",
					  "18446744073709551616",
					  "999999999999999999999"};
	uint64_t v = 7;
	char why[200];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(text_size(good[i].text, &v, why, sizeof(why)), 0);
		assert_true(v == good[i].bytes);
	}
	v = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (text_size(bad[i], &v, why, sizeof(why)) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_true(v == 7);
		assert_non_null(strstr(why, bad[i]));
	}
}

static void test_sizes_back(void **state)
{
	char buf[32];
	uint64_t v;

	for (uint64_t n = 1; n && n < 1ull << 62; n = n * 3 + 1) {
		text_size_exact(n * 512, buf, sizeof(buf));
		assert_int_equal(text_size(buf, &v, NULL, 0), 0);
		assert_true(v == n * 512);
		if (n > 1ull << 50)
			break;
	}
	text_size_human(1610612736, buf, sizeof(buf));
	assert_string_equal(buf, "1.5 GiB");
	text_size_human(64ull << 20, buf, sizeof(buf));
	assert_string_equal(buf, "64 MiB");
	text_size_human(100, buf, sizeof(buf));
	assert_string_equal(buf, "100 B");
}

static void addr_is(const char *text, const char *want)
{
	struct sockaddr_storage ss;
	char buf[XBD_ADDR_TEXT], why[200];
	socklen_t len;

	if (text_addr(text, 7117, &ss, &len, why, sizeof(why)))
		fail_msg("%s", why);
	text_addr_format((struct sockaddr *)&ss, buf, sizeof(buf));
	assert_string_equal(buf, want);
	assert_int_equal(len, ss.ss_family == AF_INET ? sizeof(struct sockaddr_in)
						      : sizeof(struct sockaddr_in6));
}

static void test_addresses(void **state)
{
	static const char *const bad[] = {"",	       ":7117",	    "1.2.3.4:",	  "1.2.3.4:65536",
					  "[::1",      "[::1]7117", "1.2.3",	  "localhost",
					  "1.2.3.4:x", "[]:1",	    "1.2.3.4:-1", "[1.2.3.4]:5 "};
	struct sockaddr_storage ss;
	char why[200];

	addr_is("10.0.0.1", "10.0.0.1:7117");
	addr_is("10.0.0.1:99", "10.0.0.1:99");
	addr_is("::1", "[::1]:7117");
	addr_is("[::1]", "[::1]:7117");
	addr_is("[fd00::2]:99", "[fd00::2]:99");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (text_addr(bad[i], 1, &ss, NULL, why, sizeof(why)) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
}

static void test_names(void **state)
{
	static const char *const good[] = {"a", "vol0", "A.b_c-d", "0",
					   "1234567890123456789012345678901"};
	static const char *const bad[] = {
		"", "a/b", ".a", "-a", "a b", "..", "\xc3\xa4", "12345678901234567890123456789012"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(text_name(good[i], "name", NULL, 0), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(text_name(bad[i], "name", NULL, 0), -EINVAL);
}

static void test_uuids(void **state)
{
	struct xbd_uuid u, v = {{0}};
	char text[XBD_UUID_TEXT];

	assert_true(uuid_zero(&v));
	assert_int_equal(xbd_uuid_random(&u), 0);
	assert_false(uuid_zero(&u));
	xbd_uuid_text(&u, text);
	assert_int_equal(strlen(text), 36);
	assert_int_equal(text[14], '4');
	assert_int_equal(xbd_uuid_parse(text, &v), 0);
	assert_true(uuid_equal(&u, &v));
	text[8] = 'x';
	assert_int_equal(xbd_uuid_parse(text, &v), -EINVAL);
	assert_int_equal(xbd_uuid_parse("", &v), -EINVAL);
	assert_true(uuid_equal(&u, &v));
}

static void test_distance(void **state)
{
	assert_int_equal(text_distance("create", "create"), 0);
	assert_int_equal(text_distance("crate", "create"), 1);
	assert_int_equal(text_distance("craete", "create"), 1);
	assert_int_equal(text_distance("", "abc"), 3);
	assert_int_equal(text_distance("list", "info"), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),	  cmocka_unit_test(test_sizes_back),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_names),
		cmocka_unit_test(test_uuids),	  cmocka_unit_test(test_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
