/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the JSON Schema of policy files, made of the option table. docs/policy.schema.json is its output; a test compares them. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

#define PATH_SCHEMA \
	"{ \"type\": \"string\", \"minLength\": 1, \"maxLength\": 4095, \"pattern\": \"^[^\\\\u0000]+$\" }"
#define NAME_PATTERN "^[^\\\\u0000-\\\\u0020=\\\\u007f]{1,255}$"

static void print_string(const char *s)
{
	struct buf b = BUF_INIT(65536);
	struct json j = { .out = &b };

	json_str(&j, NULL, s);
	fputs(b.data, stdout);
	buf_done(&b);
}

static void print_path(const struct opt *o)
{
	if (!(o->flags & OPT_GLOBS)) {
		printf("{ \"$ref\": \"#/definitions/path\" }");
		return;
	}
	printf("{ \"$ref\": \"#/definitions/pattern\" }");
}

/* "a|b" are the values themselves. */
static void print_choices(const char *arg)
{
	const char *comma = "", *end;

	printf("\"enum\": [");
	for (;; arg = end + 1, comma = ", ") {
		end = arg + strcspn(arg, "|");
		printf("%s\"%.*s\"", comma, (int)(end - arg), arg);
		if (!*end)
			break;
	}
	printf("]");
}

static void print_type(const struct opt *o)
{
	switch (o->type) {
	case OPT_TYPE_FLAG:
		printf("\"type\": \"boolean\"");
		break;
	case OPT_TYPE_STRING:
	case OPT_TYPE_OPTIONAL:
		if (o->number)
			printf("\"type\": [\"string\", \"number\"], \"minimum\": 0");
		else if (strchr(o->arg, '|'))
			print_choices(o->arg);
		else
			printf("\"type\": \"string\"");
		break;
	case OPT_TYPE_LIST:
		if (o->flags & OPT_WORDS) {
			printf("\"type\": \"object\", \"propertyNames\": { \"pattern\": \"^[^=]+$\" },\n"
			       "          \"additionalProperties\": { \"type\": \"string\", \"maxLength\": %d }",
			       LIMIT_NET_REASON);
			break;
		}
		if (o->flags & OPT_MAP) {
			printf("\"type\": \"object\", \"propertyNames\": { \"pattern\": \"" NAME_PATTERN
			       "\" },\n          \"additionalProperties\": { \"type\": \"string\", \"maxLength\": 32763 }");
			break;
		}
		printf("\"type\": \"array\", \"items\": ");
		if (o->flags & OPT_PATHS)
			print_path(o);
		else if (o->flags & OPT_INSPECT)
			printf("{ \"$ref\": \"#/definitions/inspect\" }");
		else if (o->flags & OPT_LOGIN)
			printf("{ \"$ref\": \"#/definitions/login\" }");
		else if (o->flags & OPT_RULES)
			printf("{ \"$ref\": \"#/definitions/rule\" }");
		else if (o->flags & OPT_NAMES)
			printf("{ \"type\": \"string\", \"pattern\": \"" NAME_PATTERN "\" }");
		else
			printf("{ \"type\": \"string\" }");
		break;
	case OPT_TYPE_END:
	case OPT_TYPE_GROUP:
		break;
	}
}

static size_t group_len(const struct opt *o)
{
	return o->type != OPT_TYPE_END && o->key ? strcspn(o->key, ".") : 0;
}

/* What bailey-keys reads (src/keys/rules-read.c): a matcher, names and matchers, an entry. */
#define INSPECT_SCHEMA                                                                                                                                   \
	"        {\n          \"type\": \"object\", \"required\": [\"host\"], \"additionalProperties\": false,\n"                                        \
	"          \"properties\": { \"host\": { \"type\": \"string\", \"minLength\": 1 },\n"                                                            \
	"            \"requests\": { \"type\": \"array\", \"minItems\": 1, \"maxItems\": 1024, \"items\": { \"$ref\": \"#/definitions/request\" } } }\n" \
	"        }\n"

#define RULES_SCHEMA                                                                                                                                                \
	"    \"matcher\": {\n      \"anyOf\": [\n        { \"type\": \"string\" },\n"                                                                               \
	"        { \"type\": \"object\", \"minProperties\": 1, \"maxProperties\": 1, \"additionalProperties\": false,\n"                                            \
	"          \"properties\": { \"exact\": { \"type\": \"string\" }, \"startsWith\": { \"type\": \"string\" }, \"regex\": { \"type\": \"string\" } } },\n"     \
	"        { \"type\": \"array\", \"minItems\": 1, \"items\": { \"$ref\": \"#/definitions/matcher\" } }\n      ]\n    },\n"                                   \
	"    \"pairs\": {\n      \"anyOf\": [\n        { \"type\": \"object\", \"additionalProperties\": { \"$ref\": \"#/definitions/matcher\" } },\n"              \
	"        { \"type\": \"array\", \"items\": { \"type\": \"object\", \"required\": [\"name\"], \"additionalProperties\": false,\n"                            \
	"          \"properties\": { \"name\": { \"$ref\": \"#/definitions/matcher\" }, \"value\": { \"$ref\": \"#/definitions/matcher\" } } } }\n"                 \
	"      ]\n    },\n"                                                                                                                                         \
	"    \"request\": {\n      \"type\": \"object\", \"additionalProperties\": false,\n      \"properties\": {\n"                                               \
	"        \"method\": { \"$ref\": \"#/definitions/matcher\" }, \"path\": { \"$ref\": \"#/definitions/matcher\" },\n"                                         \
	"        \"query\": { \"$ref\": \"#/definitions/pairs\" }, \"headers\": { \"$ref\": \"#/definitions/pairs\" }, \"reason\": { \"type\": \"string\" },\n"     \
	"        \"action\": {\n          \"anyOf\": [\n            { \"enum\": [\"allow\", \"deny\"] },\n"                                                         \
	"            { \"type\": \"object\", \"minProperties\": 1, \"additionalProperties\": false,\n"                                                              \
	"              \"properties\": { \"forward\": { \"type\": \"string\", \"pattern\": \"^https?://\", \"maxLength\": 1024 },\n"                                \
	"                \"headers\": { \"type\": \"object\", \"additionalProperties\": { \"type\": [\"string\", \"null\"] } } } },\n"                              \
	"            { \"type\": \"object\", \"required\": [\"response\"], \"additionalProperties\": false,\n"                                                      \
	"              \"properties\": { \"response\": { \"type\": \"object\", \"additionalProperties\": false,\n"                                                  \
	"                \"properties\": { \"status\": { \"type\": \"integer\", \"minimum\": 200, \"maximum\": 599 },\n"                                            \
	"                  \"headers\": { \"type\": \"object\", \"additionalProperties\": { \"type\": \"string\" } }, \"body\": { \"type\": \"string\" } } } } }\n" \
	"          ]\n        }\n      }\n    },\n"                                                                                                                 \
	"    \"login\": {\n      \"anyOf\": [\n        { \"type\": \"string\", \"minLength\": 1 },\n"                                                               \
	"        { \"type\": \"object\", \"required\": [\"name\", \"token\"], \"additionalProperties\": false,\n"                                                   \
	"          \"properties\": { \"name\": { \"type\": \"string\", \"pattern\": \"^[a-z0-9][a-z0-9._-]{0,39}$\" },\n"                                           \
	"            \"token\": { \"type\": \"array\", \"minItems\": 1, \"items\": { \"type\": \"string\", \"pattern\": \"^https://[^/]+/\" } },\n"                 \
	"            \"hosts\": { \"type\": \"array\", \"minItems\": 1, \"items\": { \"type\": \"string\", \"minLength\": 1 } } } }\n"                              \
	"      ]\n    }\n"

/* Whether an earlier row has the group of @o. */
static bool seen(const struct opt *table, const struct opt *o)
{
	const struct opt *k;

	for (k = table; k < o; k++) {
		if (group_len(k) == group_len(o) && strncmp(k->key, o->key, group_len(o) + 1) == 0)
			return true;
	}
	return false;
}

static void print_group(const struct opt *o)
{
	const char *comma = "", *key = o->key;
	size_t len = group_len(o);

	printf(",\n    \"%.*s\": {\n      \"type\": \"object\",\n      \"additionalProperties\": false,\n      \"properties\": {",
	       (int)len, key);
	for (; o->type != OPT_TYPE_END; o++) {
		if (group_len(o) != len || strncmp(o->key, key, len) != 0)
			continue;
		printf("%s\n        \"%s\": {\n          \"description\": ", comma,
		       o->key + len + 1);
		print_string(o->help);
		printf(",\n          ");
		print_type(o);
		printf("\n        }");
		comma = ",";
	}
	printf("\n      }\n    }");
}

int main(void)
{
	struct sandbox_options options;
	struct opt table[SANDBOX_OPTIONS];
	const struct opt *o;

	sandbox_options(&options, table, SANDBOX_OPTIONS);
	printf("{\n  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n"
	       "  \"title\": \"bailey policy file\",\n"
	       "  \"description\": \"/etc/bailey/policy.json, ~/.config/bailey/policy.json, .bailey.json. Made by tools/gen-schema.c.\",\n"
	       "  \"type\": \"object\",\n  \"additionalProperties\": false,\n  \"definitions\": {\n"
	       "    \"path\": " PATH_SCHEMA ",\n"
	       "    \"pattern\": {\n      \"anyOf\": [\n        { \"$ref\": \"#/definitions/path\" },\n"
	       "        {\n          \"type\": \"object\", \"required\": [\"path\"], \"additionalProperties\": false,\n"
	       "          \"properties\": { \"path\": { \"$ref\": \"#/definitions/path\" }, \"literal\": { \"type\": \"boolean\" } }\n"
	       "        }\n      ]\n    },\n"
	       "    \"rule\": {\n      \"anyOf\": [\n        { \"type\": \"string\", \"minLength\": 1 },\n"
	       "        {\n          \"type\": \"object\", \"required\": [\"rule\"], \"additionalProperties\": false,\n"
	       "          \"properties\": { \"rule\": { \"type\": \"string\", \"minLength\": 1 }, "
	       "\"reason\": { \"type\": \"string\", \"maxLength\": 200 } }\n"
	       "        }\n      ]\n    },\n"
	       "    \"inspect\": {\n      \"anyOf\": [\n        { \"type\": \"string\", \"minLength\": 1 },\n" INSPECT_SCHEMA
	       "      ]\n    },\n" RULES_SCHEMA "  },\n"
	       "  \"properties\": {\n    \"$schema\": { \"type\": \"string\" }");
	for (o = table; o->type != OPT_TYPE_END; o++) {
		if (group_len(o) && !seen(table, o))
			print_group(o);
	}
	printf("\n  }\n}\n");
	return 0;
}
