/* SPDX-License-Identifier: BSD-2-Clause */
/* What every command of xbd shares: its command line, the configuration, errors, output. */
#ifndef XBD_CMD_CLI_H
#define XBD_CMD_CLI_H

#include <jansson.h>

#include "cmd/parse.h"
#include "config/config.h"
#include "meta/meta.h"

struct cli {
	struct cmd_line line;
	struct xbd_conf conf;
	struct meta *meta; /* after cli_meta() */
	char **argv;
};

#define X(name) int cmd_##name(struct cli *c);
CMD_IDS(X)
#undef X

/* Print "xbd WORDS: text" on standard error. Returns CMD_FAILED, so that it can be returned. */
int cli_fail(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for a failure of the metadata. */
int cli_fail_meta(const struct cli *c);
/* A line for humans on standard error that is no error. */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Open the metadata. 0, or CMD_FAILED after a message. */
int cli_meta(struct cli *c, bool create);

/* Print and release. */
int cli_json(json_t *o);

/* Text of a UUID that lives until the fourth call from now. */
const char *cli_uuid(const struct xbd_uuid *u);
/* Size for humans, likewise. */
const char *cli_size(uint64_t bytes);

#endif
