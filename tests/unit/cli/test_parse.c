/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line against its tables, and the tables themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/doc.h"
#include "cmd/parse.h"
#include "cmd/probe.h"

static struct cmd_line line;
static char why[CMD_WHY_MAX];
static char words[256];

/* "volume create v --size 1G", split at spaces. */
static int parse(const char *text)
{
	static char *argv[32];
	int argc = 0;
	char *save;

	snprintf(words, sizeof(words), "xbd %s", text);
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	why[0] = 0;
	return cmd_parse(argc, argv, &line, why, sizeof(why));
}

static void refused(const char *text, const char *want)
{
	if (!parse(text))
		fail_msg("\"%s\" was taken", text);
	if (!strstr(why, want))
		fail_msg("\"%s\": wanted \"%s\", got \"%s\"", text, want, why);
	assert_null(strchr(why, '\n'));
}

static void test_good(void **state)
{
	assert_int_equal(parse("volume create v1 --size 1G"), 0);
	assert_int_equal(line.cmd->id, CMD_volume_create);
	assert_string_equal(line.arg[0], "v1");
	assert_int_equal(cmd_opt_size(&line, "size", 0), 1 << 30);
	assert_int_equal(cmd_opt_number(&line, "replicas", 3), 3);
	assert_false(line.json);

	assert_int_equal(parse("--size=64M --json volume --replicas 2 create --size 2G v1"), 0);
	assert_int_equal(line.cmd->id, CMD_volume_create);
	assert_int_equal(cmd_opt_size(&line, "size", 0), 2ull << 30);
	assert_int_equal(cmd_opt_number(&line, "replicas", 3), 2);
	assert_true(line.json);

	assert_int_equal(parse("node add a 10.0.0.1:9"), 0);
	assert_int_equal(line.nargs, 2);
	assert_int_equal(parse("stats"), 0);
	assert_int_equal(line.nargs, 0);
	assert_int_equal(parse("export v --read-only --run-dir /r --config x.conf"), 0);
	assert_string_equal(cmd_opt(&line, "read-only"), "");
	assert_null(cmd_opt(&line, "unix"));
	assert_string_equal(line.config, "x.conf");
	assert_int_equal(parse("volume info -- --json"), 0);
	assert_string_equal(line.arg[0], "--json");
	assert_int_equal(parse(""), 0);
	assert_null(line.cmd);
	assert_int_equal(parse("volume create --help"), 0);
	assert_true(line.help);
}

static void test_bad(void **state)
{
	refused("frobnicate", "no command \"frobnicate\"");
	refused("stauts", "did you mean \"status\"");
	refused("volume", "create, list, info, resize, delete");
	refused("volume crate v --size 1G", "did you mean \"volume create\"");
	refused("volume frobnicate", "create, list");
	refused("volume create --size 1G", "NAME is missing");
	refused("volume create v", "--size SIZE is missing");
	refused("volume create v w --size 1G", "\"w\" is one word too many");
	refused("volume create v --size", "--size needs a value: SIZE");
	refused("volume create v --size 12Q", "--size: \"12Q\" is not a size");
	refused("volume create v --size 1G --replicas 6", "--replicas: 6 is out of range: 1 to 5");
	refused("volume create v --size 1G --replicas x", "--replicas: \"x\" is not a number");
	refused("volume create v --sise 1G", "did you mean \"--size\"");
	refused("volume create v --size 1G --frobnicate", "no option \"--frobnicate\"");
	refused("volume create v --size 1G -s", "two dashes");
	refused("volume list --size 1G", "\"volume list\" has no option --size");
	refused("volume list --json=1", "--json takes no value");
	refused("node run --transport pigeon", "--transport: \"pigeon\" is not one of");
	refused("node run --listen 1.2.3", "--listen: \"1.2.3\" is not a numeric");
	refused("node init p --cluster 12", "--cluster: \"12\" is not a UUID");
	refused("node add a", "ADDR[:PORT] is missing");
	refused("export v --tcp 1.2.3.4:x", "--tcp:");
}

static void test_apply(void **state)
{
	struct xbd_conf c;

	conf_defaults(&c);
	assert_int_equal(parse("export v --tcp 127.0.0.1:1 --unix sock --run-dir /r"), 0);
	assert_int_equal(cmd_apply(&line, &c, why, sizeof(why)), 0);
	assert_string_equal(c.export.tcp, "127.0.0.1:1");
	assert_string_equal(c.run_dir, "/r");
	/* a path of the command line is relative to where it was typed */
	assert_int_equal(c.export.unix_socket[0], '/');
	assert_string_equal(strrchr(c.export.unix_socket, '/'), "/sock");
}

static void check_opts(const struct cmd_opt *o)
{
	unsigned n = 0;

	for (; o && o->name; o++, n++) {
		assert_int_equal(o->kind == OPT_FLAG, o->arg == NULL);
		assert_int_equal(o->kind == OPT_CONF, o->conf != NULL);
		assert_true(o->kind != OPT_CONF || conf_find(o->conf));
		assert_true(strlen(o->text) > 5);
		/* whether an option takes a value must not depend on the command */
		for (unsigned i = 0; i < CMD_ID_END; i++)
			for (const struct cmd_opt *p = cmd_table[i].opts; p && p->name; p++)
				assert_false(!strcmp(o->name, p->name) && !o->arg != !p->arg);
	}
	assert_true(n <= CMD_OPTS_MAX);
}

static void test_table(void **state)
{
	check_opts(cmd_global_opts);
	check_opts(cmd_xbdd_opts);
	for (unsigned i = 0; i < CMD_ID_END; i++) {
		assert_int_equal(cmd_table[i].id, i);
		assert_ptr_equal(cmd_find(cmd_table[i].words), &cmd_table[i]);
		check_opts(cmd_table[i].opts);
	}
}

/* Every example of every command is a command line that is understood. */
static void test_examples(void **state)
{
	for (unsigned i = 0; i < CMD_ID_END; i++) {
		const char *p = cmd_table[i].examples;

		for (; *p; p += strcspn(p, "\n"), p += *p == '\n') {
			char text[200];

			if (strncmp(p, "xbd ", 4))
				continue;
			snprintf(text, sizeof(text), "%.*s", (int)strcspn(p, "\n&") - 4, p + 4);
			if (parse(text))
				fail_msg("%s: %s", text, why);
			assert_ptr_equal(line.cmd, &cmd_table[i]);
		}
	}
}

/* Every command, option and setting is in some manual page. */
static void test_pages(void **state)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	char want[80];
	size_t n;
	const struct conf_key *k = conf_keys(&n);

	for (unsigned i = 0; doc_pages[i]; i++)
		assert_true(doc_man(f, doc_pages[i]));
	assert_false(doc_man(f, "xbd-nonesuch.1"));
	fclose(f);
	for (unsigned i = 0; i < CMD_ID_END; i++) {
		snprintf(want, sizeof(want), ".It Cm %s\n", cmd_table[i].words);
		assert_non_null(strstr(text, want));
	}
	for (size_t i = 0; i < n; i++) {
		snprintf(want, sizeof(want), ".It Va %s ", k[i].name);
		assert_non_null(strstr(text, want));
	}
	free(text);
}

static void test_probe(void **state)
{
	unsigned char *disk = calloc(1, PROBE_BYTES);

	assert_null(probe(disk, PROBE_BYTES));
	disk[PROBE_BYTES - 1] = 1;
	assert_string_equal(probe(disk, PROBE_BYTES), "data");
	memcpy(disk + 0x438, "\x53\xef", 2);
	assert_non_null(strstr(probe(disk, PROBE_BYTES), "ext4"));
	memcpy(disk, "XBS1", 4);
	assert_string_equal(probe(disk, PROBE_BYTES), "an xbd store");
	assert_string_equal(probe(disk, 4), "an xbd store");
	assert_string_equal(probe(disk, 3), "data");
	assert_null(probe(disk, 0));
	free(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	 cmocka_unit_test(test_bad),
		cmocka_unit_test(test_apply),	 cmocka_unit_test(test_table),
		cmocka_unit_test(test_examples), cmocka_unit_test(test_pages),
		cmocka_unit_test(test_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
