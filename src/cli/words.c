/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs, options and values as data: `bailey help --json`. Manual pages and completions are made of it, so they can't say anything else. */
#include "cli.h"

static void option_json(const struct opt *o, const char *group, struct json *j)
{
	static const char *const types[] = { [OPT_TYPE_END] = "",
					     [OPT_TYPE_GROUP] = "",
					     [OPT_TYPE_FLAG] = "flag",
					     [OPT_TYPE_STRING] = "string",
					     [OPT_TYPE_OPTIONAL] = "optional",
					     [OPT_TYPE_LIST] = "list" };

	const char letter[] = { (char)(o->flags >> 16), '\0' };

	json_open(j, NULL, '{');
	json_str(j, "name", o->name);
	json_str(j, "letter", *letter ? letter : NULL);
	json_str(j, "type", types[o->type]);
	json_str(j, "group", group);
	json_str(j, "arg", o->arg);
	json_str(j, "key", o->key);
	json_str(j, "help", o->help);
	json_str(j, "man", o->man);
	json_close(j, '}');
}

static void options_json(const struct opt *o, struct json *j)
{
	const char *group = NULL;

	json_open(j, "options", '[');
	for (; o && o->type != OPT_TYPE_END; o++) {
		if (o->type == OPT_TYPE_GROUP)
			group = o->name;
		else
			option_json(o, group, j);
	}
	option_json(&opt_help_row, NULL, j);
	json_close(j, ']');
}

static void meanings_json(const struct meaning *m, const char *key, struct json *j)
{
	json_open(j, key, '[');
	for (; m && m->what; m++) {
		json_open(j, NULL, '{');
		json_str(j, "what", m->what);
		json_str(j, "means", m->means);
		json_close(j, '}');
	}
	json_close(j, ']');
}

/* Values that are not files and can be named all the same: those whose name in the rows is the key. */
static void values_json(struct json *j)
{
	size_t i;

	json_open(j, "values", '{');
	json_open(j, "LAYER", '[');
	for (i = 0; i < JAIL_LAYER_NUM; i++) {
		const struct jail_layer_info *info = jail_layer_info((enum jail_layer)i);

		if (!info->lost)
			continue;
		json_open(j, NULL, '{');
		json_str(j, "what", info->name);
		json_str(j, "means", info->lost);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_open(j, "VERB", '[');
	for (i = 0; commands[i].name; i++) {
		json_open(j, NULL, '{');
		json_str(j, "what", commands[i].name);
		json_str(j, "means", commands[i].summary);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
}

void words_json(struct buf *b)
{
	struct json j = { .out = b };
	const struct command *c;

	json_open(&j, NULL, '{');
	json_str(&j, "release", BAILEY_VERSION);
	json_open(&j, "verbs", '[');
	for (c = commands; c->name; c++) {
		const struct command_words *w = c->words;

		json_open(&j, NULL, '{');
		json_str(&j, "name", c->name);
		json_str(&j, "usage", c->usage);
		json_str(&j, "summary", c->summary);
		json_str(&j, "about", w ? w->about : NULL);
		options_json(w && w->options ? w->options() : NULL, &j);
		meanings_json(w ? w->statuses : NULL, "statuses", &j);
		meanings_json(w ? w->examples : NULL, "examples", &j);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	values_json(&j);
	json_close(&j, '}');
	buf_puts(b, "\n");
}
