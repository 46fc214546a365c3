/* SPDX-License-Identifier: BSD-2-Clause */
/* Command line: run seeds in one or more processes, sum up, print what failed. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ablate.h"
#include "sim.h"

struct cli {
	uint64_t seeds, start, seconds;
	unsigned jobs;
	enum scenario sc;
	bool trace, ablations, verbose, fresh;
	const char *list;    /* file of scenario and seed per line */
	uint64_t must_find;  /* rules */
	uint64_t stop_after; /* violations */
	const char *set[32];
	unsigned nset;
};

struct result {
	struct totals t;
	uint64_t seeds, violations;
	uint64_t first_seed; /* of the first violation; valid if violations */
	char first_why[512];
};

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void make_options(const struct cli *c, uint64_t seed, struct options *o)
{
	options_draw(o, seed, c->sc);
	for (unsigned i = 0; i < c->nset; i++)
		options_set(o, c->set[i]);
}

static void add_totals(struct totals *a, const struct totals *b)
{
#define X(name, text) a->name += b->name;
	SIM_TOTALS(X)
#undef X
}

static void report(const struct cli *c, const struct sim *s, const struct options *o)
{
	flockfile(stderr);
	fprintf(stderr, "VIOLATION seed %lu scenario %s: %s\n  options:", (unsigned long)s->seed,
		scenario_name(c->sc), s->why);
	options_print(o, stderr);
	fprintf(stderr, "  replay: sim --scenario %s --seed-start %lu --seeds 1",
		scenario_name(c->sc), (unsigned long)s->seed);
	for (unsigned i = 0; i < c->nset; i++)
		fprintf(stderr, " --set %s", c->set[i]);
	fprintf(stderr, " --trace\n");
	funlockfile(stderr);
}

/* Seeds start + job, start + job + jobs, ... */
static void run_job(const struct cli *c, unsigned job, struct result *r)
{
	struct sim *s = sim_new();
	double end = seconds() + (double)c->seconds;

	s->trace = c->trace;
	for (uint64_t i = job; i < c->seeds; i += c->jobs) {
		struct options o;

		if (c->seconds && seconds() > end)
			break;
		make_options(c, c->start + i, &o);
		r->seeds++;
		if (!sim_run(s, c->start + i, c->sc, &o)) {
			if (!r->violations++) {
				r->first_seed = c->start + i;
				memcpy(r->first_why, s->why, sizeof(r->first_why));
			}
			if (!c->ablations)
				report(c, s, &o);
		}
		if (c->verbose)
			printf("seed %lu: events %lu ops %lu opens %lu writes %lu reads %lu\n",
			       (unsigned long)s->seed, (unsigned long)s->total.events,
			       (unsigned long)s->total.ops, (unsigned long)s->total.opens,
			       (unsigned long)s->total.writes, (unsigned long)s->total.reads);
		add_totals(&r->t, &s->total);
		if (c->stop_after && r->violations >= c->stop_after)
			break;
	}
	sim_free(s);
}

static void add_result(struct result *sum, const struct result *r)
{
	add_totals(&sum->t, &r->t);
	sum->seeds += r->seeds;
	if (r->violations && (!sum->violations || r->first_seed < sum->first_seed)) {
		sum->first_seed = r->first_seed;
		memcpy(sum->first_why, r->first_why, sizeof(sum->first_why));
	}
	sum->violations += r->violations;
}

static void fork_job(const struct cli *c, unsigned job, int fds[2])
{
	if (pipe(fds))
		abort();
	fflush(stdout);
	if (fork() == 0) {
		struct result r = {0};

		run_job(c, job, &r);
		fflush(stdout);
		if (write(fds[1], &r, sizeof(r)) != sizeof(r))
			_exit(1);
		_exit(0);
	}
	close(fds[1]);
}

/* False: a process died. */
static bool run_all(const struct cli *c, struct result *sum)
{
	int fds[64][2];
	bool ok = true;

	if (c->jobs == 1) {
		run_job(c, 0, sum);
		return true;
	}
	for (unsigned j = 0; j < c->jobs; j++)
		fork_job(c, j, fds[j]);
	for (unsigned j = 0; j < c->jobs; j++) {
		struct result r;

		if (read(fds[j][0], &r, sizeof(r)) == sizeof(r))
			add_result(sum, &r);
		else
			ok = false;
		close(fds[j][0]);
	}
	while (wait(NULL) > 0)
		;
	return ok;
}

static int run_seeds(const struct cli *c)
{
	struct result r = {0};
	double t = seconds();
	bool ok = run_all(c, &r);

	t = seconds() - t;
	if (!ok)
		printf("a process died\n");
	printf("reads checked %lu, writes completed %lu, fenced %lu, swaps %lu\n",
	       (unsigned long)r.t.reads, (unsigned long)r.t.writes, (unsigned long)r.t.fenced,
	       (unsigned long)r.t.swaps);
	printf("seeds %lu, events %lu, client ops %lu, opens %lu, crashes %lu, disk losses %lu, "
	       "corruptions %lu, seeds/s %.0f, violations %lu\n",
	       (unsigned long)r.seeds, (unsigned long)r.t.events, (unsigned long)r.t.ops,
	       (unsigned long)r.t.opens, (unsigned long)r.t.crashes, (unsigned long)r.t.losses,
	       (unsigned long)r.t.corruptions, t > 0 ? (double)r.seeds / t : 0.0,
	       (unsigned long)r.violations);
	return !ok || r.violations ? 1 : 0;
}

/* A file of lines "SCENARIO SEED"; the rest of a line is a remark, as are lines with '#'. */
static int run_list(struct cli *c)
{
	FILE *f = fopen(c->list, "r");
	struct result sum = {0};
	char line[256], name[32];
	unsigned long seed;

	if (!f) {
		perror(c->list);
		return 2;
	}
	c->seeds = 1;
	c->jobs = 1;
	while (fgets(line, sizeof(line), f)) {
		struct result r = {0};

		if (line[0] == '#' || sscanf(line, "%31s %lu", name, &seed) != 2)
			continue;
		c->sc = scenario_by_name(name);
		c->start = seed;
		if (c->sc == SC_END) {
			fprintf(stderr, "%s: no scenario %s\n", c->list, name);
			fclose(f);
			return 2;
		}
		run_job(c, 0, &r);
		add_result(&sum, &r);
	}
	fclose(f);
	printf("listed seeds %lu, violations %lu\n", (unsigned long)sum.seeds,
	       (unsigned long)sum.violations);
	return sum.violations || !sum.seeds ? 1 : 0;
}

/* Switch off one rule after the other, or those named only: all of those must be found. */
static int run_ablations(struct cli *c)
{
	unsigned found = 0, missed = 0;

	c->ablations = true;
	c->stop_after = 1;
	for (unsigned i = 0; i < XBD_RULE_END; i++) {
		struct result r = {0};
		double t = seconds();

		if (c->must_find && !(c->must_find >> i & 1))
			continue;

		ablate_only((enum xbd_rule)i);
		if (!run_all(c, &r))
			snprintf(r.first_why, sizeof(r.first_why), "a process died");
		found += r.violations > 0;
		missed += r.violations == 0;
		printf("%-16s %s after %lu seeds, %.1f s%s%s\n", ablate_name((enum xbd_rule)i),
		       r.violations ? "found" : "NOT found", (unsigned long)r.seeds, seconds() - t,
		       r.first_why[0] ? ": " : "", r.first_why);
		fflush(stdout);
	}
	ablate_none();
	printf("rules %u, found %u\n", found + missed, found);
	return c->must_find && missed;
}

static void usage(FILE *f)
{
	fprintf(f, "usage: sim [--seeds N] [--seed-start S] [--seconds T] [--jobs J]\n"
		   "           [--scenario NAME] [--set OPTION=VALUE] [--trace] [--verbose]\n"
		   "           [--ablate RULE] [--ablations] [--stop-after N] [--fresh]\n"
		   "           [--list FILE] [--must-find RULE]\nscenarios:\n");
#define X(name, text) fprintf(f, "  %-8s %s\n", #name, text);
	SIM_SCENARIOS(X)
#undef X
	fprintf(f, "options:\n");
#define X(name, text) fprintf(f, "  %-14s %s\n", #name, text);
	SIM_OPTIONS(X)
#undef X
	fprintf(f, "rules:\n");
#define X(name, text) fprintf(f, "  %-16s %s\n", #name, text);
	XBD_RULES(X)
#undef X
}

static const struct option longs[] = {
	{"seeds", 1, 0, 'n'},	   {"seed-start", 1, 0, 's'},
	{"jobs", 1, 0, 'j'},	   {"scenario", 1, 0, 'c'},
	{"set", 1, 0, 'o'},	   {"trace", 0, 0, 't'},
	{"ablate", 1, 0, 'a'},	   {"ablations", 0, 0, 'A'},
	{"seconds", 1, 0, 'T'},	   {"list", 1, 0, 'l'},
	{"must-find", 1, 0, 'm'},  {"fresh", 0, 0, 'f'},
	{"help", 0, 0, 'h'},	   {"verbose", 0, 0, 'v'},
	{"stop-after", 1, 0, 'x'}, {0, 0, 0, 0},
};

/* False: bad value. */
static bool take_option(struct cli *c, int opt, const char *arg)
{
	struct options probe = {0};

	switch (opt) {
	case 'n':
		c->seeds = strtoull(arg, NULL, 0);
		return true;
	case 's':
		c->start = strtoull(arg, NULL, 0);
		return true;
	case 'T':
		c->seconds = strtoull(arg, NULL, 0);
		return true;
	case 'j':
		c->jobs = (unsigned)strtoul(arg, NULL, 0);
		return c->jobs >= 1 && c->jobs <= 64;
	case 'c':
		c->sc = scenario_by_name(arg);
		return c->sc != SC_END;
	case 'o':
		if (c->nset == sizeof(c->set) / sizeof(c->set[0]) || !options_set(&probe, arg))
			return false;
		c->set[c->nset++] = arg;
		return true;
	case 't':
		c->trace = true;
		return true;
	case 'm':
		c->ablations = true;
		if (!ablate_by_name(arg))
			return false;
		c->must_find |= xbd_rules_off;
		ablate_none();
		return true;
	case 'l':
		c->list = arg;
		return true;
	case 'f':
		c->fresh = true;
		return true;
	case 'v':
		c->verbose = true;
		return true;
	case 'x':
		c->stop_after = strtoull(arg, NULL, 0);
		return true;
	case 'a':
		return ablate_by_name(arg);
	case 'A':
		c->ablations = true;
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	struct cli c = {.seeds = 100, .start = 1, .jobs = 1, .sc = SC_any};
	int opt;

	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 512 << 20);
	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			return 0;
		}
		if (!take_option(&c, opt, optarg)) {
			usage(stderr);
			return 2;
		}
	}
	if (c.fresh) {
		c.start = (uint64_t)time(NULL) * 1000000 + (uint64_t)getpid() % 1000 * 1000;
		printf("seeds from %lu on\n", (unsigned long)c.start);
	}
	if (c.list)
		return run_list(&c);
	return c.ablations ? run_ablations(&c) : run_seeds(&c);
}
