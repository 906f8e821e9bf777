/* SPDX-License-Identifier: Apache-2.0 */
/* Lines: path, cwd, home. A normalised path is plain, stays the same, and agrees with covers(), depth() and compare(). */
#include "fuzz.h"

static void check_plain(const char *p)
{
	size_t n = strlen(p), i;

	FUZZ_REQUIRE(p[0] == '/' && n < LIMIT_PATH);
	FUZZ_REQUIRE(n == 1 || p[n - 1] != '/');
	FUZZ_REQUIRE(!strstr(p, "//"));
	for (i = 0; i < n; i++) {
		const char *rest = p + i;

		if (*rest != '/')
			continue;
		FUZZ_REQUIRE(!(rest[1] == '.' && (rest[2] == '/' || !rest[2])));
		FUZZ_REQUIRE(!(rest[1] == '.' && rest[2] == '.' && (rest[3] == '/' || !rest[3])));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[3 * LIMIT_PATH] = "", cwd[2 * LIMIT_PATH] = "/", home[2 * LIMIT_PATH] = "/";
	char out[LIMIT_PATH], again[LIMIT_PATH];
	struct err e = ERR_INIT;
	char *slash;
	int r;

	if (size > 8UL * LIMIT_PATH)
		return 0;
	(void)fuzz_line(&data, &size, path, sizeof(path)); /* what is missing stays empty */
	(void)fuzz_line(&data, &size, cwd + 1, sizeof(cwd) - 1);
	(void)fuzz_line(&data, &size, home + 1, sizeof(home) - 1);
	r = path_normalize(path, cwd, home[1] ? home : NULL, out, &e);
	if (r < 0) {
		FUZZ_REQUIRE(e.msg[0] && e.code == ERR_USAGE && e.sys == -r);
		return 0;
	}
	check_plain(out);
	FUZZ_REQUIRE(path_normalize(out, "/nowhere", NULL, again, &e) == 0);
	FUZZ_REQUIRE(strcmp(out, again) == 0);
	FUZZ_REQUIRE(path_covers("/", out) && path_covers(out, out));
	FUZZ_REQUIRE(path_compare(out, out) == 0);
	slash = strrchr(again, '/');
	if (slash[1]) {
		slash[slash == again ? 1 : 0] = '\0';
		FUZZ_REQUIRE(path_covers(again, out) && !path_covers(out, again));
		FUZZ_REQUIRE(path_compare(again, out) < 0 && path_compare(out, again) > 0);
		FUZZ_REQUIRE(path_depth(out) == path_depth(again) + 1);
	}
	return 0;
}
