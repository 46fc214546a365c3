/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random work on a small store, power cuts at random points (also inside recovery and checkpoints),
 * and a check of everything after each.
 *
 *   test_store_crash [RUNS [FIRST_SEED [SECONDS]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "trial.h"

#define ULL unsigned long long

static void one_run(uint64_t seed)
{
	struct trial *r = trial_new(seed);

	trial_work(r, 600);
	trial_crash(r);
	trial_check(r, rig_close(&r->rig) == 0, "close failed");
	trial_check(r, trial_open(r) == 0, "open failed");
	trial_check_all(r);
	trial_free(r);
}

int main(int argc, char **argv)
{
	uint64_t runs = argc > 1 ? strtoull(argv[1], NULL, 0) : 600;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	double seconds = argc > 3 ? atof(argv[3]) : argc > 1 ? 1e9 : 20;
	time_t start = time(NULL);

	while (runs-- && difftime(time(NULL), start) < seconds)
		one_run(seed++);
	printf("%llu runs, %llu crash states checked (%llu inside recovery), %llu operations "
	       "(%llu acknowledged), %llu block states verified, %llu checkpoints\n",
	       (ULL)total.runs, (ULL)total.crashes, (ULL)total.in_recovery, (ULL)total.ops,
	       (ULL)total.acked, (ULL)total.blocks, (ULL)total.checkpoints);
	return total.crashes ? 0 : 1;
}
