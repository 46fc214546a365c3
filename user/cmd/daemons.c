/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/daemons.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"

/* "node-a.sock" -> kind and name. False = not the name of a control socket. */
static bool split_name(const char *file, char kind[16], char name[XBD_NAME_MAX + 1])
{
	size_t len = strlen(file), k = strcspn(file, "-"), n;

	if (len < 6 || strcmp(file + len - 5, ".sock"))
		return false;
	len -= 5;
	if (k + 1 >= len || len - k - 1 > XBD_NAME_MAX)
		return false;
	n = len - k - 1;
	snprintf(kind, 16, "%.*s", (int)(k < 15 ? k : 15), file);
	memcpy(name, file + k + 1, n);
	name[n] = 0;
	return !strcmp(kind, "node") || !strcmp(kind, "export");
}

static int is_socket(const struct dirent *e)
{
	char kind[16], name[XBD_NAME_MAX + 1];

	return split_name(e->d_name, kind, name);
}

static json_t *ask(struct cli *c, const char *cmd, const char *kind, const char *name)
{
	char path[512], why[ADMIN_WHY_MAX];
	json_t *answer = NULL;

	if (admin_path(path, sizeof(path), c->conf.run_dir, kind, name))
		return json_pack("{s:s, s:s, s:s}", "kind", kind, "name", name, "error",
				 "the path of its socket is too long");
	if (admin_call(path, cmd, &answer, why, sizeof(why)))
		return json_pack("{s:s, s:s, s:s}", "kind", kind, "name", name, "error", why);
	return json_pack("{s:s, s:s, s:o}", "kind", kind, "name", name, "answer", answer);
}

json_t *daemons_ask(struct cli *c, const char *cmd, const char *only, const char **problem)
{
	json_t *list = json_array();
	struct dirent **e = NULL;
	int n = scandir(c->conf.run_dir, &e, is_socket, alphasort);

	*problem = n < 0 && errno != ENOENT ? strerror(errno) : NULL;
	for (int i = 0; i < n; i++) {
		char kind[16], name[XBD_NAME_MAX + 1];

		if (split_name(e[i]->d_name, kind, name) && (!only || !strcmp(only, name)))
			json_array_append_new(list, ask(c, cmd, kind, name));
		free(e[i]);
	}
	free(e);
	return list;
}

const char *daemon_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

long long daemon_number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

bool daemon_true(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}
