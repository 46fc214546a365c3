/* SPDX-License-Identifier: BSD-2-Clause */
/* From what daemons answer to what their administrator should know and do. */
#ifndef XBD_CMD_WARN_H
#define XBD_CMD_WARN_H

#include <jansson.h>

/* daemons: what daemons_ask() returns. A new array of {"kind","name","text"}. Pure. */
json_t *warn_all(const json_t *daemons);

/* The phase that describes all shards of an export: the worst one. */
const char *warn_phase(const json_t *answer);
/* State of a replica, worse is higher; for comparing. */
int warn_badness(const char *state);

#endif
