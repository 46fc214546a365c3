/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a place for metadata must be able to do: keep small texts under keys ("cluster",
 * "node/NAME", "volume/NAME"), each with a version, changed by compare-and-swap. A backend checks
 * that what it returns is what was put.
 */
#ifndef XBD_META_BACKEND_H
#define XBD_META_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#define META_KEY_MAX	64
#define META_RECORD_MAX (64u << 20) /* bytes of one record */

struct meta_backend_ops {
	/* place: what follows the scheme. On failure why gets one line. */
	int (*open)(void **ctx, const char *place, int create, char *why, size_t why_size);
	void (*close)(void *ctx);
	/* *text is NUL-terminated, freed by the caller. -XBD_ENOTFOUND, -XBD_ECORRUPT, ... */
	int (*get)(void *ctx, const char *key, char **text, uint64_t *version, char *why,
		   size_t why_size);
	/* *version: in the one expected (0 = must not exist), out the new one. -XBD_ESTALE,
	 * -XBD_EEXISTS. Durable on return. */
	int (*put)(void *ctx, const char *key, const char *text, uint64_t *version, char *why,
		   size_t why_size);
	int (*del)(void *ctx, const char *key, uint64_t version, char *why, size_t why_size);
	/* Names below prefix ("node"), sorted; each and the array freed by the caller. */
	int (*list)(void *ctx, const char *prefix, char ***names, size_t *count, char *why,
		    size_t why_size);
};

extern const struct meta_backend_ops meta_backend_file;

#endif
