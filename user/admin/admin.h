/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a daemon: RUN_DIR/KIND-NAME.sock, mode 0600. A client sends one line of
 * JSON
 * {"cmd":"status"} and gets one line of JSON back, then the connection ends. An error is
 * {"error":"text"}. Server side: on the event loop. Client side: blocking, with a time limit.
 *
 * Every daemon answers at least "status" and "stats" (admin/json.h says what stands in them).
 */
#ifndef XBD_ADMIN_H
#define XBD_ADMIN_H

#include <jansson.h>
#include <stddef.h>

#include "io/loop.h"

#define ADMIN_WHY_MAX	      512
#define ADMIN_CLIENTS_MAX     8	   /* connections served at once; more wait */
#define ADMIN_REQUEST_MAX     4096 /* bytes of a request */
#define ADMIN_TIMERS	      1	   /* timers it needs of the loop */
#define ADMIN_CALL_TIMEOUT_MS 5000

struct admin;

struct admin_handler {
	const char *cmd;
	/* Returns a new reference, which becomes the answer; NULL = {"error":"out of memory"}.
	 * req: the whole request, borrowed. */
	json_t *(*fn)(void *ctx, const json_t *req);
};

/* RUN_DIR/KIND-NAME.sock into buf. -ENAMETOOLONG if it does not fit a socket address. */
int admin_path(char *buf, size_t size, const char *run_dir, const char *kind, const char *name);

/*
 * Open the socket and serve it. The directory is made if needed (mode 0755). A stale socket is
 * replaced; one that is served by another process is -XBD_EINUSE. handlers: ended by {NULL},
 * borrowed. why gets one line on failure.
 */
int admin_open(struct admin **out, struct loop *l, const char *path,
	       const struct admin_handler *handlers, void *ctx, char *why, size_t why_size);
/* Removes the socket and waits, in turns of the loop, for its own requests to end: not to be called
 * from inside a callback of the loop. NULL is fine. */
void admin_close(struct admin *a);

/*
 * Client: ask `cmd` at `path`. 0: *out is a new reference, the answer. Otherwise negative errno,
 * -ECONNREFUSED / -ENOENT (nobody serves it), -ETIMEDOUT (does not answer), -EPROTO (bad answer or
 * {"error":..}); why gets one line.
 */
int admin_call(const char *path, const char *cmd, json_t **out, char *why, size_t why_size);

#endif
