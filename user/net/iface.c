/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/iface.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/peers.h"

static bool same_address(const struct sockaddr *a, const struct sockaddr *b)
{
	if (!a || a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)
		return !memcmp(&((const struct sockaddr_in *)a)->sin_addr,
			       &((const struct sockaddr_in *)b)->sin_addr, 4);
	return !memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
		       &((const struct sockaddr_in6 *)b)->sin6_addr, 16);
}

static int find_by_address(char *name, const struct sockaddr *addr)
{
	struct ifaddrs *list, *it;
	int err = -EADDRNOTAVAIL;

	if (addr->sa_family != AF_INET && addr->sa_family != AF_INET6)
		return err;
	if (getifaddrs(&list))
		return -errno;
	for (it = list; it && err; it = it->ifa_next) {
		if (!same_address(it->ifa_addr, addr))
			continue;
		snprintf(name, IF_NAMESIZE, "%s", it->ifa_name);
		err = 0;
	}
	freeifaddrs(list);
	return err;
}

static uint32_t queues(int fd, const char *name)
{
	struct ethtool_channels ch = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq req = {.ifr_data = (void *)&ch};

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (ioctl(fd, SIOCETHTOOL, &req) || ch.combined_count + ch.rx_count == 0)
		return 1;
	return ch.combined_count + ch.rx_count;
}

int iface_find(struct iface *out, const char *name, const struct sockaddr *addr)
{
	struct iface i = {.queues = 1};
	struct ifreq req;
	int fd, err;

	if (name)
		snprintf(i.name, sizeof(i.name), "%s", name);
	else if ((err = find_by_address(i.name, addr)))
		return err;
	i.index = if_nametoindex(i.name);
	if (!i.index)
		return -ENODEV;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	memset(&req, 0, sizeof(req));
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", i.name);
	err = ioctl(fd, SIOCGIFMTU, &req) ? -errno : 0;
	if (!err) {
		i.mtu = (uint32_t)req.ifr_mtu;
		i.loopback = !ioctl(fd, SIOCGIFFLAGS, &req) && req.ifr_flags & IFF_LOOPBACK;
		i.queues = queues(fd, i.name);
		*out = i;
	}
	close(fd);
	return err;
}

static bool is_vlan(int fd, const char *name)
{
	struct vlan_ioctl_args args = {.cmd = GET_VLAN_VID_CMD};

	snprintf(args.device1, sizeof(args.device1), "%s", name);
	return ioctl(fd, SIOCGIFVLAN, &args) == 0;
}

static bool strips_vlan(int fd, const char *name)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq req = {.ifr_data = (void *)&flags};

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	return ioctl(fd, SIOCETHTOOL, &req) == 0 && flags.data & ETH_FLAG_RXVLAN;
}

bool iface_hides_vlan(const struct iface *i, const struct sockaddr *addr)
{
	char owner[IF_NAMESIZE];
	bool hides;
	int fd;

	if (find_by_address(owner, addr) || !strcmp(owner, i->name))
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	hides = is_vlan(fd, owner) && strips_vlan(fd, i->name);
	close(fd);
	return hides;
}

static bool take_address(struct xbd_address *out, const struct sockaddr *sa)
{
	struct peer_key key;

	if (!sa || peer_key_of(&key, sa))
		return false;
	memcpy(out->b, &key.addr, sizeof(out->b));
	return true;
}

int iface_addresses(const char *name, struct xbd_address *out, unsigned max)
{
	struct ifaddrs *list, *it;
	unsigned n = 0;

	if (getifaddrs(&list))
		return -errno;
	for (it = list; it && n < max; it = it->ifa_next)
		if (!strcmp(it->ifa_name, name) && take_address(&out[n], it->ifa_addr))
			n++;
	freeifaddrs(list);
	return (int)n;
}

uint32_t iface_path_mtu(const struct sockaddr *addr, socklen_t len)
{
	int fd = socket(addr->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), mtu = 0;
	socklen_t n = sizeof(mtu);

	if (fd < 0)
		return 0;
	if (connect(fd, addr, len) ||
	    (addr->sa_family == AF_INET ? getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &n)
					: getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &n)))
		mtu = 0;
	close(fd);
	return mtu < 0 ? 0 : (uint32_t)mtu;
}
