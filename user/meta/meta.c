/* SPDX-License-Identifier: BSD-2-Clause */
#include "meta/meta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "meta/backend.h"
#include "meta/codec.h"

struct meta {
	const struct meta_backend_ops *ops;
	void *ctx;
	char place[256];
	char why[META_WHY_MAX];
};

/* X(scheme, backend) */
#define BACKENDS(X) X("file", &meta_backend_file)

static const struct meta_backend_ops *find_backend(const char *location, const char **place)
{
	const char *colon = strchr(location, ':');

	*place = location;
	if (*location == '/')
		return &meta_backend_file;
	if (!colon)
		return NULL;
	*place = colon + 1;
#define X(scheme, backend)                                                                         \
	if (!strncmp(location, scheme ":", sizeof(scheme)))                                        \
		return backend;
	BACKENDS(X)
#undef X
	return NULL;
}

int meta_open(struct meta **out, const char *location, bool create, char *why, size_t why_size)
{
	const char *place;
	const struct meta_backend_ops *ops = find_backend(location, &place);
	struct meta *m;
	int err;

	if (!ops || *place != '/')
		return text_why(why, why_size, -EINVAL,
				"metadata location \"%s\" is not understood: write /DIRECTORY or "
				"file:/DIRECTORY",
				location);
	m = calloc(1, sizeof(*m));
	if (!m)
		return text_why(why, why_size, -ENOMEM, "out of memory");
	m->ops = ops;
	snprintf(m->place, sizeof(m->place), "%s", place);
	err = ops->open(&m->ctx, place, create, why, why_size);
	if (err) {
		free(m);
		return err;
	}
	*out = m;
	return 0;
}

void meta_close(struct meta *m)
{
	if (!m)
		return;
	m->ops->close(m->ctx);
	free(m);
}

const char *meta_why(const struct meta *m)
{
	return m->why;
}

/* Name checked, so that a key never leaves its directory. */
static int make_key(struct meta *m, char key[META_KEY_MAX], const char *kind, const char *name)
{
	char what[32];

	snprintf(what, sizeof(what), "%s name", kind);
	if (text_name(name, what, m->why, sizeof(m->why)))
		return -EINVAL;
	snprintf(key, META_KEY_MAX, "%s/%s", kind, name);
	return 0;
}

/* "volume/a" is what a backend says; people say volume "a". */
static int explain(struct meta *m, const char *key, int err)
{
	const char *name = strchr(key, '/');
	int len = name ? (int)(name - key) : 0;

	if (name && err == -XBD_ENOTFOUND)
		text_why(m->why, sizeof(m->why), err, "no %.*s \"%s\" in %s", len, key, name + 1,
			 m->place);
	if (name && err == -XBD_EEXISTS)
		text_why(m->why, sizeof(m->why), err, "%.*s \"%s\" exists already in %s", len, key,
			 name + 1, m->place);
	return err;
}

static int get(struct meta *m, const char *key, char **text, uint64_t *version)
{
	m->why[0] = 0;
	return explain(m, key, m->ops->get(m->ctx, key, text, version, m->why, sizeof(m->why)));
}

/* Takes text. */
static int put(struct meta *m, const char *key, char *text, uint64_t *version)
{
	int err;

	if (!text)
		return text_why(m->why, sizeof(m->why), -ENOMEM, "out of memory");
	m->why[0] = 0;
	err = m->ops->put(m->ctx, key, text, version, m->why, sizeof(m->why));
	free(text);
	return explain(m, key, err);
}

/* What a decoder said, with the record's place before it. */
static int bad_record(struct meta *m, const char *key, int err)
{
	char what[META_WHY_MAX];

	snprintf(what, sizeof(what), "%s", m->why);
	return text_why(m->why, sizeof(m->why), err, "%s/%s: %.300s", m->place, key, what);
}

static int check_name(struct meta *m, const char *key, const char *name)
{
	const char *want = strchr(key, '/') + 1;

	if (!strcmp(name, want))
		return 0;
	return text_why(m->why, sizeof(m->why), -XBD_ECORRUPT,
			"%s/%s holds the record of \"%s\": was the file renamed?", m->place, key,
			name);
}

int meta_cluster_get(struct meta *m, struct meta_cluster *c)
{
	struct meta_cluster out = {0};
	char *text;
	int err = get(m, "cluster", &text, &out.version);

	if (err)
		return err;
	err = meta_cluster_decode(text, &out, m->why, sizeof(m->why));
	free(text);
	if (err)
		return bad_record(m, "cluster", err);
	*c = out;
	return 0;
}

int meta_cluster_put(struct meta *m, struct meta_cluster *c)
{
	return put(m, "cluster", meta_cluster_encode(c), &c->version);
}

int meta_shard_ids(struct meta *m, uint32_t count, uint32_t *first)
{
	struct meta_cluster c;
	int err;

	for (int tries = 0; tries < 100; tries++) {
		c = (struct meta_cluster){.next_shard = 1};
		err = meta_cluster_get(m, &c);
		if (err == -XBD_ENOTFOUND)
			err = xbd_uuid_random(&c.uuid);
		if (err)
			return err;
		if (count > XBD_SHARDS_MAX - c.next_shard)
			return text_why(m->why, sizeof(m->why), -ENOSPC,
					"%u shards wanted, %u shard numbers left of %u: make "
					"volumes with larger shards",
					count, XBD_SHARDS_MAX - c.next_shard, XBD_SHARDS_MAX);
		c.next_shard += count;
		err = meta_cluster_put(m, &c);
		if (!err)
			*first = c.next_shard - count;
		if (err != -XBD_ESTALE && err != -XBD_EEXISTS)
			return err;
	}
	return err;
}

int meta_node_get(struct meta *m, const char *name, struct meta_node *n)
{
	struct meta_node out = {0};
	char key[META_KEY_MAX], *text;
	int err = make_key(m, key, "node", name);

	if (!err)
		err = get(m, key, &text, &out.version);
	if (err)
		return err;
	err = meta_node_decode(text, &out, m->why, sizeof(m->why));
	free(text);
	if (err)
		return bad_record(m, key, err);
	err = check_name(m, key, out.name);
	if (!err)
		*n = out;
	return err;
}

int meta_node_put(struct meta *m, struct meta_node *n)
{
	char key[META_KEY_MAX];
	int err = make_key(m, key, "node", n->name);

	return err ? err : put(m, key, meta_node_encode(n), &n->version);
}

static int remove_record(struct meta *m, const char *kind, const char *name, uint64_t version)
{
	char key[META_KEY_MAX];
	int err = make_key(m, key, kind, name);

	return err ? err : m->ops->del(m->ctx, key, version, m->why, sizeof(m->why));
}

int meta_node_delete(struct meta *m, const char *name, uint64_t version)
{
	return remove_record(m, "node", name, version);
}

int meta_volume_get(struct meta *m, const char *name, struct meta_volume *v)
{
	struct meta_volume out = {0};
	char key[META_KEY_MAX], *text;
	int err = make_key(m, key, "volume", name);

	if (!err)
		err = get(m, key, &text, &out.version);
	if (err)
		return err;
	err = meta_volume_decode(text, &out, m->why, sizeof(m->why));
	free(text);
	if (err)
		return bad_record(m, key, err);
	err = check_name(m, key, out.name);
	if (err)
		meta_volume_free(&out);
	else
		*v = out;
	return err;
}

int meta_volume_put(struct meta *m, struct meta_volume *v)
{
	char key[META_KEY_MAX];
	int err = make_key(m, key, "volume", v->name);

	return err ? err : put(m, key, meta_volume_encode(v), &v->version);
}

int meta_volume_delete(struct meta *m, const char *name, uint64_t version)
{
	return remove_record(m, "volume", name, version);
}

static void free_names(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

int meta_node_list(struct meta *m, struct meta_node **out, size_t *count)
{
	struct meta_node *list;
	char **names;
	size_t n;
	int err = m->ops->list(m->ctx, "node", &names, &n, m->why, sizeof(m->why));

	if (err)
		return err;
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		err = -ENOMEM;
	for (size_t i = 0; i < n && !err; i++)
		err = meta_node_get(m, names[i], &list[i]);
	free_names(names, n);
	if (err) {
		free(list);
		return err;
	}
	*out = list;
	*count = n;
	return 0;
}

int meta_volume_list(struct meta *m, struct meta_volume **out, size_t *count)
{
	struct meta_volume *list;
	char **names;
	size_t n;
	int err = m->ops->list(m->ctx, "volume", &names, &n, m->why, sizeof(m->why));

	if (err)
		return err;
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		err = -ENOMEM;
	for (size_t i = 0; i < n && !err; i++)
		err = meta_volume_get(m, names[i], &list[i]);
	free_names(names, n);
	if (err) {
		meta_volume_list_free(list, list ? n : 0);
		return err;
	}
	*out = list;
	*count = n;
	return 0;
}

void meta_volume_list_free(struct meta_volume *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		meta_volume_free(&list[i]);
	free(list);
}

void meta_volume_free(struct meta_volume *v)
{
	free(v->shards);
	v->shards = NULL;
	v->nshards = 0;
}

uint32_t meta_shard_blocks(const struct meta_volume *v, uint32_t index)
{
	uint64_t blocks = v->size / XBD_BLOCK_SIZE, first = (uint64_t)index * v->shard_blocks;

	XBD_ASSERT(index < v->nshards && first < blocks);
	return blocks - first < v->shard_blocks ? (uint32_t)(blocks - first) : v->shard_blocks;
}

void meta_shard_record(const struct meta_volume *v, uint32_t index, struct xbd_record *rec)
{
	const struct meta_shard *s = &v->shards[index];

	XBD_ASSERT(index < v->nshards && s->n >= 1 && s->n <= XBD_REPLICAS_MAX);
	*rec = (struct xbd_record){
		.bal = 1,
		.epoch = 1,
		.gen = v->gen,
		.n = (uint8_t)s->n,
		.d_mask = (uint8_t)((1u << s->n) - 1),
		.w = (uint8_t)(s->n / 2 + 1),
		.table_no = v->table_no,
		.witness = v->witness.store,
		.volume = v->uuid,
		/* the whole shard: a volume that grows never has to change its records */
		.blocks = v->shard_blocks,
	};
	for (uint32_t i = 0; i < s->n; i++) {
		rec->member[i] = s->member[i].store;
		rec->base[i] = s->member[i].store;
	}
}
