/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line against the tables. Options may stand before, between or after the words, as
 * "--size 1G" or "--size=1G"; "--" ends them. Pure: no output, no files.
 */
#ifndef XBD_CMD_PARSE_H
#define XBD_CMD_PARSE_H

#include "cmd/table.h"
#include "config/config.h"

#define CMD_WHY_MAX   512
#define CMD_WORDS_MAX 8

struct cmd_value {
	const struct cmd_opt *opt;
	const char *text; /* "" for flags; points into argv */
};

struct cmd_line {
	const struct cmd *cmd; /* NULL: no words were given, or only `group` */
	const char *group;     /* with --help: the word of several commands ("volume"), or NULL */
	const char *arg[CMD_ARGS_MAX]; /* NULL = not given */
	unsigned nargs;
	struct cmd_value value[CMD_OPTS_MAX + 8];
	unsigned nvalues;
	bool help, json;
	const char *config; /* --config, or NULL */
};

/*
 * 0 or -EINVAL with one line in why (CMD_WHY_MAX): what is wrong and, if a known word is near, a
 * suggestion. With --help missing arguments are no error. On error line->cmd is the command found
 * so far or NULL.
 */
int cmd_parse(int argc, char **argv, struct cmd_line *line, char *why, size_t why_size);

/* The value of an option, "" for a flag that was given, NULL if it was not. The last one counts. */
const char *cmd_opt(const struct cmd_line *line, const char *name);
/* OPT_SIZE and OPT_NUMBER, checked by cmd_parse; `otherwise` if not given. */
uint64_t cmd_opt_size(const struct cmd_line *line, const char *name, uint64_t otherwise);
uint64_t cmd_opt_number(const struct cmd_line *line, const char *name, uint64_t otherwise);

/* Put the options that stand for configuration keys into c. 0 or -EINVAL. */
int cmd_apply(const struct cmd_line *line, struct xbd_conf *c, char *why, size_t why_size);

/* The command with exactly these words ("volume create"), or NULL. */
const struct cmd *cmd_find(const char *words);

#endif
