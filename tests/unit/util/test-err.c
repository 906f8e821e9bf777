/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"
#include "util/util.h"

#include <errno.h>

TEST(set_fills_all_fields)
{
	struct err e = ERR_INIT;

	CHECK(err_set(&e, ERR_POLICY, -EPERM, "rule %d of %s", 3, "file") == -EPERM);
	CHECK(e.sys == EPERM);
	CHECK(e.code == ERR_POLICY);
	CHECK_STR(e.msg, "rule 3 of file");
	CHECK_STR(e.where, "");
}

TEST(no_error_struct_is_fine)
{
	CHECK(err_set(NULL, ERR_USAGE, -EINVAL, "x") == -EINVAL);
	CHECK(err_sys(NULL, -EIO, "x") == -EIO);
	CHECK(err_wrap(NULL, -EIO, "x") == -EIO);
}

TEST(sys_appends_the_text_of_errno)
{
	struct err e = ERR_INIT;

	CHECK(err_sys(&e, -ENOENT, "open '%s'", "/x") == -ENOENT);
	CHECK(e.code == ERR_SYSTEM && e.sys == ENOENT);
	CHECK_STR(e.msg, "open '/x': No such file or directory");
}

TEST(wrap_puts_context_in_front_and_keeps_the_code)
{
	struct err e = ERR_INIT;

	(void)err_set(&e, ERR_NOTFOUND, -ENOENT, "no 'x'"); /* the value is known */
	CHECK(err_wrap(&e, -ENOENT, "run %d", 1) == -ENOENT);
	CHECK(err_wrap(&e, -ENOENT, "outer") == -ENOENT);
	CHECK_STR(e.msg, "outer: run 1: no 'x'");
	CHECK(e.code == ERR_NOTFOUND && e.sys == ENOENT);
}

TEST(long_messages_are_cut_inside_the_struct)
{
	struct err e = ERR_INIT;
	char big[2000];
	size_t n;

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	(void)err_set(&e, ERR_SYSTEM, -EIO, "%s", big); /* the value is known */
	CHECK(strlen(e.msg) == sizeof(e.msg) - 1);
	(void)err_sys(&e, -EIO, "%s", big);
	CHECK(strlen(e.msg) == sizeof(e.msg) - 1);
	(void)err_wrap(&e, -EIO, "ctx");
	CHECK(strncmp(e.msg, "ctx: aaa", 8) == 0);
	CHECK(strlen(e.msg) == sizeof(e.msg) - 1);
	(void)err_wrap(&e, -EIO, "%s", big);
	CHECK(strlen(e.msg) == sizeof(e.msg) - 1);
	for (n = 0; e.msg[n] == 'a'; n++)
		;
	CHECK(n == sizeof(e.msg) - 1);
}

TEST(every_code_has_an_exit_status)
{
	static const int want[ERR_NUM + 1] = {
		[ERR_NONE] = 125,   [ERR_USAGE] = 2,    [ERR_POLICY] = 2,     [ERR_LAYER] = 125,
		[ERR_SYSTEM] = 125, [ERR_NOEXEC] = 126, [ERR_NOTFOUND] = 127, [ERR_ABSENT] = 3,
		[ERR_HELP] = 0,     [ERR_NUM] = 125
	};
	int c;

	for (c = 0; c <= ERR_NUM; c++) {
		struct err e = { .code = (enum err_code)c };

		if (err_exit_code(&e) != want[c])
			FAIL("code %d exits with %d, not %d", c, err_exit_code(&e), want[c]);
	}
}
