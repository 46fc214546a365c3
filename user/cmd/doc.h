/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts made from the tables: help, manual pages (mdoc), completion for bash. Written to `f`. */
#ifndef XBD_CMD_DOC_H
#define XBD_CMD_DOC_H

#include <stdio.h>

#include "cmd/table.h"

/* All commands in short. */
void doc_overview(FILE *f);
/* One command: usage, explanation, options, examples. */
void doc_command(FILE *f, const struct cmd *cmd);
/* All commands that begin with a word ("volume"); false = none does. */
bool doc_group(FILE *f, const char *word);
/* The usage line of a command, without "usage: ". */
void doc_usage(FILE *f, const struct cmd *cmd);
/* Usage and options of xbdd. */
void doc_xbdd(FILE *f);

/* Page "xbd-volume.1", as mdoc. False = no such page. */
bool doc_man(FILE *f, const char *page);
/* Names of all pages, ended by NULL. */
extern const char *const doc_pages[];

void doc_completion(FILE *f);

#endif
