/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xbd-lossy does what it is asked for and nothing else: rates of loss, duplication and reordering
 * within bounds, no byte changed. Argument: the program.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "netns.h"

#define PACKETS	  20000u
#define BYTES_MAX 1400u
#define PORT	  5555

struct tally {
	unsigned unique, dups, late, corrupt;
};

static uint8_t seen[PACKETS];

static struct sockaddr_storage address(int family)
{
	struct sockaddr_storage sa = {.ss_family = (sa_family_t)family};
	struct sockaddr_in *v4 = (void *)&sa;
	struct sockaddr_in6 *v6 = (void *)&sa;

	if (family == AF_INET) {
		inet_pton(AF_INET, "10.77.0.2", &v4->sin_addr);
		v4->sin_port = htons(PORT);
	} else {
		inet_pton(AF_INET6, "fd77::2", &v6->sin6_addr);
		v6->sin6_port = htons(PORT);
	}
	return sa;
}

/* Packet n: its number, then bytes and a length that follow from it. */
static uint32_t make(uint8_t *p, uint32_t n)
{
	uint32_t len = 16 + n * 37 % (BYTES_MAX - 16);

	memset(p, (int)(n & 255), len);
	memcpy(p, &n, 4);
	return len;
}

static void send_all(int family)
{
	struct sockaddr_storage to = address(family);
	int fd = socket(family, SOCK_DGRAM, 0);
	uint8_t p[BYTES_MAX];

	for (uint32_t n = 0; n < PACKETS; n++) {
		uint32_t len = make(p, n);

		(void)sendto(fd, p, len, 0, (void *)&to, sizeof(to));
		if (n % 100 == 0)
			usleep(500);
	}
	close(fd);
}

static void take(struct tally *t, const uint8_t *p, ssize_t len, uint32_t *highest)
{
	uint8_t want[BYTES_MAX];
	uint32_t n;

	if (len < 4)
		return;
	memcpy(&n, p, 4);
	if (n >= PACKETS || make(want, n) != (uint32_t)len || memcmp(want, p, (size_t)len)) {
		t->corrupt++;
		return;
	}
	if (seen[n])
		t->dups++;
	else
		t->unique++;
	seen[n] = 1;
	if (n < *highest)
		t->late++;
	else
		*highest = n;
}

/* Until the sender has gone and nothing has come for a while. */
static struct tally receive_all(int fd, pid_t sender)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	uint8_t p[65536];
	struct tally t = {0};
	uint32_t highest = 0;
	bool gone = false;

	memset(seen, 0, sizeof(seen));
	for (;;) {
		if (poll(&pfd, 1, 300) > 0)
			take(&t, p, recv(fd, p, sizeof(p), 0), &highest);
		else if (gone)
			return t;
		else
			gone = waitpid(sender, NULL, WNOHANG) == sender;
	}
}

static struct tally run(int family, int sender_ns)
{
	struct sockaddr_storage sa = address(family);
	int fd = socket(family, SOCK_DGRAM, 0), bytes = 16 << 20;
	struct tally t;
	pid_t pid;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (bind(fd, (void *)&sa, sizeof(sa)))
		perror("bind");
	pid = fork();
	if (!pid) {
		if (!setns(sender_ns, CLONE_NEWNET))
			send_all(family);
		_exit(0);
	}
	t = receive_all(fd, pid);
	close(fd);
	printf("IPv%c: %u arrived, %u lost, %u twice, %u late, %u corrupt\n",
	       family == AF_INET ? '4' : '6', t.unique, PACKETS - t.unique, t.dups, t.late,
	       t.corrupt);
	return t;
}

/* Many packets in one send: they are lost one by one. */
static void send_trains(int family)
{
	struct sockaddr_storage to = address(family);
	int fd = socket(family, SOCK_DGRAM, 0), segment = 1000;
	static uint8_t train[40 * 1000];

	setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	for (int i = 0; i < 50; i++)
		(void)sendto(fd, train, sizeof(train), 0, (void *)&to, sizeof(to));
	close(fd);
}

static bool trains_are_cut(const char *tool, int family, int sender_ns)
{
	pid_t pid = fork();

	if (!pid) {
		if (!setns(sender_ns, CLONE_NEWNET))
			send_trains(family);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	usleep(100000);
	return !sh("%s show s0 | grep -q '^seen  *2000 '", tool) &&
	       !sh("%s show s0 | grep -q '^unsegmented  *0 '", tool);
}

static bool between(unsigned v, double lowest_percent, double highest_percent)
{
	return v >= PACKETS * lowest_percent / 100 && v <= PACKETS * highest_percent / 100;
}

static bool check(const char *tool, int family, int ns)
{
	struct tally t = run(family, ns);
	bool ok = t.unique == PACKETS && !t.dups && !t.late && !t.corrupt;

	ok &= !sh("%s attach s0 --loss 3 --reorder 5 --dup 2", tool);
	t = run(family, ns);
	ok &= between(PACKETS - t.unique, 2, 4) && between(t.dups, 1.2, 3) &&
	      between(t.late, 2, 7) && !t.corrupt;
	ok &= !sh("%s show s0 | grep -q '^lost  *[1-9]'", tool);
	ok &= !sh("%s attach s0 --loss 2", tool) && trains_are_cut(tool, family, ns);
	ok &= !sh("%s attach s0 --loss 100", tool);
	t = run(family, ns);
	ok &= t.unique == 0;
	ok &= !sh("%s detach s0", tool);
	t = run(family, ns);
	return ok && t.unique == PACKETS && !t.late;
}

int main(int argc, char **argv)
{
	char path[64], c;
	int go[2], ns;
	bool ok;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || pipe(go))
		return 2;
	netns_enter_new();
	pid = fork();
	if (!pid) {
		netns_enter_new();
		if (write(go[1], "n", 1) == 1)
			pause();
		_exit(0);
	}
	close(go[1]);
	if (read(go[0], &c, 1) != 1)
		return SKIP;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	ok = !netns_join("s0", "c0", pid, 1) && !netns_up("s0", 2, 1500) &&
	     !sh("nsenter --net=%s sh -c 'ip addr add 10.77.0.1/24 dev c0; ip addr add fd77::1/64 "
		 "dev c0 nodad; ip link set c0 up'",
		 path);
	usleep(300000);
	ok = ok && check(argv[1], AF_INET, ns) && check(argv[1], AF_INET6, ns);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return ok ? 0 : 1;
}
