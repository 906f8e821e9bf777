/* SPDX-License-Identifier: Apache-2.0 */
/* A git configuration, as a second reader reads it; each name against patterns; and the same bytes as a .git file. */
#include "git-reference.h"
#include "policy/policy.h"

static const char *const patterns[] = {
	"core.hookspath", "include.path", "includeif.*.path", "submodule.*.path", "filter.*.clean",
	"a.*.b",          "*.a"
};

static void check_name(const struct git_config *c)
{
	size_t i;

	FUZZ_REQUIRE(c->name[0] && strlen(c->name) < sizeof(c->name));
	FUZZ_REQUIRE(strlen(c->value) < sizeof(c->value));
	FUZZ_REQUIRE(git_config_is(c, c->name) || strchr(c->name, '*'));
	for (i = 0; i < ARRAY_SIZE(patterns); i++)
		FUZZ_REQUIRE(git_config_is(c, patterns[i]) == ref_matches(patterns[i], c->name));
}

static void check_config(const char *text, size_t size)
{
	struct buf found = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
	const char *last;
	struct git_config c;
	int r;

	git_config_begin(&c, text, size);
	for (;;) {
		last = c.at;
		r = git_config_next(&c);
		FUZZ_REQUIRE(c.at >= last && c.at <= c.end);
		if (r <= 0)
			break;
		FUZZ_REQUIRE(c.at > last);
		check_name(&c);
		buf_add(&found, c.name, strlen(c.name) + 1);
		buf_add(&found, c.value, strlen(c.value) + 1);
	}
	FUZZ_REQUIRE(ref_config(text, size, &want) == r);
	FUZZ_REQUIRE(!found.failed && found.len == want.len);
	FUZZ_REQUIRE(!found.len || memcmp(found.data, want.data, want.len) == 0);
	buf_done(&found);
	buf_done(&want);
}

/* What follows the eight characters, without the end of its line. */
static void check_pointer(char *text, size_t size)
{
	size_t n = size;
	bool good;
	char *path;

	while (n > 0 && strchr("\r\n", text[n - 1]) && text[n - 1])
		n--;
	good = n > 8 && n - 8 < LIMIT_PATH && strncmp(text, "gitdir: ", 8) == 0 &&
	       strnlen(text, n) == n;
	path = git_pointer(text, size);
	FUZZ_REQUIRE(good == (path != NULL));
	FUZZ_REQUIRE(!path || (path == text + 8 && strlen(path) == n - 8));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size > LIMIT_GIT_FILE)
		return 0;
	text = malloc(size + 1);
	FUZZ_REQUIRE(text);
	memcpy(text, data, size);
	text[size] = '\0';
	check_config(text, size);
	check_pointer(text, size);
	free(text);
	return 0;
}
