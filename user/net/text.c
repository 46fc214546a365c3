/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

void address_text(char *text, const struct sockaddr_storage *sa)
{
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;
	char addr[INET6_ADDRSTRLEN] = "";

	if (sa->ss_family == AF_INET && inet_ntop(AF_INET, &v4->sin_addr, addr, sizeof(addr)))
		snprintf(text, ADDRESS_TEXT, "%s:%u", addr, ntohs(v4->sin_port));
	else if (sa->ss_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &v6->sin6_addr, addr, sizeof(addr)))
		snprintf(text, ADDRESS_TEXT, "[%s]:%u", addr, ntohs(v6->sin6_port));
	else
		snprintf(text, ADDRESS_TEXT, "any port");
}

bool address_is_any(const struct sockaddr_storage *sa)
{
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;

	if (sa->ss_family == AF_INET)
		return v4->sin_addr.s_addr == htonl(INADDR_ANY);
	return sa->ss_family != AF_INET6 || IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}
