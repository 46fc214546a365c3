/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses and their handles. A handle is an index into a fixed table; an address has one handle.
 * Added addresses stay; learnt ones give way to new ones, least recently used first.
 */
#ifndef XBD_NET_PEERS_H
#define XBD_NET_PEERS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define PEERS_MAX 1024u
#define PEER_NONE UINT32_MAX

/* An address with IPv4 mapped into IPv6, so that one comparison does. */
struct peer_key {
	struct in6_addr addr;
	uint32_t scope;
	uint16_t port; /* network byte order */
	uint16_t pad;  /* zero */
};

/* How frames to a peer look below UDP; learnt from its frames (AF_XDP only). */
struct peer_link {
	struct in6_addr local; /* our address it talks to */
	uint8_t mac[6];	       /* its next hop */
	uint8_t local_mac[6];
	uint16_t tci; /* VLAN tag, host byte order */
	bool tagged;
	bool known;
	uint16_t queue; /* index of the socket it was last heard on */
};

struct peer {
	struct peer_key key;
	struct sockaddr_storage sa; /* in the family of our socket */
	socklen_t sa_len;
	uint32_t next; /* of the same hash, PEER_NONE = last */
	bool used, added;
	uint32_t frag_len; /* bytes */
	uint64_t seen;	   /* clock of the table: larger = later */
	struct peer_link link;
};

struct peers {
	struct peer peer[PEERS_MAX];
	uint32_t bucket[PEERS_MAX];
	uint32_t count; /* slots ever used */
	uint64_t clock;
	int family; /* of our socket */
};

/* family: AF_INET or AF_INET6, of the socket that will be used for sending. */
void peers_init(struct peers *p, int family);

/* -EAFNOSUPPORT if it is neither IPv4 nor IPv6. */
int peer_key_of(struct peer_key *key, const struct sockaddr *sa);

/* Handle of the address, made if it has none; PEER_NONE if the table is full or the socket's
 * family cannot reach it. `added`: it stays. */
uint32_t peers_get(struct peers *p, const struct peer_key *key, bool added);

bool peer_key_is_ipv4(const struct peer_key *key);
/* The address as the user wrote it: IPv4 as AF_INET. */
void peer_sockaddr(const struct peer_key *key, struct sockaddr_storage *sa);

#endif
