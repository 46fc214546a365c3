/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: a server on an event loop in a child process, clients here. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin/admin.h"
#include "base/error.h"

#define BIG 300000

static char dir[64], path[128];
static pid_t child;

static json_t *on_hello(void *ctx, const json_t *req)
{
	return json_pack("{s:s, s:O}", "hello", (const char *)ctx, "request", (json_t *)req);
}

static json_t *on_big(void *ctx, const json_t *req)
{
	json_t *list = json_array();

	for (int i = 0; i < BIG; i++)
		json_array_append_new(list, json_integer(i));
	return json_pack("{s:o}", "list", list);
}

static struct loop *stopping;

static json_t *on_stop(void *ctx, const json_t *req)
{
	loop_stop(stopping);
	return json_object();
}

static json_t *on_none(void *ctx, const json_t *req)
{
	return NULL;
}

static const struct admin_handler handlers[] = {
	{"hello", on_hello}, {"big", on_big}, {"stop", on_stop}, {"none", on_none}, {NULL, NULL}};

static int serve(int ready)
{
	char why[ADMIN_WHY_MAX];
	struct admin *a;
	struct loop l;

	if (loop_init(&l, 64, 8))
		return 3;
	if (admin_open(&a, &l, path, handlers, "world", why, sizeof(why)))
		return 4;
	stopping = &l;
	if (write(ready, "x", 1) != 1)
		return 5;
	loop_run(&l);
	admin_close(a);
	loop_free(&l);
	return access(path, F_OK) ? 0 : 6;
}

static int setup(void **state)
{
	int ready[2];
	char c;

	snprintf(dir, sizeof(dir), "/tmp/xbd-admin-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(admin_path(path, sizeof(path), dir, "node", "a"), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child)
		exit(serve(ready[1]));
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return 0;
}

static int teardown(void **state)
{
	json_t *out = NULL;
	int status;

	admin_call(path, "stop", &out, NULL, 0);
	json_decref(out);
	waitpid(child, &status, 0);
	unlink(path);
	rmdir(dir);
	return status;
}

static void test_answers(void **state)
{
	char why[ADMIN_WHY_MAX];
	json_t *out;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(admin_call(path, "hello", &out, why, sizeof(why)), 0);
		assert_string_equal(json_string_value(json_object_get(out, "hello")), "world");
		json_decref(out);
	}
	assert_int_equal(admin_call(path, "big", &out, why, sizeof(why)), 0);
	assert_int_equal(json_array_size(json_object_get(out, "list")), BIG);
	json_decref(out);
}

static void test_errors(void **state)
{
	char why[ADMIN_WHY_MAX], other[200];
	json_t *out = NULL;

	assert_int_equal(admin_call(path, "frob", &out, why, sizeof(why)), -EPROTO);
	assert_non_null(strstr(why, "does not know"));
	assert_int_equal(admin_call(path, "a\"b", &out, why, sizeof(why)), -EPROTO);
	assert_int_equal(admin_call(path, "none", &out, why, sizeof(why)), -EPROTO);
	assert_non_null(strstr(why, "memory"));
	snprintf(other, sizeof(other), "%s/none.sock", dir);
	assert_int_equal(admin_call(other, "hello", &out, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, other));
	assert_null(out);
}

static int dial(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path, path, strlen(path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Clients that say nothing, half a line, too much, or hang up do not keep others from being served.
 */
static void test_bad_clients(void **state)
{
	char why[ADMIN_WHY_MAX], junk[ADMIN_REQUEST_MAX + 100];
	json_t *out;
	int fd[ADMIN_CLIENTS_MAX + 4];

	memset(junk, 'x', sizeof(junk));
	for (int i = 0; i < ADMIN_CLIENTS_MAX - 1; i++)
		fd[i] = dial();
	assert_int_equal(send(fd[0], "{\"cmd\"", 6, MSG_NOSIGNAL), 6);
	send(fd[1], junk, sizeof(junk), MSG_NOSIGNAL);
	close(fd[2]);
	fd[2] = dial();
	assert_int_equal(admin_call(path, "hello", &out, why, sizeof(why)), 0);
	json_decref(out);
	for (int i = ADMIN_CLIENTS_MAX - 1; i < ADMIN_CLIENTS_MAX + 4; i++)
		fd[i] = dial();
	/* all places are taken by silent ones: they are thrown out after a while */
	for (int i = 0; i < 3 && admin_call(path, "hello", &out, why, sizeof(why)); i++)
		out = NULL;
	assert_non_null(out);
	json_decref(out);
	for (int i = 0; i < ADMIN_CLIENTS_MAX + 4; i++)
		close(fd[i]);
}

/* A second daemon is refused; a socket that a dead one left is taken over. */
static void test_in_use_and_stale(void **state)
{
	char why[ADMIN_WHY_MAX];
	struct admin *a;
	struct loop l;
	json_t *out = NULL;
	int status, err, tries = 0;

	assert_int_equal(loop_init(&l, 64, 8), 0);
	assert_int_equal(admin_open(&a, &l, path, handlers, NULL, why, sizeof(why)), -XBD_EINUSE);
	assert_non_null(strstr(why, path));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	/* the kernel may take a moment to let go of what the dead one held */
	do
		err = admin_call(path, "hello", &out, why, sizeof(why));
	while (err == -ECONNRESET && tries++ < 100);
	assert_int_equal(err, -ECONNREFUSED);
	assert_int_equal(admin_open(&a, &l, path, handlers, NULL, why, sizeof(why)), 0);
	admin_close(a);
	loop_free(&l);
	assert_int_equal(access(path, F_OK), -1);
}

static int cleanup(void **state)
{
	rmdir(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in_use_and_stale, setup, cleanup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
