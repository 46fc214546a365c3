/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"

#define FIELD(f) offsetof(struct xbd_conf, f), sizeof(((struct xbd_conf *)0)->f)
static const struct conf_key keys[] = {
#define X(group, name, field, kind, def, min, max, choices, text)                                  \
	{group, name, def, choices, text, CONF_##kind, min, max, FIELD(field)},
	CONF_KEYS(X)
#undef X
};
#define NKEYS (sizeof(keys) / sizeof(keys[0]))

const struct conf_key *conf_keys(size_t *count)
{
	*count = NKEYS;
	return keys;
}

const struct conf_key *conf_find(const char *dotted)
{
	for (size_t i = 0; i < NKEYS; i++) {
		size_t len = strlen(keys[i].group);
		const char *name = dotted;

		if (len) {
			if (strncmp(dotted, keys[i].group, len) || dotted[len] != '.')
				continue;
			name = dotted + len + 1;
		}
		if (!strcmp(name, keys[i].name))
			return &keys[i];
	}
	return NULL;
}

static int set_text(char *field, const struct conf_key *k, const char *value, char *why,
		    size_t why_size)
{
	size_t len = strlen(value);

	if (len >= k->size)
		return text_why(why, why_size, -EINVAL, "longer than %zu characters", k->size - 1);
	memcpy(field, value, len + 1);
	return 0;
}

static int set_path(char *field, const struct conf_key *k, const char *value, char *why,
		    size_t why_size)
{
	if (!*value && *k->def)
		return text_why(why, why_size, -EINVAL, "must not be empty");
	if (*value && *value != '/')
		return text_why(why, why_size, -EINVAL,
				"\"%s\" is not an absolute path (it must begin with /)", value);
	return set_text(field, k, value, why, why_size);
}

static int set_choice(uint32_t *field, const struct conf_key *k, const char *value, char *why,
		      size_t why_size)
{
	const char *p = k->choices;

	for (uint32_t i = 0; *p; i++) {
		size_t len = strcspn(p, "|");

		if (strlen(value) == len && !strncmp(p, value, len)) {
			*field = i;
			return 0;
		}
		p += len + (p[len] == '|');
	}
	return text_why(why, why_size, -EINVAL, "\"%s\" is not one of %s", value, k->choices);
}

static int set_bool(bool *field, const char *value, char *why, size_t why_size)
{
	if (strcmp(value, "true") && strcmp(value, "false"))
		return text_why(why, why_size, -EINVAL, "\"%s\" is neither true nor false", value);
	*field = value[0] == 't';
	return 0;
}

static int set_number(uint32_t *field, const struct conf_key *k, const char *value, char *why,
		      size_t why_size)
{
	uint64_t v;
	int err = text_number(value, k->min, k->max, &v, why, why_size);

	if (!err)
		*field = (uint32_t)v;
	return err;
}

static int set_size(uint64_t *field, const struct conf_key *k, const char *value, char *why,
		    size_t why_size)
{
	char min[24], max[24];
	uint64_t v;
	int err = text_size(value, &v, why, why_size);

	if (err)
		return err;
	if (v < k->min || v > k->max) {
		text_size_exact(k->min, min, sizeof(min));
		text_size_exact(k->max, max, sizeof(max));
		return text_why(why, why_size, -EINVAL, "%s is out of range: %s to %s", value, min,
				max);
	}
	*field = v;
	return 0;
}

static int set_uuid(struct xbd_uuid *field, const char *value, char *why, size_t why_size)
{
	if (!*value)
		*field = (struct xbd_uuid){{0}};
	else if (xbd_uuid_parse(value, field))
		return text_why(why, why_size, -EINVAL, "\"%s\" is not a UUID", value);
	return 0;
}

static int set_addr(char *field, const struct conf_key *k, const char *value, char *why,
		    size_t why_size)
{
	struct sockaddr_storage addr;

	if (*value && text_addr(value, 1, &addr, NULL, why, why_size))
		return -EINVAL;
	return set_text(field, k, value, why, why_size);
}

/* On error why has no key in it: the callers know how the user named it. */
static int set_key(struct xbd_conf *c, const struct conf_key *k, const char *value, char *why,
		   size_t why_size)
{
	void *field = (char *)c + k->offset;

	switch (k->kind) {
	case CONF_TEXT:
		return set_text(field, k, value, why, why_size);
	case CONF_PATH:
		return set_path(field, k, value, why, why_size);
	case CONF_NAME:
		if (*value && text_name(value, k->name, why, why_size))
			return -EINVAL;
		return set_text(field, k, value, why, why_size);
	case CONF_UUID:
		return set_uuid(field, value, why, why_size);
	case CONF_ADDR:
		return set_addr(field, k, value, why, why_size);
	case CONF_BOOL:
		return set_bool(field, value, why, why_size);
	case CONF_NUMBER:
		return set_number(field, k, value, why, why_size);
	case CONF_SIZE:
		return set_size(field, k, value, why, why_size);
	case CONF_CHOICE:
		return set_choice(field, k, value, why, why_size);
	}
	return -EINVAL;
}

void conf_defaults(struct xbd_conf *c)
{
	char why[CONF_WHY_MAX];

	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < NKEYS; i++)
		XBD_ASSERT(set_key(c, &keys[i], keys[i].def, why, sizeof(why)) == 0);
}

int conf_set(struct xbd_conf *c, const char *dotted, const char *value, char *why, size_t why_size)
{
	const struct conf_key *k = conf_find(dotted);
	char what[CONF_WHY_MAX] = "";

	if (!k)
		return text_why(why, why_size, -XBD_ECONFIG, "%s: no such setting", dotted);
	if (set_key(c, k, value, what, sizeof(what)))
		return text_why(why, why_size, -XBD_ECONFIG, "%s: %s", dotted, what);
	return 0;
}

static void choice_text(const char *choices, uint32_t index, char *buf, size_t size)
{
	while (index--)
		choices += strcspn(choices, "|") + 1;
	snprintf(buf, size, "%.*s", (int)strcspn(choices, "|"), choices);
}

void conf_value_text(const struct xbd_conf *c, const struct conf_key *k, char *buf, size_t size)
{
	const void *field = (const char *)c + k->offset;
	char uuid[XBD_UUID_TEXT] = "";

	switch (k->kind) {
	case CONF_TEXT:
	case CONF_PATH:
	case CONF_NAME:
	case CONF_ADDR:
		snprintf(buf, size, "%s", (const char *)field);
		break;
	case CONF_UUID:
		if (!uuid_zero(field))
			xbd_uuid_text(field, uuid);
		snprintf(buf, size, "%s", uuid);
		break;
	case CONF_BOOL:
		snprintf(buf, size, "%s", *(const bool *)field ? "true" : "false");
		break;
	case CONF_NUMBER:
		snprintf(buf, size, "%" PRIu32, *(const uint32_t *)field);
		break;
	case CONF_SIZE:
		text_size_exact(*(const uint64_t *)field, buf, size);
		break;
	case CONF_CHOICE:
		choice_text(k->choices, *(const uint32_t *)field, buf, size);
		break;
	}
}
