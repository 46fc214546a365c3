/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of the NBD protocol (fixed newstyle, structured replies). All integers big endian. */
#ifndef XBD_NBD_WIRE_H
#define XBD_NBD_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define NBD_MAGIC	  0x4e42444d41474943ull /* greeting: "NBDMAGIC" */
#define NBD_OPT_MAGIC	  0x49484156454f5054ull /* greeting and options: "IHAVEOPT" */
#define NBD_REP_MAGIC	  0x0003e889045565a9ull /* reply to an option */
#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_SIMPLE_MAGIC  0x67446698u
#define NBD_CHUNK_MAGIC	  0x668e33efu

#define NBD_GREETING_BYTES 18u
#define NBD_OPT_BYTES	   16u /* header of an option */
#define NBD_REP_BYTES	   20u /* header of its reply */
#define NBD_REQUEST_BYTES  28u /* header of a command */
#define NBD_SIMPLE_BYTES   16u /* simple reply */
#define NBD_CHUNK_BYTES	   20u /* header of a chunk of a structured reply */

/* Handshake flags of the server; the client answers with the same bits. */
#define NBD_FIXED_NEWSTYLE 1u
#define NBD_NO_ZEROES	   2u

/* X(NAME, value) */
#define NBD_OPTIONS(X)                                                                             \
	X(EXPORT_NAME, 1)                                                                          \
	X(ABORT, 2)                                                                                \
	X(LIST, 3)                                                                                 \
	X(STARTTLS, 5)                                                                             \
	X(INFO, 6)                                                                                 \
	X(GO, 7)                                                                                   \
	X(STRUCTURED_REPLY, 8)                                                                     \
	X(LIST_META_CONTEXT, 9)                                                                    \
	X(SET_META_CONTEXT, 10)

enum nbd_opt {
#define X(name, value) NBD_OPT_##name = value,
	NBD_OPTIONS(X)
#undef X
};

#define NBD_REP_ACK	     1u
#define NBD_REP_SERVER	     2u
#define NBD_REP_INFO	     3u
#define NBD_REP_META_CONTEXT 4u
#define NBD_REP_ERR(n)	     (0x80000000u + (n))
#define NBD_REP_ERR_UNSUP    NBD_REP_ERR(1)
#define NBD_REP_ERR_INVALID  NBD_REP_ERR(3)
#define NBD_REP_ERR_UNKNOWN  NBD_REP_ERR(6)
#define NBD_REP_ERR_TOO_BIG  NBD_REP_ERR(9)

#define NBD_INFO_EXPORT	     0u
#define NBD_INFO_NAME	     1u
#define NBD_INFO_DESCRIPTION 2u
#define NBD_INFO_BLOCK_SIZE  3u

/* Transmission flags. */
#define NBD_HAS_FLAGS	      0x0001u
#define NBD_READ_ONLY	      0x0002u
#define NBD_SEND_FLUSH	      0x0004u
#define NBD_SEND_FUA	      0x0008u
#define NBD_SEND_TRIM	      0x0020u
#define NBD_SEND_WRITE_ZEROES 0x0040u
#define NBD_SEND_DF	      0x0080u
#define NBD_CAN_MULTI_CONN    0x0100u
#define NBD_SEND_CACHE	      0x0400u
#define NBD_SEND_FAST_ZERO    0x0800u

/* Flags of commands. */
#define NBD_F_FUA	0x01u
#define NBD_F_NO_HOLE	0x02u
#define NBD_F_DF	0x04u
#define NBD_F_REQ_ONE	0x08u
#define NBD_F_FAST_ZERO 0x10u

/*
 * X(NAME, value, counter, flags it takes besides FUA, writes, error for a range beyond the end).
 * DISC is not here: it has no reply.
 */
#define NBD_COMMANDS(X)                                                                            \
	X(READ, 0, reads, NBD_F_DF, 0, NBD_EINVAL)                                                 \
	X(WRITE, 1, writes, 0, 1, NBD_ENOSPC)                                                      \
	X(FLUSH, 3, flushes, 0, 0, NBD_EINVAL)                                                     \
	X(TRIM, 4, trims, 0, 1, NBD_EINVAL)                                                        \
	X(CACHE, 5, caches, 0, 0, NBD_EINVAL)                                                      \
	X(WRITE_ZEROES, 6, zeroes, NBD_F_NO_HOLE | NBD_F_FAST_ZERO, 1, NBD_ENOSPC)                 \
	X(BLOCK_STATUS, 7, maps, NBD_F_REQ_ONE, 0, NBD_EINVAL)

enum nbd_cmd {
#define X(name, value, counter, flags, writes, range_error) NBD_CMD_##name = value,
	NBD_COMMANDS(X)
#undef X
		NBD_CMD_DISC = 2
};

#define NBD_EPERM     1u
#define NBD_EIO	      5u
#define NBD_ENOMEM    12u
#define NBD_EINVAL    22u
#define NBD_ENOSPC    28u
#define NBD_EOVERFLOW 75u
#define NBD_ENOTSUP   95u
#define NBD_ESHUTDOWN 108u

/* Chunks of structured replies. */
#define NBD_CHUNK_DONE	       1u /* flag: the last one of its command */
#define NBD_CHUNK_NONE	       0u
#define NBD_CHUNK_OFFSET_DATA  1u
#define NBD_CHUNK_BLOCK_STATUS 5u
#define NBD_CHUNK_ERROR	       0x8001u

/* base:allocation */
#define NBD_STATE_HOLE 1u
#define NBD_STATE_ZERO 2u

static inline uint16_t nbd_get16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

static inline uint32_t nbd_get32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline uint64_t nbd_get64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

/* Writers return the byte after what they wrote. */
static inline uint8_t *nbd_put16(uint8_t *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static inline uint8_t *nbd_put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static inline uint8_t *nbd_put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

#endif
