/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the command line understands, as tables: parsing, --help, the manual pages and the
 * completion of bash all come from here. Data only; what a command does is in the file named like
 * it.
 */
#ifndef XBD_CMD_TABLE_H
#define XBD_CMD_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#define CMD_ARGS_MAX 2
#define CMD_OPTS_MAX 16

enum cmd_exit { CMD_OK = 0, CMD_FAILED = 1, CMD_USAGE = 2 };

enum opt_kind {
	OPT_FLAG, /* takes no value */
	OPT_TEXT,
	OPT_PATH,
	OPT_NAME,
	OPT_SIZE,
	OPT_NUMBER, /* min..max */
	OPT_ADDR,
	OPT_UUID,
	OPT_CONF, /* checked by the configuration key in `conf` */
};

struct cmd_opt {
	const char *name; /* without the dashes */
	const char *arg;  /* what stands for the value in texts; NULL for OPT_FLAG */
	enum opt_kind kind;
	const char *conf; /* key that the option sets, or NULL */
	bool required;
	unsigned min, max; /* OPT_NUMBER */
	const char *text;
};

/* What completes an argument or a value. */
enum cmd_complete { COMPLETE_NONE, COMPLETE_FILE, COMPLETE_NODE, COMPLETE_VOLUME, COMPLETE_WORD };

struct cmd_arg {
	const char *name; /* "NAME" */
	bool optional;
	enum cmd_complete complete;
};

/* X(NAME): a function cmd_NAME(struct cli *) for each. */
#define CMD_IDS(X)                                                                                 \
	X(node_init)                                                                               \
	X(node_run)                                                                                \
	X(node_add)                                                                                \
	X(node_list)                                                                               \
	X(node_info)                                                                               \
	X(node_remove)                                                                             \
	X(volume_create)                                                                           \
	X(volume_list)                                                                             \
	X(volume_info)                                                                             \
	X(volume_resize)                                                                           \
	X(volume_delete)                                                                           \
	X(export)                                                                                  \
	X(status)                                                                                  \
	X(stats)                                                                                   \
	X(config_show)                                                                             \
	X(config_check)                                                                            \
	X(version)                                                                                 \
	X(help)

enum cmd_id {
#define X(name) CMD_##name,
	CMD_IDS(X)
#undef X
		CMD_ID_END
};

struct cmd {
	const char *words; /* "volume create" */
	enum cmd_id id;
	bool json;			  /* has output that --json turns into JSON */
	struct cmd_arg arg[CMD_ARGS_MAX]; /* ended by a NULL name */
	const struct cmd_opt *opts;	  /* ended by a NULL name; may be NULL */
	const char *text;		  /* one line */
	const char *more;		  /* paragraphs, separated by an empty line; "" = none */
	const char *examples;		  /* one command per line; "" = none */
};

extern const struct cmd cmd_table[CMD_ID_END];

/* Options that every command takes, ended by a NULL name. */
extern const struct cmd_opt cmd_global_opts[];
/* Options of the storage daemon xbdd, which `xbd node run` takes as well. */
extern const struct cmd_opt cmd_xbdd_opts[];

/* What an exit status means, by number; ended by NULL. */
extern const char *const cmd_exit_text[];

#endif
