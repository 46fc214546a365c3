/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/peers.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"

void peers_init(struct peers *p, int family)
{
	XBD_ASSERT(family == AF_INET || family == AF_INET6);
	memset(p, 0, sizeof(*p));
	for (uint32_t i = 0; i < PEERS_MAX; i++)
		p->bucket[i] = PEER_NONE;
	p->family = family;
}

bool peer_key_is_ipv4(const struct peer_key *key)
{
	return IN6_IS_ADDR_V4MAPPED(&key->addr);
}

int peer_key_of(struct peer_key *key, const struct sockaddr *sa)
{
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;

	if (sa->sa_family != AF_INET && sa->sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	memset(key, 0, sizeof(*key));
	if (sa->sa_family == AF_INET) {
		key->addr.s6_addr[10] = key->addr.s6_addr[11] = 0xff;
		memcpy(&key->addr.s6_addr[12], &v4->sin_addr, 4);
		key->port = v4->sin_port;
		return 0;
	}
	key->addr = v6->sin6_addr;
	key->port = v6->sin6_port;
	if (IN6_IS_ADDR_LINKLOCAL(&key->addr))
		key->scope = v6->sin6_scope_id;
	return 0;
}

static socklen_t set_v4(const struct peer_key *key, struct sockaddr_storage *sa)
{
	struct sockaddr_in *v4 = (void *)sa;

	v4->sin_family = AF_INET;
	memcpy(&v4->sin_addr, &key->addr.s6_addr[12], 4);
	v4->sin_port = key->port;
	return sizeof(*v4);
}

static socklen_t set_v6(const struct peer_key *key, struct sockaddr_storage *sa)
{
	struct sockaddr_in6 *v6 = (void *)sa;

	v6->sin6_family = AF_INET6;
	v6->sin6_addr = key->addr;
	v6->sin6_port = key->port;
	v6->sin6_scope_id = key->scope;
	return sizeof(*v6);
}

void peer_sockaddr(const struct peer_key *key, struct sockaddr_storage *sa)
{
	memset(sa, 0, sizeof(*sa));
	if (peer_key_is_ipv4(key))
		set_v4(key, sa);
	else
		set_v6(key, sa);
}

static uint32_t hash(const struct peer_key *key)
{
	uint64_t w[2], h;

	memcpy(w, &key->addr, sizeof(w));
	h = (w[0] ^ w[1] * 0x9e3779b97f4a7c15ull) + key->port;
	h *= 0xff51afd7ed558ccdull;
	return (uint32_t)(h >> 40) % PEERS_MAX;
}

static uint32_t find(const struct peers *p, const struct peer_key *key, uint32_t h)
{
	uint32_t i = p->bucket[h];

	while (i != PEER_NONE && memcmp(&p->peer[i].key, key, sizeof(*key)))
		i = p->peer[i].next;
	return i;
}

static void unlink_peer(struct peers *p, uint32_t i)
{
	uint32_t *at = &p->bucket[hash(&p->peer[i].key)];

	while (*at != i) {
		XBD_ASSERT(*at != PEER_NONE);
		at = &p->peer[*at].next;
	}
	*at = p->peer[i].next;
}

/* A slot never used, or the learnt one not heard of for longest. */
static uint32_t take_slot(struct peers *p)
{
	uint32_t oldest = PEER_NONE;

	if (p->count < PEERS_MAX)
		return p->count++;
	for (uint32_t i = 0; i < PEERS_MAX; i++)
		if (!p->peer[i].added &&
		    (oldest == PEER_NONE || p->peer[i].seen < p->peer[oldest].seen))
			oldest = i;
	if (oldest != PEER_NONE)
		unlink_peer(p, oldest);
	return oldest;
}

uint32_t peers_get(struct peers *p, const struct peer_key *key, bool added)
{
	uint32_t h = hash(key), i = find(p, key, h);
	struct peer *e;

	if (i == PEER_NONE) {
		if (p->family == AF_INET && !peer_key_is_ipv4(key))
			return PEER_NONE;
		i = take_slot(p);
		if (i == PEER_NONE)
			return PEER_NONE;
		e = &p->peer[i];
		memset(e, 0, sizeof(*e));
		e->key = *key;
		e->used = true;
		e->next = p->bucket[h];
		p->bucket[h] = i;
		e->sa_len = p->family == AF_INET ? set_v4(key, &e->sa) : set_v6(key, &e->sa);
	}
	e = &p->peer[i];
	e->added |= added;
	e->seen = ++p->clock;
	return i;
}
