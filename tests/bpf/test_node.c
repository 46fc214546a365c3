/* SPDX-License-Identifier: BSD-2-Clause */
/* Verdicts of xdp_node, packet by packet. Argument: the golden packets. */
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "node_prog.h"
#include "netns.h"
#include "tests/unit/net/vectors.h"

#define SEEDS	  128u
#define MUTATIONS 150000u

static const char *packets_txt;
static struct vector seeds[SEEDS];
static unsigned nseeds;
static struct frame frame;

static int action_of(int verdict)
{
	static const char what[][8] = {
#define X(name, what, text) #what,
		XBD_VERDICTS(X)
#undef X
	};

	if (!strcmp(what[verdict], "DROP"))
		return XDP_DROP;
	return strcmp(what[verdict], "STEER") ? XDP_PASS : XDP_REDIRECT;
}

static void expect(int verdict)
{
	int action, got = node_run(&frame, &action);

	if (got != verdict)
		print_message("verdict %s, not %s\n",
			      got < 0 || got >= XBD_V_END ? "?" : verdict_names[got],
			      verdict_names[verdict]);
	assert_int_equal(got, verdict);
	assert_int_equal(action, action_of(verdict));
}

/* The golden packet of that name. */
static const struct vector *seed(const char *name)
{
	for (unsigned i = 0; i < nseeds; i++)
		if (!strcmp(seeds[i].name, name))
			return &seeds[i];
	fail_msg("no packet: %s", name);
	return NULL;
}

static void wrap_seed(enum wrap how, const char *name)
{
	const struct vector *v = seed(name);

	wrap(&frame, how, v->bytes, v->len);
}

static void reset(void)
{
	struct xbd_keyring kr;

	codec_keyring_public(&kr);
	node_set_keys(&kr);
	node_configure(XBD_SIDE_STORE, UINT32_MAX);
	node_set_socket(true);
	node_set_fence(7, 0);
}

static void golden_packets_meet_their_verdicts(void **state)
{
	reset();
	for (unsigned i = 0; i < nseeds; i++) {
		const struct vector *v = &seeds[i];
		bool good = v->verdict == XBD_V_ACCEPTED || v->verdict == XBD_V_BODY_CRC;

		node_configure(v->side, UINT32_MAX);
		for (enum wrap how = 0; how < WRAP_END; how++) {
			wrap(&frame, how, v->bytes, v->len);
			expect(good ? XBD_V_STEERED : v->verdict);
		}
	}
}

static void without_a_socket_the_kernel_gets_it(void **state)
{
	reset();
	node_set_socket(false);
	wrap_seed(WRAP_IP4, "the longest read");
	expect(XBD_V_NO_SOCKET);
}

static void what_is_too_long_for_the_socket_goes_to_the_kernel(void **state)
{
	reset();
	wrap_seed(WRAP_IP4, "a write of one block in one packet");
	node_configure(XBD_SIDE_STORE, frame.len);
	expect(XBD_V_STEERED);
	node_configure(XBD_SIDE_STORE, frame.len - 1);
	expect(XBD_V_NO_SOCKET);
}

/* One byte of a good frame changed. */
static void with_byte(enum wrap how, uint32_t at, uint8_t value, int verdict)
{
	wrap_seed(how, "the longest read");
	frame.b[at] = value;
	expect(verdict);
}

static void other_traffic_passes(void **state)
{
	reset();
	with_byte(WRAP_IP4, 12, 0x86, XBD_V_NOT_OURS);	    /* EtherType */
	with_byte(WRAP_IP4, 23, 6, XBD_V_NOT_OURS);	    /* TCP */
	with_byte(WRAP_IP4, 33, 3, XBD_V_NOT_OURS);	    /* address */
	with_byte(WRAP_IP4, 37, 0xff, XBD_V_NOT_OURS);	    /* port */
	with_byte(WRAP_IP4, 14, 0x65, XBD_V_NOT_OURS);	    /* IP version */
	with_byte(WRAP_IP6, 20, 58, XBD_V_NOT_OURS);	    /* ICMPv6 */
	with_byte(WRAP_IP6, 53, 3, XBD_V_NOT_OURS);	    /* address */
	with_byte(WRAP_VLAN_IP4, 17, 0x06, XBD_V_NOT_OURS); /* ARP */
	with_byte(WRAP_VLAN_IP4, 16, 0x81, XBD_V_NOT_OURS); /* a second tag */
}

static void ip_fragments_and_options_pass(void **state)
{
	reset();
	with_byte(WRAP_IP4, 14, 0x46, XBD_V_IP_FRAGMENT); /* an option */
	with_byte(WRAP_IP4, 20, 0x20, XBD_V_IP_FRAGMENT); /* more fragments */
	with_byte(WRAP_IP4, 21, 1, XBD_V_IP_FRAGMENT);	  /* offset */
	with_byte(WRAP_IP4, 20, 0x40, XBD_V_STEERED);	  /* do not fragment */
	with_byte(WRAP_IP6, 20, 44, XBD_V_IP_FRAGMENT);
	with_byte(WRAP_IP6, 20, 0, XBD_V_IP_FRAGMENT);
	with_byte(WRAP_IP6, 20, 43, XBD_V_IP_FRAGMENT);
	with_byte(WRAP_VLAN_IP6, 24, 60, XBD_V_IP_FRAGMENT);
}

static void lengths_must_agree(void **state)
{
	reset();
	with_byte(WRAP_IP4, 17, 200, XBD_V_SHORT); /* IP longer than the frame */
	with_byte(WRAP_IP4, 39, 80, XBD_V_SHORT);  /* UDP longer than IP */
	with_byte(WRAP_IP4, 39, 71, XBD_V_SHORT);  /* UDP shorter than a header */
	with_byte(WRAP_IP4, 39, 0, XBD_V_SHORT);
	with_byte(WRAP_IP6, 19, 200, XBD_V_SHORT);
	wrap_seed(WRAP_IP4, "the longest read");
	frame.len += 12; /* padding at the end of a frame */
	expect(XBD_V_STEERED);
}

static void truncated_packets_never_go_up(void **state)
{
	static const char *const names[] = {"an ack with the most further acks",
					    "first of four fragments of a write of one block",
					    "a membership record to accept", "the longest read"};

	reset();
	for (unsigned i = 0; i < 4; i++) {
		node_configure(seed(names[i])->side, UINT32_MAX);
		for (enum wrap how = 0; how < WRAP_END; how++) {
			wrap_seed(how, names[i]);
			for (frame.len--; frame.len >= 14; frame.len--)
				expect(frame.len < wrap_head(how) ? XBD_V_NOT_OURS : XBD_V_SHORT);
		}
	}
}

static void old_epochs_are_fenced_per_shard(void **state)
{
	int notified = 0, dropped = 0;

	reset();
	wrap_seed(WRAP_IP4, "the longest read"); /* shard 7, epoch 3 */
	node_set_fence(7, 3);
	expect(XBD_V_STEERED);
	node_set_fence(8, 9);
	expect(XBD_V_STEERED);
	node_set_fence(7, 4);
	for (int i = 0; i < 2000; i++) {
		int action, v = node_run(&frame, &action);

		assert_true(v == XBD_V_STALE_NOTIFY || v == XBD_V_STALE);
		assert_int_equal(action, action_of(v));
		notified += v == XBD_V_STALE_NOTIFY;
		dropped += v == XBD_V_STALE;
	}
	assert_true(notified >= 1 && notified < dropped);
	wrap_seed(WRAP_IP4, "the question for a promise"); /* not inside an epoch */
	expect(XBD_V_STEERED);
	node_set_fence(7, 0);
	node_set_fence(8, 0);
}

static void stale_packets_are_let_up_once_a_millisecond(void **state)
{
	struct timespec t0, t;
	uint64_t ms;
	int notified = 0;

	reset();
	wrap_seed(WRAP_IP6, "the longest read");
	node_set_fence(7, 4);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	do {
		int action;

		notified += node_run(&frame, &action) == XBD_V_STALE_NOTIFY;
		clock_gettime(CLOCK_MONOTONIC, &t);
		ms = (uint64_t)(t.tv_sec - t0.tv_sec) * 1000 + (uint64_t)t.tv_nsec / 1000000 -
		     (uint64_t)t0.tv_nsec / 1000000;
	} while (ms < 50);
	assert_in_range(notified, 1, ms + 2);
	node_set_fence(7, 0);
}

static void keys_can_be_changed(void **state)
{
	struct xbd_keyring kr = {.live = 2, .use = 1, .key[1] = {{1, 2}}};
	struct xbd_send s = {.type = XBD_T_INFO, .sender = XBD_SLOT_NONE};
	struct codec_iter it;
	struct xbd_hdr h;
	const uint8_t *body;
	uint32_t len;

	reset();
	codec_begin(&it, &s, &kr, 1024);
	assert_true(codec_next(&it, &h, &body, &len));
	wrap(&frame, WRAP_IP4, &h, sizeof(h));
	expect(XBD_V_KEY);
	node_set_keys(&kr);
	expect(XBD_V_STEERED);
	wrap_seed(WRAP_IP4, "the longest read"); /* key 0, not live any more */
	expect(XBD_V_KEY);
	kr.key[1].k[0]++;
	node_set_keys(&kr);
	wrap(&frame, WRAP_IP4, &h, sizeof(h));
	expect(XBD_V_TAG);
}

static uint64_t rng_state;

static uint32_t rng(uint32_t below)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (uint32_t)(rng_state >> 16) % below;
}

/* Program and native check agree; a redirect may have been counted as either kind of stale. */
static unsigned agreed[XBD_V_END];

static void expect_agreement(void)
{
	int action, want = node_native(&frame), got = node_run(&frame, &action);

	if (got == XBD_V_STALE_NOTIFY)
		want = want == XBD_V_STALE ? XBD_V_STALE_NOTIFY : want;
	if (got != want)
		print_message("XDP says %s, natively %s\n", verdict_names[got],
			      verdict_names[want]);
	assert_int_equal(got, want);
	assert_int_equal(action, action_of(got));
	agreed[got]++;
}

/* A mutation loop that only ever meets one verdict would prove nothing. */
static void expect_variety(void)
{
	for (int v = XBD_V_STEERED; v < XBD_V_STALE; v++) {
		if (v == XBD_V_ACCEPTED) /* of UDP sockets */
			continue;
		print_message("%-12s %6u\n", verdict_names[v], agreed[v]);
		assert_true(agreed[v] > 10);
	}
}

static void sign(uint8_t *pkt)
{
	struct xbd_key zero = {{0, 0}};
	__u64 words[7], tag;

	memcpy(words, pkt, sizeof(words));
	tag = xbd_siphash56(&zero, words);
	memcpy(pkt + 56, &tag, 8);
}

static void every_header_byte_is_looked_at_as_natively(void **state)
{
	static const uint8_t bits[] = {1, 2, 4, 8, 16, 32, 64, 128, 255};
	enum wrap how = 0;

	reset();
	for (unsigned i = 0; i < nseeds; i += 3) {
		if (seeds[i].len < 64 || seeds[i].len > 1200)
			continue;
		node_configure(seeds[i].side, UINT32_MAX);
		for (uint32_t at = 0; at < wrap_head(how) + 64; at++)
			for (unsigned b = 0; b < 9; b++) {
				wrap(&frame, how, seeds[i].bytes, seeds[i].len);
				frame.b[at] ^= bits[b];
				expect_agreement();
				if (at < wrap_head(how))
					continue;
				sign(frame.b + wrap_head(how));
				expect_agreement();
			}
		how = (how + 1) % WRAP_END;
	}
}

static void random_mutations_get_the_native_verdict(void **state)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	rng_state = (uint64_t)t.tv_nsec << 20 | 1;
	print_message("seed %llu\n", (unsigned long long)rng_state);
	reset();
	node_set_fence(7, 3);
	for (unsigned n = 0; n < MUTATIONS; n++) {
		const struct vector *v = &seeds[rng(nseeds)];
		enum wrap how = rng(WRAP_END);

		if (v->len < 64)
			continue;
		if (n % 4096 == 0)
			node_configure(n / 4096 % 2 ? XBD_SIDE_CLIENT : XBD_SIDE_STORE, 1100);
		wrap(&frame, how, v->bytes, v->len);
		for (unsigned k = rng(3); k; k--)
			frame.b[wrap_head(how) + rng(64)] = (uint8_t)rng(256);
		if (rng(4))
			sign(frame.b + wrap_head(how));
		if (rng(8) == 0)
			frame.b[rng(wrap_head(how))] = (uint8_t)rng(256);
		if (rng(8) == 0)
			frame.len = 14 + rng(frame.len - 13);
		expect_agreement();
	}
	expect_variety();
	node_set_fence(7, 0);
}

static void keep_seed(const struct vector *v, void *ctx)
{
	if (nseeds < SEEDS)
		seeds[nseeds++] = *v;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_packets_meet_their_verdicts),
		cmocka_unit_test(without_a_socket_the_kernel_gets_it),
		cmocka_unit_test(what_is_too_long_for_the_socket_goes_to_the_kernel),
		cmocka_unit_test(other_traffic_passes),
		cmocka_unit_test(ip_fragments_and_options_pass),
		cmocka_unit_test(lengths_must_agree),
		cmocka_unit_test(truncated_packets_never_go_up),
		cmocka_unit_test(old_epochs_are_fenced_per_shard),
		cmocka_unit_test(stale_packets_are_let_up_once_a_millisecond),
		cmocka_unit_test(keys_can_be_changed),
		cmocka_unit_test(every_header_byte_is_looked_at_as_natively),
		cmocka_unit_test(random_mutations_get_the_native_verdict),
	};
	int failed;

	if (argc < 2)
		return 2;
	packets_txt = argv[1];
	netns_enter_new();
	vectors_each(packets_txt, keep_seed, NULL);
	if (!node_load())
		return SKIP;
	failed = cmocka_run_group_tests_name("xdp-node", tests, NULL, NULL);
	node_free();
	return failed ? 1 : 0;
}
