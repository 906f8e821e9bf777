/* SPDX-License-Identifier: Apache-2.0 */
/* One word a line. Whatever comes in, the parser says yes or says why, and its values are words of the command line. */
#include "fuzz.h"

#define WORDS 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct opt_list list = { 0 };
	const char *string = NULL, *optional = NULL;
	bool flag = false, dashes = false;
	const struct opt opts[] = { OPT_GROUP("Group"),
				    OPT_LIST("allow-write", &list, NULL, "PATH", "", ""),
				    OPT_LIST("hide", &list, NULL, "PATH", "", ""),
				    OPT_STRING("timeout", &string, NULL, "DURATION", "", ""),
				    OPT_OPTIONAL("explain", &optional, NULL, "json", "", ""),
				    OPT_FLAG("dry-run", &flag, NULL, "", ""),
				    OPT_END };
	char words[WORDS][512], *argv[WORDS + 1] = { NULL };
	struct err e = ERR_INIT;
	size_t n = 0, rest = 99, i;
	int r;

	if (size > 8192)
		return 0;
	while (n < WORDS && fuzz_line(&data, &size, words[n], sizeof(words[n]))) {
		argv[n] = words[n];
		n++;
	}
	r = opt_parse(opts, argv, &rest, &dashes, &e);
	if (r < 0) {
		FUZZ_REQUIRE(e.msg[0] && (e.code == ERR_USAGE || e.code == ERR_HELP) && rest == 99);
	} else {
		FUZZ_REQUIRE(rest <= n && (!dashes || strcmp(argv[rest - 1], "--") == 0));
		for (i = 0; i < rest; i++)
			FUZZ_REQUIRE(argv[i][0] == '-' || (i > 0 && argv[i - 1][0] == '-'));
		FUZZ_REQUIRE(dashes || rest == n || argv[rest][0] != '-' || !argv[rest][1]);
	}
	for (i = 0; i < list.n; i++)
		FUZZ_REQUIRE((uintptr_t)list.v[i].value - (uintptr_t)words < sizeof(words));
	opt_list_done(&list);
	return 0;
}
