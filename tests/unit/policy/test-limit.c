/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"

#include <errno.h>
#include <inttypes.h>

#include "policy/policy.h"

#define K (1ull << 10)
#define M (1ull << 20)
#define G (1ull << 30)

static void reads(enum policy_limit l, const char *text, uint64_t want)
{
	struct err e = ERR_INIT;
	uint64_t v = 0;

	if (policy_limit_parse(l, text, &v, &e) < 0)
		FAIL("%s '%s': %s", policy_limit_name(l), text, e.msg);
	else if (v != want)
		FAIL("%s '%s' is %" PRIu64 ", not %" PRIu64, policy_limit_name(l), text, v, want);
}

/* The value stays as it was, and the message quotes the text and has @word. */
static void refused(enum policy_limit l, const char *text, const char *word)
{
	struct err e = ERR_INIT;
	uint64_t v = 77;

	if (policy_limit_parse(l, text, &v, &e) != -EINVAL || v != 77 || e.code != ERR_USAGE)
		FAIL("%s '%.40s' is not refused", policy_limit_name(l), text);
	else if (e.msg[0] != '\'' ||
		 strncmp(e.msg + 1, text, strlen(text) < 100 ? strlen(text) : 100) != 0 ||
		 !strstr(e.msg, word))
		FAIL("%s '%.40s': '%s' has no '%s'", policy_limit_name(l), text, e.msg, word);
}

TEST(sizes)
{
	reads(POLICY_LIMIT_MEMORY, "64M", 64 * M);
	reads(POLICY_LIMIT_MEMORY, "64m", 64 * M);
	reads(POLICY_LIMIT_MEMORY, "64MB", 64 * M);
	reads(POLICY_LIMIT_MEMORY, "64MiB", 64 * M);
	reads(POLICY_LIMIT_MEMORY, "1G", G);
	reads(POLICY_LIMIT_MEMORY, "1.5G", G + 512 * M);
	reads(POLICY_LIMIT_MEMORY, "0.25g", 256 * M);
	reads(POLICY_LIMIT_MEMORY, "2T", 2048 * G);
	reads(POLICY_LIMIT_MEMORY, "1024T", G << 20);
	reads(POLICY_LIMIT_MEMORY, "67108864", 64 * M);
	reads(POLICY_LIMIT_MEMORY, "67108864B", 64 * M);
	reads(POLICY_LIMIT_MEMORY, "65536K", 64 * M);
	reads(POLICY_LIMIT_MEMORY, "00064M", 64 * M);
	reads(POLICY_LIMIT_MEMORY, "4.0M", 4 * M);
	reads(POLICY_LIMIT_MEMORY, "10.123456789999999999999999M", 10615213);
	reads(POLICY_LIMIT_FSIZE, "1", 1);
	reads(POLICY_LIMIT_FSIZE, "0.5K", 512);
	reads(POLICY_LIMIT_DISK, "64K", 64 * K);
}

TEST(sizes_refused)
{
	static const char *const bad[] = { "",     " ",         "M",     "-1M",  "+64M",  "64 M",
					   " 64M", "64M ",      "64X",   "64MM", "64Mi",  "64iB",
					   "0x40", "1e9",       "1.M",   ".5G",  "1..5G", "1.5.5G",
					   "1,5G", "64M\n1",    "1.5",   "64P",  "inf",   "nan",
					   "max",  "unlimited", "64MBB", "\xff" };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(POLICY_LIMIT_MEMORY, bad[i], "expected a size");
	refused(POLICY_LIMIT_MEMORY, "0", "at least 4M");
	refused(POLICY_LIMIT_MEMORY, "0.0G", "at least 4M");
	refused(POLICY_LIMIT_MEMORY, "4194303", "at least 4M");
	refused(POLICY_LIMIT_MEMORY, "1K", "at least 4M");
	refused(POLICY_LIMIT_DISK, "1", "at least 64K");
	refused(POLICY_LIMIT_FSIZE, "0", "at least 1:");
	refused(POLICY_LIMIT_MEMORY, "1025T", "at most 1024T");
	refused(POLICY_LIMIT_MEMORY, "99999999T", "at most 1024T");
	refused(POLICY_LIMIT_MEMORY, "18446744073709551616", "at most 1024T");
	refused(POLICY_LIMIT_MEMORY, "18446744073709551615T", "at most 1024T");
	refused(POLICY_LIMIT_MEMORY, "36893488147419103232G", "at most 1024T");
	refused(POLICY_LIMIT_MEMORY,
		"99999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999"
		"9999999999999999999999999999999999",
		"at most 1024T");
}

TEST(cpus)
{
	reads(POLICY_LIMIT_CPUS, "1", 1000);
	reads(POLICY_LIMIT_CPUS, "0.5", 500);
	reads(POLICY_LIMIT_CPUS, "2.25", 2250);
	reads(POLICY_LIMIT_CPUS, "0.01", 10);
	reads(POLICY_LIMIT_CPUS, "8192", 8192000);
	refused(POLICY_LIMIT_CPUS, "0", "at least 0.01");
	refused(POLICY_LIMIT_CPUS, "0.0099", "at least 0.01");
	refused(POLICY_LIMIT_CPUS, "8193", "at most 8192");
	refused(POLICY_LIMIT_CPUS, "18446744073709552", "at most 8192");
	refused(POLICY_LIMIT_CPUS, "99999999999999999999", "at most 8192");
	refused(POLICY_LIMIT_CPUS, "1K", "expected a number of CPUs");
	refused(POLICY_LIMIT_CPUS, "-1", "expected a number of CPUs");
	refused(POLICY_LIMIT_CPUS, "", "expected a number of CPUs");
}

TEST(counts)
{
	reads(POLICY_LIMIT_PIDS, "1", 1);
	reads(POLICY_LIMIT_PIDS, "4194304", 4194304);
	reads(POLICY_LIMIT_NOFILE, "16", 16);
	refused(POLICY_LIMIT_PIDS, "0", "at least 1");
	refused(POLICY_LIMIT_PIDS, "4194305", "at most 4194304");
	refused(POLICY_LIMIT_PIDS, "1.5", "expected a whole number");
	refused(POLICY_LIMIT_PIDS, "10K", "expected a whole number");
	refused(POLICY_LIMIT_PIDS, "-1", "expected a whole number");
	refused(POLICY_LIMIT_NOFILE, "15", "at least 16");
	refused(POLICY_LIMIT_NOFILE, "18446744073709551632", "at most 1073741824");
}

TEST(formats)
{
	static const struct {
		enum policy_limit l;
		uint64_t v;
		const char *want;
	} rows[] = {
		{ POLICY_LIMIT_MEMORY, 64 * M, "64M" },
		{ POLICY_LIMIT_MEMORY, G + 512 * M, "1536M" },
		{ POLICY_LIMIT_MEMORY, 5 * M + 1, "5242881" },
		{ POLICY_LIMIT_MEMORY, G << 20, "1024T" },
		{ POLICY_LIMIT_CPUS, 1000, "1" },
		{ POLICY_LIMIT_CPUS, 2250, "2.25" },
		{ POLICY_LIMIT_CPUS, 10, "0.01" },
		{ POLICY_LIMIT_CPUS, 10000, "10" },
		{ POLICY_LIMIT_PIDS, 1024, "1024" },
		{ POLICY_LIMIT_DISK, 64 * K, "64K" },
	};
	char out[POLICY_LIMIT_TEXT];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_STR(policy_limit_format(rows[i].l, rows[i].v, out), rows[i].want);
		reads(rows[i].l, rows[i].want, rows[i].v);
	}
}

TEST(names)
{
	static const char *const names[] = { "memory", "cpus", "pids", "fsize", "nofile", "disk" };
	int i;

	for (i = 0; i < POLICY_LIMIT_NUM; i++)
		CHECK_STR(policy_limit_name((enum policy_limit)i), names[i]);
}
