/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/cli.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

int cli_fail(const struct cli *c, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "xbd %s: ", c->line.cmd->words);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CMD_FAILED;
}

int cli_fail_meta(const struct cli *c)
{
	const char *why = meta_why(c->meta);

	return cli_fail(c, "%s", *why ? why : "out of memory");
}

void cli_note(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("note: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int cli_meta(struct cli *c, bool create)
{
	char why[META_WHY_MAX];

	if (c->meta || !meta_open(&c->meta, c->conf.meta, create, why, sizeof(why)))
		return 0;
	return cli_fail(c, "%s", why);
}

int cli_json(json_t *o)
{
	int err = o ? json_dumpf(o, stdout, JSON_INDENT(2)) : -1;

	json_decref(o);
	putchar('\n');
	return err ? CMD_FAILED : CMD_OK;
}

const char *cli_uuid(const struct xbd_uuid *u)
{
	static char text[4][XBD_UUID_TEXT];
	static unsigned next;

	xbd_uuid_text(u, text[next % 4]);
	return text[next++ % 4];
}

const char *cli_size(uint64_t bytes)
{
	static char text[4][24];
	static unsigned next;

	text_size_human(bytes, text[next % 4], sizeof(text[0]));
	return text[next++ % 4];
}
