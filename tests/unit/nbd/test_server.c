/* SPDX-License-Identifier: BSD-2-Clause */
/* The NBD server on real sockets, driven turn by turn beside its clients. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory.h"
#include "nbd/server.h"
#include "nbd/wire.h"

#define SIZE (8u << 20)

static char dir[64], path[96];

struct fixture {
	struct loop loop;
	struct memory memory;
	struct nbd_backend backend;
	struct nbd_server_config cfg;
	struct nbd_server *server;
	char why[NBD_WHY];
	unsigned ended;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || loop_init(&f->loop, 64, 8))
		return -1;
	snprintf(dir, sizeof(dir), "/tmp/xbd-nbd-XXXXXX");
	if (!mkdtemp(dir) || memory_init(&f->memory, SIZE, 4096))
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	f->backend = (struct nbd_backend){&f->memory, memory_submit};
	f->cfg.export = (struct nbd_export){.name = "vol", .size = SIZE};
	f->cfg.unix_path = path;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	nbd_server_close(f->server);
	loop_free(&f->loop);
	memory_free(&f->memory);
	unlink(path);
	rmdir(dir);
	free(f);
	return 0;
}

static int open_server(struct fixture *f)
{
	return nbd_server_open(&f->server, &f->loop, &f->cfg, &f->backend, f->why);
}

static void turns(struct fixture *f, unsigned n)
{
	while (n--)
		assert_int_equal(loop_turn(&f->loop, false), 0);
}

static int dial(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(un.sun_path, path, strlen(path));
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

static void say(int fd, const void *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

/* Read exactly n bytes while the server turns. */
static void hear(struct fixture *f, int fd, void *bytes, size_t n)
{
	for (unsigned i = 0; n && i < 100000; i++) {
		ssize_t got = recv(fd, bytes, n, MSG_DONTWAIT);

		if (got > 0) {
			bytes = (uint8_t *)bytes + got;
			n -= (size_t)got;
			continue;
		}
		assert_true(got < 0 && errno == EAGAIN);
		turns(f, 1);
		memory_run(&f->memory, 1000);
	}
	assert_int_equal(n, 0);
}

static void hear_end(struct fixture *f, int fd)
{
	uint8_t b[64];
	ssize_t got = -1;

	for (unsigned i = 0; got && i < 100000; i++) {
		turns(f, 1);
		got = recv(fd, b, sizeof(b), MSG_DONTWAIT);
		if (got < 0 && errno == ECONNRESET)
			got = 0;
	}
	assert_int_equal(got, 0);
	close(fd);
	turns(f, 3);
}

/* A connection with simple replies; returns its socket. */
static int ready(struct fixture *f)
{
	uint8_t b[64];
	int fd = dial();

	hear(f, fd, b, NBD_GREETING_BYTES);
	say(fd, "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\3vol", 23);
	hear(f, fd, b, 10);
	return fd;
}

static void command(int fd, unsigned type, uint64_t handle, uint64_t offset, uint32_t len)
{
	uint8_t b[NBD_REQUEST_BYTES], *at = b;

	at = nbd_put32(at, NBD_REQUEST_MAGIC);
	at = nbd_put16(at, 0);
	at = nbd_put16(at, (uint16_t)type);
	at = nbd_put64(at, handle);
	at = nbd_put64(at, offset);
	nbd_put32(at, len);
	say(fd, b, sizeof(b));
}

static void hear_simple(struct fixture *f, int fd, uint64_t handle)
{
	uint8_t b[NBD_SIMPLE_BYTES];

	hear(f, fd, b, sizeof(b));
	assert_int_equal(nbd_get32(b), NBD_SIMPLE_MAGIC);
	assert_int_equal(nbd_get32(b + 4), 0);
	assert_int_equal(nbd_get64(b + 8), handle);
}

static void ended(void *ctx)
{
	((struct fixture *)ctx)->ended++;
}

static void a_stale_socket_is_replaced_a_used_one_is_not(void **state)
{
	struct fixture *f = *state;
	struct nbd_server *second = NULL;
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(un.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd); /* bound by nobody now */
	assert_int_equal(open_server(f), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(nbd_server_open(&second, &f->loop, &f->cfg, &f->backend, f->why),
			 -EADDRINUSE);
	assert_null(second);
	assert_non_null(strstr(f->why, "in use"));
	assert_int_equal(stat(path, &st), 0);
	nbd_server_close(f->server);
	f->server = NULL;
	assert_int_equal(stat(path, &st), -1);
}

static void bad_configurations_are_explained(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage addr = {.ss_family = AF_INET};
	struct sockaddr_in *in = (struct sockaddr_in *)&addr;
	char longer[200];
	FILE *file = fopen(path, "w");

	fclose(file);
	assert_int_equal(open_server(f), -EEXIST);
	assert_non_null(strstr(f->why, "not a socket"));
	unlink(path);
	memset(longer, 'x', sizeof(longer));
	longer[199] = 0;
	f->cfg.unix_path = longer;
	assert_int_equal(open_server(f), -EINVAL);
	f->cfg.unix_path = "/nonexistent/directory/sock";
	assert_int_equal(open_server(f), -ENOENT);
	f->cfg.unix_path = NULL;
	assert_int_equal(open_server(f), -EINVAL);
	f->cfg.tcp = &addr;
	in->sin_addr.s_addr = htonl(INADDR_ANY);
	assert_int_equal(open_server(f), -EACCES);
	assert_non_null(strstr(f->why, "loopback"));
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->cfg.mem_bytes = 4 << 20;
	assert_int_equal(open_server(f), -EINVAL); /* 21 buffers for 64 connections */
	f->cfg.conns_max = 10;
	assert_int_equal(open_server(f), 0);
	assert_true(nbd_server_port(f->server) > 0);
}

static void queued_writes_arrive_and_leave_in_batches(void **state)
{
	struct fixture *f = *state;
	const struct nbd_counters *count;
	static uint8_t data[4096];
	uint64_t recvs, sends, enters;
	int fd;

	assert_int_equal(open_server(f), 0);
	fd = ready(f);
	turns(f, 3);
	count = nbd_server_counters(f->server);
	recvs = count->recvs;
	sends = count->sends;
	enters = f->loop.stats.enters;
	for (unsigned i = 0; i < 32; i++) {
		memset(data, (int)i + 1, sizeof(data));
		command(fd, NBD_CMD_WRITE, i, i * 4096, 4096);
		say(fd, data, sizeof(data));
	}
	turns(f, 2);
	assert_int_equal(f->memory.n, 32);
	memory_run(&f->memory, 100);
	turns(f, 2);
	for (unsigned i = 0; i < 32; i++) {
		hear_simple(f, fd, i);
		assert_int_equal(f->memory.data[i * 4096], i + 1);
	}
	assert_true(count->recvs - recvs <= 2);
	assert_int_equal(count->sends - sends, 1);
	assert_true(f->loop.stats.enters - enters <= 8);
	close(fd);
}

static void too_many_connections_are_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t b[NBD_GREETING_BYTES];
	int fd[4];

	f->cfg.conns_max = 3;
	assert_int_equal(open_server(f), 0);
	for (unsigned i = 0; i < 3; i++) {
		fd[i] = dial();
		hear(f, fd[i], b, sizeof(b));
	}
	fd[3] = dial();
	hear_end(f, fd[3]);
	assert_int_equal(nbd_server_counters(f->server)->refused, 1);
	close(fd[1]);
	turns(f, 5);
	assert_int_equal(nbd_server_conns(f->server), 2);
	fd[1] = ready(f);
	close(fd[0]);
	close(fd[1]);
	close(fd[2]);
}

static void a_slow_handshake_is_cut_off(void **state)
{
	struct fixture *f = *state;
	int slow, fast;

	f->cfg.handshake_ms = 700;
	assert_int_equal(open_server(f), 0);
	slow = dial();
	fast = ready(f);
	for (unsigned i = 0; i < 100 && nbd_server_conns(f->server) > 1; i++) {
		usleep(50000);
		turns(f, 3);
	}
	assert_int_equal(nbd_server_conns(f->server), 1);
	assert_int_equal(nbd_server_counters(f->server)->e_handshake_timeout, 1);
	hear_end(f, slow);
	command(fast, NBD_CMD_FLUSH, 1, 0, 0);
	hear_simple(f, fast, 1);
	close(fast);
}

static void shutdown_finishes_what_runs(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[8192];
	struct stat st;
	int fd, idle, half;

	assert_int_equal(open_server(f), 0);
	fd = ready(f);
	idle = ready(f);
	half = ready(f);
	command(fd, NBD_CMD_WRITE, 5, 0, 8192);
	say(fd, data, sizeof(data));
	command(half, NBD_CMD_WRITE, 6, 0, 8192);
	say(half, data, 100);
	turns(f, 3);
	assert_int_equal(f->memory.n, 1);
	nbd_server_shutdown(f->server, ended, f);
	turns(f, 10);
	assert_int_equal(f->ended, 0);
	assert_int_equal(nbd_server_conns(f->server), 1);
	assert_int_equal(stat(path, &st), -1);
	memory_run(&f->memory, 1);
	turns(f, 10);
	assert_int_equal(f->ended, 1);
	hear_simple(f, fd, 5);
	hear_end(f, fd);
	hear_end(f, idle);
	hear_end(f, half);
	assert_int_equal(f->ended, 1);
}

static void shutdown_of_an_idle_server_calls_back(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(open_server(f), 0);
	turns(f, 2);
	nbd_server_shutdown(f->server, ended, f);
	assert_int_equal(f->ended, 0);
	turns(f, 10);
	assert_int_equal(f->ended, 1);
}

static void close_in_the_middle_of_everything_is_clean(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[CO_CHUNK];
	int fd[3];

	assert_int_equal(open_server(f), 0);
	fd[0] = ready(f);
	fd[1] = ready(f);
	fd[2] = dial();
	command(fd[0], NBD_CMD_READ, 1, 0, 4 << 20);
	command(fd[1], NBD_CMD_WRITE, 2, 0, CO_CHUNK);
	say(fd[1], data, CO_CHUNK - 1);
	turns(f, 3);
	assert_true(f->memory.n >= 32);
	memory_run(&f->memory, 20);
	turns(f, 1);
	nbd_server_close(f->server);
	f->server = NULL;
	f->memory.n = 0; /* the backend forgets them, as the contract demands */
	for (unsigned i = 0; i < 3; i++)
		close(fd[i]);
}

static void a_client_that_dies_frees_its_place(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[CO_CHUNK];

	assert_int_equal(open_server(f), 0);
	for (unsigned i = 0; i < 200; i++) {
		int fd = ready(f);

		if (i % 2)
			command(fd, NBD_CMD_READ, 1, 0, 2 << 20);
		command(fd, NBD_CMD_WRITE, 2, 0, CO_CHUNK);
		say(fd, data, i * 100);
		turns(f, i % 5);
		if (i % 3)
			memory_run(&f->memory, i);
		turns(f, i % 2);
		close(fd);
	}
	for (unsigned i = 0; i < 20; i++) {
		memory_run(&f->memory, 10000);
		turns(f, 2);
	}
	assert_int_equal(nbd_server_conns(f->server), 0);
}

/*
 * The old connection has writes waiting for buffers when its client gives it up, sends them again
 * on a new one and goes on. What was waiting must not come after that.
 */
static void commands_of_an_abandoned_connection_do_not_run_late(void **state)
{
	struct fixture *f = *state;
	static uint8_t old[CO_CHUNK], new[CO_CHUNK];
	int first, second;
	size_t issued;

	memset(old, 1, sizeof(old));
	memset(new, 2, sizeof(new));
	f->cfg.mem_bytes = 4 << 20; /* 21 large buffers, 11 for one */
	f->cfg.conns_max = 4;
	assert_int_equal(open_server(f), 0);
	first = ready(f);
	for (unsigned i = 0; i < 12; i++) {
		command(first, NBD_CMD_WRITE, i, i * CO_CHUNK, CO_CHUNK);
		for (unsigned part = 0; part < 4; part++) {
			say(first, old, CO_CHUNK / 4);
			turns(f, 3);
		}
	}
	issued = f->memory.n;
	assert_true(issued < 12);
	close(first);
	second = ready(f); /* runs the backend: buffers come back */
	command(second, NBD_CMD_WRITE, 1, 11 * CO_CHUNK, CO_CHUNK);
	say(second, new, CO_CHUNK);
	hear_simple(f, second, 1);
	turns(f, 10);
	memory_run(&f->memory, 100);
	turns(f, 10);
	assert_int_equal(f->memory.by_kind[CO_WRITE], issued + 1);
	assert_int_equal(f->memory.data[11 * CO_CHUNK], 2);
	assert_int_equal(nbd_server_counters(f->server)->dropped, 1);
	close(second);
}

static void a_grown_volume_is_seen_by_new_connections(void **state)
{
	struct fixture *f = *state;
	uint8_t b[64];
	int fd;

	f->cfg.export.size = SIZE / 2;
	assert_int_equal(open_server(f), 0);
	nbd_server_resize(f->server, SIZE);
	fd = dial();
	hear(f, fd, b, NBD_GREETING_BYTES);
	say(fd, "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\0", 20);
	hear(f, fd, b, 10);
	assert_int_equal(nbd_get64(b), SIZE);
	command(fd, NBD_CMD_READ, 9, SIZE - 16, 16);
	hear_simple(f, fd, 9);
	hear(f, fd, b, 16);
	close(fd);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_stale_socket_is_replaced_a_used_one_is_not),
		TEST(bad_configurations_are_explained),
		TEST(queued_writes_arrive_and_leave_in_batches),
		TEST(too_many_connections_are_refused),
		TEST(a_slow_handshake_is_cut_off),
		TEST(shutdown_finishes_what_runs),
		TEST(shutdown_of_an_idle_server_calls_back),
		TEST(close_in_the_middle_of_everything_is_clean),
		TEST(a_client_that_dies_frees_its_place),
		TEST(commands_of_an_abandoned_connection_do_not_run_late),
		TEST(a_grown_volume_is_seen_by_new_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
