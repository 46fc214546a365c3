/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The k-th disk op fails, for every k of a piece of work, of an open and of a close: nothing may
 * hang, no operation may be acknowledged that is not there later, no wrong data may be read.
 *
 *   test_store_faults [SEEDS [FIRST_SEED [SECONDS]]]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "trial.h"

#define ULL	 unsigned long long
#define READS	 (1u << DISK_READ)
#define WRITES	 (1u << DISK_WRITE)
#define FLUSHES	 (1u << DISK_FLUSH)
#define DISCARDS (1u << DISK_DISCARD)

static uint64_t injected;

static bool hit(struct trial *r, uint64_t before)
{
	uint64_t now = fakedisk_stats(r->rig.fd)->errors;

	fakedisk_fail(r->rig.fd, 0, 0, 0, false);
	injected += now > before;
	return now > before;
}

/* False = there is no k-th op of these kinds in the work. */
static bool fail_work(uint64_t seed, uint64_t k, unsigned kinds, bool sticky)
{
	struct trial *r = trial_new(seed);
	bool was_hit;

	r->crashes = r->ckpt_crashes = 0;
	r->faults = true;
	fakedisk_fail(r->rig.fd, k, kinds, -EIO, sticky);
	trial_work(r, 80);
	trial_settle(r);
	was_hit = hit(r, 0);
	trial_crash(r);
	trial_free(r);
	return was_hit;
}

static bool fail_open(uint64_t seed, uint64_t k, unsigned kinds, bool sticky)
{
	struct trial *r = trial_new(seed);
	bool was_hit;

	r->crashes = r->ckpt_crashes = 0;
	r->faults = true;
	trial_work(r, 60);
	trial_cut(r);
	fakedisk_fail(r->rig.fd, k, kinds, -EIO, sticky);
	if (trial_open(r) != 0) {
		hit(r, 0);
		injected--;
		trial_check(r, trial_open(r) == 0, "does not open after an error has gone");
	}
	was_hit = hit(r, 0);
	trial_check_all(r);
	trial_work(r, 20);
	trial_settle(r);
	trial_crash(r);
	trial_free(r);
	return was_hit;
}

static bool fail_close(uint64_t seed, uint64_t k, unsigned kinds, bool sticky)
{
	struct trial *r = trial_new(seed);
	bool was_hit;
	int err;

	r->crashes = r->ckpt_crashes = 0;
	r->faults = true;
	trial_work(r, 40);
	trial_settle(r);
	fakedisk_fail(r->rig.fd, k, kinds, -EIO, sticky);
	err = rig_close(&r->rig);
	was_hit = hit(r, 0);
	trial_check(r, (err != 0) == was_hit, "close lies");
	trial_check(r, trial_open(r) == 0, "open failed");
	trial_check_all(r);
	trial_free(r);
	return was_hit;
}

static void all_k(bool (*f)(uint64_t, uint64_t, unsigned, bool), uint64_t seed, unsigned kinds,
		  bool sticky)
{
	for (uint64_t k = 1; f(seed, k, kinds, sticky); k++)
		;
}

static void one_seed(uint64_t seed)
{
	all_k(fail_work, seed, WRITES, false);
	all_k(fail_work, seed, FLUSHES, true);
	all_k(fail_work, seed, READS, false);
	all_k(fail_work, seed, READS, true);
	all_k(fail_work, seed, DISCARDS, false);
	all_k(fail_open, seed, WRITES | FLUSHES, false);
	all_k(fail_open, seed, READS, false);
	all_k(fail_close, seed, WRITES | FLUSHES, true);
}

int main(int argc, char **argv)
{
	uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 0) : 100;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	double seconds = argc > 3 ? atof(argv[3]) : argc > 1 ? 1e9 : 15;
	time_t start = time(NULL);

	while (seeds-- && difftime(time(NULL), start) < seconds)
		one_seed(seed++);
	printf("%llu runs, %llu errors injected, %llu operations refused, %llu blocks told "
	       "damaged, "
	       "%llu block states verified\n",
	       (ULL)total.runs, (ULL)injected, (ULL)total.failed, (ULL)total.bad,
	       (ULL)total.blocks);
	return injected ? 0 : 1;
}
