/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Golden packets: proto/vectors/packets.txt. One packet per line:
 *
 *	side verdict "what it is" bytes...
 *
 * side: STORE or CLIENT, who receives it; verdict: what xbd_check() and the checks after it say;
 * bytes: groups of hexadecimal digits, a group BB*N standing for N times the byte BB.
 */
#ifndef XBD_TEST_VECTORS_H
#define XBD_TEST_VECTORS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/check.h"

#define VECTOR_BYTES 8192u
#define VECTOR_NAME  128u

struct vector {
	enum xbd_side side;
	int verdict;
	char name[VECTOR_NAME];
	uint32_t len;
	uint8_t bytes[VECTOR_BYTES];
};

static const char *const verdict_names[] = {
#define X(name, what, text) #name,
	XBD_VERDICTS(X)
#undef X
};

static inline int verdict_by_name(const char *name)
{
	for (int v = 0; v < XBD_V_END; v++)
		if (!strcmp(verdict_names[v], name))
			return v;
	return -1;
}

static inline bool vector_add_group(struct vector *v, const char *group)
{
	unsigned byte, times;
	size_t n = strlen(group);

	if (strchr(group, '*')) {
		if (sscanf(group, "%2x*%u", &byte, &times) != 2 || v->len + times > VECTOR_BYTES)
			return false;
		memset(v->bytes + v->len, (int)byte, times);
		v->len += times;
		return true;
	}
	if (n % 2 || v->len + n / 2 > VECTOR_BYTES)
		return false;
	for (; *group; group += 2) {
		if (sscanf(group, "%2x", &byte) != 1)
			return false;
		v->bytes[v->len++] = (uint8_t)byte;
	}
	return true;
}

static inline bool vector_parse(struct vector *v, char *line)
{
	char side[16], verdict[32], *save, *group;
	int at = 0;

	memset(v, 0, sizeof(*v));
	if (sscanf(line, "%15s %31s \"%127[^\"]\" %n", side, verdict, v->name, &at) != 3 || !at)
		return false;
	v->side = strcmp(side, "STORE") ? XBD_SIDE_CLIENT : XBD_SIDE_STORE;
	v->verdict = verdict_by_name(verdict);
	for (group = strtok_r(line + at, " \n", &save); group; group = strtok_r(NULL, " \n", &save))
		if (!vector_add_group(v, group))
			return false;
	return v->verdict >= 0;
}

/* Calls fn for every packet in the file; returns their number, or exits with a message. */
static inline unsigned vectors_each(const char *path, void (*fn)(const struct vector *, void *),
				    void *ctx)
{
	static char line[4 * VECTOR_BYTES];
	static struct vector v;
	FILE *f = fopen(path, "r");
	unsigned n = 0, lines = 0;

	if (!f) {
		perror(path);
		exit(1);
	}
	while (fgets(line, sizeof(line), f)) {
		lines++;
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (!vector_parse(&v, line)) {
			fprintf(stderr, "%s:%u: not a vector\n", path, lines);
			exit(1);
		}
		fn(&v, ctx);
		n++;
	}
	fclose(f);
	return n;
}

#endif
