/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What xbd-lossy and its program share. */
#ifndef XBD_TEST_LOSSY_H
#define XBD_TEST_LOSSY_H

#include <linux/types.h>

/* Probabilities: 2^32 = always. */
struct lossy_config {
	__u64 loss, reorder, dup;
};

/* X(name, text) */
#define LOSSY_COUNTERS(X)                                                                          \
	X(seen, "UDP packets seen")                                                                \
	X(lost, "dropped")                                                                         \
	X(held, "held back")                                                                       \
	X(released, "released behind later packets")                                               \
	X(duplicated, "duplicated")                                                                \
	X(unsegmented, "GSO super-packets: lost or duplicated whole, never reordered")             \
	X(failed, "changes that the kernel refused")

enum lossy_counter {
#define X(name, text) LOSSY_##name,
	LOSSY_COUNTERS(X)
#undef X
		LOSSY_END
};

#endif
