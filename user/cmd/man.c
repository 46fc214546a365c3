/* SPDX-License-Identifier: BSD-2-Clause */
/* Manual pages in mdoc from the tables of commands and settings. */
#include <ctype.h>
#include <string.h>

#include "cmd/doc.h"
#include "config/config.h"

#define LINE_MAX_COLUMNS 66
#define DATE		 "November 22, 2026"

/* Text of a line: backslashes, and what would be a request at the start of a line. */
static void text_n(FILE *f, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (i == 0 && (s[i] == '.' || s[i] == '\''))
			fputs("\\&", f);
		if (s[i] == '\\')
			fputs("\\e", f);
		else if (s[i] == '"')
			fputs("\\(dq", f);
		else if (s[i] == '-' && s[i + 1] == '-')
			fputs("\\-", f);
		else
			fputc(s[i], f);
	}
}

/* A sentence ends its line, as mdoc wants it; lines are short. Empty lines are paragraphs. */
static void prose(FILE *f, const char *s)
{
	size_t at = 0;

	while (*s) {
		size_t n = strcspn(s, " \n");
		bool end = n && strchr(".;", s[n - 1]);
		const char *next = s + n + strspn(s + n, " \n");

		if (at && at + 1 + n > LINE_MAX_COLUMNS) {
			fputc('\n', f);
			at = 0;
		} else if (at) {
			fputc(' ', f);
			at++;
		}
		text_n(f, s, n);
		at += n;
		if (end || !*next || !strncmp(s + n, "\n\n", 2)) {
			fputc('\n', f);
			at = 0;
		}
		if (!strncmp(s + n, "\n\n", 2))
			fputs(".Pp\n", f);
		s = next;
	}
}

/* "list volumes" -> "List volumes." */
static void sentence(FILE *f, const char *s)
{
	char text[512];

	snprintf(text, sizeof(text), "%c%s.", toupper((unsigned char)s[0]), s + 1);
	prose(f, text);
}

/* Words for the arguments of a macro: quoted, since some look like macros or punctuation. */
static void quoted(FILE *f, const char *s)
{
	fputs(" \"", f);
	text_n(f, s, strlen(s));
	fputc('"', f);
}

static void head(FILE *f, const char *name, int section, const char *what)
{
	fprintf(f, ".Dd " DATE "\n.Dt ");
	for (const char *p = name; *p; p++)
		fputc(toupper((unsigned char)*p), f);
	fprintf(f, " %d\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", section, name, what);
}

/* ".Op Fl \-size Ar SIZE" or without Op. */
static void option_macro(FILE *f, const char *macro, const struct cmd_opt *o)
{
	fprintf(f, ".%sFl \\-%s", macro, o->name);
	if (o->arg) {
		fputs(" Ar", f);
		quoted(f, o->arg);
	}
	fputc('\n', f);
}

static void options(FILE *f, const struct cmd_opt *o)
{
	fputs(".Bl -tag -width Ds\n", f);
	for (; o->name; o++) {
		option_macro(f, "It ", o);
		sentence(f, o->text);
		if (o->conf) {
			fputs("Setting", f);
			fprintf(f, "\n.Va %s\n", o->conf);
			fputs("of\n.Xr xbd.conf 5 .\n", f);
		}
	}
	fputs(".El\n", f);
}

static void synopsis(FILE *f, const struct cmd *c)
{
	fprintf(f, ".Nm xbd\n.Cm %s\n", c->words);
	for (unsigned i = 0; i < CMD_ARGS_MAX && c->arg[i].name; i++) {
		fputs(c->arg[i].optional ? ".Op Ar" : ".Ar", f);
		quoted(f, c->arg[i].name);
		fputc('\n', f);
	}
	for (const struct cmd_opt *o = c->opts; o && o->name; o++)
		option_macro(f, o->required ? "" : "Op ", o);
	if (c->json)
		fputs(".Op Fl \\-json\n", f);
}

static bool member(const struct cmd *c, const char *group)
{
	size_t len = strlen(group);

	return !strncmp(c->words, group, len) && (c->words[len] == ' ' || !c->words[len]);
}

static void describe(FILE *f, const struct cmd *c, bool heading)
{
	if (heading)
		fprintf(f, ".Ss xbd %s\n", c->words);
	if (*c->more)
		prose(f, c->more);
	else
		sentence(f, c->text);
	if (c->opts) {
		fputs(".Pp\nThe options are:\n", f);
		options(f, c->opts);
	}
}

static void examples(FILE *f, const char *group)
{
	bool any = false;

	for (unsigned i = 0; i < CMD_ID_END; i++) {
		const struct cmd *c = &cmd_table[i];

		if ((group && !member(c, group)) || !*c->examples)
			continue;
		if (!any)
			fputs(".Sh EXAMPLES\n.Bd -literal -offset indent\n", f);
		any = true;
		for (const char *p = c->examples; *p; p += strcspn(p, "\n"), p += *p == '\n') {
			text_n(f, p, strcspn(p, "\n"));
			fputc('\n', f);
		}
	}
	if (any)
		fputs(".Ed\n", f);
}

static void exit_status(FILE *f)
{
	fputs(".Sh EXIT STATUS\n.Bl -tag -width Ds\n", f);
	for (unsigned i = 0; cmd_exit_text[i]; i++) {
		fprintf(f, ".It %u\n", i);
		prose(f, cmd_exit_text[i]);
	}
	fputs(".El\n", f);
}

static void files(FILE *f)
{
	fputs(".Sh FILES\n.Bl -tag -width Ds\n"
	      ".It Pa " CONF_FILE "\nThe configuration, see\n.Xr xbd.conf 5 .\n"
	      ".It Pa /var/lib/xbd/meta\nThe metadata of the cluster.\n"
	      ".It Pa /run/xbd\nControl sockets of the daemons.\n.El\n",
	      f);
}

/* References in the order that mdoc wants: by section, then by name. */
static void see_also(FILE *f, const char *self)
{
	const char *prev = NULL;

	fputs(".Sh SEE ALSO\n", f);
	for (unsigned i = 0; doc_pages[i]; i++) {
		const char *p = doc_pages[i], *dot = strrchr(p, '.');

		if (!strcmp(p, self))
			continue;
		if (prev)
			fprintf(f, " ,\n");
		prev = p;
		fprintf(f, ".Xr %.*s %s", (int)(dot - p), p, dot + 1);
	}
	fputc('\n', f);
}

static void group_page(FILE *f, const char *name, const char *group, const char *what)
{
	char page[64];
	unsigned n = 0;

	snprintf(page, sizeof(page), "%s.1", name);
	head(f, name, 1, what);
	fputs(".Sh SYNOPSIS\n", f);
	for (unsigned i = 0; i < CMD_ID_END; i++) {
		if (!member(&cmd_table[i], group))
			continue;
		synopsis(f, &cmd_table[i]);
		n++;
	}
	fputs(".Sh DESCRIPTION\n", f);
	for (unsigned i = 0; i < CMD_ID_END; i++)
		if (member(&cmd_table[i], group))
			describe(f, &cmd_table[i], n > 1);
	fputs(".Pp\nThe options that all commands take are in\n.Xr xbd 1 .\n", f);
	exit_status(f);
	examples(f, group);
	see_also(f, page);
}

static void main_page(FILE *f)
{
	head(f, "xbd", 1, "replicated block devices over several machines");
	fputs(".Sh SYNOPSIS\n.Nm\n.Ar COMMAND\n.Op Ar ARGUMENTS\n.Sh DESCRIPTION\n", f);
	prose(f, "xbd turns the disks of a few machines into replicated block devices. On each of "
		 "them a storage daemon, xbdd, keeps a store; volumes are cut into shards whose "
		 "replicas lie on different nodes. The host that needs a volume exports it to NBD "
		 "clients.\n\nA write is answered when a majority of replicas has it on stable "
		 "storage, and every read returns the last write.");
	fputs(".Pp\nThe commands are:\n.Bl -tag -width Ds\n", f);
	for (unsigned i = 0; i < CMD_ID_END; i++) {
		fprintf(f, ".It Cm %s\n", cmd_table[i].words);
		prose(f, cmd_table[i].text);
	}
	fputs(".El\n.Pp\nThese options may stand before or after the words of any command:\n", f);
	options(f, cmd_global_opts);
	files(f);
	exit_status(f);
	fputs(".Sh EXAMPLES\nOn each of three machines:\n.Bd -literal -offset indent\n"
	      "xbd node init /dev/nvme0n1\n"
	      "xbd node run \\-\\-name a \\-\\-store /dev/nvme0n1 \\-\\-listen 10.0.0.1\n.Ed\n"
	      ".Pp\nOn the host that uses the volume:\n.Bd -literal -offset indent\n"
	      "xbd node add a 10.0.0.1\nxbd node add b 10.0.0.2\nxbd node add c 10.0.0.3\n"
	      "xbd volume create db \\-\\-size 100G\nxbd export db\n.Ed\n",
	      f);
	see_also(f, "xbd.1");
}

static void xbdd_page(FILE *f)
{
	head(f, "xbdd", 8, "storage daemon of an xbd node");
	fputs(".Sh SYNOPSIS\n.Nm\n", f);
	for (const struct cmd_opt *o = cmd_xbdd_opts; o->name; o++)
		option_macro(f, "Op ", o);
	fputs(".Op Fl \\-run-dir Ar DIR\n.Op Fl \\-config Ar FILE\n.Sh DESCRIPTION\n", f);
	prose(f,
	      "xbdd opens a store made by xbd node init and serves it to the hosts that export "
	      "volumes. It runs in the foreground until SIGTERM or SIGINT and logs to standard "
	      "error.\n\nPackets are taken in by an XDP program and AF_XDP sockets where the "
	      "network driver and the kernel allow, by a UDP socket else; xbd status shows which, "
	      "and why not a better one. For XDP the daemon needs the capabilities CAP_NET_ADMIN, "
	      "CAP_NET_RAW, CAP_BPF and CAP_IPC_LOCK.");
	fputs(".Pp\nThe options are:\n", f);
	options(f, cmd_xbdd_opts);
	files(f);
	exit_status(f);
	see_also(f, "xbdd.8");
}

static void key_range(FILE *f, const struct conf_key *k)
{
	char min[24], max[24];

	if (k->kind == CONF_SIZE) {
		text_size_exact(k->min, min, sizeof(min));
		text_size_exact(k->max, max, sizeof(max));
		fprintf(f, "From %s to %s.\n", min, max);
	} else if (k->kind == CONF_NUMBER) {
		fprintf(f, "From %llu to %llu.\n", (unsigned long long)k->min,
			(unsigned long long)k->max);
	} else if (k->kind == CONF_CHOICE) {
		fputs("One of", f);
		for (const char *p = k->choices; *p; p += strcspn(p, "|"), p += *p == '|')
			fprintf(f, "\n.Ql %.*s%s", (int)strcspn(p, "|"), p,
				p[strcspn(p, "|")] ? " ," : " .");
		fputc('\n', f);
	}
}

static const char *kind_text(enum conf_kind kind)
{
	switch (kind) {
	case CONF_BOOL:
		return "true or false";
	case CONF_NUMBER:
		return "number";
	case CONF_SIZE:
		return "size";
	case CONF_PATH:
		return "absolute path";
	case CONF_ADDR:
		return "address";
	case CONF_UUID:
		return "UUID";
	case CONF_NAME:
		return "name";
	default:
		return "text";
	}
}

static void conf_group(FILE *f, const char *group, const char *heading)
{
	size_t n;
	const struct conf_key *k = conf_keys(&n);

	fprintf(f, ".Ss %s\n.Bl -tag -width Ds\n", heading);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(k[i].group, group))
			continue;
		fprintf(f, ".It Va %s Pq %s\n", k[i].name, kind_text(k[i].kind));
		sentence(f, k[i].text);
		key_range(f, &k[i]);
		if (*k[i].def)
			fprintf(f, "The default is\n.Ql %s .\n", k[i].def);
	}
	fputs(".El\n", f);
}

static void conf_page(FILE *f)
{
	head(f, "xbd.conf", 5, "configuration of xbd");
	fputs(".Sh DESCRIPTION\n", f);
	prose(f,
	      "The file is read by xbd and xbdd. It holds settings of the form NAME = VALUE; and "
	      "two groups of them in braces. Text is quoted. Sizes are numbers of bytes, or quoted "
	      "with a suffix: \"64M\" or \"1T\", in powers of 1024. A comment begins with #. An "
	      "unknown setting, a value of the wrong type and a value out of range are errors, "
	      "reported with file and line. Options on the command line override the file.");
	conf_group(f, "", "Top level");
	conf_group(f, "node", "Group node: the storage daemon");
	conf_group(f, "export", "Group export: serving a volume");
	fputs(".Sh FILES\n.Bl -tag -width Ds\n.It Pa " CONF_FILE "\n"
	      "Read if no other file is named by\n.Fl \\-config .\n.El\n"
	      ".Sh EXAMPLES\n.Bd -literal -offset indent\n"
	      "node = {\n    name = \\(dqa\\(dq;\n    store = \\(dq/dev/nvme0n1\\(dq;\n"
	      "    listen = \\(dq10.0.0.1\\(dq;\n};\nexport = {\n"
	      "    on_no_quorum = \\(dqio\\-error\\(dq;\n};\n.Ed\n.Pp\n"
	      "All settings with their values are printed by\n.Ql xbd config show .\n",
	      f);
	see_also(f, "xbd.conf.5");
}

const char *const doc_pages[] = {"xbd.1",	"xbd-export.1", "xbd-node.1",
				 "xbd-stats.1", "xbd-status.1", "xbd-volume.1",
				 "xbd.conf.5",	"xbdd.8",	NULL};

bool doc_man(FILE *f, const char *page)
{
	if (!strcmp(page, "xbd.1"))
		main_page(f);
	else if (!strcmp(page, "xbd-export.1"))
		group_page(f, "xbd-export", "export", "serve a volume to NBD clients");
	else if (!strcmp(page, "xbd-node.1"))
		group_page(f, "xbd-node", "node", "storage nodes of an xbd cluster");
	else if (!strcmp(page, "xbd-stats.1"))
		group_page(f, "xbd-stats", "stats", "counters of xbd daemons");
	else if (!strcmp(page, "xbd-status.1"))
		group_page(f, "xbd-status", "status", "state of the xbd daemons of this host");
	else if (!strcmp(page, "xbd-volume.1"))
		group_page(f, "xbd-volume", "volume", "volumes of an xbd cluster");
	else if (!strcmp(page, "xbd.conf.5"))
		conf_page(f);
	else if (!strcmp(page, "xbdd.8"))
		xbdd_page(f);
	else
		return false;
	return true;
}
