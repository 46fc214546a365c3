/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Server side of the control socket. A client has one request in the ring at any time: receive,
 * then send until its answer is out, then close. `pending` counts requests in the ring; nothing is
 * freed while it is not 0.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/assert.h"
#include "base/error.h"
#include "config/text.h"

#define IDLE_NS	 5000000000ull /* a client that is silent or slow for that long is dropped */
#define CHECK_NS 1000000000ull

struct client {
	struct loop_cb cb;
	struct admin *a;
	int fd; /* -1 = free */
	uint64_t since_ns;
	size_t have; /* bytes of request */
	char *answer;
	size_t sent, len;
	char request[ADMIN_REQUEST_MAX + 1];
};

struct admin {
	struct loop *l;
	struct loop_cb accept_cb, cancel_cb;
	struct loop_timer timer;
	const struct admin_handler *handlers;
	void *ctx;
	int fd;
	bool accepting, closing;
	unsigned pending;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct client client[ADMIN_CLIENTS_MAX];
};

static void arm_accept(struct admin *a);

static struct client *free_client(struct admin *a)
{
	for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++)
		if (a->client[i].fd < 0)
			return &a->client[i];
	return NULL;
}

static void drop(struct client *c)
{
	XBD_ASSERT(c->fd >= 0);
	close(c->fd);
	free(c->answer);
	c->answer = NULL;
	c->fd = -1;
	arm_accept(c->a);
}

static void arm_recv(struct client *c)
{
	struct io_uring_sqe *sqe = loop_sqe(c->a->l, &c->cb);

	io_uring_prep_recv(sqe, c->fd, c->request + c->have, ADMIN_REQUEST_MAX - c->have, 0);
	c->a->pending++;
}

static void arm_send(struct client *c)
{
	struct io_uring_sqe *sqe = loop_sqe(c->a->l, &c->cb);

	io_uring_prep_send(sqe, c->fd, c->answer + c->sent, c->len - c->sent, MSG_NOSIGNAL);
	c->a->pending++;
}

static json_t *error_json(const char *text)
{
	return json_pack("{s:s}", "error", text);
}

static json_t *answer(struct admin *a, const char *request)
{
	json_t *req = json_loads(request, JSON_REJECT_DUPLICATES, NULL), *res = NULL;
	const char *cmd = json_string_value(json_object_get(req, "cmd"));
	const struct admin_handler *h = a->handlers;

	while (cmd && h->cmd && strcmp(h->cmd, cmd))
		h++;
	if (!cmd)
		res = error_json("the request is not a line of JSON with a \"cmd\"");
	else if (!h->cmd)
		res = error_json("this daemon does not know this command");
	else
		res = h->fn(a->ctx, req);
	json_decref(req);
	return res ? res : error_json("out of memory");
}

static void reply(struct client *c)
{
	json_t *o = answer(c->a, c->request);
	char *text = json_dumps(o, JSON_COMPACT);
	int n = text ? asprintf(&c->answer, "%s\n", text) : -1;

	json_decref(o);
	free(text);
	if (n < 0) {
		c->answer = NULL;
		drop(c);
		return;
	}
	c->len = (size_t)n;
	c->sent = 0;
	arm_send(c);
}

static void on_recv(struct client *c, int res)
{
	if (res <= 0) {
		drop(c);
		return;
	}
	c->have += (size_t)res;
	XBD_ASSERT(c->have <= ADMIN_REQUEST_MAX);
	c->request[c->have] = 0;
	if (memchr(c->request, '\n', c->have))
		reply(c);
	else if (c->have == ADMIN_REQUEST_MAX)
		drop(c);
	else
		arm_recv(c);
}

static void on_send(struct client *c, int res)
{
	if (res > 0)
		c->sent += (size_t)res;
	if (res <= 0 || c->sent == c->len)
		drop(c);
	else
		arm_send(c);
}

static void on_client(struct loop_cb *cb, int res, unsigned cqe_flags)
{
	struct client *c = (struct client *)((char *)cb - offsetof(struct client, cb));

	XBD_ASSERT(c->a->pending > 0);
	c->a->pending--;
	if (c->a->closing)
		res = -ECANCELED;
	if (c->answer)
		on_send(c, res);
	else
		on_recv(c, res);
}

static void on_accept(struct loop_cb *cb, int res, unsigned cqe_flags)
{
	struct admin *a = (struct admin *)((char *)cb - offsetof(struct admin, accept_cb));
	struct client *c = free_client(a);

	XBD_ASSERT(a->pending > 0 && a->accepting && c);
	a->pending--;
	a->accepting = false;
	if (res >= 0 && a->closing) {
		close(res);
	} else if (res >= 0) {
		c->fd = res;
		c->have = 0;
		c->since_ns = loop_now(a->l);
		arm_recv(c);
		arm_accept(a);
	}
	/* after an error (out of descriptors, say) the timer tries again */
}

static void arm_accept(struct admin *a)
{
	struct io_uring_sqe *sqe;

	if (a->accepting || a->closing || !free_client(a))
		return;
	sqe = loop_sqe(a->l, &a->accept_cb);
	io_uring_prep_accept(sqe, a->fd, NULL, NULL, SOCK_CLOEXEC);
	a->accepting = true;
	a->pending++;
}

static void on_timer(struct loop_timer *t)
{
	struct admin *a = (struct admin *)((char *)t - offsetof(struct admin, timer));

	for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++) {
		struct client *c = &a->client[i];

		/* ends the request in the ring, whose completion drops the client */
		if (c->fd >= 0 && loop_now(a->l) - c->since_ns > IDLE_NS)
			shutdown(c->fd, SHUT_RDWR);
	}
	arm_accept(a);
	loop_timer_set(a->l, &a->timer, loop_now(a->l) + CHECK_NS);
}

static void on_cancel(struct loop_cb *cb, int res, unsigned cqe_flags)
{
	struct admin *a = (struct admin *)((char *)cb - offsetof(struct admin, cancel_cb));

	XBD_ASSERT(a->pending > 0);
	a->pending--;
}

/* Does somebody serve this socket? */
static bool alive(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool yes = fd >= 0 &&
		   (!connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) || errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return yes;
}

static int make_directory(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return 0;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	return mkdir(dir, 0755) && errno != EEXIST ? -errno : 0;
}

/* Bind with mode 0600 from the first moment: no other user can slip in. */
static int bind_private(int fd, const struct sockaddr_un *sa)
{
	mode_t old = umask(0177);
	int err = bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) ? -errno : 0;

	umask(old);
	return err;
}

static int listen_at(const char *path, char *why, size_t why_size)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, err;

	if (strlen(path) >= sizeof(sa.sun_path))
		return text_why(why, why_size, -ENAMETOOLONG,
				"socket path %s is longer than %zu characters", path,
				sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	err = make_directory(path);
	if (err)
		return text_why(why, why_size, err, "cannot make the directory of %s: %s", path,
				xbd_strerror(err));
	if (!lstat(path, &st) && !S_ISSOCK(st.st_mode))
		return text_why(why, why_size, -EEXIST, "%s exists and is not a socket", path);
	if (alive(&sa))
		return text_why(why, why_size, -XBD_EINUSE,
				"%s is served by another process: the daemon is running already",
				path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return text_why(why, why_size, -errno, "socket: %s", strerror(errno));
	err = bind_private(fd, &sa);
	if (!err && listen(fd, 16))
		err = -errno;
	if (err) {
		close(fd);
		return text_why(why, why_size, err, "cannot make the control socket %s: %s", path,
				xbd_strerror(err));
	}
	return fd;
}

int admin_open(struct admin **out, struct loop *l, const char *path,
	       const struct admin_handler *handlers, void *ctx, char *why, size_t why_size)
{
	struct admin *a = calloc(1, sizeof(*a));

	if (!a)
		return text_why(why, why_size, -ENOMEM, "out of memory");
	a->fd = listen_at(path, why, why_size);
	if (a->fd < 0) {
		int err = a->fd;

		free(a);
		return err;
	}
	a->l = l;
	a->handlers = handlers;
	a->ctx = ctx;
	a->accept_cb.fn = on_accept;
	a->cancel_cb.fn = on_cancel;
	a->timer.fn = on_timer;
	memcpy(a->path, path, strlen(path) + 1);
	for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++) {
		a->client[i].fd = -1;
		a->client[i].a = a;
		a->client[i].cb.fn = on_client;
	}
	arm_accept(a);
	loop_timer_set(l, &a->timer, loop_now(l) + CHECK_NS);
	*out = a;
	return 0;
}

void admin_close(struct admin *a)
{
	struct io_uring_sqe *sqe;

	if (!a)
		return;
	unlink(a->path);
	a->closing = true;
	loop_timer_cancel(a->l, &a->timer);
	for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++)
		if (a->client[i].fd >= 0)
			shutdown(a->client[i].fd, SHUT_RDWR);
	if (a->accepting) {
		sqe = loop_sqe(a->l, &a->cancel_cb);
		io_uring_prep_cancel(sqe, &a->accept_cb, 0);
		a->pending++;
	}
	while (a->pending && loop_turn(a->l, true) >= 0)
		;
	XBD_ASSERT(a->pending == 0);
	close(a->fd);
	free(a);
}
