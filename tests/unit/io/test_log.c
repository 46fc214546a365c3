/* SPDX-License-Identifier: BSD-2-Clause */
/* Log lines: whole, prefixed, and cut when they flood. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/log.h"

static int pipe_fd[2], saved;

static int setup(void **state)
{
	saved = dup(STDERR_FILENO);
	if (saved < 0 || pipe2(pipe_fd, O_NONBLOCK | O_CLOEXEC))
		return -1;
	return dup2(pipe_fd[1], STDERR_FILENO) < 0;
}

static int teardown(void **state)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	return 0;
}

static const char *taken(void)
{
	static char text[65536];
	ssize_t n = read(pipe_fd[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void lines_say_who_speaks(void **state)
{
	log_open("xbdd", "a", false);
	log_info("shard %u: created", 7);
	assert_string_equal(taken(), "xbdd[a]: shard 7: created\n");
	log_open("xbdd", "b", true);
	log_info("not shown");
	log_warn("shown");
	assert_string_equal(taken(), "xbdd[b]: shown\n");
}

static void long_lines_are_cut_and_still_end(void **state)
{
	char long_text[5000];
	const char *out;

	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	log_open("xbdd", "a", false);
	log_warn("%s", long_text);
	out = taken();
	assert_int_equal(strlen(out), 1023);
	assert_int_equal(out[strlen(out) - 1], '\n');
	assert_int_equal(out[strlen(out) - 2], 'x');
}

static void a_flood_is_cut(void **state)
{
	unsigned lines = 0;

	log_open("xbdd", "a", false);
	for (unsigned i = 0; i < 10 * LOG_BURST; i++)
		log_warn("%u", i);
	for (const char *p = taken(); *p; p++)
		lines += *p == '\n';
	assert_true(lines > LOG_BURST / 2 && lines <= LOG_BURST);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(lines_say_who_speaks),
		T(long_lines_are_cut_and_still_end),
		T(a_flood_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
