/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemons of this host, found by their control sockets, and what they answer. */
#ifndef XBD_CMD_DAEMONS_H
#define XBD_CMD_DAEMONS_H

#include "cmd/cli.h"

/*
 * Ask every daemon, or those called `name` if that is not NULL. Returns an array, sorted by kind
 * and name, of {"kind","name","answer":{...}} or {"kind","name","error":"text"}; never NULL. A run
 * directory that does not exist holds no daemons; one that cannot be read is put into *problem
 * (text for the user, static or NULL).
 */
json_t *daemons_ask(struct cli *c, const char *cmd, const char *name, const char **problem);

/* Members that may be missing: "" and 0 then. */
const char *daemon_text(const json_t *o, const char *key);
long long daemon_number(const json_t *o, const char *key);
bool daemon_true(const json_t *o, const char *key);

#endif
