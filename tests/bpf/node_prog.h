/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_node under BPF_PROG_TEST_RUN: frames in, action and verdict out, and the same verdict by the
 * same header files compiled for the host.
 */
#ifndef XBD_TEST_NODE_PROG_H
#define XBD_TEST_NODE_PROG_H

#include <stdbool.h>

#include "core/codec.h"
#include "proto/maps.h"

#define FRAME_BYTES 9216u
#define STORE_IP4   "\x0a\x4d\x00\x02"
#define PEER_IP4    "\x0a\x4d\x00\x01"

/* How a datagram is wrapped. */
enum wrap { WRAP_IP4, WRAP_IP6, WRAP_VLAN_IP4, WRAP_VLAN_IP6, WRAP_END };

struct frame {
	uint32_t len;
	uint16_t align; /* the IP header at a multiple of 4 */
	uint8_t b[FRAME_BYTES];
};

/* Returns false after printing why this host cannot run BPF programs. */
bool node_load(void);
void node_free(void);

/* What the program is told; the native check uses the same. */
void node_configure(enum xbd_side side, uint32_t len_max);
void node_set_keys(const struct xbd_keyring *kr);
void node_set_fence(uint32_t shard, uint32_t epoch);
void node_set_socket(bool there);

/* A datagram to the store's port and address. */
void wrap(struct frame *f, enum wrap how, const void *pkt, uint32_t len);
/* Offset of the IP header in a frame, and of its xbd header. */
uint32_t wrap_ip(enum wrap how);
uint32_t wrap_head(enum wrap how);

/* Run the program; *action is an enum xdp_action. Returns the verdict it counted. */
int node_run(const struct frame *f, int *action);
/* What the host's compiler makes of the same code; STALE stands for STALE_NOTIFY as well. */
int node_native(const struct frame *f);

#endif
