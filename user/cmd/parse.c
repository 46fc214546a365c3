/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"

#define SUGGEST_MAX 2 /* edits between a wrong word and the one suggested */

struct parse {
	struct cmd_line *line;
	const char *word[CMD_WORDS_MAX];
	unsigned nwords;
	char *why;
	size_t why_size;
};

static const struct cmd_opt *find_in(const struct cmd_opt *opts, const char *name, size_t len)
{
	for (; opts && opts->name; opts++)
		if (strlen(opts->name) == len && !memcmp(opts->name, name, len))
			return opts;
	return NULL;
}

/* Any option of any command: whether it takes a value must be known before the command is. */
static const struct cmd_opt *find_any(const char *name, size_t len)
{
	const struct cmd_opt *o = find_in(cmd_global_opts, name, len);

	for (unsigned i = 0; i < CMD_ID_END && !o; i++)
		o = find_in(cmd_table[i].opts, name, len);
	return o;
}

const struct cmd *cmd_find(const char *words)
{
	for (unsigned i = 0; i < CMD_ID_END; i++)
		if (!strcmp(cmd_table[i].words, words))
			return &cmd_table[i];
	return NULL;
}

static void nearer(const struct cmd_opt *o, const char *name, const char **found, unsigned *best)
{
	for (; o && o->name; o++) {
		if (text_distance(o->name, name) >= *best)
			continue;
		*best = text_distance(o->name, name);
		*found = o->name;
	}
}

static const char *nearest_opt(const char *name)
{
	unsigned best = SUGGEST_MAX + 1;
	const char *found = NULL;

	nearer(cmd_global_opts, name, &found, &best);
	for (unsigned i = 0; i < CMD_ID_END; i++)
		nearer(cmd_table[i].opts, name, &found, &best);
	return found;
}

/* The first word of a command as its own text. */
static void first_word(const struct cmd *cmd, char *buf, size_t size)
{
	snprintf(buf, size, "%.*s", (int)strcspn(cmd->words, " "), cmd->words);
}

static bool is_group(const char *word)
{
	size_t len = strlen(word);

	for (unsigned i = 0; i < CMD_ID_END; i++)
		if (!strncmp(cmd_table[i].words, word, len) && cmd_table[i].words[len] == ' ')
			return true;
	return false;
}

/* The word nearest to `word` among first words (group NULL) or second words of a group. */
static const char *nearest_word(const char *group, const char *word, char *buf, size_t size)
{
	unsigned best = SUGGEST_MAX + 1;
	size_t len = group ? strlen(group) : 0;
	char candidate[32];

	for (unsigned i = 0; i < CMD_ID_END; i++) {
		const char *words = cmd_table[i].words;

		if (group && (strncmp(words, group, len) || words[len] != ' '))
			continue;
		if (group)
			snprintf(candidate, sizeof(candidate), "%s", words + len + 1);
		else
			first_word(&cmd_table[i], candidate, sizeof(candidate));
		if (text_distance(candidate, word) >= best)
			continue;
		best = text_distance(candidate, word);
		snprintf(buf, size, "%s", candidate);
	}
	return best <= SUGGEST_MAX ? buf : NULL;
}

/* "list, info, create" of a group. */
static void group_words(const char *group, char *buf, size_t size)
{
	size_t len = strlen(group), at = 0;

	buf[0] = 0;
	for (unsigned i = 0; i < CMD_ID_END; i++) {
		const char *words = cmd_table[i].words;

		if (strncmp(words, group, len) || words[len] != ' ')
			continue;
		at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "",
				       words + len + 1);
		XBD_ASSERT(at < size);
	}
}

static int unknown_word(struct parse *p)
{
	const char *first = p->word[0], *near;
	char buf[32], all[128];

	if (!is_group(first)) {
		near = nearest_word(NULL, first, buf, sizeof(buf));
		if (near)
			return text_why(p->why, p->why_size, -EINVAL,
					"no command \"%s\"; did you mean \"%s\"?", first, near);
		return text_why(p->why, p->why_size, -EINVAL,
				"no command \"%s\"; \"xbd help\" lists them", first);
	}
	group_words(first, all, sizeof(all));
	if (p->nwords < 2)
		return text_why(p->why, p->why_size, -EINVAL, "\"%s\" needs one of: %s", first,
				all);
	near = nearest_word(first, p->word[1], buf, sizeof(buf));
	if (near)
		return text_why(p->why, p->why_size, -EINVAL,
				"no command \"%s %s\"; did you mean \"%s %s\"?", first, p->word[1],
				first, near);
	return text_why(p->why, p->why_size, -EINVAL, "no command \"%s %s\"; there are: %s", first,
			p->word[1], all);
}

static bool takes_value(const struct cmd_opt *o)
{
	return o->kind != OPT_FLAG;
}

/* One "--option"; *i moves over its value. Which command it belongs to is checked later. */
static int take_option(struct parse *p, int argc, char **argv, int *i)
{
	const char *name = argv[*i] + 2, *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	const struct cmd_opt *o = find_any(name, len);
	struct cmd_line *line = p->line;
	char copy[64];

	if (line->nvalues == sizeof(line->value) / sizeof(line->value[0]))
		return text_why(p->why, p->why_size, -EINVAL, "too many options");
	if (!o) {
		const char *near;

		snprintf(copy, sizeof(copy), "%.*s", (int)len, name);
		near = nearest_opt(copy);
		return text_why(p->why, p->why_size, -EINVAL,
				near ? "no option \"--%s\"; did you mean \"--%s\"?"
				     : "no option \"--%s\"",
				copy, near);
	}
	if (eq && !takes_value(o))
		return text_why(p->why, p->why_size, -EINVAL, "--%s takes no value", o->name);
	if (!eq && takes_value(o) && *i + 1 >= argc)
		return text_why(p->why, p->why_size, -EINVAL, "--%s needs a value: %s", o->name,
				o->arg);
	line->value[line->nvalues].opt = o;
	line->value[line->nvalues++].text = eq ? eq + 1 : takes_value(o) ? argv[++*i] : "";
	return 0;
}

static int split(struct parse *p, int argc, char **argv)
{
	bool only_words = false;

	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		int err;

		if (!only_words && !strcmp(a, "--")) {
			only_words = true;
		} else if (!only_words && !strcmp(a, "-h")) {
			p->line->help = true;
		} else if (!only_words && !strncmp(a, "--", 2)) {
			err = take_option(p, argc, argv, &i);
			if (err)
				return err;
		} else if (!only_words && a[0] == '-' && a[1]) {
			return text_why(p->why, p->why_size, -EINVAL,
					"no option \"%s\"; options begin with two dashes", a);
		} else if (p->nwords == CMD_WORDS_MAX) {
			return text_why(p->why, p->why_size, -EINVAL, "too many words");
		} else {
			p->word[p->nwords++] = a;
		}
	}
	return 0;
}

/* The command that the first words name; how many words that took. */
static const struct cmd *match(const struct parse *p, unsigned *used)
{
	char two[64];
	const struct cmd *cmd;

	*used = 2;
	if (p->nwords >= 2) {
		snprintf(two, sizeof(two), "%s %s", p->word[0], p->word[1]);
		cmd = cmd_find(two);
		if (cmd)
			return cmd;
	}
	*used = 1;
	return strchr(p->word[0], ' ') ? NULL : cmd_find(p->word[0]);
}

static int take_args(struct parse *p, unsigned used)
{
	struct cmd_line *line = p->line;
	unsigned n = 0;

	for (; n < CMD_ARGS_MAX && line->cmd->arg[n].name; n++) {
		const struct cmd_arg *a = &line->cmd->arg[n];

		if (used < p->nwords)
			line->arg[line->nargs++] = p->word[used++];
		else if (!a->optional && !line->help)
			return text_why(p->why, p->why_size, -EINVAL, "%s is missing", a->name);
	}
	if (used < p->nwords)
		return text_why(p->why, p->why_size, -EINVAL, "\"%s\" is one word too many",
				p->word[used]);
	return 0;
}

/* Paths on the command line may be relative; those in the configuration may not. */
static int conf_text(const struct cmd_opt *o, const char *text, char *buf, size_t size)
{
	bool path = conf_find(o->conf)->kind == CONF_PATH || !strcmp(o->conf, "meta");
	char cwd[CONF_PATH_MAX] = "";
	int n;

	if (!path || !*text || *text == '/' || strchr(text, ':') || !getcwd(cwd, sizeof(cwd)))
		n = snprintf(buf, size, "%s", text);
	else
		n = snprintf(buf, size, "%s/%s", cwd, text);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Sets the option's key; what is wrong goes to why without the key: the user wrote an option. */
static int set_conf(const struct cmd_opt *o, struct xbd_conf *c, const char *text, char *why,
		    size_t why_size)
{
	char value[2 * CONF_PATH_MAX], what[CONF_WHY_MAX];

	if (conf_text(o, text, value, sizeof(value)))
		return text_why(why, why_size, -EINVAL, "too long");
	if (conf_set(c, o->conf, value, what, sizeof(what)))
		return text_why(why, why_size, -EINVAL, "%s", what + strlen(o->conf) + 2);
	return 0;
}

/* Text of the value against the option's kind; what is wrong goes to why without the option. */
static int check_value(const struct cmd_opt *o, const char *text, char *why, size_t why_size)
{
	struct sockaddr_storage ss;
	struct xbd_uuid uuid;
	struct xbd_conf c;
	uint64_t v;

	switch (o->kind) {
	case OPT_SIZE:
		return text_size(text, &v, why, why_size);
	case OPT_NUMBER:
		return text_number(text, o->min, o->max, &v, why, why_size);
	case OPT_ADDR:
		return text_addr(text, XBD_PORT, &ss, NULL, why, why_size);
	case OPT_NAME:
		return text_name(text, "name", why, why_size);
	case OPT_UUID:
		if (xbd_uuid_parse(text, &uuid))
			return text_why(why, why_size, -EINVAL, "\"%s\" is not a UUID", text);
		return 0;
	case OPT_CONF:
		conf_defaults(&c);
		return set_conf(o, &c, text, why, why_size);
	case OPT_TEXT:
	case OPT_PATH:
		return *text ? 0 : text_why(why, why_size, -EINVAL, "must not be empty");
	case OPT_FLAG:
		break;
	}
	return 0;
}

/* Options belong to this command or to all; values are right; what is required is there. */
static int check_options(struct parse *p)
{
	struct cmd_line *line = p->line;
	char what[CMD_WHY_MAX] = "";

	for (unsigned i = 0; i < line->nvalues; i++) {
		struct cmd_value *v = &line->value[i];
		const char *name = v->opt->name;
		const struct cmd_opt *o = find_in(line->cmd->opts, name, strlen(name));

		if (!o)
			o = find_in(cmd_global_opts, name, strlen(name));
		if (!o)
			return text_why(p->why, p->why_size, -EINVAL, "\"%s\" has no option --%s",
					line->cmd->words, name);
		XBD_ASSERT(takes_value(o) == takes_value(v->opt));
		v->opt = o;
		if (check_value(o, v->text, what, sizeof(what)))
			return text_why(p->why, p->why_size, -EINVAL, "--%s: %s", name, what);
	}
	for (const struct cmd_opt *o = line->cmd->opts; o && o->name; o++)
		if (o->required && !cmd_opt(line, o->name) && !line->help)
			return text_why(p->why, p->why_size, -EINVAL, "--%s %s is missing", o->name,
					o->arg);
	return 0;
}

int cmd_parse(int argc, char **argv, struct cmd_line *line, char *why, size_t why_size)
{
	struct parse p = {.line = line, .why = why, .why_size = why_size};
	unsigned used;
	int err;

	*line = (struct cmd_line){0};
	err = split(&p, argc, argv);
	if (err)
		return err;
	line->help |= cmd_opt(line, "help") != NULL;
	line->json = cmd_opt(line, "json") != NULL;
	line->config = cmd_opt(line, "config");
	if (!p.nwords)
		return 0;
	line->cmd = match(&p, &used);
	if (!line->cmd && line->help && p.nwords == 1 && is_group(p.word[0])) {
		line->group = p.word[0];
		return 0;
	}
	if (!line->cmd)
		return unknown_word(&p);
	err = take_args(&p, used);
	return err ? err : check_options(&p);
}

const char *cmd_opt(const struct cmd_line *line, const char *name)
{
	for (unsigned i = line->nvalues; i-- > 0;)
		if (!strcmp(line->value[i].opt->name, name))
			return line->value[i].text;
	return NULL;
}

uint64_t cmd_opt_size(const struct cmd_line *line, const char *name, uint64_t otherwise)
{
	const char *text = cmd_opt(line, name);
	uint64_t v = otherwise;

	XBD_ASSERT(!text || !text_size(text, &v, NULL, 0));
	return v;
}

uint64_t cmd_opt_number(const struct cmd_line *line, const char *name, uint64_t otherwise)
{
	const char *text = cmd_opt(line, name);
	uint64_t v = otherwise;

	XBD_ASSERT(!text || !text_number(text, 0, UINT64_MAX, &v, NULL, 0));
	return v;
}

int cmd_apply(const struct cmd_line *line, struct xbd_conf *c, char *why, size_t why_size)
{
	for (unsigned i = 0; i < line->nvalues; i++) {
		const struct cmd_opt *o = line->value[i].opt;

		if (o->conf && set_conf(o, c, line->value[i].text, why, why_size))
			return -EINVAL;
	}
	return 0;
}
