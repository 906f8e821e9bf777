/* SPDX-License-Identifier: Apache-2.0 */
#define TAP_NO_MAIN
#include "tap.h"

#include <errno.h>

#include "util/util.h"

/* The form of a line: "ID PARENT DEV ROOT POINT OPTIONS [TAG...] - TYPE SOURCE SUPER_OPTIONS". */
#define V2(root, point) \
	"30 23 0:26 " root " " point " rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1(list, root, point) \
	"31 23 0:27 " root " " point " rw,nosuid shared:4 master:2 - cgroup cgroup rw," list "\n"
#define OTHER                                                        \
	"23 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"             \
	"24 23 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" \
	"25 23 0:23 / /mnt/cgroup2 rw - tmpfs cgroup2 rw\n"

#define SSH "/user.slice/user-1000.slice/session-3.scope"

static const struct row {
	const char *name, *cgroups, *mounts, *controller;
	int r;
	bool v2;
	const char *path, *controllers;
	size_t top;
} rows[] = {
	{ "v2", "0::" SSH "\n", OTHER V2("/", "/sys/fs/cgroup"), "memory", 0, true,
	  "/sys/fs/cgroup" SSH, "", 14 },
	{ "v2 at the root", "0::/\n", OTHER V2("/", "/sys/fs/cgroup"), "cpu", 0, true,
	  "/sys/fs/cgroup", "", 14 },
	{ "v2 with a part bound elsewhere", "0::/a/b\n", V2("/a", "/mnt/x"), "pids", 0, true,
	  "/mnt/x/b", "", 6 },
	{ "v2, exactly the part that is bound", "0::/a\n", V2("/a", "/mnt/x"), "pids", 0, true,
	  "/mnt/x", "", 6 },
	{ "v2, another part is bound", "0::/a\n", V2("/ab", "/mnt/x"), "pids", -ENOENT, false, NULL,
	  NULL, 0 },
	{ "v2, a part below is bound", "0::/a\n", V2("/a/b", "/mnt/x"), "pids", -ENOENT, false,
	  NULL, NULL, 0 },
	{ "v2, the second mount shows it", "0::/a/b\n", V2("/c", "/mnt/x") V2("/", "/y"), "pids", 0,
	  true, "/y/a/b", "", 2 },
	{ "outside of the cgroup namespace", "0::/../x\n", V2("/", "/sys/fs/cgroup"), "pids",
	  -ENOENT, false, NULL, NULL, 0 },
	{ "just outside", "0::/..\n", V2("/", "/sys/fs/cgroup"), "pids", -ENOENT, false, NULL, NULL,
	  0 },
	{ "not mounted", "0::/x\n", OTHER, "pids", -ENOENT, false, NULL, NULL, 0 },
	{ "no cgroups", "", OTHER, "pids", -ENOENT, false, NULL, NULL, 0 },
	{ "v1", "4:memory:/grp\n0::/\n",
	  OTHER V1("memory", "/", "/sys/fs/cgroup/memory") V2("/", "/sys/fs/cgroup/unified"),
	  "memory", 0, false, "/sys/fs/cgroup/memory/grp", "memory", 21 },
	{ "v1, two controllers", "9:x:/\n4:cpu,cpuacct:/g\n0::/\n", V1("cpu,cpuacct", "/", "/c"),
	  "cpu", 0, false, "/c/g", "cpu,cpuacct", 2 },
	{ "v1, the word is a part of another", "4:cpuset:/g\n0::/h\n",
	  V1("cpuset", "/", "/c") V2("/", "/u"), "cpu", 0, true, "/u/h", "", 2 },
	{ "v1, bound but not mounted: not in v2 either", "4:memory:/g\n0::/\n", V2("/", "/u"),
	  "memory", -ENOENT, false, NULL, NULL, 0 },
	{ "v1, another hierarchy is mounted", "4:memory:/g\n", V1("pids", "/", "/p"), "memory",
	  -ENOENT, false, NULL, NULL, 0 },
	{ "v1, container", "4:memory:/docker/abc\n",
	  V1("memory", "/docker/abc", "/sys/fs/cgroup/memory"), "memory", 0, false,
	  "/sys/fs/cgroup/memory", "memory", 21 },
	{ "named hierarchy", "1:name=memory:/g\n0::/x\n",
	  V1("name=memory", "/", "/n") V2("/", "/u"), "memory", 0, true, "/u/x", "", 2 },
	{ "blanks in names", "0::/my group\n", V2("/", "/mnt/a\\040b"), "pids", 0, true,
	  "/mnt/a b/my group", "", 8 },
	{ "a colon in the path", "0::/a:b\n", V2("/", "/u"), "pids", 0, true, "/u/a:b", "", 2 },
	{ "octal in the root", "0::/a b/c\n", V2("/a\\040b", "/u"), "pids", 0, true, "/u/c", "",
	  2 },
	{ "no end of line", "0::/x", "30 23 0:26 / /u rw - cgroup2 c rw", "pids", 0, true, "/u/x",
	  "", 2 },
	{ "cut lines", "0\n0:\n0::\n:::\n0::x\n", V2("/", "/u"), "pids", -ENOENT, false, NULL, NULL,
	  0 },
	{ "cut mounts", "0::/x\n",
	  "30\n30 23\n30 23 0:26 / /u rw\n30 23 0:26 / /u rw -\n30 23 0:26 / /u rw - cgroup2\n",
	  "pids", -ENOENT, false, NULL, NULL, 0 },
	{ "a backslash at the end", "0::/x\n",
	  "30 23 0:26 / /u\\ rw - cgroup2 c rw\n30 23 0:26 / /u\\04 rw - cgroup2 c rw", "pids", 0,
	  true, "/u\\/x", "", 3 },
};

static void check(const void *arg)
{
	const struct row *row = arg;
	struct cgroup_place p = { .top = 0 };
	int r = cgroup_find(row->cgroups, row->mounts, row->controller, &p);

	if (r != row->r) {
		FAIL("answered %d, not %d", r, row->r);
		return;
	}
	if (r < 0)
		return;
	CHECK_STR(p.path, row->path);
	CHECK_STR(p.controllers, row->controllers);
	CHECK(p.v2 == row->v2);
	CHECK(p.top == row->top);
}

/* Paths as long as they may be, and longer. */
static void too_long(const void *arg)
{
	char cgroups[2 * LIMIT_PATH], mounts[2 * LIMIT_PATH];
	struct cgroup_place p;
	size_t n;

	(void)arg;
	for (n = LIMIT_PATH - 4; n < LIMIT_PATH + 3; n++) {
		snprintf(cgroups, sizeof(cgroups), "0::/%0*d\n", (int)n - 1, 0);
		CHECK(cgroup_find(cgroups, V2("/", "/u"), "pids", &p) ==
		      (n + 2 < LIMIT_PATH ? 0 : -ENAMETOOLONG));
		snprintf(mounts, sizeof(mounts), "30 23 0:26 / /%0*d rw - cgroup2 c rw\n",
			 (int)n - 1, 0);
		CHECK(cgroup_find("0::/\n", mounts, "pids", &p) ==
		      (n < LIMIT_PATH ? 0 : -ENAMETOOLONG));
	}
	snprintf(cgroups, sizeof(cgroups), "1:%070d,pids:/\n", 0);
	CHECK(cgroup_find(cgroups, V1("pids", "/", "/u"), "pids", &p) == -ENAMETOOLONG);
}

int main(void)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tap_run(check, &rows[i], NULL, "%s", rows[i].name);
	tap_run(too_long, NULL, NULL, "long paths");
	return tap_done();
}
