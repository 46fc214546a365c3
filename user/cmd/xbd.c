/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line tool. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cli.h"
#include "cmd/doc.h"

static int (*const commands[CMD_ID_END])(struct cli *c) = {
#define X(name) [CMD_##name] = cmd_##name,
	CMD_IDS(X)
#undef X
};

/* One line on what is wrong and one on where to read more. */
static int usage_error(const struct cli *c, const char *why)
{
	const struct cmd *cmd = c->line.cmd;

	fprintf(stderr, "xbd%s%s: %s\n", cmd ? " " : "", cmd ? cmd->words : "", why);
	if (cmd) {
		fputs("usage: ", stderr);
		doc_usage(stderr, cmd);
	}
	return CMD_USAGE;
}

static int print_names(struct cli *c, const char *kind)
{
	struct meta_volume *v;
	struct meta_node *nodes;
	size_t n;

	conf_defaults(&c->conf);
	if (conf_load(NULL, &c->conf, NULL, 0) || meta_open(&c->meta, c->conf.meta, false, NULL, 0))
		return CMD_FAILED;
	if (!strcmp(kind, "volume") && !meta_volume_list(c->meta, &v, &n)) {
		for (size_t i = 0; i < n; i++)
			puts(v[i].name);
		meta_volume_list_free(v, n);
	} else if (!strcmp(kind, "node") && !meta_node_list(c->meta, &nodes, &n)) {
		for (size_t i = 0; i < n; i++)
			puts(nodes[i].name);
		free(nodes);
	}
	meta_close(c->meta);
	return CMD_OK;
}

/* What the build and the completion ask for; not for people. -1 = something else. */
static int hidden(struct cli *c, int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--man"))
		return doc_man(stdout, argv[2]) ? CMD_OK : CMD_FAILED;
	if (argc == 2 && !strcmp(argv[1], "--completion")) {
		doc_completion(stdout);
		return CMD_OK;
	}
	if (argc == 3 && !strcmp(argv[1], "--names"))
		return print_names(c, argv[2]);
	return -1;
}

static int run(struct cli *c)
{
	char why[CMD_WHY_MAX];

	conf_defaults(&c->conf);
	if (conf_load(c->line.config, &c->conf, why, sizeof(why)))
		return cli_fail(c, "%s", why);
	if (cmd_apply(&c->line, &c->conf, why, sizeof(why)))
		return usage_error(c, why);
	return commands[c->line.cmd->id](c);
}

/* Output that did not get out (a full disk, say) is a failure. */
static int finish(int err)
{
	if (fflush(stdout) || ferror(stdout)) {
		perror("xbd: cannot write the output");
		return CMD_FAILED;
	}
	return err;
}

static void help(const struct cmd_line *line)
{
	if (line->cmd)
		doc_command(stdout, line->cmd);
	else if (line->group)
		doc_group(stdout, line->group);
	else
		doc_overview(stdout);
}

int main(int argc, char **argv)
{
	static struct cli c;
	char why[CMD_WHY_MAX] = "a command is missing; \"xbd help\" lists them";
	int err;

	signal(SIGPIPE, SIG_IGN);
	c.argv = argv;
	err = hidden(&c, argc, argv);
	if (err >= 0)
		return finish(err);
	if (cmd_parse(argc, argv, &c.line, why, sizeof(why)) || (!c.line.cmd && !c.line.help))
		return usage_error(&c, why);
	if (c.line.help)
		help(&c.line);
	else
		err = run(&c);
	meta_close(c.meta);
	return finish(c.line.help ? CMD_OK : err);
}
