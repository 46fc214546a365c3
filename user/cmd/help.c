/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "cmd/doc.h"

#define WIDTH 78

/* `text` from column `indent` on, wrapped; the cursor is at column `at`. */
static void wrap(FILE *f, const char *text, int indent, int at)
{
	while (*text) {
		int len = (int)strcspn(text, " \n");

		if (at > indent && at + 1 + len > WIDTH) {
			fputc('\n', f);
			at = 0;
		} else if (at > indent) {
			fputc(' ', f);
			at++;
		}
		for (; at < indent; at++)
			fputc(' ', f);
		fwrite(text, 1, (size_t)len, f);
		at += len;
		text += len;
		if (!strncmp(text, "\n\n", 2)) {
			fputs("\n\n", f);
			at = 0;
		}
		text += strspn(text, " \n");
	}
	fputc('\n', f);
}

/* "  left    text" with the text at column 26, on its own line if left is too long. */
static void item(FILE *f, const char *left, const char *text)
{
	int at = fprintf(f, "  %s", left);

	if (at > 24) {
		fputc('\n', f);
		at = 0;
	}
	wrap(f, text, 26, at);
}

static void option_items(FILE *f, const struct cmd_opt *o)
{
	char left[64];

	for (; o && o->name; o++) {
		snprintf(left, sizeof(left), o->arg ? "--%s %s" : "--%s", o->name, o->arg);
		item(f, left, o->text);
	}
}

static void usage_opts(FILE *f, const struct cmd_opt *o)
{
	for (; o && o->name; o++) {
		fputs(o->required ? " " : " [", f);
		fprintf(f, o->arg ? "--%s %s" : "--%s", o->name, o->arg);
		if (!o->required)
			fputc(']', f);
	}
}

void doc_usage(FILE *f, const struct cmd *cmd)
{
	fprintf(f, "xbd %s", cmd->words);
	for (unsigned i = 0; i < CMD_ARGS_MAX && cmd->arg[i].name; i++)
		fprintf(f, cmd->arg[i].optional ? " [%s]" : " %s", cmd->arg[i].name);
	usage_opts(f, cmd->opts);
	if (cmd->json)
		fputs(" [--json]", f);
	fputc('\n', f);
}

static void example(FILE *f, const char *line, size_t len)
{
	fputs("  ", f);
	fwrite(line, 1, len, f);
	fputc('\n', f);
}

void doc_command(FILE *f, const struct cmd *cmd)
{
	fputs("usage: ", f);
	doc_usage(f, cmd);
	fputc('\n', f);
	wrap(f, *cmd->more ? cmd->more : cmd->text, 0, 0);
	if (cmd->opts) {
		fputs("\noptions:\n", f);
		option_items(f, cmd->opts);
	}
	fputs("\noptions of every command:\n", f);
	option_items(f, cmd_global_opts);
	if (*cmd->examples) {
		fputs("\nexamples:\n", f);
		for (const char *p = cmd->examples; *p; p += strcspn(p, "\n"), p += *p == '\n')
			example(f, p, strcspn(p, "\n"));
	}
}

static void command_items(FILE *f, const char *group)
{
	size_t len = group ? strlen(group) : 0;

	for (unsigned i = 0; i < CMD_ID_END; i++) {
		const struct cmd *c = &cmd_table[i];
		char left[64];

		if (group && (strncmp(c->words, group, len) || c->words[len] != ' '))
			continue;
		snprintf(left, sizeof(left), "%s%s%s", c->words, c->arg[0].name ? " " : "",
			 c->arg[0].name && !c->arg[0].optional ? c->arg[0].name : "");
		item(f, left, c->text);
	}
}

bool doc_group(FILE *f, const char *word)
{
	size_t len = strlen(word);
	bool any = false;

	for (unsigned i = 0; i < CMD_ID_END; i++)
		any |= !strncmp(cmd_table[i].words, word, len) && cmd_table[i].words[len] == ' ';
	if (!any)
		return false;
	fprintf(f, "usage: xbd %s COMMAND [...]\n\ncommands:\n", word);
	command_items(f, word);
	fprintf(f, "\n\"xbd help %s COMMAND\" explains one of them.\n", word);
	return true;
}

void doc_overview(FILE *f)
{
	fputs("usage: xbd COMMAND [...]\n\n"
	      "xbd turns disks of several machines into replicated block devices.\n\ncommands:\n",
	      f);
	command_items(f, NULL);
	fputs("\noptions of every command:\n", f);
	option_items(f, cmd_global_opts);
	fputs("\n\"xbd help COMMAND\" explains one of them; so does the manual page xbd(1).\n", f);
}

void doc_xbdd(FILE *f)
{
	fputs("usage: xbdd", f);
	usage_opts(f, cmd_xbdd_opts);
	fputs("\n\nThe storage daemon of one xbd node.\n\noptions:\n", f);
	option_items(f, cmd_xbdd_opts);
	for (const struct cmd_opt *o = cmd_global_opts; o->name; o++) {
		const struct cmd_opt one[] = {*o, {NULL}};

		if (!strcmp(o->name, "config") || !strcmp(o->name, "run-dir") ||
		    !strcmp(o->name, "help"))
			option_items(f, one);
	}
}
