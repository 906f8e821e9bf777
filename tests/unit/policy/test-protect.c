/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of what is protected, and docs/protected-paths.md, which is made from it.
 *
 *	test-protect FILE		the test: FILE is what the table says
 *	test-protect --write FILE	make it so
 */
#define TAP_NO_MAIN
#include "tap.h"

#include "policy/policy.h"

static const char head[] =
	"# Protected paths\n\n"
	"Made from the table in `src/policy/protect.c` (`build/glibc/tests/unit/test-protect --write docs/protected-paths.md`; a test\n"
	"compares). docs/adr/0007-protected-paths.md has the reasons, SECURITY.md what is not promised.\n";

static const char *const intro[POLICY_CLASS_NUM] = {
	"\n## `protect`: read-only where it exists, moved away where it is made\n\n"
	"What the host executes or obeys later without being asked. In a writable workspace, and below every `--allow-write`, what exists at the\n"
	"start is a read-only mount, and the directories on the way to it can't be renamed. `--unprotect PATH` lifts that for PATH and what is\n"
	"below, `--allow-git-config` for the configuration of the workspace's own repository; `bailey check write PATH` says which rule holds.\n"
	"`--explain` lists what was found, and where nothing was looked for. What a run makes under such a name is moved to the quarantine\n"
	"(docs/adr/0017-guard.md; `bailey quarantine`), and `--unprotect` lets it stay.\n",
	"\n## `flag`: writable, shown in reports\n\n"
	"What is run on request, or reviewed like other code. It can be changed; reports of a run will say that it was.\n",
};

static void render(struct buf *b)
{
	const struct policy_protected *t;
	int class, place;
	size_t n, i;

	t = policy_protected(&n);
	buf_puts(b, head);
	for (class = 0; class < POLICY_CLASS_NUM; class ++) {
		buf_puts(b, intro[class]);
		for (place = 0; place < POLICY_PLACE_NUM; place++) {
			bool first = true;

			for (i = 0; i < n; i++) {
				if ((int)t[i].class != class || (int)t[i].place != place)
					continue;
				if (first)
					buf_printf(
						b,
						"\nIn %s:\n\n| name | what | why |\n|---|---|---|\n",
						policy_place_name((enum policy_place)place));
				first = false;
				buf_printf(b, "| `%s%s` | %s | %s |\n", t[i].name,
					   t[i].dir && t[i].place != POLICY_IN_CONFIG ? "/" : "",
					   policy_protected_what(&t[i]), t[i].why);
			}
		}
	}
}

static void test_docs(const void *path)
{
	struct buf want = BUF_INIT(1 << 20), have = BUF_INIT(1 << 20);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	REQUIRE(fd >= 0 && fd_read_all(fd, &have) == 0 && have.data);
	close(fd);
	render(&want);
	if (strcmp(want.data, have.data) != 0)
		FAIL("%s is not what the table says: test-protect --write", (const char *)path);
	buf_done(&want);
	buf_done(&have);
}

static void test_rows(__attribute__((unused)) const void *arg)
{
	const struct policy_protected *t, *row;
	size_t n, i, k, seen = 0;
	int place;

	t = policy_protected(&n);
	for (i = 0; i < n; i++) {
		const char *name = t[i].name;

		/* the search asks about names with a dot only, and joins them to a directory */
		if (t[i].place == POLICY_IN_ANY && t[i].class == POLICY_PROTECT && name[0] != '.')
			FAIL("%s does not begin with a dot", name);
		if (name[0] == '/' || strstr(name, "..") || strstr(name, "//"))
			FAIL("%s is no plain name", name);
		if (strlen(t[i].why) < 8 || strlen(policy_protected_what(&t[i])) < 2)
			FAIL("%s has no reason", name);
		if (t[i].class == POLICY_PROTECT &&
		    strncmp(t[i].origin, "built-in: protected: ", 21) != 0)
			FAIL("%s: origin '%s'", name, t[i].origin);
		for (k = 0; k < i; k++) {
			if (t[k].place == t[i].place && strcmp(t[k].name, name) == 0)
				FAIL("%s is there twice", name);
		}
	}
	for (place = 0; place < POLICY_PLACE_NUM; place++) {
		for (row = NULL; (row = policy_protected_next((enum policy_place)place, row));
		     seen++)
			CHECK(row->class == POLICY_PROTECT && (int)row->place == place);
	}
	for (i = 0; i < n; i++)
		seen -= t[i].class == POLICY_PROTECT;
	CHECK(seen == 0);
	/* protect_git_entry() takes the first row */
	CHECK_STR(policy_protected_next(POLICY_IN_ANY, NULL)->name, ".git");
}

int main(int argc, char **argv)
{
	struct buf b = BUF_INIT(1 << 20);
	int fd, r;

	if (argc == 3 && strcmp(argv[1], "--write") == 0) {
		render(&b);
		fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		r = fd < 0 ? -1 : fd_write_all(fd, b.data, b.len);
		buf_done(&b);
		return r < 0;
	}
	if (argc != 2)
		return 2;
	tap_run(test_rows, NULL, NULL, "rows");
	tap_run(test_docs, argv[1], NULL, "docs/protected-paths.md");
	return tap_done();
}
