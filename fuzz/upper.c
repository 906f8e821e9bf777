/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An upper layer and a host directory as the input says, with everything that a hostile command could leave. Whatever it is, it can be walked and
 * printed; what is applied is no difference any more; and nothing outside of the host directory changes.
 */
#include "fuzz.h"

#include <ftw.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "review/review.h"

static char base[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)f;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

static void remove_base(void)
{
	(void)nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void begin(void)
{
	char path[128];

	if (!base[0]) {
		snprintf(base, sizeof(base), "/dev/shm/bailey-fuzz-XXXXXX");
		FUZZ_REQUIRE(mkdtemp(base));
		atexit(remove_base);
	} else {
		remove_base();
		FUZZ_REQUIRE(mkdir(base, 0700) == 0);
	}
	snprintf(path, sizeof(path), "%s/out", base);
	FUZZ_REQUIRE(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/host", base);
	FUZZ_REQUIRE(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/rec", base);
	FUZZ_REQUIRE(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/rec/0", base);
	FUZZ_REQUIRE(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/rec/0/upper", base);
	FUZZ_REQUIRE(mkdir(path, 0700) == 0);
}

/* Two bytes are one step: what, and on which of a few names, two levels deep, on which side. */
static void step(unsigned int what, unsigned int where)
{
	static const char *const names[] = { "a",    "b",      ".git",   ".envrc",
					     "HEAD", "config", "\n\033", "d" };
	char path[256], parent[256], target[128];
	struct stat st;
	struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = where } };
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/%s%s%s", base, what & 0x80 ? "host" : "rec/0/upper",
		 names[where & 7], where & 0x40 ? "/" : "",
		 where & 0x40 ? names[where >> 3 & 7] : "");
	snprintf(target, sizeof(target), "%s/out%s", base, where & 1 ? "/victim" : "");
	/* not through links: what is made here must stay here */
	snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
	if (lstat(parent, &st) < 0 || !S_ISDIR(st.st_mode) ||
	    ((what & 15) < 3 && lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) ||
	    ((what & 15) > 9 && lstat(path, &st) == 0 && S_ISLNK(st.st_mode)))
		return;
	switch (what & 15) {
	case 0:
	case 1:
	case 2:
		f = fopen(path, "we");
		if (f) {
			fprintf(f, "%u\nx\n%s", what >> 4, where & 0x20 ? "no end" : "");
			fclose(f);
			(void)utimensat(AT_FDCWD, path, old, 0);
		}
		break;
	case 3:
	case 4:
		(void)mkdir(path, what & 0x40 ? 0755 : 0700);
		break;
	case 5:
		if (symlink(where & 0x20 ? target : "a", path) < 0)
			return;
		break;
	case 6:
		(void)mknod(path, S_IFCHR, makedev(0, 0));
		break;
	case 7:
		(void)lsetxattr(path, "user.overlay.opaque", "y", 1, 0);
		break;
	case 8:
		(void)lsetxattr(path, "user.overlay.origin", path, what >> 4 & 7, 0);
		break;
	case 9:
		(void)mkfifo(path, 0600);
		break;
	case 10:
		(void)chmod(path, 07777 & (what << 5));
		break;
	case 11:
		if (truncate(path, (off_t)where << 14) < 0)
			return;
		break;
	default:
		(void)unlink(path);
		break;
	}
}

static int put(struct buf *b)
{
	b->len = 0;
	return 0;
}

static void check(struct review *r, const char *host)
{
	struct review_changes c = REVIEW_CHANGES_INIT, again = REVIEW_CHANGES_INIT;
	const char *const all[] = { host, NULL };
	struct review_apply a = { .yes = all, .force = all };
	struct review_print p = { .put = put };
	struct err e = ERR_INIT;
	size_t i;

	FUZZ_REQUIRE(review_walk(r, &(struct review_host){ .home = host }, &c, &e) == 0);
	FUZZ_REQUIRE(review_renames(r, &c, &e) == 0);
	for (i = 0; i < 8; i++) {
		p.form = (enum review_form)(i & 3);
		p.all = p.terminal = p.colour = i & 4;
		FUZZ_REQUIRE(review_diff(r, &c, &p, &e) == 0);
	}
	FUZZ_REQUIRE(review_apply(r, &c, &a, &e) == 0);
	FUZZ_REQUIRE(a.count[REVIEW_CONFLICT] == 0 && a.count[REVIEW_LEFT] == 0);
	FUZZ_REQUIRE(review_walk(r, &(struct review_host){ .home = host }, &again, &e) == 0);
	if (a.count[REVIEW_DONE] == c.n)
		FUZZ_REQUIRE(again.n == 0);
	for (i = 0; i < again.n; i++)
		FUZZ_REQUIRE(a.count[REVIEW_REFUSED] || a.count[REVIEW_FAILED]);
	free(a.fate);
	review_changes_done(&c);
	review_changes_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct review_tree tree = { .git = size & 1 };
	struct review r = REVIEW_INIT;
	char host[128], path[128];
	struct stat st;
	size_t i;

	if (size > 256)
		return 0;
	begin();
	for (i = 0; i + 1 < size; i += 2)
		step(data[i], data[i + 1]);
	snprintf(host, sizeof(host), "%s/host", base);
	snprintf(path, sizeof(path), "%s/rec", base);
	tree.path = host;
	r.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_REQUIRE(r.dir >= 0);
	snprintf(r.record.id, sizeof(r.record.id), "0123456789");
	r.record.trees = &tree;
	r.record.n_trees = 1;
	r.record.start.tv_sec = size & 2 ? 0 : 1L << 40; /* everything is a conflict, or nothing */
	check(&r, host);
	snprintf(path, sizeof(path), "%s/out", base);
	FUZZ_REQUIRE(lstat(path, &st) == 0 && st.st_nlink == 2 && (st.st_mode & 07777) == 0700);
	snprintf(path, sizeof(path), "%s/out/victim", base);
	FUZZ_REQUIRE(lstat(path, &st) < 0);
	review_done(&r);
	return 0;
}
