/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Usage: FUZZER [--seconds N] [--seed N] CORPUS...
 *
 * Runs a libFuzzer target without libFuzzer: every file of the corpus (files or directories), then
 * random mutations of them until the time is over. No coverage feedback; for builds by any
 * compiler. A failure aborts; the input is in the file crash-input then.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX  65536u
#define CORPUS_MAX 1024u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct input {
	uint8_t *data;
	size_t size;
} corpus[CORPUS_MAX];
static unsigned ncorpus;
static uint8_t current[INPUT_MAX];
static size_t current_size;
static uint64_t rng;

static uint64_t next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static void on_abort(int signo)
{
	int fd = open("crash-input", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	if (fd >= 0 && write(fd, current, current_size) >= 0)
		close(fd);
	signal(signo, SIG_DFL);
	raise(signo);
}

static void load(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct input *in = &corpus[ncorpus];

	if (!f || ncorpus == CORPUS_MAX) {
		fprintf(stderr, "%s: %s\n", path, f ? "too many inputs" : strerror(errno));
		exit(2);
	}
	in->data = malloc(INPUT_MAX);
	if (!in->data)
		exit(2);
	in->size = fread(in->data, 1, INPUT_MAX, f);
	ncorpus++;
	fclose(f);
}

static void load_all(const char *path)
{
	struct stat st;
	struct dirent *e;
	char name[4096];
	DIR *d;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		load(path);
		return;
	}
	d = opendir(path);
	if (!d) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(2);
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		load(name);
	}
	closedir(d);
}

static void run(const uint8_t *data, size_t size)
{
	/* A copy of its own size, so that a sanitizer sees reads beyond it. */
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		exit(2);
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

/* Values that sit at the edges of what parsers check. */
static uint64_t edge(void)
{
	static const uint64_t edges[] = {0,	     1,		2,	   0x7f,       0x80,
					 0xff,	     0x100,	0xfff,	   0x1000,     0xffff,
					 0x10000,    0x20000,	0x2000000, 0x7fffffff, 0x80000000,
					 UINT32_MAX, INT64_MAX, UINT64_MAX};

	return edges[next_random() % (sizeof(edges) / sizeof(edges[0]))];
}

static void mutate_once(void)
{
	size_t at = current_size ? next_random() % current_size : 0;
	size_t width = (size_t)1 << next_random() % 4;
	uint64_t v = edge() + next_random() % 3 - 1;
	const struct input *other = &corpus[next_random() % ncorpus];
	size_t n, from;

	switch (next_random() % 6) {
	case 0: /* flip a bit */
		if (current_size)
			current[at] ^= (uint8_t)(1u << next_random() % 8);
		break;
	case 1: /* a random byte */
		if (current_size)
			current[at] = (uint8_t)next_random();
		break;
	case 2: /* an edge value, big or little endian */
		if (next_random() & 1)
			v = __builtin_bswap64(v) >> (64 - 8 * width);
		if (at + width <= current_size)
			memcpy(current + at, &v, width);
		break;
	case 3: /* cut a piece out */
		n = next_random() % 64 % (current_size - at + 1);
		memmove(current + at, current + at + n, current_size - at - n);
		current_size -= n;
		break;
	default: /* put in a piece of another input */
		from = other->size ? next_random() % other->size : 0;
		n = next_random() % 256 % (other->size - from + 1);
		if (current_size + n > INPUT_MAX)
			break;
		memmove(current + at + n, current + at, current_size - at);
		memcpy(current + at, other->data + from, n);
		current_size += n;
		break;
	}
}

static void mutate(void)
{
	const struct input *in = &corpus[next_random() % ncorpus];
	unsigned times = 1 + (unsigned)(next_random() % 8);

	memcpy(current, in->data, in->size);
	current_size = in->size;
	while (times--)
		mutate_once();
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seconds", 1, NULL, 't'}, {"seed", 1, NULL, 's'}, {NULL, 0, NULL, 0}};
	double seconds = 2, end;
	uint64_t seed = (uint64_t)time(NULL), runs = 0;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 't')
			seconds = atof(optarg);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	for (int i = optind; i < argc; i++)
		load_all(argv[i]);
	if (ncorpus == 0) {
		fprintf(stderr, "no corpus\n");
		return 2;
	}
	signal(SIGABRT, on_abort);
	signal(SIGSEGV, on_abort);
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	rng = seed * 2 + 1;
	for (unsigned i = 0; i < ncorpus; i++) {
		current_size = corpus[i].size;
		memcpy(current, corpus[i].data, current_size);
		run(current, current_size);
	}
	for (end = now() + seconds; now() < end; runs++) {
		mutate();
		run(current, current_size);
	}
	printf("%u inputs of the corpus, %llu mutations\n", ncorpus, (unsigned long long)runs);
	for (unsigned i = 0; i < ncorpus; i++)
		free(corpus[i].data);
	return 0;
}
