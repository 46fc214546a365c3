/* SPDX-License-Identifier: BSD-2-Clause */
#include "meta/codec.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static json_t *uuid_json(const struct xbd_uuid *u)
{
	char text[XBD_UUID_TEXT];

	xbd_uuid_text(u, text);
	return json_string(text);
}

/* Takes the reference. A newline at the end, for people with editors. */
static char *dump(json_t *o)
{
	char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL, *line = NULL;

	json_decref(o);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

static int wrong(char *why, size_t why_size, const char *what)
{
	return text_why(why, why_size, -XBD_EFORMAT, "%s", what);
}

static json_t *load(const char *text, char *why, size_t why_size)
{
	json_error_t e;
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &e);

	if (!o)
		text_why(why, why_size, 0, "not JSON: line %d: %s", e.line, e.text);
	return o;
}

char *meta_cluster_encode(const struct meta_cluster *c)
{
	return dump(json_pack("{s:i, s:o, s:I}", "format", META_FORMAT, "uuid", uuid_json(&c->uuid),
			      "next_shard", (json_int_t)c->next_shard));
}

int meta_cluster_decode(const char *text, struct meta_cluster *c, char *why, size_t why_size)
{
	json_t *o = load(text, why, why_size);
	struct meta_cluster out = *c;
	const char *uuid;
	json_int_t next;
	json_error_t e;
	int format, err = 0;

	if (!o)
		return -XBD_EFORMAT;
	if (json_unpack_ex(o, &e, 0, "{s:i}", "format", &format))
		err = wrong(why, why_size, e.text);
	else if (format != META_FORMAT)
		err = text_why(why, why_size, -XBD_EFORMAT,
			       "format %d, but this version of xbd knows format %d only", format,
			       META_FORMAT);
	else if (json_unpack_ex(o, &e, JSON_STRICT, "{s:i, s:s, s:I}", "format", &format, "uuid",
				&uuid, "next_shard", &next))
		err = wrong(why, why_size, e.text);
	else if (xbd_uuid_parse(uuid, &out.uuid) || next < 0 || next > XBD_SHARDS_MAX)
		err = wrong(why, why_size, "value out of range");
	json_decref(o);
	if (err)
		return err;
	out.next_shard = (uint32_t)next;
	*c = out;
	return 0;
}

char *meta_node_encode(const struct meta_node *n)
{
	return dump(json_pack("{s:s, s:s, s:o, s:b, s:I}", "name", n->name, "addr", n->addr,
			      "store", uuid_json(&n->store), "witness", n->witness, "blocks",
			      (json_int_t)n->blocks));
}

static bool copy_name(char out[XBD_NAME_MAX + 1], const char *name)
{
	if (text_name(name, "name", NULL, 0))
		return false;
	memcpy(out, name, strlen(name) + 1);
	return true;
}

int meta_node_decode(const char *text, struct meta_node *n, char *why, size_t why_size)
{
	json_t *o = load(text, why, why_size);
	struct meta_node out = *n;
	const char *name, *addr, *store;
	struct sockaddr_storage ss;
	json_int_t blocks;
	json_error_t e;
	int witness, err = 0;

	if (!o)
		return -XBD_EFORMAT;
	if (json_unpack_ex(o, &e, JSON_STRICT, "{s:s, s:s, s:s, s:b, s:I}", "name", &name, "addr",
			   &addr, "store", &store, "witness", &witness, "blocks", &blocks))
		err = wrong(why, why_size, e.text);
	else if (!copy_name(out.name, name) || xbd_uuid_parse(store, &out.store) || blocks < 0 ||
		 strlen(addr) >= sizeof(out.addr) || text_addr(addr, 0, &ss, NULL, NULL, 0))
		err = wrong(why, why_size, "value out of range");
	else
		memcpy(out.addr, addr, strlen(addr) + 1);
	json_decref(o);
	if (err)
		return err;
	out.witness = witness;
	out.blocks = (uint64_t)blocks;
	*n = out;
	return 0;
}

static json_t *member_json(const struct meta_member *m)
{
	return json_pack("{s:s, s:o}", "node", m->node, "store", uuid_json(&m->store));
}

static json_t *shard_json(const struct meta_shard *s)
{
	json_t *members = json_array();

	for (uint32_t i = 0; i < s->n; i++)
		json_array_append_new(members, member_json(&s->member[i]));
	return json_pack("{s:I, s:o}", "id", (json_int_t)s->id, "members", members);
}

char *meta_volume_encode(const struct meta_volume *v)
{
	json_t *shards = json_array();
	char gen[17];

	for (uint32_t i = 0; i < v->nshards; i++)
		json_array_append_new(shards, shard_json(&v->shards[i]));
	snprintf(gen, sizeof(gen), "%016" PRIx64, v->gen);
	return dump(json_pack(
		"{s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "name", v->name, "uuid",
		uuid_json(&v->uuid), "gen", gen, "size", (json_int_t)v->size, "shard_blocks",
		(json_int_t)v->shard_blocks, "replicas", (json_int_t)v->replicas, "table_no",
		(json_int_t)v->table_no, "created", (json_int_t)v->created, "witness",
		v->witness.node[0] ? member_json(&v->witness) : json_null(), "shards", shards));
}

static const char *member_decode(json_t *o, struct meta_member *m)
{
	const char *node, *store;

	if (json_unpack_ex(o, NULL, JSON_STRICT, "{s:s, s:s}", "node", &node, "store", &store))
		return "a member has the wrong keys";
	if (!copy_name(m->node, node) || xbd_uuid_parse(store, &m->store))
		return "a member's value is out of range";
	return NULL;
}

static const char *shard_decode(json_t *o, struct meta_shard *s)
{
	json_t *members;
	json_int_t id;

	if (json_unpack_ex(o, NULL, JSON_STRICT, "{s:I, s:o}", "id", &id, "members", &members) ||
	    !json_is_array(members))
		return "a shard has the wrong keys";
	if (id < 0 || id >= XBD_SHARDS_MAX || json_array_size(members) < 1 ||
	    json_array_size(members) > XBD_REPLICAS_MAX)
		return "a shard's value is out of range";
	s->id = (uint32_t)id;
	s->n = (uint32_t)json_array_size(members);
	for (uint32_t i = 0; i < s->n; i++) {
		const char *bad = member_decode(json_array_get(members, i), &s->member[i]);

		if (bad)
			return bad;
	}
	return NULL;
}

struct volume_fields {
	const char *name, *uuid, *gen;
	json_int_t size, shard_blocks, replicas, table_no, created;
	json_t *witness, *shards;
};

static const char *volume_check(const struct volume_fields *f, struct meta_volume *v)
{
	char *end;

	if (!copy_name(v->name, f->name) || xbd_uuid_parse(f->uuid, &v->uuid))
		return "name or uuid is not valid";
	v->gen = strtoull(f->gen, &end, 16);
	if (strlen(f->gen) != 16 || *end)
		return "gen is not 16 hexadecimal digits";
	if (f->size <= 0 || f->size % XBD_BLOCK_SIZE)
		return "size is not a positive multiple of 4096";
	if (f->shard_blocks <= 0 || f->shard_blocks > XBD_SHARD_BLOCKS_MAX ||
	    f->shard_blocks % XBD_RANGE_BLOCKS)
		return "shard_blocks is out of range";
	if (f->replicas < 1 || f->replicas > XBD_REPLICAS_MAX || f->table_no < 0 ||
	    f->table_no > UINT32_MAX || f->created < 0)
		return "a value is out of range";
	v->size = (uint64_t)f->size;
	v->shard_blocks = (uint32_t)f->shard_blocks;
	v->replicas = (uint32_t)f->replicas;
	v->table_no = (uint32_t)f->table_no;
	v->created = (uint64_t)f->created;
	return NULL;
}

/* Fills everything but `version`; v->shards is set last and only on success. */
static const char *volume_parse(json_t *o, struct meta_volume *v)
{
	struct volume_fields f;
	struct meta_shard *shards;
	const char *bad;
	uint64_t want;

	if (json_unpack_ex(o, NULL, JSON_STRICT,
			   "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "name", &f.name,
			   "uuid", &f.uuid, "gen", &f.gen, "size", &f.size, "shard_blocks",
			   &f.shard_blocks, "replicas", &f.replicas, "table_no", &f.table_no,
			   "created", &f.created, "witness", &f.witness, "shards", &f.shards))
		return "keys are missing, unknown or of the wrong type";
	bad = volume_check(&f, v);
	if (bad)
		return bad;
	v->witness = (struct meta_member){.node = ""};
	bad = json_is_null(f.witness) ? NULL : member_decode(f.witness, &v->witness);
	if (bad)
		return bad;
	want = (v->size / XBD_BLOCK_SIZE + v->shard_blocks - 1) / v->shard_blocks;
	v->nshards = (uint32_t)json_array_size(f.shards);
	if (v->nshards != want || want > XBD_SHARDS_MAX)
		return "the number of shards does not fit the size";
	shards = calloc(v->nshards, sizeof(*shards));
	if (!shards)
		return "out of memory";
	for (uint32_t i = 0; i < v->nshards && !bad; i++)
		bad = shard_decode(json_array_get(f.shards, i), &shards[i]);
	if (bad)
		free(shards);
	else
		v->shards = shards;
	return bad;
}

int meta_volume_decode(const char *text, struct meta_volume *v, char *why, size_t why_size)
{
	json_t *o = load(text, why, why_size);
	struct meta_volume out = {.version = v->version};
	const char *bad;

	if (!o)
		return -XBD_EFORMAT;
	bad = volume_parse(o, &out);
	json_decref(o);
	if (bad)
		return wrong(why, why_size, bad);
	*v = out;
	return 0;
}
