/* SPDX-License-Identifier: Apache-2.0 */
#include "init/init.h"
#include "tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct err e;
static char *const argv[] = { (char *)"sh", (char *)"", (char *)"c d", NULL };
static char *const envp[] = { (char *)"A=b", NULL };
static const struct init_command full = {
	.argv = argv, .envp = envp, .cwd = "/x", .tty = { .fds = 7, .size = { .ws_row = 3 } }
};

static void check_same(const struct init_command *got)
{
	CHECK_STR(got->argv[0], "sh");
	CHECK_STR(got->argv[1], "");
	CHECK_STR(got->argv[2], "c d");
	CHECK(!got->argv[3]);
	CHECK_STR(got->envp[0], "A=b");
	CHECK(!got->envp[1] && got->tty.fds == 7 && got->tty.size.ws_row == 3);
}

TEST(there_and_back)
{
	struct init_command got;
	void *memory = NULL;
	int fd = init_pack(&full, &e);

	REQUIRE(fd >= 0);
	REQUIRE(init_unpack(fd, &got, &memory) == 0);
	check_same(&got);
	CHECK_STR(got.cwd, "/x");
	free(memory);
	(void)close(fd);
}

TEST(without_a_directory_and_variables)
{
	const struct init_command cmd = { .argv = argv };
	struct init_command got;
	void *memory = NULL;
	int fd = init_pack(&cmd, &e);

	REQUIRE(fd >= 0 && init_unpack(fd, &got, &memory) == 0);
	CHECK(!got.cwd && !got.envp[0] && got.tty.fds == 0);
	CHECK_STR(got.argv[2], "c d");
	free(memory);
	(void)close(fd);
}

/* Whatever is cut off, added or turned over: refused, or the same command with other text; never read beyond what is there. */
TEST(every_byte_wrong)
{
	int fd = init_pack(&full, &e);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0, i;
	struct init_command got;
	unsigned char byte;
	void *memory;

	REQUIRE(fd >= 0 && size > 0);
	for (i = 0; i < size; i++) {
		REQUIRE(pread(fd, &byte, 1, i) == 1);
		byte ^= 0xff;
		REQUIRE(pwrite(fd, &byte, 1, i) == 1);
		memory = NULL;
		if (init_unpack(fd, &got, &memory) == 0) {
			size_t k, bytes = 0;

			for (k = 0; got.argv[k]; k++)
				bytes += strlen(got.argv[k]) + 1;
			for (k = 0; got.envp[k]; k++)
				bytes += strlen(got.envp[k]) + 1;
			CHECK(bytes <= (size_t)size);
		}
		free(memory);
		byte ^= 0xff;
		REQUIRE(pwrite(fd, &byte, 1, i) == 1);
	}
	memory = NULL;
	REQUIRE(ftruncate(fd, size + 1) == 0);
	CHECK(init_unpack(fd, &got, &memory) == -EBADMSG);
	for (i = size - 1; i >= 0; i--) {
		REQUIRE(ftruncate(fd, i) == 0);
		CHECK(init_unpack(fd, &got, &memory) == -EBADMSG);
	}
	(void)close(fd);
}

TEST(too_much)
{
	char *big = malloc(LIMIT_SPAWN + 1);
	char *const words[] = { big, NULL };
	const struct init_command cmd = { .argv = words };
	struct init_command got;
	void *memory = NULL;
	int fd;

	REQUIRE(big != NULL);
	memset(big, 'x', LIMIT_SPAWN);
	big[LIMIT_SPAWN] = '\0';
	CHECK(init_pack(&cmd, &e) == -E2BIG && strstr(e.msg, "4 MiB"));
	free(big);
	fd = memfd_create("big", MFD_CLOEXEC);
	REQUIRE(fd >= 0 && ftruncate(fd, LIMIT_SPAWN + 1) == 0);
	CHECK(init_unpack(fd, &got, &memory) == -E2BIG);
	(void)close(fd);
}
