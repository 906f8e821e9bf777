/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp programs that gen-seccomp made: every answer in an interpreter, a few for real.
 *
 * 1. A small interpreter of the BPF that seccomp knows runs a text table of calls (verdicts[]),
 *    then every row of the profile's table, then every number.
 * 2. A child installs the program and makes calls. Each refusal has a control: the same call
 *    without the program gives something else. So a refusal is the program's doing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "jail/seccomp-table.h"
#include "seccomp-prog.h"
#include "seccomp-verdicts.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define INSN_BUDGET 300
#define RET_BROKEN 0xdeadbeefu /* the interpreter met what the kernel would refuse */

static int n_tests, n_failed;

__attribute__((format(printf, 2, 3))) static void check(int good, const char *fmt, ...)
{
	va_list ap;

	if (!good)
		n_failed++;
	printf("%s %d - ", good ? "ok" : "not ok", ++n_tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout); /* children must not print it a second time */
}

struct program {
	const char *name;
	const struct sock_filter *filter;
	size_t n;
};

#define PROGRAM(p)                   \
	{                            \
#p, p, ARRAY_SIZE(p) \
	}

static const struct program programs[SECCOMP_VARIANTS] = {
	[SECCOMP_PLAIN] = PROGRAM(seccomp_run),
	[SECCOMP_USERNS] = PROGRAM(seccomp_userns),
	[SECCOMP_NESTED] = PROGRAM(seccomp_nested),
	[SECCOMP_STAYS] = PROGRAM(seccomp_stays),
};
static const struct program xattr = PROGRAM(seccomp_xattr);

/* --- the interpreter --- */

static uint32_t jump_of(const struct sock_filter *f, uint32_t a, int *bad)
{
	int yes;

	switch (f->code) {
	case BPF_JMP | BPF_JA:
		return f->k;
	case BPF_JMP | BPF_JEQ | BPF_K:
		yes = a == f->k;
		break;
	case BPF_JMP | BPF_JGT | BPF_K:
		yes = a > f->k;
		break;
	case BPF_JMP | BPF_JGE | BPF_K:
		yes = a >= f->k;
		break;
	case BPF_JMP | BPF_JSET | BPF_K:
		yes = (a & f->k) != 0;
		break;
	default:
		*bad = 1;
		return 0;
	}
	return yes ? f->jt : f->jf;
}

static uint32_t evaluate(const struct program *p, const struct seccomp_data *d, unsigned int *steps)
{
	uint32_t a = 0;
	int bad = 0;

	*steps = 0;
	for (size_t pc = 0; pc < p->n && !bad; pc++) {
		const struct sock_filter *f = &p->filter[pc];

		++*steps;
		if (f->code == (BPF_RET | BPF_K))
			return f->k;
		if (f->code == (BPF_LD | BPF_W | BPF_ABS)) {
			if (f->k % 4 != 0 || f->k > sizeof(*d) - 4)
				return RET_BROKEN;
			memcpy(&a, (const char *)d + f->k, 4);
		} else if (f->code == (BPF_ALU | BPF_AND | BPF_K)) {
			a &= f->k;
		} else {
			pc += jump_of(f, a, &bad);
		}
	}
	return RET_BROKEN;
}

static uint32_t verdict_of(const struct program *p, uint32_t arch, uint32_t nr,
			   const uint64_t *args)
{
	struct seccomp_data d = { .nr = (int)nr, .arch = arch };
	unsigned int steps;

	if (args)
		memcpy(d.args, args, sizeof(d.args));
	return evaluate(p, &d, &steps);
}

/* --- names --- */

struct named {
	const char *name;
	uint32_t value;
};

static const struct named calls[] = {
#define X(name, nr, ...) { #name, nr },
	SECCOMP_DENY(X) SECCOMP_DENY_BITS(X) SECCOMP_DENY_OTHER_BITS(X) SECCOMP_DENY_CREATE(X)
		SECCOMP_ALLOW_ON_PURPOSE(X)
#undef X
			{ "read", SYS_read },
	{ "ioctl", SYS_ioctl },
	{ "socket", SYS_socket },
	{ "socketpair", SYS_socketpair },
	{ "setsockopt", SYS_setsockopt },
	{ "execve", SYS_execve },
	{ "fork", SYS_fork },
};

static const struct named answers[] = {
	{ "allow", SECCOMP_RET_ALLOW },
	{ "EPERM", SECCOMP_RET_ERRNO | EPERM },
	{ "ENOSYS", SECCOMP_RET_ERRNO | ENOSYS },
	{ "EAFNOSUPPORT", SECCOMP_RET_ERRNO | EAFNOSUPPORT },
	{ "EPROTONOSUPPORT", SECCOMP_RET_ERRNO | EPROTONOSUPPORT },
	{ "ENOPROTOOPT", SECCOMP_RET_ERRNO | ENOPROTOOPT },
};

static int look_up(const struct named *t, size_t n, const char *name, uint32_t *ret_value)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(t[i].name, name) == 0) {
			*ret_value = t[i].value;
			return 0;
		}
	return -ENOENT;
}

struct line {
	uint32_t arch, nr, want[SECCOMP_VARIANTS];
	uint64_t args[6];
};

static int parse_number(const char *s, uint64_t *ret_value)
{
	char *end;

	errno = 0;
	*ret_value = strtoull(s, &end, 0); /* takes a minus sign, wraps like a register */
	return *s == '\0' || *end != '\0' || errno != 0 ? -EINVAL : 0;
}

static int parse_call(const char *call, struct line *l)
{
	uint64_t v;

	l->arch = AUDIT_ARCH_X86_64;
	if (strncmp(call, "i386:", 5) == 0) {
		l->arch = AUDIT_ARCH_I386;
		call += 5;
	}
	if (look_up(calls, ARRAY_SIZE(calls), call, &l->nr) == 0)
		return 0;
	if (parse_number(call, &v) < 0 || v > UINT32_MAX)
		return -EINVAL;
	l->nr = (uint32_t)v;
	return 0;
}

static void judge(const struct line *l, const char *call, const char *args, const char *want)
{
	int bad = 0;

	for (size_t i = 0; i < SECCOMP_VARIANTS; i++)
		bad += verdict_of(&programs[i], l->arch, l->nr, l->args) != l->want[i];
	check(!bad, "%s%s = %s", call, args, want);
	for (size_t i = 0; bad && i < SECCOMP_VARIANTS; i++)
		printf("# %s: %08x\n", programs[i].name,
		       verdict_of(&programs[i], l->arch, l->nr, l->args));
}

/* "EPERM", or "EPERM/allow": of each variant, the last for all that follow; "EPERM; allow": then of the profile `sandbox`. */
static int parse_wants(char *text, uint32_t *ret_want)
{
	char *save = NULL, *stays = strstr(text, "; "), *word;

	if (stays)
		*stays = '\0';
	word = strtok_r(text, "/", &save);
	for (size_t i = 0; i < SECCOMP_STAYS; i++) {
		if (word && look_up(answers, ARRAY_SIZE(answers), word, &ret_want[i]) < 0)
			return -EINVAL;
		if (!word)
			ret_want[i] = ret_want[i - 1];
		else if (i < SECCOMP_STAYS - 1)
			word = strtok_r(NULL, "/", &save);
	}
	ret_want[SECCOMP_STAYS] = ret_want[SECCOMP_PLAIN];
	return stays ? look_up(answers, ARRAY_SIZE(answers), stays + 2, &ret_want[SECCOMP_STAYS]) :
		       0;
}

/* Return: 0, or -EINVAL when the line can't be read. */
static int test_line(const char *text)
{
	struct line l = { 0 };
	char copy[128], shown[128] = "", *save = NULL, *word, *want;
	size_t n = 0;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return -EINVAL;
	want = strstr(copy, " = ");
	if (!want)
		return -EINVAL;
	*want = '\0';
	want += 3;
	word = strtok_r(copy, " ", &save);
	if (!word || parse_call(word, &l) < 0 || parse_wants(want, l.want) < 0)
		return -EINVAL;
	while ((word = strtok_r(NULL, " ", &save))) {
		size_t used = strlen(shown);

		if (strcmp(word, "|") == 0) {
			judge(&l, copy, shown, strstr(text, " = ") + 3);
			memset(l.args, 0, sizeof(l.args));
			shown[0] = '\0';
			n = 0;
			continue;
		}
		if (n == ARRAY_SIZE(l.args) || parse_number(word, &l.args[n++]) < 0)
			return -EINVAL;
		(void)snprintf(shown + used, sizeof(shown) - used, " %s", word);
	}
	judge(&l, copy, shown, strstr(text, " = ") + 3);
	return 0;
}

static void test_verdicts(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		if (test_line(verdicts[i]) < 0)
			check(0, "can't read the line: %s", verdicts[i]);
}

/* --- all rows, all numbers --- */

/* The lists of what variants allow have names only. */
enum {
#define X(name, nr, err, reason) NR_##name = (nr),
	SECCOMP_DENY(X)
#undef X
};

struct expect {
	char known; /* in a list that decides */
	uint32_t want;
};

static void test_every_number(enum seccomp_variant variant)
{
	const struct program *p = &programs[variant];
	static const uint64_t zero[6], ones[6] = { ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull };
	static const uint32_t kernel_abis[] = { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64 | 1u, 0,
						0xffffffffu };
	static struct expect want[SECCOMP_NR_MAX + 1];
	int bad_rows = 0, bad_others = 0, bad_above = 0, bad_arch = 0;

	memset(want, 0, sizeof(want));
#define X(name, nr, err, reason) want[nr] = (struct expect){ 1, SECCOMP_RET_ERRNO | (err) };
	SECCOMP_DENY(X)
#undef X
#define X(name) want[NR_##name].known = 0;
	/* NOLINTNEXTLINE(bugprone-branch-clone): two lists, which are not the same */
	if (variant == SECCOMP_STAYS) {
		SECCOMP_ALLOW_STAYS(X)
	} else if (variant >= SECCOMP_USERNS) {
		SECCOMP_ALLOW_USERNS(X)
	}
	if (variant == SECCOMP_NESTED) {
		SECCOMP_ALLOW_NESTED(X)
	}
#undef X
	for (uint32_t nr = SECCOMP_NR_GAP_FIRST; nr <= SECCOMP_NR_GAP_LAST; nr++)
		want[nr] = (struct expect){ 1, SECCOMP_RET_ERRNO | ENOSYS };
	for (uint32_t nr = 0; nr <= SECCOMP_NR_MAX; nr++) {
		uint32_t got = verdict_of(p, AUDIT_ARCH_X86_64, nr, zero);

		if (want[nr].known)
			bad_rows += got != want[nr].want ||
				    verdict_of(p, AUDIT_ARCH_X86_64, nr, ones) != got;
		else if (nr != SECCOMP_SOCKET_NR && nr != SECCOMP_SOCKETPAIR_NR)
			bad_others += got != SECCOMP_RET_ALLOW;
	}
	for (uint32_t nr = SECCOMP_NR_MAX + 1; nr < 0x10000; nr++) {
		static const uint32_t high[] = { 0, 0x40000000u, 0x80000000u, 0xc0000000u };

		for (size_t i = 0; i < ARRAY_SIZE(high); i++)
			bad_above += verdict_of(p, AUDIT_ARCH_X86_64, nr | high[i], zero) !=
				     (SECCOMP_RET_ERRNO | ENOSYS);
	}
	for (uint32_t nr = 0; nr <= SECCOMP_NR_MAX; nr++)
		bad_above += verdict_of(p, AUDIT_ARCH_X86_64, nr | 0x40000000u, zero) !=
			     (SECCOMP_RET_ERRNO | ENOSYS);
	for (size_t i = 0; i < ARRAY_SIZE(kernel_abis); i++)
		for (uint32_t nr = 0; nr < 1024; nr++)
			bad_arch += verdict_of(p, kernel_abis[i], nr, zero) !=
				    (SECCOMP_RET_ERRNO | ENOSYS);
	check(!bad_rows, "%s: refused rows answer their errno for any argument", p->name);
	check(!bad_others, "%s: all other known numbers are allowed", p->name);
	check(!bad_above, "%s: unknown and x32 numbers answer ENOSYS", p->name);
	check(!bad_arch, "%s: every other ABI answers ENOSYS", p->name);
}

/* The program on top: these calls and nothing else. */
static void test_xattr(void)
{
	static const uint64_t zero[6], ones[6] = { ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull };
	int bad = 0, refused = 0;

	for (uint32_t nr = 0; nr <= SECCOMP_NR_MAX; nr++) {
		uint32_t want = SECCOMP_RET_ALLOW;

#define X(name, number, err, reason) want = nr == (number) ? SECCOMP_RET_ERRNO | (err) : want;
		SECCOMP_DENY_XATTR(X)
#undef X
		refused += want != SECCOMP_RET_ALLOW;
		bad += verdict_of(&xattr, AUDIT_ARCH_X86_64, nr, zero) != want ||
		       verdict_of(&xattr, AUDIT_ARCH_X86_64, nr, ones) != want;
	}
	check(!bad && refused == 4, "seccomp_xattr: refuses what sets attributes, nothing else");
	check(verdict_of(&xattr, AUDIT_ARCH_I386, 226, zero) == (SECCOMP_RET_ERRNO | ENOSYS),
	      "seccomp_xattr: every other ABI answers ENOSYS");
}

/* The table's constants must be the kernel's, whichever libc compiled them. */
static void test_constants(void)
{
	check(SECCOMP_CREATE_FLAGS == 020000100u, "O_CREAT and the bit of O_TMPFILE");
	check(SECCOMP_CLONE_NEW == 0x7e020000u, "flags of clone that make a namespace");
	check(SECCOMP_UNSHARE_OK == 0x00050f00u, "flags of unshare that make none");
#define X(name, nr, ...) \
	_Static_assert((nr) >= 0 && (nr) <= SECCOMP_NR_MAX, #name " is above SECCOMP_NR_MAX");
	SECCOMP_DENY(X)
	SECCOMP_DENY_BITS(X) SECCOMP_DENY_OTHER_BITS(X) SECCOMP_DENY_CREATE(X)
#undef X
}

static void test_shape(const struct program *p)
{
	unsigned int steps, most = 0;
	unsigned long sum = 0;
	int bad = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct sock_filter *f = &p->filter[i];
		size_t far = f->code == (BPF_JMP | BPF_JA) ? f->k : f->jt > f->jf ? f->jt : f->jf;

		if (BPF_CLASS(f->code) == BPF_JMP)
			bad += far >= p->n - i - 1;
		if (f->code == (BPF_RET | BPF_K))
			/* Nothing is ever killed. */
			bad += (f->k & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ALLOW &&
			       (f->k & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ERRNO;
	}
	check(!bad, "%s: jumps stay inside, nothing kills", p->name);
	check(p->n < INSN_BUDGET, "%s: %zu instructions", p->name, p->n);
	for (int nr = 0; nr <= SECCOMP_NR_MAX; nr++) {
		struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };

		bad += evaluate(p, &d, &steps) == RET_BROKEN;
		sum += steps;
		if (steps > most)
			most = steps;
	}
	check(!bad, "%s: ends for every number (mean %lu steps, at most %u)", p->name,
	      sum / (SECCOMP_NR_MAX + 1), most);
}

/* --- for real --- */

static int install(const struct program *p, unsigned int flags)
{
	struct sock_fprog prog = { .len = (unsigned short)p->n,
				   .filter = (struct sock_filter *)p->filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	int r = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	return r < 0 ? -errno : r;
}

static sigjmp_buf no_int80;

static void on_no_int80(int sig)
{
	siglongjmp(no_int80, sig);
}

/* getpid through the 32-bit entry. Return: as the kernel does; -EFAULT: this kernel has no such entry, and says so by SIGSEGV. */
static long int80_getpid(void)
{
	long r = 20; /* getpid of i386 */

	(void)signal(SIGSEGV, on_no_int80);
	if (sigsetjmp(no_int80, 1))
		return -EFAULT;
	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
}

#define INT80 (-2) /* a number for int80_getpid(); -1 is a real test */

struct probe {
	const char *what;
	long nr;
	uint64_t args[6];
	int want;    /* 0: must succeed or fail otherwise than by a refusal; else the errno */
	int control; /* CONTROL, or what the variants let through: FROM_USERNS … */
};

#define CONTROL 1                      /* without the program the answer must be another one */
#define FROM(variant) (2 << (variant)) /* let through by that variant and those after it */
#define FROM_USERNS FROM(SECCOMP_USERNS)
#define FROM_NESTED FROM(SECCOMP_NESTED)
#define SET_ID (CONTROL | IN_STAYS)
#define IN_STAYS FROM(SECCOMP_STAYS) /* by the profile `sandbox` */

static char file[64];

#define P(p) ((uint64_t)(uintptr_t)(p))
#define AT ((uint64_t)AT_FDCWD)

static size_t make_probes(struct probe *pr, size_t max)
{
	static uint64_t how[3] = { O_RDONLY, 0, 0 };
	static char params[120];
	const struct probe all[] = {
		{ "unshare(NEWUSER)", SYS_unshare, { CLONE_NEWUSER }, EPERM, FROM_USERNS },
		{ "unshare(FILES)", SYS_unshare, { CLONE_FILES }, 0, 0 },
		{ "clone3", SYS_clone3, { 0, 0 }, ENOSYS, 1 },
		{ "setns of no fd", SYS_setns, { (uint64_t)-1, 0 }, EPERM, 1 },
		{ "mount", SYS_mount, { 0, 0, 0, 0, 0 }, EPERM, FROM_NESTED },
		{ "open_tree of no path",
		  SYS_open_tree,
		  { AT, 0, 0 },
		  EPERM,
		  CONTROL | FROM_NESTED },
		{ "open_tree_attr (467)", 467, { AT, 0, 0, 0, 0 }, EPERM, CONTROL | FROM_NESTED },
		{ "chroot to no path", SYS_chroot, { 0 }, EPERM, CONTROL | FROM_USERNS | IN_STAYS },
		{ "io_uring_setup", SYS_io_uring_setup, { 2, P(params) }, ENOSYS, 0 },
		{ "keyctl", SYS_keyctl, { 0, (uint64_t)-3, 0 }, ENOSYS, 1 },
		{ "bpf", SYS_bpf, { 9999, 0, 0 }, EPERM, 0 },
		{ "openat2", SYS_openat2, { AT, P(file), P(how), sizeof(how) }, ENOSYS, 1 },
		{ "chmod 0755", SYS_chmod, { P(file), 0755 }, 0, 0 },
		{ "chmod 04755", SYS_chmod, { P(file), 04755 }, EPERM, SET_ID },
		{ "chmod 04755, upper bits", SYS_chmod, { P(file), 0x1000009edull }, EPERM, SET_ID },
		{ "fchmodat 02755", SYS_fchmodat, { AT, P(file), 02755 }, EPERM, SET_ID },
		{ "fchmodat2 04755", 452, { AT, P(file), 04755, 0 }, EPERM, SET_ID },
		{ "openat creates 04755",
		  SYS_openat,
		  { AT, P(file), O_CREAT, 04755 },
		  EPERM,
		  SET_ID },
		{ "openat creates 0755", SYS_openat, { AT, P(file), O_CREAT, 0755 }, 0, 0 },
		{ "openat reads, odd mode", SYS_openat, { AT, P(file), 0, ~0ull }, 0, 0 },
		{ "open creates 02755", SYS_open, { P(file), O_CREAT, 02755 }, EPERM, SET_ID },
		{ "creat 04755", SYS_creat, { P(file), 04755 }, EPERM, SET_ID },
		{ "mknod 0104755", SYS_mknod, { P(file), S_IFREG | 04755, 0 }, EPERM, SET_ID },
		{ "TIOCSTI", SYS_ioctl, { (uint64_t)-1, TIOCSTI, 0 }, EPERM, 1 },
		{ "TIOCSTI, upper bits", SYS_ioctl, { (uint64_t)-1, 0x100005412ull }, EPERM, 1 },
		{ "BTRFS_IOC_SNAP_CREATE_V2", SYS_ioctl, { (uint64_t)-1, 0x50009417, 0 }, EPERM, 1 },
		{ "FIONREAD of no fd", SYS_ioctl, { (uint64_t)-1, FIONREAD, 0 }, EBADF, 0 },
		{ "AF_UNIX", SYS_socket, { AF_UNIX, SOCK_STREAM, 0 }, 0, 0 },
		{ "AF_INET", SYS_socket, { AF_INET, SOCK_STREAM, 0 }, 0, 0 },
		{ "AF_INET raw", SYS_socket, { AF_INET, SOCK_RAW, 1 }, EAFNOSUPPORT, 1 },
		{ "AF_INET SOCK_PACKET", SYS_socket, { AF_INET, 10, 0 }, EAFNOSUPPORT, 1 },
		{ "AF_PACKET", SYS_socket, { AF_PACKET, SOCK_RAW, 0 }, EAFNOSUPPORT, 1 },
		{ "AF_PACKET, upper bits",
		  SYS_socket,
		  { 0x100000011ull, SOCK_RAW, 0 },
		  EAFNOSUPPORT,
		  1 },
		{ "netlink route", SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_ROUTE }, 0, 0 },
		{ "netlink netfilter",
		  SYS_socket,
		  { AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER },
		  EAFNOSUPPORT,
		  0 },
		{ "netlink generic",
		  SYS_socket,
		  { AF_NETLINK, SOCK_RAW, NETLINK_GENERIC },
		  EAFNOSUPPORT,
		  1 },
		{ "number 470", 470, { 0 }, ENOSYS, 0 },
		{ "number -1", -1, { 0 }, ENOSYS, 0 },
		{ "x32 getpid", 0x40000000 + SYS_getpid, { 0 }, ENOSYS, 0 },
		{ "int 0x80 getpid", INT80, { 0 }, ENOSYS, 1 },
		{ "getpid", SYS_getpid, { 0 }, 0, 0 },
	};

	if (ARRAY_SIZE(all) > max)
		return 0;
	memcpy(pr, all, sizeof(all));
	return ARRAY_SIZE(all);
}

/* Return: the errno, 0 for success. */
static int run_probe(const struct probe *p)
{
	const uint64_t *a = p->args;
	long r;

	if (p->nr == SYS_mknod || p->nr == SYS_mknodat)
		(void)unlink(file); /* may be absent */
	if (p->nr == INT80) {
		r = int80_getpid();
		return r < 0 ? (int)-r : 0;
	}
	r = syscall(p->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	return r < 0 ? errno : 0;
}

#define PROBES_MAX 64

/* Runs all probes in a child. Return: 0 when ret_errnos is filled. */
static int run_probes(const struct program *p, const struct probe *pr, size_t n, int *ret_errnos)
{
	int fds[2], status;
	size_t bytes = n * sizeof(int);
	ssize_t got;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		int out[PROBES_MAX];

		if (p && install(p, 0) < 0)
			_exit(3);
		for (size_t i = 0; i < n; i++)
			out[i] = run_probe(&pr[i]);
		_exit(write(fds[1], out, bytes) == (ssize_t)bytes ? 0 : 4);
	}
	close(fds[1]);
	got = read(fds[0], ret_errnos, bytes);
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return got == (ssize_t)bytes && status == 0 ? 0 : -EIO;
}

static int let_through(enum seccomp_variant v, const struct probe *p)
{
	if (v == SECCOMP_STAYS)
		return p->control & IN_STAYS;
	return (v >= SECCOMP_USERNS && (p->control & FROM_USERNS)) ||
	       (v >= SECCOMP_NESTED && (p->control & FROM_NESTED));
}

/* Whether @got is what the variant should answer; a call that it lets through gets the kernel's own answer. */
static int answers_well(enum seccomp_variant v, const struct probe *p, int got, int outside)
{
	if (let_through(v, p))
		return got == outside || (got == 0 && p->nr == SYS_unshare);
	if (p->nr == INT80 && outside == EFAULT)
		return got == EFAULT; /* nothing is there that could be refused */
	return got == p->want && !((p->control & CONTROL) && outside == p->want);
}

static void test_for_real(enum seccomp_variant v)
{
	static struct probe pr[PROBES_MAX];
	int inside[PROBES_MAX] = { 0 }, outside[PROBES_MAX] = { 0 };
	size_t n = make_probes(pr, PROBES_MAX);
	int fd, r;

	snprintf(file, sizeof(file), "/tmp/test-seccomp-XXXXXX");
	fd = mkstemp(file);
	if (fd < 0 || n == 0) {
		check(0, "a file to test with");
		return;
	}
	close(fd);
	r = run_probes(NULL, pr, n, outside);
	check(r == 0, "controls run without the program");
	if (r == 0)
		r = run_probes(&programs[v], pr, n, inside);
	check(r == 0, "the kernel takes the program %s", programs[v].name);
	(void)unlink(file); /* a probe may have removed it */
	if (r < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		int good = answers_well(v, &pr[i], inside[i], outside[i]);

		check(good, "real: %s: %s: %s", programs[v].name, pr[i].what,
		      let_through(v, &pr[i]) ? "let through" :
		      pr[i].want             ? strerror(pr[i].want) :
					       "works");
		if (!good)
			printf("# inside errno %d, without the program %d\n", inside[i],
			       outside[i]);
	}
}

/* Both programs of a run whose nested root would be root on the disk. */
static void test_xattr_for_real(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (setxattr("/", "user.x", "", 0, XATTR_REPLACE) == 0 || errno == EOPNOTSUPP ||
		    install(&programs[SECCOMP_NESTED], 0) < 0 || install(&xattr, 0) < 0)
			_exit(3);
		_exit(setxattr("/", "user.x", "", 0, XATTR_REPLACE) < 0 && errno == EOPNOTSUPP &&
				      syscall(SYS_setns, -1, 0) < 0 && errno == EPERM ?
			      0 :
			      1);
	}
	check(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0,
	      "real: seccomp_xattr on top of a variant");
}

/* A tracer skips a call and gives a result of its own, which must arrive. */
static void test_tracer_skip(void)
{
	struct user_regs_struct regs = { 0 };
	int status, good = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (install(&programs[SECCOMP_PLAIN], 0) < 0 || ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
			_exit(3);
		(void)kill(getpid(), SIGSTOP);
		_exit(syscall(SYS_getppid) == 4711 ? 0 : 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		goto out;
	/* Up to the entry of getppid; the kill itself is past its entry. */
	for (int i = 0; i < 20 && WIFSTOPPED(status); i++) {
		if (ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0 && regs.orig_rax == SYS_getppid) {
			regs.orig_rax = (unsigned long long)-1;
			regs.rax = 4711;
			if (ptrace(PTRACE_SETREGS, pid, 0, &regs) < 0 ||
			    ptrace(PTRACE_CONT, pid, 0, 0) < 0)
				break;
		} else if (ptrace(PTRACE_SYSCALL, pid, 0, 0) < 0) {
			break;
		}
		if (waitpid(pid, &status, 0) != pid)
			goto out;
	}
	good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (WIFSTOPPED(status)) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
out:
	check(good, "real: a tracer of the sandbox can skip a call and set its result");
}

int main(void)
{
	test_constants();
	test_verdicts();
	for (int v = 0; v < SECCOMP_VARIANTS; v++) {
		test_shape(&programs[v]);
		test_every_number((enum seccomp_variant)v);
		test_for_real((enum seccomp_variant)v);
	}
	test_shape(&xattr);
	test_xattr();
	test_xattr_for_real();
	test_tracer_skip();
	printf("1..%d\n", n_tests);
	return n_failed ? 1 : 0;
}
