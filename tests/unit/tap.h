/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TAP for unit tests. Each test is a process of its own, so that a crash, a leak or a hang is one failed test.
 *
 *	TEST(buf_cap) { CHECK(x == 1); }	a test; CHECK goes on after a failure, REQUIRE does not
 *	#define TAP_NO_MAIN			before the #include: tests come from a table, by tap_run() and tap_done()
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAP_SECONDS 60
#define TAP_SKIPPED 77

struct tap_test {
	const char *name, *todo;
	void (*run)(const void *arg);
	struct tap_test *next;
};

__attribute__((unused)) static struct tap_test *tap_first, **tap_end = &tap_first;
static int tap_count, tap_failures;
static bool tap_bad; /* of the test that runs */

__attribute__((format(printf, 3, 4), unused)) static void tap_fail(const char *file, int line,
								   const char *fmt, ...)
{
	va_list ap;

	tap_bad = true;
	printf("# %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

#define FAIL(...) tap_fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(e) ((e) ? (void)0 : FAIL("%s", #e))
#define REQUIRE(e) ((e) ? (void)0 : (FAIL("%s", #e), exit(1)))
#define CHECK_STR(got, want)                                                                   \
	do {                                                                                   \
		const char *got_ = (got), *want_ = (want);                                     \
		if (!got_ || strcmp(got_, want_) != 0)                                         \
			FAIL("%s is \"%s\", not \"%s\"", #got, got_ ? got_ : "(null)", want_); \
	} while (0)

/* This test can't be done here, and why. */
#define SKIP(why) (printf("# %s\n", (why)), exit(TAP_SKIPPED))

/* Runs @fn in a child. @todo: why it is known to fail, or NULL; a success counts as such in any case. */
__attribute__((format(printf, 4, 5), unused)) static void
tap_run(void (*fn)(const void *), const void *arg, const char *todo, const char *fmt, ...)
{
	bool skipped = false;
	int status = -1;
	va_list ap;
	pid_t pid;

	fflush(stdout); /* or the child prints it again */
	pid = fork();
	if (pid == 0) {
		alarm(TAP_SECONDS);
		fn(arg);
		exit(tap_bad ? 1 : 0); /* not _exit(): the leak checker runs at exit */
	}
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	    WEXITSTATUS(status) == TAP_SKIPPED) {
		skipped = true;
	} else if (status != 0) {
		if (status > 0 && WIFSIGNALED(status))
			printf("# killed by signal %d\n", WTERMSIG(status));
		tap_failures += !todo;
		printf("not ");
	} else {
		todo = NULL;
	}
	printf("ok %d - ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	if (skipped)
		printf(" # SKIP for what stands above");
	else if (todo)
		printf(" # TODO %s", todo);
	putchar('\n');
}

__attribute__((unused)) static int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failures ? 1 : 0;
}

#define TEST(ident) TEST_TODO(ident, NULL)

/* A test that is known to fail, and why. */
#define TEST_TODO(ident, why)                                                     \
	static void test_##ident(const void *arg);                                \
	__attribute__((constructor)) static void add_##ident(void)                \
	{                                                                         \
		static struct tap_test t = { #ident, (why), test_##ident, NULL }; \
		*tap_end = &t;                                                    \
		tap_end = &t.next;                                                \
	}                                                                         \
	static void test_##ident(__attribute__((unused)) const void *arg)

#ifndef TAP_NO_MAIN
int main(void)
{
	struct tap_test *t;

	for (t = tap_first; t; t = t->next)
		tap_run(t->run, NULL, t->todo, "%s", t->name);
	return tap_done();
}
#endif

#endif
