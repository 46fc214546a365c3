/* SPDX-License-Identifier: BSD-2-Clause */
/* One correct message of every type, and packets made of messages. For the tests of the codec. */
#ifndef XBD_TEST_SAMPLES_H
#define XBD_TEST_SAMPLES_H

#include "core/codec.h"

#define SAMPLE_SHARD 77u
#define SAMPLE_BLOCK 4096u
#define SAMPLE_EPOCH 5u

/* A whole datagram. */
struct packet {
	_Alignas(8) uint8_t bytes[sizeof(struct xbd_hdr) + XBD_BODY_MAX];
	uint32_t len;
};

/* Pseudo-random data for every block of an operation; the same at every call. */
const uint8_t *sample_data(void);
/*
 * A correct message of `type` as its sender would fill it; bodies and data are static. Types that
 * carry data get `blocks` of it (REPAIR: 1).
 */
struct xbd_send sample(uint8_t type, uint16_t blocks);
/* Which side receives the type. */
enum xbd_side sample_side(uint8_t type);
/* Cut s into packets of the public keyring. Returns how many; `max` is room in p. */
unsigned sample_packets(const struct xbd_send *s, uint32_t frag_len, struct packet *p,
			unsigned max);
/* The first packet of a message. */
struct packet sample_packet(const struct xbd_send *s, uint32_t frag_len);
/* Make the tag right again after a change of the header. */
void sample_sign(struct packet *p);
/* codec_decode with the public keyring. */
int sample_decode(struct xbd_msg *m, const struct packet *p, enum xbd_side side);

#endif
