/* SPDX-License-Identifier: Apache-2.0 */
/* A git configuration, and the same bytes as a .git file. */
#include "fuzz.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct git_config c;
	const char *last;
	char *text, *path;
	size_t n;
	int r;

	if (size > LIMIT_GIT_FILE)
		return 0;
	text = malloc(size + 1);
	FUZZ_REQUIRE(text);
	memcpy(text, data, size);
	text[size] = '\0';
	git_config_begin(&c, text, size);
	for (;;) {
		last = c.at;
		r = git_config_next(&c);
		FUZZ_REQUIRE(c.at >= last && c.at <= c.end);
		if (r <= 0)
			break;
		FUZZ_REQUIRE(c.at > last);
		FUZZ_REQUIRE(strlen(c.name) < sizeof(c.name) && strlen(c.value) < sizeof(c.value));
		FUZZ_REQUIRE(strchr(c.name, '.') && c.name[0]);
		FUZZ_REQUIRE(git_config_is(&c, c.name) || strchr(c.name, '*'));
		n = strlen(c.name);
		FUZZ_REQUIRE(git_config_is(&c, "includeif.*.path") ==
			     (n >= 15 && strncmp(c.name, "includeif.", 10) == 0 &&
			      strcmp(c.name + n - 5, ".path") == 0));
		FUZZ_REQUIRE(!git_config_is(&c, "include.path") ||
			     strcmp(c.name, "include.path") == 0);
	}
	path = git_pointer(text, size);
	if (path)
		FUZZ_REQUIRE(path == text + 8 && path[0] && strlen(path) < LIMIT_PATH &&
			     memcmp(data, "gitdir: ", 8) == 0);
	free(text);
	return 0;
}
