/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/out.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

struct out {
	const char *const *heads;
	unsigned cols;
	char **cell;
	size_t n, max;
	size_t width[OUT_COLUMNS_MAX];
};

struct out *out_new(const char *const *heads)
{
	struct out *o = calloc(1, sizeof(*o));

	XBD_ASSERT(o);
	o->heads = heads;
	for (; heads[o->cols]; o->cols++) {
		XBD_ASSERT(o->cols < OUT_COLUMNS_MAX);
		o->width[o->cols] = strlen(heads[o->cols]) - (heads[o->cols][0] == '>');
	}
	return o;
}

void out_cell(struct out *o, const char *fmt, ...)
{
	size_t col = o->n % o->cols;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	XBD_ASSERT(vasprintf(&text, fmt, ap) >= 0);
	va_end(ap);
	if (!*text) {
		free(text);
		text = strdup("-");
		XBD_ASSERT(text);
	}
	if (o->n == o->max) {
		o->max = o->max ? o->max * 2 : 64;
		o->cell = realloc(o->cell, o->max * sizeof(*o->cell));
		XBD_ASSERT(o->cell);
	}
	o->cell[o->n++] = text;
	if (strlen(text) > o->width[col])
		o->width[col] = strlen(text);
}

static void print_cell(const struct out *o, size_t col, const char *text, FILE *f)
{
	bool right = o->heads[col][0] == '>', last = col + 1 == o->cols;
	int width = (int)o->width[col];

	if (right)
		fprintf(f, "%*s", width, text);
	else
		fprintf(f, "%-*s", last ? 0 : width, text);
	fputs(last ? "\n" : "  ", f);
}

void out_print(struct out *o, FILE *f)
{
	XBD_ASSERT(o->n % o->cols == 0);
	for (size_t i = 0; i < o->cols && o->n; i++)
		print_cell(o, i, o->heads[i] + (o->heads[i][0] == '>'), f);
	for (size_t i = 0; i < o->n; i++) {
		print_cell(o, i % o->cols, o->cell[i], f);
		free(o->cell[i]);
	}
	free(o->cell);
	free(o);
}

static bool coloured(void)
{
	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
}

const char *out_red(void)
{
	return coloured() ? "\033[31m" : "";
}

const char *out_plain(void)
{
	return coloured() ? "\033[0m" : "";
}
