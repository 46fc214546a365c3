/* SPDX-License-Identifier: BSD-2-Clause */
/* A completion function for bash. Names of volumes and nodes come from `xbd --names KIND`. */
#include <string.h>

#include "cmd/doc.h"
#include "cmd/parse.h"

static void second_words(FILE *f, const char *group)
{
	size_t len = strlen(group);

	for (unsigned i = 0; i < CMD_ID_END; i++)
		if (!strncmp(cmd_table[i].words, group, len) && cmd_table[i].words[len] == ' ')
			fprintf(f, "%s ", cmd_table[i].words + len + 1);
}

/* Calls fn for the first word of each command or group, once. */
static void first_words(FILE *f, void (*fn)(FILE *f, const char *word))
{
	char word[32], last[32] = "";

	for (unsigned i = 0; i < CMD_ID_END; i++) {
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(cmd_table[i].words, " "),
			 cmd_table[i].words);
		if (strcmp(word, last))
			fn(f, word);
		memcpy(last, word, sizeof(last));
	}
}

static void print_word(FILE *f, const char *word)
{
	fprintf(f, "%s ", word);
}

static void group_case(FILE *f, const char *word)
{
	if (cmd_find(word))
		return;
	fprintf(f, "\t\t%s) words=\"", word);
	second_words(f, word);
	fputs("\" ;;\n", f);
}

static void options(FILE *f, const struct cmd_opt *o)
{
	for (; o && o->name; o++)
		fprintf(f, "--%s ", o->name);
}

static void command_case(FILE *f, const struct cmd *c)
{
	fprintf(f, "\t\t\"%s\") words=\"", c->words);
	options(f, c->opts);
	fputc('"', f);
	switch (c->arg[0].complete) {
	case COMPLETE_VOLUME:
		fputs("; names=volume", f);
		break;
	case COMPLETE_NODE:
		fputs("; names=node", f);
		break;
	case COMPLETE_FILE:
		fputs("; names=file", f);
		break;
	default:
		break;
	}
	fputs(" ;;\n", f);
}

void doc_completion(FILE *f)
{
	fputs("# bash completion for xbd, made by xbd --completion\n"
	      "_xbd()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} first= second= words= names= i\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) if [[ -z $first ]]; then first=${COMP_WORDS[i]}\n"
	      "\t\t\telif [[ -z $second ]]; then second=${COMP_WORDS[i]}; fi ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tcase $first in\n"
	      "\t\t'') words=\"",
	      f);
	first_words(f, print_word);
	fputs("\" ;;\n", f);
	first_words(f, group_case);
	fputs("\tesac\n\tcase $first in\n", f);
	for (unsigned i = 0; i < CMD_ID_END; i++)
		if (!strchr(cmd_table[i].words, ' '))
			command_case(f, &cmd_table[i]);
	fputs("\tesac\n\tcase \"$first $second\" in\n", f);
	for (unsigned i = 0; i < CMD_ID_END; i++)
		if (strchr(cmd_table[i].words, ' '))
			command_case(f, &cmd_table[i]);
	fputs("\tesac\n\twords+=\" ", f);
	options(f, cmd_global_opts);
	fputs("\"\n"
	      "\t[[ $names == volume || $names == node ]] &&\n"
	      "\t\twords+=\" $(xbd --names \"$names\" 2>/dev/null)\"\n"
	      "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	      "\t[[ $names == file ]] &&\n"
	      "\t\tmapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -f -- \"$cur\")\n"
	      "\treturn 0\n"
	      "}\n"
	      "complete -F _xbd xbd\n",
	      f);
}
