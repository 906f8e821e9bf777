/* SPDX-License-Identifier: Apache-2.0 */
/* A command on its way to PID 1 (src/init/pack.c): refused, or the only form of what was read, so that packing it again gives the same bytes. */
#include "fuzz.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "init/init.h"

/* Between the numbers and the words is a terminal's state, with holes that nobody fills. */
#define HEAD 16u
#define WORDS(size) ((size)-HEAD - sizeof(struct init_tty))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct init_command got;
	struct buf again = BUF_INIT(LIMIT_SPAWN + 1);
	struct err e = ERR_INIT;
	void *memory = NULL;
	int packed, r;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	FUZZ_REQUIRE(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	r = init_unpack(fd, &got, &memory);
	FUZZ_REQUIRE(r == 0 || r == -EBADMSG);
	if (r < 0)
		return 0;
	FUZZ_REQUIRE(got.argv[0]); /* there is always a program */
	packed = init_pack(&got, &e);
	FUZZ_REQUIRE(packed >= 0 && lseek(packed, 0, SEEK_SET) == 0 &&
		     fd_read_all(packed, &again) == 0);
	FUZZ_REQUIRE(again.len == size && memcmp(again.data, data, HEAD) == 0);
	FUZZ_REQUIRE(memcmp(again.data + size - WORDS(size), data + size - WORDS(size),
			    WORDS(size)) == 0);
	buf_done(&again);
	(void)close(packed);
	free(memory);
	return 0;
}
