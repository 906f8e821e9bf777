/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a target over the files of directories, without a fuzzer: the corpus as a unit test. */
#define TAP_NO_MAIN
#include "../tests/unit/tap.h"

#include <dirent.h>

#include "fuzz.h"

static void replay(const void *arg)
{
	struct buf b = BUF_INIT(1 << 20);
	int fd = open(arg, O_RDONLY | O_CLOEXEC);

	REQUIRE(fd >= 0 && fd_read_all(fd, &b) == 0);
	close(fd);
	LLVMFuzzerTestOneInput((const uint8_t *)(b.data ? b.data : ""), b.len);
	buf_done(&b);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		struct dirent **names;
		int n = scandir(argv[i], &names, NULL, alphasort), k;

		for (k = 0; k < n; k++) {
			char path[LIMIT_PATH];

			snprintf(path, sizeof(path), "%s/%s", argv[i], names[k]->d_name);
			if (names[k]->d_name[0] != '.')
				tap_run(replay, path, NULL, "corpus %s", names[k]->d_name);
			free(names[k]);
		}
		if (n >= 0)
			free(names);
	}
	if (!tap_count)
		printf("Bail out! no corpus\n");
	return tap_done() || !tap_count;
}
