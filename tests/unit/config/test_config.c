/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: what is refused, and that the message says where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "config/config.h"

static char path[64];

static void write_file(const char *text)
{
	FILE *f;
	int fd;

	snprintf(path, sizeof(path), "/tmp/xbd-conf-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int load(const char *text, struct xbd_conf *c, char *why)
{
	int err;

	write_file(text);
	conf_defaults(c);
	why[0] = 0;
	err = conf_load(path, c, why, CONF_WHY_MAX);
	unlink(path);
	return err;
}

/* Refused, and the message is PATH:LINE: KEY: ...WHAT... */
static void refused(const char *text, int line, const char *key, const char *what)
{
	struct xbd_conf c, before;
	char why[CONF_WHY_MAX], want[256];

	conf_defaults(&before);
	assert_int_equal(load(text, &c, why), -XBD_ECONFIG);
	snprintf(want, sizeof(want), "%s:%d: %s", path, line, key);
	if (strncmp(why, want, strlen(want)) || !strstr(why, what))
		fail_msg("wanted \"%s ... %s\", got \"%s\"", want, what, why);
	assert_memory_equal(&c, &before, sizeof(c));
}

static void test_defaults(void **state)
{
	struct xbd_conf c;

	conf_defaults(&c);
	assert_string_equal(c.run_dir, "/run/xbd");
	assert_string_equal(c.meta, "/var/lib/xbd/meta");
	assert_true(uuid_zero(&c.cluster));
	assert_int_equal(c.export.lease_ms, 600);
	assert_int_equal(c.export.on_no_quorum, CONF_SUSPEND);
	assert_int_equal(c.node.data_memory, 64u << 20);
	assert_false(c.node.witness);
}

static void test_file(void **state)
{
	struct xbd_conf c;
	char why[CONF_WHY_MAX];

	assert_int_equal(load("# comment\n"
			      "run_dir = \"/tmp/run\";\n"
			      "cluster = \"00112233-4455-6677-8899-aabbccddeeff\";\n"
			      "node = { name = \"a\"; listen = \"[::1]:7200\"; witness = true;\n"
			      "  transport = \"udp\"; data_memory = \"1G\"; };\n"
			      "export = { on_no_quorum = \"io-error\"; window = 1048576;\n"
			      "  tcp = \"127.0.0.1:10809\"; };\n",
			      &c, why),
			 0);
	assert_string_equal(c.run_dir, "/tmp/run");
	assert_int_equal(c.cluster.b[15], 0xff);
	assert_string_equal(c.node.name, "a");
	assert_string_equal(c.node.listen, "[::1]:7200");
	assert_true(c.node.witness);
	assert_int_equal(c.node.transport, 2);
	assert_int_equal(c.node.data_memory, 1u << 30);
	assert_int_equal(c.export.on_no_quorum, CONF_IO_ERROR);
	assert_int_equal(c.export.window, 1u << 20);
	assert_string_equal(c.export.tcp, "127.0.0.1:10809");
}

static void test_bad_files(void **state)
{
	refused("\nnode = {\n  frobnicate = 1;\n};\n", 3, "node.frobnicate", "no such setting");
	refused("node = { transprot = \"udp\"; };", 1, "node.transprot", "\"transport\"");
	refused("frob = 1;", 1, "frob", "no such setting");
	refused("frob = { a = 1; };", 1, "frob", "no such setting");
	refused("node = 7;", 1, "node", "group");
	refused("\n\nrun_dir = 7;", 3, "run_dir", "must be a text");
	refused("run_dir = \"run\";", 1, "run_dir", "absolute");
	refused("run_dir = \"\";", 1, "run_dir", "empty");
	refused("run_dir = [\"/a\"];", 1, "run_dir", "not an array");
	refused("node = {\ntransport = \"pigeon\"; };", 2, "node.transport", "auto|xdp|udp");
	refused("node = { witness = 1; };", 1, "node.witness", "true or false");
	refused("node = { witness = \"yes\"; };", 1, "node.witness", "true or false");
	refused("node = { lease_ms = \"600\"; };", 1, "node.lease_ms", "must be a number");
	refused("node = { lease_ms = 600.5; };", 1, "node.lease_ms", "fraction");
	refused("node = { lease_ms = 49; };", 1, "node.lease_ms", "50 to 60000");
	refused("node = { lease_ms = -1; };", 1, "node.lease_ms", "not a number");
	refused("node = { lease_ms = 4294967896L; };", 1, "node.lease_ms", "out of range");
	/* libconfig makes 600 of this one */
	refused("a = \"4294967896\"; # 4294967896\nnode = { lease_ms = 4294967896; };", 2, "",
		"out of range");
	refused("node = { data_memory = \"1K\"; };", 1, "node.data_memory", "4M to 64G");
	refused("node = { data_memory = \"64Q\"; };", 1, "node.data_memory", "not a size");
	refused("node = { listen = \"host:1\"; };", 1, "node.listen", "names are not looked up");
	refused("node = { name = \"a/b\"; };", 1, "node.name", "not valid");
	refused("cluster = \"123\";", 1, "cluster", "UUID");
	refused("\nthis is not a configuration", 2, "", "syntax error");
	refused("run_dir = \"/a\";\nrun_dir = \"/b\";", 2, "", "duplicate");
}

static void test_bad_paths(void **state)
{
	struct xbd_conf c;
	char why[CONF_WHY_MAX] = "";

	conf_defaults(&c);
	assert_int_equal(conf_load("/nonexistent/x.conf", &c, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "/nonexistent/x.conf"));
	assert_int_equal(conf_load("/tmp", &c, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "not a regular file"));
}

static void test_set(void **state)
{
	struct xbd_conf c;
	char why[CONF_WHY_MAX];

	conf_defaults(&c);
	assert_int_equal(conf_set(&c, "node.name", "n1", why, sizeof(why)), 0);
	assert_string_equal(c.node.name, "n1");
	assert_int_equal(conf_set(&c, "node.nam", "n1", why, sizeof(why)), -XBD_ECONFIG);
	assert_int_equal(conf_set(&c, "node.transport", "x", why, sizeof(why)), -XBD_ECONFIG);
	assert_int_equal(strncmp(why, "node.transport: ", 16), 0);
}

/* What `config show` prints is what the file means. */
static void test_show_is_a_file(void **state)
{
	struct xbd_conf c, d;
	char value[2 * CONF_PATH_MAX], dotted[64], why[CONF_WHY_MAX];
	const struct conf_key *k;
	size_t n;

	conf_defaults(&c);
	assert_int_equal(conf_set(&c, "export.window", "3M", why, sizeof(why)), 0);
	conf_defaults(&d);
	k = conf_keys(&n);
	for (size_t i = 0; i < n; i++) {
		conf_value_text(&c, &k[i], value, sizeof(value));
		snprintf(dotted, sizeof(dotted), "%s%s%s", k[i].group, *k[i].group ? "." : "",
			 k[i].name);
		assert_ptr_equal(conf_find(dotted), &k[i]);
		assert_int_equal(conf_set(&d, dotted, value, why, sizeof(why)), 0);
	}
	assert_memory_equal(&c, &d, sizeof(c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),  cmocka_unit_test(test_file),
		cmocka_unit_test(test_bad_files), cmocka_unit_test(test_bad_paths),
		cmocka_unit_test(test_set),	  cmocka_unit_test(test_show_is_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
