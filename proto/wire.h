/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bytes of the xbd replication protocol, version 1.
 *
 * One packet = one UDP datagram = one 64-byte header + an optional body. Little endian. This
 * header is compiled by the BPF compiler and by the host compiler; sizes and offsets are asserted
 * below, and the golden vectors in proto/vectors hold examples. proto/README.md is the text.
 *
 * An *operation* covers 1..XBD_OP_BLOCKS consecutive blocks of one shard and has one version.
 * Its data travels in fragments of equal power-of-two length; fragment k holds the operation's
 * bytes [k * len, (k + 1) * len), so each can be placed alone and in any order.
 */
#ifndef XBD_WIRE_H
#define XBD_WIRE_H

#include <linux/types.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "xbd's wire and disk formats are little endian; this host is not supported"
#endif

#define XBD_MAGIC   0xbd /* first byte of every packet */
#define XBD_VERSION 1	 /* second byte */
#define XBD_PORT    7117 /* default UDP port of storage nodes */

#define XBD_BLOCK_SHIFT	  12
#define XBD_BLOCK_SIZE	  (1u << XBD_BLOCK_SHIFT) /* bytes; unit of versions and checksums */
#define XBD_OP_BLOCKS	  32u			  /* blocks of data in one operation (128 KiB) */
#define XBD_RANGE_BLOCKS  32768u /* blocks in one TRIM or ZERO operation (128 MiB) */
#define XBD_REGION_BLOCKS 64u	 /* blocks in one region: unit of lag maps and LIST */
#define XBD_FRAG_MIN	  1024u
#define XBD_FRAG_MAX	  4096u
#define XBD_UNIT	  1024u /* unit of the PARTIAL bitmap, bytes */
#define XBD_OP_UNITS	  (XBD_OP_BLOCKS * XBD_BLOCK_SIZE / XBD_UNIT) /* 128 */
#define XBD_BODY_MAX	  4096u
#define XBD_CONTROL_MAX	  1024u /* largest body of a control message: fits any MTU >= 1280 */

#define XBD_REPLICAS_MAX     5u /* members of a shard, witness not counted */
#define XBD_SLOT_WITNESS     5u
#define XBD_SLOTS	     6u		/* replicas + witness */
#define XBD_SLOT_NONE	     0xffu	/* sender is not a member: coordinator, admin tool */
#define XBD_SHARDS_MAX	     65536u	/* shard ids are below this: bound of the fence map */
#define XBD_SHARD_BLOCKS_MAX (1u << 24) /* 64 GiB */
#define XBD_LINEAGE_MAX	     32u
#define XBD_HISTORY_MAX	     16u
#define XBD_PEERS_SEEN	     6u
#define XBD_ACKS_MAX	     60u /* further acks in the body of one ACK */

/* A version orders all contents a block ever had: epoch(24) << 40 | seq(40). 0 = never written. */
#define XBD_SEQ_BITS	    40
#define XBD_SEQ_MAX	    ((1ull << XBD_SEQ_BITS) - 1)
#define XBD_EPOCH_MAX	    ((1u << 24) - 1)
#define XBD_VER(epoch, seq) (((__u64)(epoch) << XBD_SEQ_BITS) | (__u64)(seq))
#define XBD_VER_EPOCH(ver)  ((__u32)((ver) >> XBD_SEQ_BITS))
#define XBD_VER_SEQ(ver)    ((ver)&XBD_SEQ_MAX)

/*
 * X(NAME, value, to_store, body rule, text). to_store: 1 = a storage node receives it. Body rules:
 *  FRAG   a fragment, or nothing when a TRIM/ZERO/BAD flag is set
 *  NONE   no body
 *  N(s)   exactly sizeof(s)
 *  ARR(s, max)  0..max elements of sizeof(s)
 */
#define XBD_TYPES(X)                                                                               \
	X(WRITE, 1, 1, FRAG, "client write, trim or zero")                                         \
	X(ACK, 2, 0, ARR, "operations are durable on the sender")                                  \
	X(READ, 3, 1, NONE, "read a run of blocks")                                                \
	X(DATA, 4, 0, FRAG, "blocks read")                                                         \
	X(REPAIR, 5, 1, FRAG, "compare-and-set of one block")                                      \
	X(REPAIRED, 6, 0, NONE, "outcome of REPAIR")                                               \
	X(STALE, 7, 0, NONE, "the sender promised a newer epoch")                                  \
	X(PROMISE, 8, 1, PROMISE, "ask for the promise of an epoch")                               \
	X(PROMISED, 9, 0, STATE, "promise given; state of the shard here")                         \
	X(REGIONS, 10, 1, NONE, "which regions changed since a version")                           \
	X(REGIONS_R, 11, 0, REGIONS, "region numbers")                                             \
	X(LIST, 12, 1, NONE, "versions of one region")                                             \
	X(LIST_R, 13, 0, LIST, "versions of one region")                                           \
	X(JOIN, 14, 1, JOIN, "step back to a common ancestor, become a learner")                   \
	X(JOINED, 15, 0, NONE, "outcome of JOIN")                                                  \
	X(SYNC, 16, 1, SYNC, "contents are complete for this epoch")                               \
	X(SYNCED, 17, 0, NONE, "outcome of SYNC")                                                  \
	X(ACCEPT, 18, 1, RECORD, "accept a membership record")                                     \
	X(ACCEPTED, 19, 0, NONE, "outcome of ACCEPT")                                              \
	X(LEASE, 20, 1, NONE, "renew the read lease; carries the complete point")                  \
	X(LEASED, 21, 0, NONE, "lease granted")                                                    \
	X(RELEASE, 22, 1, NONE, "the owner gives up its lease")                                    \
	X(RELEASED, 23, 0, NONE, "outcome of RELEASE")                                             \
	X(CREATE, 24, 1, RECORD, "create an empty shard")                                          \
	X(CREATED, 25, 0, NONE, "outcome of CREATE")                                               \
	X(RETIRE, 26, 1, NONE, "drop a shard's data, keep a tombstone")                            \
	X(RETIRED, 27, 0, NONE, "outcome of RETIRE")                                               \
	X(INFO, 28, 1, NONE, "who are you")                                                        \
	X(INFO_R, 29, 0, INFO, "identity and space of a store")

enum xbd_type {
#define X(name, value, to_store, body, text) XBD_T_##name = value,
	XBD_TYPES(X)
#undef X
		XBD_T_END
};

/* Flags. */
#define XBD_F_VOTER   0x01 /* ACK: the sender is synced in this epoch (A == E) */
#define XBD_F_TRIM    0x02 /* blocks read as zeroes and give their space back */
#define XBD_F_ZERO    0x04 /* WRITE, REPAIR, DATA: blocks are zeroes, no body */
#define XBD_F_BAD     0x08 /* DATA: the sender's copy fails its checksum */
#define XBD_F_MORE    0x10 /* REGIONS_R: ask again from the last region + 1 */
#define XBD_F_RETRY   0x20 /* WRITE, REPAIR: tell me what you have, if not all */
#define XBD_F_PARTIAL 0x40 /* ACK: not complete; body is a bitmap of the units present */
#define XBD_F_RECOVER 0x80 /* READ: from a store that is not synced yet, during recovery */

/*
 * Status of a reply, in `status`: 0 or why the request was refused. X(NAME, value, text)
 */
#define XBD_STATUSES(X)                                                                            \
	X(OK, 0, "ok")                                                                             \
	X(NOSHARD, 1, "the store does not hold this shard")                                        \
	X(NOTSYNCED, 2, "the store is not synced in this epoch")                                   \
	X(NOSPACE, 3, "the store is full")                                                         \
	X(IO, 4, "the store's disk failed")                                                        \
	X(BUSY, 5, "another owner's lease is still running")                                       \
	X(EXISTS, 6, "the shard exists with other members")                                        \
	X(RETIRED, 7, "the store has left this shard")                                             \
	X(CONFLICT, 8, "the block has another version than expected")                              \
	X(INVALID, 9, "the request does not make sense here")

enum xbd_status {
#define X(name, value, text) XBD_S_##name = value,
	XBD_STATUSES(X)
#undef X
};

/*
 * The header of every packet. `tag` is SipHash-2-4 over bytes 0..55 with the key `key`; key 0 is
 * the public all-zero key: integrity, no authentication.
 */
struct xbd_hdr {
	__u8 magic;   /*  0 XBD_MAGIC */
	__u8 version; /*  1 XBD_VERSION */
	__u8 type;    /*  2 enum xbd_type */
	__u8 flags;   /*  3 XBD_F_* */
	__u32 shard;  /*  4 < XBD_SHARDS_MAX */
	__u64 ver;    /*  8 version; requests without one: epoch << 40 | request number */
	__u32 block;  /* 16 first block of the operation, in the shard (REGIONS: first region) */
	__u8 frag;    /* 20 index of this fragment in the operation */
	__u8 nfrag;   /* 21 fragments of the operation; 0 = no data */
	__u16 len;    /* 22 bytes of body in this packet */
	__u32 crc;    /* 24 CRC32C: FRAG: of the whole block this fragment is part of, seeded by
		       *    xbd_crc_seed(shard, block, ver of content); else of the body, seed 0 */
	__u8 key;     /* 28 key id */
	__u8 sender;  /* 29 replica slot of a storage node, XBD_SLOT_NONE otherwise */
	__u16 count;  /* 30 blocks of the operation, or elements of the body */
	__u64 ver2;   /* 32 REPAIR: expected version; DATA, REPAIRED: version of the block held;
		       *    REGIONS: since; ACK: bytes of window the sender grants */
	__u64 commit; /* 40 LEASE: complete point of the receiver; REPAIR: version of the content
		       *    (its `ver` is epoch << 40 | request number, as in all requests) */
	__u64 stamp;  /* 48 opaque time of the request, echoed in its answer (status in replies) */
	__u64 tag;    /* 56 SipHash-2-4 of bytes 0..55 */
};

/* Replies put their status in the top byte of `stamp`; requests keep that byte 0. */
#define XBD_STAMP_BITS	  56
#define XBD_STAMP_MASK	  ((1ull << XBD_STAMP_BITS) - 1)
#define XBD_STATUS(stamp) ((__u8)((stamp) >> XBD_STAMP_BITS))
#define XBD_STAMP(stamp, status)                                                                   \
	(((__u64)(stamp)&XBD_STAMP_MASK) | (__u64)(status) << XBD_STAMP_BITS)

/* One more acknowledged operation in the body of an ACK. */
struct xbd_ack {
	__u64 ver;   /*  0 */
	__u32 block; /*  8 */
	__u16 count; /* 12 */
	__u8 flags;  /* 14 XBD_F_VOTER */
	__u8 status; /* 15 */
};

/* Body of a PARTIAL ACK: bit k set = unit k (XBD_UNIT bytes) of the operation is present. */
struct xbd_units {
	__u64 bits[2];
};

struct xbd_uuid {
	__u8 b[16];
};

struct xbd_promise {
	struct xbd_uuid owner; /*  0 random per coordinator start */
	__u8 slot;	       /* 16 replica slot the receiver has for this owner */
	__u8 pad[7];	       /* 17 zero */
};

/* Membership record: who counts, from which epoch on. 256 bytes. */
struct xbd_record {
	__u32 bal;	/*   0 ballot: epoch in which this copy was accepted */
	__u32 epoch;	/*   4 epoch that wrote it */
	__u64 gen;	/*   8 random generation of the volume (forced quorum makes a new one) */
	__u8 n;		/*  16 replica slots in use, 1..5 */
	__u8 d_mask;	/*  17 slots that hold acknowledged writes */
	__u8 w;		/*  18 acks that complete a write */
	__u8 mode;	/*  19 0 majority, 1 in-sync */
	__u32 table_no; /*  20 number of the placement table it was made from */
	struct xbd_uuid member[XBD_REPLICAS_MAX]; /*  24 store UUIDs by slot */
	struct xbd_uuid base[XBD_REPLICAS_MAX];	  /* 104 members of the record it replaces */
	struct xbd_uuid witness;		  /* 184 zero = none */
	struct xbd_uuid volume;			  /* 200 */
	__u32 blocks; /* 216 blocks of the shard when made; 0 = unknown */
	__u8 pad[36]; /* 220 zero */
};

struct xbd_hist {
	__u32 epoch; /* 0 an earlier value of A */
	__u32 pad;   /* 4 zero */
	__u64 comp;  /* 8 its complete point (version) */
};

struct xbd_seen {
	__u64 uuid8; /* first 8 bytes of a peer's store UUID */
	__u64 boot;
};

/* Durable state of one shard at one store, and the body of PROMISED. 936 bytes. */
struct xbd_state {
	struct xbd_uuid store;	    /*   0 UUID of the store that holds it */
	struct xbd_uuid owner;	    /*  16 owner of the promise */
	__u64 boot;		    /*  32 boot counter of the store */
	__u32 prom;		    /*  40 highest epoch promised */
	__u32 synced;		    /*  44 A: epoch last synced */
	__u64 comp;		    /*  48 complete point of A (version) */
	__u8 slot;		    /*  56 slot given by the last owner */
	__u8 nlin;		    /*  57 */
	__u8 nhist;		    /*  58 */
	__u8 retired;		    /*  59 1 = tombstone */
	__u32 pad;		    /*  60 zero */
	struct xbd_record rec;	    /*  64 */
	__u32 lin[XBD_LINEAGE_MAX]; /* 320 ancestor epochs of the content, newest first */
	struct xbd_hist hist[XBD_HISTORY_MAX]; /* 448 newest first */
	struct xbd_seen seen[XBD_PEERS_SEEN];  /* 704 highest boot counters seen of peers */
	__u8 pad2[136];			       /* 800 zero */
};

struct xbd_join {
	struct xbd_record rec;	    /*   0 record the coordinator resolved from */
	__u32 anc;		    /* 256 epoch to step back to; 0 = nothing in common */
	__u32 nlin;		    /* 260 */
	__u32 lin[XBD_LINEAGE_MAX]; /* 264 */
};

struct xbd_sync {
	__u32 nlin;		    /* 0 */
	__u32 pad;		    /* 4 zero */
	__u32 lin[XBD_LINEAGE_MAX]; /* 8 */
	struct xbd_uuid store;	    /* 136 the store that was filled, as it named itself */
};

/* One block in LIST_R; a reply always holds XBD_REGION_BLOCKS of them, version 0 past the end. */
struct xbd_list_entry {
	__u64 ver;   /* 0 */
	__u32 crc;   /* 8 seeded CRC32C of the content; 0 if it is zeroes */
	__u32 flags; /* 12 XBD_F_ZERO, XBD_F_TRIM, XBD_F_BAD */
};

#define XBD_REGIONS_MAX 256u /* u32 region numbers in one REGIONS_R */

struct xbd_info {
	struct xbd_uuid store;	 /*  0 */
	struct xbd_uuid cluster; /* 16 zero = any */
	__u64 boot;		 /* 32 */
	__u64 blocks;		 /* 40 capacity */
	__u64 blocks_free;	 /* 48 */
	__u32 shards;		 /* 56 shards held */
	__u32 flags;		 /* 60 XBD_INFO_* */
	__u64 alive_ms;		 /* 64 milliseconds since the daemon's start */
	char name[32];		 /* 72 node name, NUL-padded */
	__u8 pad[24];		 /* 104 zero */
};
#define XBD_INFO_WITNESS 1u
#define XBD_INFO_FAILED	 2u /* out of service after a disk error */

#define XBD_AT(type, field, off)                                                                   \
	_Static_assert(__builtin_offsetof(type, field) == (off), #type "." #field)
_Static_assert(sizeof(struct xbd_hdr) == 64, "header");
XBD_AT(struct xbd_hdr, shard, 4);
XBD_AT(struct xbd_hdr, ver, 8);
XBD_AT(struct xbd_hdr, block, 16);
XBD_AT(struct xbd_hdr, frag, 20);
XBD_AT(struct xbd_hdr, nfrag, 21);
XBD_AT(struct xbd_hdr, len, 22);
XBD_AT(struct xbd_hdr, crc, 24);
XBD_AT(struct xbd_hdr, key, 28);
XBD_AT(struct xbd_hdr, sender, 29);
XBD_AT(struct xbd_hdr, count, 30);
XBD_AT(struct xbd_hdr, ver2, 32);
XBD_AT(struct xbd_hdr, commit, 40);
XBD_AT(struct xbd_hdr, stamp, 48);
XBD_AT(struct xbd_hdr, tag, 56);
_Static_assert(sizeof(struct xbd_ack) == 16, "ack");
_Static_assert(sizeof(struct xbd_promise) == 24, "promise");
_Static_assert(sizeof(struct xbd_record) == 256, "record");
XBD_AT(struct xbd_record, member, 24);
XBD_AT(struct xbd_record, base, 104);
XBD_AT(struct xbd_record, witness, 184);
XBD_AT(struct xbd_record, volume, 200);
_Static_assert(sizeof(struct xbd_state) == 936, "state");
XBD_AT(struct xbd_state, rec, 64);
XBD_AT(struct xbd_state, lin, 320);
XBD_AT(struct xbd_state, hist, 448);
XBD_AT(struct xbd_state, seen, 704);
_Static_assert(sizeof(struct xbd_join) == 392, "join");
_Static_assert(sizeof(struct xbd_sync) == 152, "sync");
_Static_assert(sizeof(struct xbd_list_entry) == 16, "list entry");
_Static_assert(sizeof(struct xbd_info) == 128, "info");
_Static_assert(sizeof(struct xbd_state) <= XBD_CONTROL_MAX, "state fits a control message");
_Static_assert(XBD_REGION_BLOCKS * sizeof(struct xbd_list_entry) <= XBD_CONTROL_MAX, "LIST_R");
_Static_assert(XBD_REGIONS_MAX * 4 <= XBD_CONTROL_MAX, "REGIONS_R");
_Static_assert(XBD_ACKS_MAX * sizeof(struct xbd_ack) <= XBD_CONTROL_MAX, "ACK");
_Static_assert(XBD_OP_UNITS <= 128, "units fit struct xbd_units and u8 nfrag");

#endif
