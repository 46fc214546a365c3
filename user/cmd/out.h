/* SPDX-License-Identifier: BSD-2-Clause */
/* Aligned tables on standard output. */
#ifndef XBD_CMD_OUT_H
#define XBD_CMD_OUT_H

#include <stdio.h>

#define OUT_COLUMNS_MAX 12

struct out;

/* heads: ended by NULL; one that begins with '>' is aligned to the right. Never NULL. */
struct out *out_new(const char *const *heads);
/* The next cell; rows fill up from left to right. Empty text is shown as "-". */
void out_cell(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Print, unless there are no rows, and free. */
void out_print(struct out *o, FILE *f);

/* Start and end of red text, empty unless standard output is a terminal and NO_COLOR is not set. */
const char *out_red(void);
const char *out_plain(void);

#endif
