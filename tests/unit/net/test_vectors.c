/* SPDX-License-Identifier: BSD-2-Clause */
/* Every golden packet meets the verdict written next to it. Argument: the file. */
#include "core/codec.h"
#include "vectors.h"

struct tally {
	unsigned wrong;
	bool type[256];
	bool verdict[XBD_V_END];
};

static void check(const struct vector *v, void *ctx)
{
	struct tally *t = ctx;
	struct xbd_keyring kr;
	struct xbd_msg m;
	int got;

	codec_keyring_public(&kr);
	got = codec_decode(&m, v->bytes, v->len, &kr, v->side);
	t->verdict[v->verdict] = true;
	if (got == XBD_V_ACCEPTED)
		t->type[m.h.type] = true;
	if (got == v->verdict)
		return;
	printf("%s: %s, not %s\n", v->name, verdict_names[got], verdict_names[v->verdict]);
	t->wrong++;
}

/* Verdicts that are reached by state or transport, not by a packet's bytes. */
static bool not_by_bytes(int v)
{
	return v < XBD_V_ACCEPTED || (v >= XBD_V_STALE && v != XBD_V_BODY_CRC);
}

int main(int argc, char **argv)
{
	struct tally t = {0};
	unsigned n;

	if (argc < 2)
		return 2;
	n = vectors_each(argv[1], check, &t);
	for (int v = 0; v < XBD_V_END; v++)
		if (!t.verdict[v] && !not_by_bytes(v)) {
			printf("no packet for verdict %s\n", verdict_names[v]);
			t.wrong++;
		}
	for (unsigned type = 1; type < XBD_T_END; type++)
		if (!t.type[type]) {
			printf("no good packet of type %u\n", type);
			t.wrong++;
		}
	printf("%u packets, %u wrong\n", n, t.wrong);
	return n < 70 || t.wrong ? 1 : 0;
}
