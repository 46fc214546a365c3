/* SPDX-License-Identifier: BSD-2-Clause */
/* config show, config check, version, help */
#include <bpf/libbpf.h>
#include <errno.h>
#include <libconfig.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cmd/cli.h"
#include "cmd/doc.h"

static bool is_quoted(const struct conf_key *k)
{
	return k->kind != CONF_BOOL && k->kind != CONF_NUMBER;
}

static void print_key(const struct xbd_conf *conf, const struct conf_key *k)
{
	char value[2 * CONF_PATH_MAX];
	const char *q = is_quoted(k) ? "\"" : "";

	conf_value_text(conf, k, value, sizeof(value));
	printf("%s%s = %s%s%s;\n", *k->group ? "    " : "", k->name, q, value, q);
}

static int show_text(const struct xbd_conf *conf)
{
	const char *group = "";
	size_t n;
	const struct conf_key *k = conf_keys(&n);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(group, k[i].group))
			printf("%s%s = {\n", *group ? "};\n" : "", k[i].group);
		group = k[i].group;
		print_key(conf, &k[i]);
	}
	puts("};");
	return CMD_OK;
}

static json_t *key_json(const struct xbd_conf *conf, const struct conf_key *k)
{
	const void *field = (const char *)conf + k->offset;
	char value[2 * CONF_PATH_MAX];

	if (k->kind == CONF_BOOL)
		return json_boolean(*(const bool *)field);
	if (k->kind == CONF_NUMBER)
		return json_integer(*(const uint32_t *)field);
	if (k->kind == CONF_SIZE)
		return json_integer((json_int_t) * (const uint64_t *)field);
	conf_value_text(conf, k, value, sizeof(value));
	return json_string(value);
}

int cmd_config_show(struct cli *c)
{
	json_t *root = json_object(), *o;
	size_t n;
	const struct conf_key *k = conf_keys(&n);

	if (!c->line.json) {
		json_decref(root);
		return show_text(&c->conf);
	}
	for (size_t i = 0; i < n; i++) {
		o = *k[i].group ? json_object_get(root, k[i].group) : root;
		if (!o) {
			o = json_object();
			json_object_set_new(root, k[i].group, o);
		}
		json_object_set_new(o, k[i].name, key_json(&c->conf, &k[i]));
	}
	return cli_json(root);
}

/* The file was read before any command runs, so it is right if we come here. */
int cmd_config_check(struct cli *c)
{
	const char *path = c->line.config ? c->line.config : CONF_FILE;

	if (access(path, R_OK))
		printf("%s: does not exist; the defaults are in effect\n", path);
	else
		printf("%s: ok\n", path);
	return CMD_OK;
}

static const char *yes(bool there)
{
	return there ? "yes" : strerror(errno);
}

/* What of the kernel xbd would use and this process may use. */
static json_t *features(void)
{
	int xsk = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	const char *af_xdp = yes(xsk >= 0), *btf, *uring;
	struct io_uring ring;
	int err;

	if (xsk >= 0)
		close(xsk);
	btf = yes(!access("/sys/kernel/btf/vmlinux", R_OK));
	err = io_uring_queue_init(2, &ring, 0);
	uring = err ? strerror(-err) : "yes";
	if (!err)
		io_uring_queue_exit(&ring);
	return json_pack("{s:s, s:s, s:s}", "io_uring", uring, "af_xdp", af_xdp, "btf", btf);
}

static json_t *versions(void)
{
	struct utsname u = {0};
	char conf[32];

	uname(&u);
	snprintf(conf, sizeof(conf), "%d.%d.%d", LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR,
		 LIBCONFIG_VER_REVISION);
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "xbd",
			 XBD_VERSION_TEXT, "protocol", XBD_VERSION, "kernel", u.release, "machine",
			 u.machine, "libbpf", libbpf_version_string(), "liburing", XBD_LIBURING,
			 "libxdp", XBD_LIBXDP, "jansson", JANSSON_VERSION, "libconfig", conf,
			 "features", features());
}

static void print_texts(json_t *o)
{
	const char *key;
	json_t *v;

	json_object_foreach(o, key, v)
	{
		if (json_is_integer(v))
			printf("%-10s %lld\n", key, (long long)json_integer_value(v));
		else if (json_is_string(v))
			printf("%-10s %s\n", key, json_string_value(v));
	}
}

int cmd_version(struct cli *c)
{
	json_t *o = versions();

	if (c->line.json)
		return cli_json(o);
	print_texts(o);
	print_texts(json_object_get(o, "features"));
	json_decref(o);
	return CMD_OK;
}

int cmd_help(struct cli *c)
{
	const struct cmd *cmd;
	char words[128];

	if (!c->line.nargs) {
		doc_overview(stdout);
		return CMD_OK;
	}
	snprintf(words, sizeof(words), "%s%s%s", c->line.arg[0], c->line.nargs > 1 ? " " : "",
		 c->line.nargs > 1 ? c->line.arg[1] : "");
	cmd = cmd_find(words);
	if (cmd)
		doc_command(stdout, cmd);
	else if (c->line.nargs > 1 || !doc_group(stdout, words))
		return cli_fail(c, "no command \"%s\"; \"xbd help\" lists them", words);
	return CMD_OK;
}
