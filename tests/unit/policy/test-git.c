/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of git's files, on files that git 2.39 wrote (the fuzz corpus has them) and on such as it would refuse. The argument is the corpus. */
#define TAP_NO_MAIN
#include "tap.h"

#include <errno.h>

#include "policy/policy.h"

static const char *corpus;

/* An index as one piece. Return: the submodules with a space behind each, or what git_index_… answered as a number. */
static const char *submodules(const char *name)
{
	static char out[4 * LIMIT_PATH];
	struct buf b = BUF_INIT(1 << 20);
	struct git_index g;
	char path[LIMIT_PATH];
	size_t at = 1 + GIT_INDEX_HEAD, used, n = 0;
	int fd, r;

	out[0] = '\0';
	snprintf(path, sizeof(path), "%s/gitindex/%s", corpus, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	REQUIRE(fd >= 0 && fd_read_all(fd, &b) == 0 && b.len > at);
	close(fd);
	r = git_index_begin(&g, (unsigned char *)b.data + 1, b.data[0] ? 32 : 20);
	while (r == 0 || r == GIT_INDEX_SUBMODULE) {
		r = git_index_next(&g, (unsigned char *)b.data + at, b.len - at, &used);
		at += used;
		if (r == GIT_INDEX_SUBMODULE)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%s ", g.path);
		else
			break;
	}
	if (r < 0 || !git_index_whole(&g))
		snprintf(out, sizeof(out), "%s", r == -EOPNOTSUPP ? "not known" : "damaged");
	buf_done(&b);
	return out;
}

static void test_index(__attribute__((unused)) const void *arg)
{
	CHECK_STR(submodules("v2"), "libs/sub ");
	CHECK_STR(submodules("v3"), "libs/sub ");
	CHECK_STR(submodules("v4"), "libs/sub ");
	CHECK_STR(submodules("v2-sha256"), "");
	CHECK_STR(submodules("long"), "b ");
	CHECK_STR(submodules("split"), "not known");
	CHECK_STR(submodules("version-5"), "not known");
	CHECK_STR(submodules("climbs"), ""); /* git passes over such names */
	CHECK_STR(submodules("in-dot-git"), "");
	CHECK_STR(submodules("absolute"), "");
	CHECK_STR(submodules("cut"), "damaged");
	CHECK_STR(submodules("over-long"), "damaged");
	CHECK_STR(submodules("count"), "damaged");
}

static void test_plain(__attribute__((unused)) const void *arg)
{
	static const char *const good[] = { "a", "a/b", ".gitx", "a/...", "git", "..a/b" };
	static const char *const bad[] = { "",    "/",    "a/",   "/a",     "a//b",   ".",     "..",
					   "a/.", "../a", ".git", "a/.git", ".git/a", "a/../b" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		if (!git_path_plain(good[i], strlen(good[i])))
			FAIL("'%s' is refused", good[i]);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (git_path_plain(bad[i], strlen(bad[i])))
			FAIL("'%s' is accepted", bad[i]);
	}
	CHECK(!git_path_plain("a\0b", 3));
}

/* "name=value;" for each variable; "!" at the end where git would refuse. */
static const char *config(const char *text)
{
	static char out[8192];
	struct git_config c;
	size_t n = 0;
	int r;

	git_config_begin(&c, text, strlen(text));
	out[0] = '\0';
	while ((r = git_config_next(&c)) > 0)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s=%s;", c.name, c.value);
	if (r < 0)
		snprintf(out + n, sizeof(out) - n, "!");
	return out;
}

static void test_config(__attribute__((unused)) const void *arg)
{
	CHECK_STR(config(""), "");
	CHECK_STR(config("[core]\n\tbare = false\n\tx\n"), "core.bare=false;core.x=;");
	CHECK_STR(config("[CORE]hooksPath=a"), "core.hookspath=a;");
	CHECK_STR(config("[include]\n path = a b  # c\n"), "include.path=a b;");
	CHECK_STR(config("[a]\nb = \" x \" ; y\n"), "a.b= x ;");
	CHECK_STR(config("[a]\nb = x\\\ny\n"), "a.b=xy;");
	CHECK_STR(config("[a]\nb = \\\"\\\\\\t\n"), "a.b=\"\\\t;");
	CHECK_STR(config("[a \"B.c\"]\nd=1\n"), "a.B.c.d=1;");
	CHECK_STR(config("[a \"q\\\"r\"]\nd=1\n"), "a.q\"r.d=1;");
	CHECK_STR(config("[a.B]\nd=1\n"), "a.b.d=1;");
	CHECK_STR(config("; x\n# y\n[a]\r\nb=1\r\n"), "a.b=1;");
	CHECK_STR(config("\xef\xbb\xbf[a]\nb=1"), "a.b=1;");
	CHECK_STR(config("b=1\n[a]\nc=2"), "b=1;a.c=2;"); /* git goes on behind it */
	CHECK_STR(config("[a]\nb = \"\"  x\n"), "a.b=x;");
	CHECK_STR(config("[a]\nb = x  \"\" \n"), "a.b=x  ;");
	CHECK_STR(config("[a]\nb = x\r\r\n"), "a.b=x;");
	CHECK_STR(config("[a]\nb = \rx \\\n \n"), "a.b=x ;");
	CHECK_STR(config("[a]\nb = x\\"), "a.b=x;");
	CHECK_STR(config("[a\r\"b\"]\nc=1\n"), "a.b.c=1;");
	CHECK_STR(config("[a\nb=1\n"), "!");
	CHECK_STR(config("[a]\nb = \"x\n"), "!");
	CHECK_STR(config("[a]\nb = \\q\n"), "!");
	CHECK_STR(config("[a]\nb = 1\n1c=2\n"), "a.b=1;!");
	CHECK_STR(config("[a]\nb c\n"), "!");
}

static void test_config_limits(__attribute__((unused)) const void *arg)
{
	static char text[3 * LIMIT_PATH];

	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "[a]\nb=", 6);
	CHECK_STR(config(text), "!");
	memset(text, 'x', sizeof(text) - 1);
	text[0] = '[';
	CHECK_STR(config(text), "!");
}

static void test_names(__attribute__((unused)) const void *arg)
{
	struct git_config c = { .name = "includeif.gitdir:~/x.path" };

	CHECK(git_config_is(&c, "includeif.*.path"));
	CHECK(!git_config_is(&c, "include.path"));
	CHECK(!git_config_is(&c, "submodule.*.path"));
	snprintf(c.name, sizeof(c.name), "includeif.path");
	CHECK(!git_config_is(&c, "includeif.*.path"));
}

/* Whether git would run something for the first variable of @text. */
static bool executes(const char *text)
{
	struct git_config c;

	git_config_begin(&c, text, strlen(text));
	REQUIRE(git_config_next(&c) > 0);
	return git_config_executes(&c);
}

static void test_executes(__attribute__((unused)) const void *arg)
{
	static const char *const evil[] = {
		"[core]\nfsmonitor=x",
		"[core]\nhooksPath=h",
		"[core]\nsshCommand=x",
		"[core]\npager=x",
		"[core]\neditor=x",
		"[CORE]\nFSMonitor=./x",
		"[alias]\nst=!x",
		"[alias]\nst=-c core.pager=x status",
		"[filter \"a.b\"]\nclean=x",
		"[filter \"a\"]\nprocess=x",
		"[diff]\nexternal=x",
		"[diff \"a\"]\ntextconv=x",
		"[merge \"a\"]\ndriver=x",
		"[include]\npath=x",
		"[includeIf \"gitdir:/\"]\npath=x",
		"[credential]\nhelper=!x",
		"[credential \"https://h\"]\nhelper=x",
		"[gpg]\nprogram=x",
		"[gpg \"ssh\"]\nprogram=x",
		"[remote \"o\"]\nurl=ext::sh -c x",
		"[remote \"o\"]\nuploadpack=x",
		"[remote \"o\"]\nvcs=x",
		"[submodule \"s\"]\nupdate=!x",
		"[pager]\nlog=x",
		"[uploadpack]\npackObjectsHook=x",
		"[init]\ntemplateDir=x",
		"[sequence]\neditor=x",
		"[protocol \"ext\"]\nallow=always",
		"[url \"ext::x\"]\ninsteadOf=https:",
	};
	static const char *const harmless[] = {
		"[core]\nrepositoryformatversion=0",
		"[core]\nfilemode=true",
		"[core]\nbare=true",
		"[core]\nlogallrefupdates=true",
		"[core]\nfsmonitor=true",
		"[core]\nfsmonitor",
		"[core]\nworktree=../..",
		"[pager]\nlog=false",
		"[remote \"o\"]\nurl=https://h/x",
		"[remote \"o\"]\nurl=git@h:x/y::z",
		"[remote \"o\"]\nurl=/p::q",
		"[remote \"o\"]\nfetch=+refs/heads/*:refs/remotes/o/*",
		"[branch \"main\"]\nremote=o",
		"[submodule \"s\"]\nupdate=rebase",
		"[user]\nname=x",
		"[extensions]\nobjectFormat=sha256",
		"[coreX]\nfsmonitor=x",
		"[filter \"a\"]\nrequired=true",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(evil); i++) {
		if (!executes(evil[i]))
			FAIL("harmless: %s", evil[i]);
	}
	for (i = 0; i < ARRAY_SIZE(harmless); i++) {
		if (executes(harmless[i]))
			FAIL("executes: %s", harmless[i]);
	}
}

static void test_pointer(__attribute__((unused)) const void *arg)
{
	char good[] = "gitdir: ../x y\n", two[] = "gitdir: a\nb\n", none[] = "gitdir: \n",
	     other[] = "gitdir:../x\n", nul[] = "gitdir: a\0b";

	CHECK_STR(git_pointer(good, strlen(good)), "../x y");
	CHECK_STR(git_pointer(two, strlen(two)), "a\nb"); /* git takes it as a name, too */
	CHECK(!git_pointer(none, strlen(none)));
	CHECK(!git_pointer(other, strlen(other)));
	CHECK(!git_pointer(nul, sizeof(nul) - 1));
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	corpus = argv[1];
	tap_run(test_index, NULL, NULL, "indexes");
	tap_run(test_plain, NULL, NULL, "paths of submodules");
	tap_run(test_config, NULL, NULL, "configurations");
	tap_run(test_config_limits, NULL, NULL, "configurations that are too long");
	tap_run(test_names, NULL, NULL, "names of variables");
	tap_run(test_executes, NULL, NULL, "variables for which git runs something");
	tap_run(test_pointer, NULL, NULL, ".git files");
	return tap_done();
}
