/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the configuration file: libconfig's tree against the table of keys. */
#include <ctype.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "config/config.h"

#define FILE_BYTES_MAX (1u << 20)

struct load {
	const char *path;
	struct xbd_conf *c;
	char *why;
	size_t why_size;
};

/* "FILE:LINE: KEY: " and what is wrong. */
static int complain(const struct load *ld, const config_setting_t *s, const char *dotted,
		    const char *what)
{
	const char *file = config_setting_source_file(s);

	return text_why(ld->why, ld->why_size, -XBD_ECONFIG, "%s:%u: %s: %s",
			file ? file : ld->path, config_setting_source_line(s), dotted, what);
}

static const char *type_text(int type)
{
	switch (type) {
	case CONFIG_TYPE_GROUP:
		return "a group { }";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "a number";
	case CONFIG_TYPE_FLOAT:
		return "a number with a fraction";
	case CONFIG_TYPE_STRING:
		return "a text in quotes";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_ARRAY:
		return "an array [ ]";
	case CONFIG_TYPE_LIST:
		return "a list ( )";
	default:
		return "nothing";
	}
}

static const char *wanted_text(enum conf_kind kind)
{
	switch (kind) {
	case CONF_BOOL:
		return "true or false";
	case CONF_NUMBER:
		return "a number";
	case CONF_SIZE:
		return "a number of bytes, or a size in quotes such as \"64M\"";
	default:
		return "a text in quotes";
	}
}

/* The value as text, if its type fits the key's kind. NULL = it does not. */
static const char *value_text(const config_setting_t *s, enum conf_kind kind, char *buf,
			      size_t size)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING:
		return kind == CONF_BOOL || kind == CONF_NUMBER ? NULL
								: config_setting_get_string(s);
	case CONFIG_TYPE_BOOL:
		if (kind != CONF_BOOL)
			return NULL;
		return config_setting_get_bool(s) ? "true" : "false";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		if (kind != CONF_NUMBER && kind != CONF_SIZE)
			return NULL;
		if (config_setting_type(s) == CONFIG_TYPE_INT)
			snprintf(buf, size, "%d", config_setting_get_int(s));
		else
			snprintf(buf, size, "%lld", config_setting_get_int64(s));
		return buf;
	default:
		return NULL;
	}
}

static const char *nearest(const char *group, const char *name)
{
	unsigned best = 3;
	const char *found = NULL;
	size_t n;
	const struct conf_key *keys = conf_keys(&n);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(keys[i].group, group) || text_distance(keys[i].name, name) >= best)
			continue;
		best = text_distance(keys[i].name, name);
		found = keys[i].name;
	}
	return found;
}

static int unknown(const struct load *ld, const config_setting_t *s, const char *group,
		   const char *dotted)
{
	const char *near = nearest(group, config_setting_name(s));
	char what[CONF_WHY_MAX];

	snprintf(what, sizeof(what),
		 near ? "no such setting; did you mean \"%s\"?"
		      : "no such setting; see xbd.conf(5)",
		 near);
	return complain(ld, s, dotted, what);
}

static int load_setting(const struct load *ld, const config_setting_t *s, const char *group)
{
	char dotted[128], number[32], what[CONF_WHY_MAX];
	const struct conf_key *k;
	const char *value;

	snprintf(dotted, sizeof(dotted), "%s%s%s", group, *group ? "." : "",
		 config_setting_name(s));
	k = conf_find(dotted);
	if (!k)
		return unknown(ld, s, group, dotted);
	value = value_text(s, k->kind, number, sizeof(number));
	if (!value) {
		snprintf(what, sizeof(what), "must be %s, not %s", wanted_text(k->kind),
			 type_text(config_setting_type(s)));
		return complain(ld, s, dotted, what);
	}
	if (conf_set(ld->c, dotted, value, what, sizeof(what)))
		return complain(ld, s, dotted, what + strlen(dotted) + 2);
	return 0;
}

static bool is_group(const char *name)
{
	size_t n;
	const struct conf_key *keys = conf_keys(&n);

	for (size_t i = 0; i < n; i++)
		if (*keys[i].group && !strcmp(keys[i].group, name))
			return true;
	return false;
}

static int load_group(const struct load *ld, const config_setting_t *g, const char *group)
{
	for (int i = 0; i < config_setting_length(g); i++) {
		const config_setting_t *s = config_setting_get_elem(g, (unsigned)i);
		bool sub = !*group && is_group(config_setting_name(s));
		int err;

		if (sub && !config_setting_is_group(s))
			return complain(ld, s, config_setting_name(s), "must be a group { }");
		err = sub ? load_group(ld, s, config_setting_name(s)) : load_setting(ld, s, group);
		if (err)
			return err;
	}
	return 0;
}

/* The end of the comment or text that begins at p, or p itself if none does. */
static const char *skip_quiet(const char *p)
{
	const char *end;

	if (*p == '#' || !strncmp(p, "//", 2))
		return p + strcspn(p, "\n");
	if (!strncmp(p, "/*", 2)) {
		end = strstr(p + 2, "*/");
		return end ? end + 2 : p + strlen(p);
	}
	if (*p != '"')
		return p;
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && p[1])
			p++;
	return p + (*p == '"');
}

/*
 * libconfig cuts a number that does not fit 32 bits down to what does, and says nothing, unless it
 * ends in L. The line of the first such number; 0 = there is none.
 */
static unsigned cut_number(const char *text)
{
	unsigned line = 1;
	const char *p = text, *next;
	char *end;

	while (*p) {
		next = skip_quiet(p);
		if (next == p && isdigit((unsigned char)*p)) {
			errno = 0;
			if (strtoull(p, &end, 0) > INT32_MAX && *end != 'L' && *end != '.')
				return line;
			next = end;
		} else if (next == p && (isalpha((unsigned char)*p) || *p == '_')) {
			while (isalnum((unsigned char)*next) || *next == '_' || *next == '-')
				next++;
		} else if (next == p) {
			next++;
		}
		for (; p < next; p++)
			line += *p == '\n';
	}
	return 0;
}

static int load_text(const struct load *ld, const char *text)
{
	char dir[CONF_PATH_MAX];
	const char *slash = strrchr(ld->path, '/');
	unsigned line = cut_number(text);
	config_t cfg;
	int err;

	if (line)
		return text_why(ld->why, ld->why_size, -XBD_ECONFIG,
				"%s:%u: a number is out of range", ld->path, line);
	config_init(&cfg);
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - ld->path) : 1,
		 slash ? ld->path : ".");
	config_set_include_dir(&cfg, dir);
	if (config_read_string(&cfg, text) == CONFIG_TRUE)
		err = load_group(ld, config_root_setting(&cfg), "");
	else
		err = text_why(ld->why, ld->why_size, -XBD_ECONFIG, "%s:%d: %s",
			       config_error_file(&cfg) ? config_error_file(&cfg) : ld->path,
			       config_error_line(&cfg), config_error_text(&cfg));
	config_destroy(&cfg);
	return err;
}

static int load_stream(const struct load *ld, FILE *f)
{
	char *text = malloc(FILE_BYTES_MAX + 1);
	size_t len = text ? fread(text, 1, FILE_BYTES_MAX + 1, f) : 0;
	int err;

	if (!text)
		return text_why(ld->why, ld->why_size, -ENOMEM, "out of memory");
	if (ferror(f) || len > FILE_BYTES_MAX) {
		err = text_why(ld->why, ld->why_size, -EFBIG, "%s: %s", ld->path,
			       ferror(f) ? "cannot be read" : "larger than 1 MiB");
	} else if (memchr(text, 0, len)) {
		err = text_why(ld->why, ld->why_size, -XBD_ECONFIG, "%s: not a text file",
			       ld->path);
	} else {
		text[len] = 0;
		err = load_text(ld, text);
	}
	free(text);
	return err;
}

int conf_load(const char *path, struct xbd_conf *c, char *why, size_t why_size)
{
	struct xbd_conf copy = *c;
	struct load ld = {path ? path : CONF_FILE, &copy, why, why_size};
	struct stat st;
	FILE *f = fopen(ld.path, "re");
	int err;

	if (!f && errno == ENOENT && !path)
		return 0;
	if (!f)
		return text_why(why, why_size, -errno, "cannot read %s: %s", ld.path,
				xbd_strerror(errno));
	if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode))
		err = text_why(why, why_size, -EINVAL, "%s is not a regular file", ld.path);
	else
		err = load_stream(&ld, f);
	fclose(f);
	if (!err)
		*c = copy;
	return err;
}
