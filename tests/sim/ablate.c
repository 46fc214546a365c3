/* SPDX-License-Identifier: BSD-2-Clause */
#include "ablate.h"

#include <string.h>

uint64_t xbd_rules_off;

static const char *const names[] = {
#define X(name, text) #name,
	XBD_RULES(X)
#undef X
};

void ablate_none(void)
{
	xbd_rules_off = 0;
}

void ablate_only(enum xbd_rule rule)
{
	xbd_rules_off = 1ull << rule;
}

bool ablate_by_name(const char *name)
{
	for (unsigned i = 0; i < XBD_RULE_END; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		xbd_rules_off |= 1ull << i;
		return true;
	}
	return false;
}

const char *ablate_name(enum xbd_rule rule)
{
	return names[rule];
}
