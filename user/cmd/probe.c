/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/probe.h"

#include <stdbool.h>
#include <string.h>

struct magic {
	size_t offset;
	const char *bytes;
	size_t len;
	const char *what;
};

#define M(offset, text, what)                                                                      \
	{                                                                                          \
		offset, text, sizeof(text) - 1, what                                               \
	}
static const struct magic magics[] = {
	M(0, "XBS1", "an xbd store"),
	M(0x438, "\x53\xef", "an ext2, ext3 or ext4 file system"),
	M(0, "XFSB", "an XFS file system"),
	M(0x10040, "_BHRfS_M", "a btrfs file system"),
	M(512, "EFI PART", "a GPT partition table"),
	M(512, "LABELONE", "an LVM physical volume"),
	M(0, "LUKS\xba\xbe", "a LUKS volume"),
	M(4086, "SWAPSPACE2", "swap space"),
	M(4096, "\xfc\x4e\x2b\xa9", "a RAID member (md)"),
	M(3, "NTFS    ", "an NTFS file system"),
	M(0, "QFI\xfb", "a qcow2 image"),
	M(0, "BlueStore", "a Ceph BlueStore device"),
	M(510, "\x55\xaa", "a partition table or boot sector"),
};

const char *probe(const unsigned char *start, size_t len)
{
	bool zero = true;

	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		const struct magic *m = &magics[i];

		if (m->offset + m->len <= len && !memcmp(start + m->offset, m->bytes, m->len))
			return m->what;
	}
	for (size_t i = 0; i < len && zero; i++)
		zero = !start[i];
	return zero ? NULL : "data";
}
