/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters: one per verdict and CPU, so that counting takes no lock. */
#ifndef XBD_KERN_COUNT_H
#define XBD_KERN_COUNT_H

#include "maps.h"

static __always_inline void count(__u32 verdict)
{
	__u64 *n = bpf_map_lookup_elem(&stats, &verdict);

	if (n)
		++*n;
}

#endif
