/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes proto/vectors/packets.txt to standard output. Its format is described in vectors.h. */
#include "core/codec.h"
#include "vectors.h"

#define SHARD 7u
#define EPOCH 3u

static struct xbd_keyring kr;
static uint8_t zeroes[XBD_OP_BLOCKS * XBD_BLOCK_SIZE];

/* A packet being made. */
static struct {
	uint8_t bytes[VECTOR_BYTES];
	uint32_t len;
} p;

static struct xbd_hdr *hdr(void)
{
	return (struct xbd_hdr *)p.bytes;
}

static void sign(void)
{
	hdr()->tag = xbd_siphash56(&kr.key[hdr()->key % XBD_KEYS], (const __u64 *)p.bytes);
}

static uint32_t run_at(uint32_t i)
{
	uint32_t n = 1;

	while (i + n < p.len && p.bytes[i + n] == p.bytes[i])
		n++;
	return n;
}

static void print_bytes(void)
{
	bool gap = true; /* between groups: of at most eight bytes, and around runs */

	for (uint32_t i = 0, n; i < p.len; i += n) {
		n = run_at(i);
		if (n > 8) {
			printf(" %02x*%u", p.bytes[i], n);
			gap = true;
			continue;
		}
		n = 1;
		printf("%s%02x", gap ? " " : "", p.bytes[i]);
		gap = i % 8 == 7;
	}
}

static void emit(enum xbd_side side, int verdict, const char *name)
{
	printf("%s %s \"%s\"", side == XBD_SIDE_STORE ? "STORE" : "CLIENT", verdict_names[verdict],
	       name);
	print_bytes();
	printf("\n");
}

/* The k-th packet of a message. */
static void make(const struct xbd_send *s, uint32_t frag_len, unsigned k)
{
	struct codec_iter it;
	const uint8_t *body;
	uint32_t len;

	codec_begin(&it, s, &kr, frag_len);
	do {
		if (!codec_next(&it, hdr(), &body, &len))
			abort();
	} while (k--);
	if (len)
		memcpy(p.bytes + sizeof(struct xbd_hdr), body, len);
	p.len = (uint32_t)sizeof(struct xbd_hdr) + len;
}

static struct xbd_send message(uint8_t type)
{
	return (struct xbd_send){.type = type,
				 .sender = xbd_type_to_store(type) ? XBD_SLOT_NONE : 1,
				 .shard = SHARD,
				 .ver = XBD_VER(EPOCH, 41),
				 .stamp = 0x1122334455};
}

static struct xbd_send with_body(uint8_t type, const void *body, uint32_t len)
{
	struct xbd_send s = message(type);

	s.body = body;
	s.body_len = len;
	return s;
}

static struct xbd_send with_data(uint8_t type, uint16_t blocks)
{
	static uint32_t crc[XBD_OP_BLOCKS];
	struct xbd_send s = with_body(type, zeroes, blocks * XBD_BLOCK_SIZE);

	for (uint32_t i = 0; i < blocks; i++)
		crc[i] = 0xc0ffee00 + i; /* of whole blocks: not checked per packet */
	s.count = blocks;
	s.block = 100;
	s.crc = crc;
	return s;
}

static enum xbd_side side_of(uint8_t type)
{
	return xbd_type_to_store(type) ? XBD_SIDE_STORE : XBD_SIDE_CLIENT;
}

/* ---- packets a correct peer sends: every type ---- */

static void good(const struct xbd_send *s, uint32_t frag_len, unsigned k, const char *name)
{
	make(s, frag_len, k);
	emit(side_of(s->type), XBD_V_ACCEPTED, name);
}

static void good_operations(void)
{
	struct xbd_send s = with_data(XBD_T_WRITE, 1);

	good(&s, 1024, 0, "first of four fragments of a write of one block");
	good(&s, 1024, 3, "last of four fragments of a write of one block");
	good(&s, 2048, 1, "second half of a write of one block");
	good(&s, 4096, 0, "a write of one block in one packet");
	s.flags = XBD_F_RETRY;
	good(&s, 4096, 0, "a write sent again");
	s = with_data(XBD_T_WRITE, XBD_OP_BLOCKS);
	good(&s, 1024, 127, "last fragment of the longest write");
	s = message(XBD_T_WRITE);
	s.flags = XBD_F_ZERO;
	s.count = XBD_RANGE_BLOCKS;
	good(&s, 1024, 0, "the longest write of zeroes");
	s.flags = XBD_F_TRIM;
	s.block = XBD_SHARD_BLOCKS_MAX - XBD_RANGE_BLOCKS;
	good(&s, 1024, 0, "a trim that ends where the largest shard ends");
	s = message(XBD_T_READ);
	s.count = XBD_OP_BLOCKS;
	good(&s, 1024, 0, "the longest read");
	s = with_data(XBD_T_DATA, 2);
	good(&s, 2048, 2, "third of four fragments of data read");
	s = message(XBD_T_DATA);
	s.count = 1;
	s.flags = XBD_F_BAD;
	good(&s, 1024, 0, "a block that fails its checksum");
	s.flags = 0;
	s.status = XBD_S_NOTSYNCED;
	good(&s, 1024, 0, "a read refused");
	s = with_data(XBD_T_REPAIR, 1);
	good(&s, 1024, 2, "third of four fragments of a repair");
	s = message(XBD_T_REPAIRED);
	s.status = XBD_S_CONFLICT;
	good(&s, 1024, 0, "a repair refused");
}

static void good_acks(void)
{
	static const struct xbd_units units = {{0x0f, 0}};
	static struct xbd_ack acks[XBD_ACKS_MAX];
	struct xbd_send s = message(XBD_T_ACK);

	s.flags = XBD_F_VOTER;
	s.count = 1;
	good(&s, 1024, 0, "an ack");
	s.body = acks;
	s.body_len = sizeof(acks);
	good(&s, 1024, 0, "an ack with the most further acks");
	s.flags = XBD_F_PARTIAL;
	s.body = &units;
	s.body_len = sizeof(units);
	good(&s, 1024, 0, "what has arrived of an operation");
}

static void good_control(void)
{
	static const struct xbd_promise promise = {.owner = {{1, 2, 3}}, .slot = 2};
	static const struct xbd_state state = {.store = {{4, 5, 6}}, .boot = 9, .prom = EPOCH};
	static const struct xbd_record record = {.bal = EPOCH, .epoch = EPOCH, .n = 3, .w = 2};
	static const struct xbd_join join = {.anc = 2, .nlin = 1, .lin = {2}};
	static const struct xbd_sync sync = {.nlin = 1, .lin = {2}, .store = {{4, 5, 6}}};
	static const struct xbd_info info = {.boot = 9, .blocks = 1000, .name = "n1"};
	static const struct xbd_list_entry list[XBD_REGION_BLOCKS] = {{.ver = 1, .crc = 2}};
	static const uint32_t regions[XBD_REGIONS_MAX] = {1, 2, 3};
	const struct {
		uint8_t type;
		const void *body;
		uint32_t len;
		const char *name;
	} all[] = {
		{XBD_T_STALE, NULL, 0, "the news that a newer epoch is promised"},
		{XBD_T_PROMISE, &promise, sizeof(promise), "the question for a promise"},
		{XBD_T_PROMISED, &state, sizeof(state), "a promise"},
		{XBD_T_REGIONS, NULL, 0, "the question which regions changed"},
		{XBD_T_LIST, NULL, 0, "the question for a region's versions"},
		{XBD_T_LIST_R, list, sizeof(list), "a region's versions"},
		{XBD_T_JOIN, &join, sizeof(join), "a join"},
		{XBD_T_JOINED, NULL, 0, "the answer to a join"},
		{XBD_T_SYNC, &sync, sizeof(sync), "a sync"},
		{XBD_T_SYNCED, NULL, 0, "the answer to a sync"},
		{XBD_T_ACCEPT, &record, sizeof(record), "a membership record to accept"},
		{XBD_T_ACCEPTED, NULL, 0, "a record accepted"},
		{XBD_T_LEASE, NULL, 0, "the question for a lease"},
		{XBD_T_LEASED, NULL, 0, "a lease"},
		{XBD_T_RELEASE, NULL, 0, "a lease given up"},
		{XBD_T_RELEASED, NULL, 0, "the answer to a lease given up"},
		{XBD_T_CREATE, &record, sizeof(record), "a shard to create"},
		{XBD_T_CREATED, NULL, 0, "a shard created"},
		{XBD_T_RETIRE, NULL, 0, "a shard to drop"},
		{XBD_T_RETIRED, NULL, 0, "a shard dropped"},
		{XBD_T_INFO, NULL, 0, "the question who a store is"},
		{XBD_T_INFO_R, &info, sizeof(info), "who a store is"},
	};
	struct xbd_send s;

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		s = with_body(all[i].type, all[i].body, all[i].len);
		good(&s, 1024, 0, all[i].name);
	}
	s = with_body(XBD_T_REGIONS_R, regions, sizeof(regions));
	s.count = XBD_REGIONS_MAX;
	s.flags = XBD_F_MORE;
	good(&s, 1024, 0, "the most region numbers, and there are more");
	s = message(XBD_T_PROMISED);
	s.status = XBD_S_NOSHARD;
	good(&s, 1024, 0, "a promise refused");
}

/* ---- packets that are refused ---- */

static void start_write(void)
{
	struct xbd_send s = with_data(XBD_T_WRITE, 1);

	make(&s, 1024, 1);
}

static void start_info(void)
{
	struct xbd_send s = message(XBD_T_INFO);

	make(&s, 1024, 0);
}

static void refused(int verdict, const char *name)
{
	if (p.len >= sizeof(struct xbd_hdr))
		sign();
	emit(XBD_SIDE_STORE, verdict, name);
}

/* A write with one field changed, signed again. */
#define BAD_WRITE(field, value, verdict, name)                                                     \
	do {                                                                                       \
		start_write();                                                                     \
		hdr()->field = (value);                                                            \
		refused(XBD_V_##verdict, name);                                                    \
	} while (0)
#define BAD_INFO(field, value, verdict, name)                                                      \
	do {                                                                                       \
		start_info();                                                                      \
		hdr()->field = (value);                                                            \
		refused(XBD_V_##verdict, name);                                                    \
	} while (0)

static void bad_lengths(void)
{
	struct xbd_send s = message(XBD_T_WRITE);

	start_info();
	p.len = 63;
	refused(XBD_V_SHORT, "a header without its last byte");
	p.len = 0;
	refused(XBD_V_SHORT, "an empty datagram");
	start_info();
	p.len = 64 + 4097;
	memset(p.bytes + 64, 0, 4097);
	refused(XBD_V_SHORT, "a datagram longer than any packet");
	start_info();
	p.len++;
	refused(XBD_V_LENGTH, "one byte more than the header says");
	start_write();
	p.len--;
	refused(XBD_V_LENGTH, "one byte less than the header says");
	start_info();
	hdr()->len = 8;
	p.len = 72;
	refused(XBD_V_LENGTH, "a body where none belongs");
	start_write();
	hdr()->len = 512;
	p.len = 64 + 512;
	refused(XBD_V_LENGTH, "a fragment of 512 bytes");
	s.flags = XBD_F_TRIM;
	s.count = 1;
	make(&s, 1024, 0);
	hdr()->nfrag = 1;
	refused(XBD_V_LENGTH, "a trim with a fragment");
}

static void bad_fields(void)
{
	BAD_INFO(magic, 0xbe, MAGIC, "another magic number");
	BAD_INFO(version, 2, VERSION, "another version");
	BAD_INFO(type, 0, TYPE, "type zero");
	BAD_INFO(type, XBD_T_END, TYPE, "the first type that does not exist");
	BAD_INFO(type, 255, TYPE, "type 255");
	BAD_INFO(type, XBD_T_ACK, DIRECTION, "an ack sent to a store");
	BAD_INFO(flags, XBD_F_MORE, FLAGS, "a question with an answer's flag");
	BAD_INFO(stamp, 1ull << 56, FLAGS, "a question with a status");
	BAD_WRITE(flags, XBD_F_VOTER, FLAGS, "a write with a flag of acks");
	BAD_INFO(shard, XBD_SHARDS_MAX, SHARD, "the first shard number that does not exist");
	BAD_INFO(sender, XBD_SLOTS, SENDER, "the first slot that does not exist");
	BAD_INFO(sender, 0xfe, SENDER, "slot 254");
	BAD_INFO(frag, 1, FRAGMENT, "a question in fragments");
	BAD_WRITE(ver, 5, EPOCH, "a write in epoch zero");
	BAD_WRITE(count, 0, COUNT, "a write of no blocks");
	BAD_WRITE(count, XBD_OP_BLOCKS + 1, COUNT, "a write of one block too many");
	BAD_WRITE(count, 2, FRAGMENT, "fewer fragments than the blocks need");
	BAD_WRITE(frag, 4, FRAGMENT, "a fragment behind the last");
	BAD_WRITE(nfrag, 5, FRAGMENT, "more fragments than the blocks need");
	BAD_WRITE(nfrag, 0, FRAGMENT, "data in no fragments");
	BAD_WRITE(block, XBD_SHARD_BLOCKS_MAX, RANGE, "a write behind the largest shard");
	BAD_WRITE(block, 0xffffffff, RANGE, "a write whose end wraps around");
	BAD_INFO(key, 4, KEY, "the first key that does not exist");
	BAD_INFO(key, 1, KEY, "a key not in use");
	BAD_INFO(key, 255, KEY, "key 255");
}

static void bad_sums(void)
{
	struct xbd_send s;
	struct xbd_record record = {.bal = EPOCH};

	start_info();
	hdr()->tag ^= 1;
	emit(XBD_SIDE_STORE, XBD_V_TAG, "one bit of the tag wrong");
	start_write();
	hdr()->commit ^= 1ull << 63;
	emit(XBD_SIDE_STORE, XBD_V_TAG, "a field changed after signing");
	s = with_body(XBD_T_ACCEPT, &record, sizeof(record));
	make(&s, 1024, 0);
	p.bytes[p.len - 1] ^= 0x80;
	emit(XBD_SIDE_STORE, XBD_V_BODY_CRC, "one bit of a control body wrong");
	s = message(XBD_T_LIST);
	s.block = XBD_REGION_BLOCKS + 1;
	make(&s, 1024, 0);
	emit(XBD_SIDE_STORE, XBD_V_RANGE, "a list that does not begin with a region");
	s = message(XBD_T_WRITE);
	s.flags = XBD_F_ZERO;
	s.count = XBD_RANGE_BLOCKS + 1;
	make(&s, 1024, 0);
	emit(XBD_SIDE_STORE, XBD_V_COUNT, "one block of zeroes too many");
	s = with_data(XBD_T_REPAIR, 1);
	make(&s, 1024, 0);
	hdr()->count = 2;
	hdr()->nfrag = 8;
	refused(XBD_V_COUNT, "a repair of two blocks");
	s = message(XBD_T_INFO);
	make(&s, 1024, 0);
	emit(XBD_SIDE_CLIENT, XBD_V_DIRECTION, "a question sent to a client");
}

int main(void)
{
	codec_keyring_public(&kr);
	printf("# Generated by tests/unit/net/make_vectors.c; format: tests/unit/net/vectors.h.\n");
	good_operations();
	good_acks();
	good_control();
	bad_lengths();
	bad_fields();
	bad_sums();
	return 0;
}
