/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of a store on disk, format 1. Little endian, everything in units of 4 KiB.
 *
 *   zone S  superblock, 4 copies: at 0, 256 KiB, 512 KiB and in the last 4 KiB
 *   zone H  shard pages: shards_max pages, then all of them again (second copy)
 *   zone W  journal: a ring of journal blocks
 *   zone T  table extents: per extent 128 table pages, then all of them again (second copy)
 *   zone D  data slots of 4 KiB; slot numbers start at 1, 0 means "no slot"
 *
 * A block of a shard lives in any slot; the table says in which, with what version and checksum.
 * Data is never overwritten in place: a write goes to a free slot and a journal record moves the
 * table entry. Table and shard pages are changed in memory and written out by checkpoints. The set
 * of free slots is not stored: it is what no table entry names, and is rebuilt by store_open.
 *
 * Invariants
 *  1. entry -> slot is one-to-one; a slot is free iff no entry and no operation in flight names it.
 *  2. A journal block is written once. One journal write (of 1..n consecutive blocks) is in flight
 *     at a time, so all blocks before a durable one are durable.
 *  3. `durable` in a journal block: every record in blocks up to it is durable, and its data too.
 *     Records behind the highest `durable` found are believed only if their data verifies.
 *  4. A damaged journal block at or below the highest `durable` is corruption, never a torn tail.
 *  5. An old slot is free only after the record that replaces it is durable.
 *  6. page.lsn = L: the page contains every record up to L. It may contain later WRITE and ZERO
 *     records (replaying them again is harmless: they apply only over lower versions) but no later
 *     REPAIR or DROP: those are applied only when L has reached them.
 *  7. Both copies of a page are written in each checkpoint, one after the other: each valid copy
 *     with the journal from super.ckpt_lsn on gives the same contents, whichever copy is damaged.
 *     A copy that may be the only valid one (after a crash) is written last.
 *  8. gen = lsn of the record that created or dropped the shard. A table page counts only for the
 *     gen in its header; EXTENT, WRITE, ZERO and REPAIR records at or below gen are of a former
 * life.
 *  9. Recovery ends with a checkpoint at the highest lsn ever seen in the journal: records it did
 *     not believe can never come back, and no lsn is used twice.
 * 10. A shard page names an extent only when its EXTENT record is durable; all pages of the extent
 *     are written by the next checkpoint, and until then replaying the record makes them empty.
 */
#ifndef XBD_STORE_FORMAT_H
#define XBD_STORE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

#define FMT_VERSION	  1u
#define FMT_PAGE	  4096u
#define FMT_SUPER_MAGIC	  0x31534258u /* "XBS1" */
#define FMT_SHARD_MAGIC	  0x31484258u /* "XBH1" */
#define FMT_TABLE_MAGIC	  0x31544258u /* "XBT1" */
#define FMT_JOURNAL_MAGIC 0x314a4258u /* "XBJ1" */

#define FMT_SUPER_COPIES 4u
#define FMT_SUPER_STEP	 (256u * 1024)	/* distance of the first three copies, bytes */
#define FMT_ZONES_AT	 (1024u * 1024) /* first byte of zone H */

#define FMT_ENTRIES	252u				     /* table entries in a page */
#define FMT_EXT_PAGES	128u				     /* table pages in an extent */
#define FMT_EXT_BLOCKS	(FMT_EXT_PAGES * FMT_ENTRIES)	     /* 32256 blocks: 126 MiB */
#define FMT_EXT_REGIONS (FMT_EXT_BLOCKS / XBD_REGION_BLOCKS) /* 504 */
#define FMT_EXT_BYTES	(2u * FMT_EXT_PAGES * FMT_PAGE)	     /* both copies: 1 MiB */
#define FMT_SHARD_EXTS	((XBD_SHARD_BLOCKS_MAX + FMT_EXT_BLOCKS - 1) / FMT_EXT_BLOCKS)
#define FMT_SLOTS_MAX	0x7ffffffeu /* 8 TiB */

/* Every page starts with this; crc covers bytes 8..4095, seeded by the store's seed and magic. */
struct fmt_page {
	uint32_t magic; /* 0 */
	uint32_t crc;	/* 4 */
	uint64_t uuid8; /* 8 first 8 bytes of the store's UUID */
};

struct fmt_super {
	uint32_t magic, crc;	 /*   0 */
	uint64_t uuid8;		 /*   8 */
	uint32_t version;	 /*  16 FMT_VERSION */
	uint32_t clean;		 /*  20 1 = closed in order */
	uint64_t seq;		 /*  24 raised by every write of the superblock */
	struct xbd_uuid uuid;	 /*  32 */
	struct xbd_uuid cluster; /*  48 */
	uint64_t boot;		 /*  64 raised by every open */
	uint64_t seed;		 /*  72 */
	uint64_t bytes;		 /*  80 size of the store */
	uint64_t shards_at;	 /*  88 zone H, bytes */
	uint64_t journal_at;	 /*  96 zone W, bytes */
	uint64_t table_at;	 /* 104 zone T, bytes */
	uint64_t data_at;	 /* 112 zone D, bytes */
	uint32_t shards_max;	 /* 120 */
	uint32_t journal_blocks; /* 124 */
	uint32_t extents;	 /* 128 */
	uint32_t slots;		 /* 132 slot numbers are 1..slots */
	uint32_t spare;		 /* 136 slots kept back for overwriting */
	uint32_t pad;		 /* 140 zero */
	uint64_t ckpt_lsn;	 /* 144 the pages contain every record up to here */
	uint8_t pad2[FMT_PAGE - 152];
};

/* Table entry. */
struct fmt_entry {
	uint32_t slot; /* slot number, or FMT_SLOT_*; bit FMT_SLOT_BAD: the content is damaged */
	uint32_t crc;  /* seeded checksum, 0 = zeroes */
	uint64_t ver;  /* 0 = never written */
};
#define FMT_SLOT_NONE 0u	  /* never written, or zeroes */
#define FMT_SLOT_TRIM 0x7fffffffu /* zeroes, space given back on purpose */
#define FMT_SLOT_BAD  0x80000000u /* flag; with FMT_SLOT_NONE: nothing is known but ver */

struct fmt_table {
	uint32_t magic, crc; /*  0 */
	uint64_t uuid8;	     /*  8 */
	uint64_t lsn;	     /* 16 */
	uint64_t gen;	     /* 24 */
	uint32_t shard;	     /* 32 */
	uint32_t index;	     /* 36 number of the page in the shard: first block / FMT_ENTRIES */
	uint8_t pad[24];     /* 40 zero */
	struct fmt_entry entry[FMT_ENTRIES]; /* 64 */
};

struct fmt_shard {
	uint32_t magic, crc;	      /*  0 */
	uint64_t uuid8;		      /*  8 */
	uint64_t lsn;		      /* 16 */
	uint64_t gen;		      /* 24 */
	uint32_t index;		      /* 32 which shard page this is */
	uint32_t shard;		      /* 36 shard id */
	uint32_t used;		      /* 40 1 = holds a shard, 0 = free */
	uint8_t pad[20];	      /* 44 zero */
	struct xbd_state state;	      /*   64 */
	uint32_t ext[FMT_SHARD_EXTS]; /* 1000 extent number + 1, 0 = none */
	uint8_t pad2[FMT_PAGE - 1000 - 4 * FMT_SHARD_EXTS];
};

struct fmt_journal {
	uint32_t magic, crc; /*  0 */
	uint64_t uuid8;	     /*  8 */
	uint64_t lsn;	     /* 16 number of this block; its place is lsn % journal_blocks */
	uint64_t durable;    /* 24 see invariant 3 */
	uint64_t chain; /* 32 crc << 32 | low half of lsn, of the block before; 0 = first of a boot
			 */
	uint64_t boot;	/* 40 */
	uint16_t used;	/* 48 bytes used by records */
	uint16_t records;	     /* 50 */
	uint8_t pad[12];	     /* 52 zero */
	uint8_t body[FMT_PAGE - 64]; /* 64 */
};
#define FMT_JOURNAL_BODY (FMT_PAGE - 64u)

enum fmt_record_type {
	REC_WRITE = 1, /* blocks move to slots, where ver is higher */
	REC_ZERO,      /* blocks become zeroes, where ver is higher */
	REC_REPAIR,    /* one block becomes this, whatever it was */
	REC_EXTENT,    /* table extent `slot` becomes number `block` of the shard, empty */
	REC_STATE,     /* state of the shard in shard page `slot`, created if absent */
	REC_DROP,      /* extents given back, state replaced */
};

/* A record: this, then more checksums (WRITE of count > 2) or struct xbd_state (STATE, DROP). */
struct fmt_record {
	uint8_t type;	 /*  0 enum fmt_record_type */
	uint8_t flags;	 /*  1 STORE_F_TRIM, STORE_F_ZERO */
	uint16_t count;	 /*  2 blocks */
	uint16_t shard;	 /*  4 */
	uint16_t len;	 /*  6 bytes of the record, multiple of 8 */
	uint32_t block;	 /*  8 */
	uint32_t slot;	 /* 12 first slot; further blocks in further slots */
	uint64_t ver;	 /* 16 */
	uint32_t crc[2]; /* 24 of the first two blocks */
	uint32_t more[]; /* 32 */
};

_Static_assert(sizeof(struct fmt_super) == FMT_PAGE, "superblock");
XBD_AT(struct fmt_super, ckpt_lsn, 144);
_Static_assert(sizeof(struct fmt_entry) == 16, "entry");
_Static_assert(sizeof(struct fmt_table) == FMT_PAGE, "table page");
_Static_assert(sizeof(struct fmt_shard) == FMT_PAGE, "shard page");
XBD_AT(struct fmt_shard, state, 64);
XBD_AT(struct fmt_shard, ext, 1000);
_Static_assert(sizeof(struct fmt_journal) == FMT_PAGE, "journal block");
XBD_AT(struct fmt_journal, body, 64);
_Static_assert(sizeof(struct fmt_record) == 32, "record");
_Static_assert(FMT_EXT_BLOCKS % XBD_REGION_BLOCKS == 0, "regions do not straddle extents");
_Static_assert(XBD_RANGE_BLOCKS <= UINT16_MAX && XBD_SHARDS_MAX - 1 <= UINT16_MAX, "record fields");
_Static_assert(sizeof(struct xbd_state) % 8 == 0, "records stay aligned");

#endif
