/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the state machines' messages and packets. Pure: the daemons, the simulator, the tests
 * and the fuzzers use the same code.
 *
 * A state machine says what to send in a struct xbd_send: one message, or a whole operation with up
 * to 128 KiB of data; codec_next() cuts it into packets for one fragment size. Received packets are
 * checked (proto/check.h, tag, body checksum) and handed to the state machines as struct xbd_msg.
 */
#ifndef XBD_CODEC_H
#define XBD_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/check.h"

/* What to send. All pointers are borrowed until the send callback returns. */
struct xbd_send {
	uint8_t type, flags, sender, status;
	uint16_t count; /* blocks, or elements in body */
	uint32_t shard, block;
	uint64_t ver, ver2, commit, stamp;
	const void *body;     /* control body, or count * XBD_BLOCK_SIZE bytes of data, or NULL */
	uint32_t body_len;    /* bytes */
	const uint32_t *crc;  /* data: checksum of each block, seeded; NULL otherwise */
	const uint64_t *vers; /* DATA: version of each block (goes into ver2); NULL otherwise */
	const struct xbd_units *skip; /* data: units the receiver has already; NULL = send all */
};

/* What was received. `body` points into the packet: valid during the step call only. */
struct xbd_msg {
	struct xbd_hdr h;
	const uint8_t *body;
	uint32_t body_len;
	uint32_t from; /* the transport's handle of the sender's address */
};

struct xbd_keyring {
	struct xbd_key key[XBD_KEYS];
	uint32_t live; /* bit i: key i is accepted; bit 0 = the public key */
	uint8_t use;   /* id of the key to sign with */
};

/* The public keyring: integrity only. */
void codec_keyring_public(struct xbd_keyring *kr);

struct codec_iter {
	const struct xbd_send *s;
	const struct xbd_keyring *kr;
	uint32_t frag_len; /* bytes */
	uint32_t next, nfrag;
	bool done;
};

/* frag_len: 1024, 2048 or 4096. */
void codec_begin(struct codec_iter *it, const struct xbd_send *s, const struct xbd_keyring *kr,
		 uint32_t frag_len);
/*
 * The next packet: a signed header in *h, its body (borrowed from s) in *body, *len bytes.
 * False when there is none.
 */
bool codec_next(struct codec_iter *it, struct xbd_hdr *h, const uint8_t **body, uint32_t *len);

/*
 * Check one datagram and fill *m. Returns XBD_V_ACCEPTED or the verdict that refuses it. `checked`:
 * skip nothing; every check is made again whether or not XDP made it.
 */
int codec_decode(struct xbd_msg *m, const void *pkt, size_t len, const struct xbd_keyring *kr,
		 enum xbd_side side);

/* Fragment size for a path MTU (IPv6 worst case assumed): 1024, 2048 or 4096. */
uint32_t codec_frag_len(uint32_t mtu);

/* Units covered by the fragment of message m, as a bitmap. */
struct xbd_units codec_units(const struct xbd_hdr *h);

#endif
