/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of the metadata as JSON text and back. Pure. */
#ifndef XBD_META_CODEC_H
#define XBD_META_CODEC_H

#include "meta/meta.h"

/* Text for free(), NULL = no memory. `version` is the backend's and not in the text. */
char *meta_cluster_encode(const struct meta_cluster *c);
char *meta_node_encode(const struct meta_node *n);
char *meta_volume_encode(const struct meta_volume *v);

/* 0 or -XBD_EFORMAT with what is wrong in why; outputs are untouched then. */
int meta_cluster_decode(const char *text, struct meta_cluster *c, char *why, size_t why_size);
int meta_node_decode(const char *text, struct meta_node *n, char *why, size_t why_size);
int meta_volume_decode(const char *text, struct meta_volume *v, char *why, size_t why_size);

#endif
