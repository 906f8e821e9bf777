/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen-seccomp OUTPUT.h: makes the seccomp programs of the profile `run`, at build time.
 *
 * Theory of operation
 *
 * OUTPUT.h gets arrays of struct sock_filter: seccomp_run[], its variants seccomp_userns[], seccomp_nested[] and seccomp_stays[], and seccomp_xattr[], which is
 * put on top of a variant and has part 2 only; and seccomp_writes[], seccomp_reads[] and seccomp_makes[], which refuse nothing and ask the listener of a run
 * that reports. The others are made of two parts:
 *
 * 1. Written by hand here (struct prog): the wrong ABI, numbers that nobody has looked at, and the
 *    calls that depend on arguments. libseccomp can't say "any of these bits" (one rule per bit)
 *    or "none of these values in the low 32 bits" (no negation under a mask), and comparing all
 *    64 bits of an argument that the kernel cuts to an int is a known hole. Here each test is the
 *    one that the kernel makes: load the low word, JSET or JEQ.
 *    Every call that enters a block of this part gets its answer there.
 * 2. Made by libseccomp: the table of calls that are refused whatever their arguments, as a
 *    binary tree (a call takes 26 steps in the mean; as a list 57). Since Linux 5.11 the kernel
 *    remembers which numbers are always allowed, and the steps matter to the others only; the
 *    time to load the program is the same.
 *
 * The preamble of libseccomp's part (ABI, x32) is never reached with anything to refuse: part 1
 * has answered with ENOSYS. Its action for a wrong ABI is set to ENOSYS all the same.
 *
 * The number -1 is allowed: a tracer that skips a call sets it, and an errno from here would
 * overwrite the result that the tracer gave (strace --inject, proot). The
 * kernel itself answers -1 with ENOSYS when nobody traces.
 */
#define _GNU_SOURCE
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jail/seccomp-table.h"

#define INSN_MAX 512
#define LABEL_MAX 64
#define NR_TRACER_SKIPPED 0xffffffffu

/* Jump target "the next instruction"; real labels are 0 and up. */
#define NEXT (-1)

#define OFF_NR offsetof(struct seccomp_data, nr)
#define OFF_ARCH offsetof(struct seccomp_data, arch)
#define OFF_ARG_LOW(n) (offsetof(struct seccomp_data, args) + sizeof(uint64_t) * (size_t)(n))
#define OFF_ARG_HIGH(n) (OFF_ARG_LOW(n) + 4)

struct insn {
	unsigned short code;
	unsigned int k;
	int jt, jf; /* labels */
	const char *note;
};

struct prog {
	enum seccomp_variant variant;
	struct insn insn[INSN_MAX];
	size_t n;
	size_t label[LABEL_MAX]; /* where it is; 0 while unset, no label is at the start */
	int n_labels;
	struct {
		unsigned int value;
		int label;
	} ret[LABEL_MAX];
	int n_rets;
};

struct row {
	const char *name;
	int nr;
	int err;
};

static const struct row deny_rows[] = {
#define X(name, nr, err, reason) { #name, nr, err },
	SECCOMP_DENY(X)
#undef X
};

static const struct row xattr_rows[] = {
#define X(name, nr, err, reason) { #name, nr, err },
	SECCOMP_DENY_XATTR(X)
#undef X
};

/* The first variant that allows a row of deny_rows. */
static const struct {
	const char *name;
	enum seccomp_variant from;
} allow_rows[] = {
#define X(name) { #name, SECCOMP_USERNS },
	SECCOMP_ALLOW_USERNS(X)
#undef X
#define X(name) { #name, SECCOMP_NESTED },
		SECCOMP_ALLOW_NESTED(X)
#undef X
};

static const char *const stays_rows[] = {
#define X(name) #name,
	SECCOMP_ALLOW_STAYS(X)
#undef X
};

static const struct row arg_rows[] = {
#define X(name, nr, ...) { #name, nr, 0 },
	SECCOMP_DENY_BITS(X) SECCOMP_DENY_OTHER_BITS(X) SECCOMP_DENY_CREATE(X)
		SECCOMP_ALLOW_ON_PURPOSE(X)
#undef X
			{ "ioctl", SECCOMP_IOCTL_NR, 0 },
	{ "socket", SECCOMP_SOCKET_NR, 0 },
	{ "socketpair", SECCOMP_SOCKETPAIR_NR, 0 },
	{ "setsockopt", SECCOMP_SETSOCKOPT_NR, 0 },
};

static const struct row notify_rows[] = {
#define X(name, nr, ...) { #name, nr, 0 },
	SECCOMP_NOTIFY(X)
#undef X
};

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("gen-seccomp: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

/* --- part 1: a small assembler with labels --- */

static int label_new(struct prog *p)
{
	if (p->n_labels == LABEL_MAX)
		die("too many labels");
	return p->n_labels++;
}

static void label_here(struct prog *p, int label)
{
	p->label[label] = p->n;
}

static struct insn *emit(struct prog *p, int code, unsigned int k, int jt, int jf)
{
	if (p->n == INSN_MAX)
		die("program too long");
	p->insn[p->n] = (struct insn){ .code = (unsigned short)code, .k = k, .jt = jt, .jf = jf };
	return &p->insn[p->n++];
}

static void load(struct prog *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (unsigned int)offset, NEXT, NEXT);
}

static void jump(struct prog *p, int op, unsigned int k, int jt, int jf)
{
	emit(p, BPF_JMP | op | BPF_K, k, jt, jf);
}

/* One shared RET per value, placed by emit_rets(). */
static int ret(struct prog *p, unsigned int value)
{
	for (int i = 0; i < p->n_rets; i++)
		if (p->ret[i].value == value)
			return p->ret[i].label;
	p->ret[p->n_rets].value = value;
	p->ret[p->n_rets].label = label_new(p);
	return p->ret[p->n_rets++].label;
}

static int ret_allow(struct prog *p)
{
	return ret(p, SECCOMP_RET_ALLOW);
}

static int ret_errno(struct prog *p, int err)
{
	return ret(p, SECCOMP_RET_ERRNO | (unsigned int)err);
}

static void emit_rets(struct prog *p)
{
	for (int i = 0; i < p->n_rets; i++) {
		label_here(p, p->ret[i].label);
		emit(p, BPF_RET | BPF_K, p->ret[i].value, NEXT, NEXT);
	}
}

/* Opens the block of one call. Return: the label to place after the block. */
static int block(struct prog *p, int nr, const char *name)
{
	int end = label_new(p);

	emit(p, BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)nr, NEXT, end)->note = name;
	return end;
}

static void emit_start(struct prog *p)
{
	load(p, OFF_ARCH);
	p->insn[0].note = "ABI and range";
	jump(p, BPF_JEQ, AUDIT_ARCH_X86_64, NEXT, ret_errno(p, ENOSYS));
	load(p, OFF_NR);
	jump(p, BPF_JEQ, NR_TRACER_SKIPPED, ret_allow(p), NEXT);
	/* x32 numbers have bit 30: above the maximum like every other unknown one. */
	jump(p, BPF_JGT, SECCOMP_NR_MAX, ret_errno(p, ENOSYS), NEXT);
}

/* The gap, and everything above it that only has to be compared on that side. */
static void emit_gap(struct prog *p, int low)
{
	jump(p, BPF_JGE, SECCOMP_NR_GAP_FIRST, NEXT, low);
	jump(p, BPF_JGT, SECCOMP_NR_GAP_LAST, NEXT, ret_errno(p, ENOSYS));
}

static void emit_bits(struct prog *p, const char *name, int nr, int arg, unsigned int mask, int err)
{
	int end = block(p, nr, name);

	load(p, OFF_ARG_LOW(arg));
	jump(p, BPF_JSET, mask, ret_errno(p, err), ret_allow(p));
	label_here(p, end);
}

static void emit_other_bits(struct prog *p, const char *name, int nr, int arg, unsigned int allowed,
			    int err)
{
	int end = block(p, nr, name);

	load(p, OFF_ARG_HIGH(arg));
	jump(p, BPF_JEQ, 0, NEXT, ret_errno(p, err));
	load(p, OFF_ARG_LOW(arg));
	jump(p, BPF_JSET, ~allowed, ret_errno(p, err), ret_allow(p));
	label_here(p, end);
}

static void emit_create(struct prog *p, const char *name, int nr, int flags, int mode, int err)
{
	int end = block(p, nr, name);

	load(p, OFF_ARG_LOW(flags));
	jump(p, BPF_JSET, SECCOMP_CREATE_FLAGS, NEXT, ret_allow(p));
	load(p, OFF_ARG_LOW(mode));
	jump(p, BPF_JSET, SECCOMP_SETID, ret_errno(p, err), ret_allow(p));
	label_here(p, end);
}

static void emit_ioctl(struct prog *p)
{
	int end = block(p, SECCOMP_IOCTL_NR, "ioctl");

	load(p, OFF_ARG_LOW(1));
#define X(value, err, reason) jump(p, BPF_JEQ, (unsigned int)(value), ret_errno(p, err), NEXT);
	SECCOMP_DENY_IOCTL(X)
#undef X
	emit(p, BPF_JMP | BPF_JA, 0, ret_allow(p), NEXT);
	label_here(p, end);
}

static void emit_socket(struct prog *p)
{
	int end = block(p, SECCOMP_SOCKET_NR, "socket");
	int inet = label_new(p), inet_proto = label_new(p), netlink = label_new(p);

	load(p, OFF_ARG_LOW(0));
	jump(p, BPF_JEQ, AF_UNIX, ret_allow(p), NEXT);
	jump(p, BPF_JEQ, AF_INET, inet, NEXT);
	jump(p, BPF_JEQ, AF_INET6, inet, NEXT);
	jump(p, BPF_JEQ, AF_NETLINK, netlink, ret_errno(p, EAFNOSUPPORT));

	label_here(p, netlink);
	load(p, OFF_ARG_LOW(2));
#define X(protocol, reason) jump(p, BPF_JEQ, protocol, ret_allow(p), NEXT);
	SECCOMP_ALLOW_NETLINK(X)
#undef X
	emit(p, BPF_JMP | BPF_JA, 0, ret_errno(p, EAFNOSUPPORT), NEXT);

	label_here(p, inet);
	load(p, OFF_ARG_LOW(1));
	emit(p, BPF_ALU | BPF_AND | BPF_K, SECCOMP_SOCK_TYPE_MASK, NEXT, NEXT);
	jump(p, BPF_JEQ, SOCK_STREAM, inet_proto, NEXT);
	jump(p, BPF_JEQ, SOCK_DGRAM, inet_proto, ret_errno(p, EAFNOSUPPORT));
	label_here(p, inet_proto);
	load(p, OFF_ARG_LOW(2));
#define X(protocol, reason) jump(p, BPF_JEQ, protocol, ret_allow(p), NEXT);
	SECCOMP_ALLOW_INET(X)
#undef X
	emit(p, BPF_JMP | BPF_JA, 0, ret_errno(p, EPROTONOSUPPORT), NEXT);
	label_here(p, end);
}

static void emit_socketpair(struct prog *p)
{
	int end = block(p, SECCOMP_SOCKETPAIR_NR, "socketpair");

	load(p, OFF_ARG_LOW(0));
	jump(p, BPF_JEQ, AF_UNIX, NEXT, ret_errno(p, EAFNOSUPPORT));
	load(p, OFF_ARG_LOW(1));
	emit(p, BPF_ALU | BPF_AND | BPF_K, SECCOMP_SOCK_TYPE_MASK, NEXT, NEXT);
	jump(p, BPF_JEQ, SOCK_STREAM, ret_allow(p), NEXT);
	jump(p, BPF_JEQ, SOCK_SEQPACKET, ret_allow(p), ret_allow(p));
	label_here(p, end);
}

static void emit_setsockopt(struct prog *p)
{
	int end = block(p, SECCOMP_SETSOCKOPT_NR, "setsockopt");

	/* the option first: most levels have none of these numbers in use */
#define X(level, name, reason)                                              \
	do {                                                                \
		int other = label_new(p);                                   \
                                                                            \
		load(p, OFF_ARG_LOW(2));                                    \
		jump(p, BPF_JEQ, (unsigned int)(name), NEXT, other);        \
		load(p, OFF_ARG_LOW(1));                                    \
		jump(p, BPF_JEQ, (level), ret_errno(p, ENOPROTOOPT), NEXT); \
		label_here(p, other);                                       \
	} while (0);
	SECCOMP_DENY_SETSOCKOPT(X)
#undef X
	emit(p, BPF_JMP | BPF_JA, 0, ret_allow(p), NEXT);
	label_here(p, end);
}

static int nests(const struct prog *p)
{
	return p->variant == SECCOMP_USERNS || p->variant == SECCOMP_NESTED;
}

/* What the variants allow of the lists that look at arguments. */
static unsigned int other_bits(const struct prog *p, int nr, unsigned int allowed)
{
	return nests(p) && nr == SECCOMP_UNSHARE_NR ? allowed | SECCOMP_CLONE_NEW : allowed;
}

/* A row of bits: which are refused. */
static unsigned int refused_bits(const struct prog *p, int nr, unsigned int mask)
{
	if (nests(p) && nr == SECCOMP_CLONE_NR)
		return 0;
	return p->variant == SECCOMP_STAYS ? mask & ~SECCOMP_SETID : mask;
}

/*
 * One side of the gap. Both sides expand the same lists, so that a row stays a row; which ones
 * belong here is known when the generator runs.
 */
static void emit_blocks(struct prog *p, int high)
{
#define HERE(nr) (((nr) > SECCOMP_NR_GAP_LAST) == high)
	/* The kernel can't cache calls that depend on arguments: the frequent ones first. */
#define X(name, nr, flags, mode, err, reason)        \
	if (HERE(nr) && p->variant != SECCOMP_STAYS) \
		emit_create(p, #name, nr, flags, mode, err);
	SECCOMP_DENY_CREATE(X)
#undef X
	if (!high)
		emit_ioctl(p);
#define X(name, nr, arg, mask, err, reason)        \
	if (HERE(nr) && refused_bits(p, nr, mask)) \
		emit_bits(p, #name, nr, arg, refused_bits(p, nr, mask), err);
	SECCOMP_DENY_BITS(X)
#undef X
#define X(name, nr, arg, allowed, err, reason) \
	if (HERE(nr))                          \
		emit_other_bits(p, #name, nr, arg, other_bits(p, nr, allowed), err);
	SECCOMP_DENY_OTHER_BITS(X)
#undef X
	if (!high) {
		emit_socket(p);
		emit_socketpair(p);
		if (p->variant != SECCOMP_PLAIN)
			emit_setsockopt(p);
	}
#undef HERE
}

/* The first part; it ends where the second begins. */
static void make_first_part(struct prog *p)
{
	int low = label_new(p), second = label_new(p);

	emit_start(p);
	emit_gap(p, low);
	emit_blocks(p, 1);
	emit(p, BPF_JMP | BPF_JA, 0, second, NEXT);
	label_here(p, low);
	emit_blocks(p, 0);
	emit(p, BPF_JMP | BPF_JA, 0, second, NEXT);
	emit_rets(p);
	label_here(p, second);
}

enum heard { WRITES, READS, MAKES };

/* Which ops make a name. An open does when its flags say so. */
#define MAKES_OPEN 1
#define MAKES_CREATE 1
#define MAKES_MKDIR 1
#define MAKES_MKNOD 1
#define MAKES_RENAME 1
#define MAKES_LINK 1
#define MAKES_SYMLINK 1
#define MAKES_REMOVE 0
#define MAKES_CHMOD 0
#define MAKES_CHOWN 0
#define MAKES_TRUNCATE 0
#define MAKES_UTIME 0

static void emit_notify(struct prog *p, const char *name, int nr, int flags, enum heard what)
{
	const int ask = ret(p, SECCOMP_RET_USER_NOTIF);
	int end;

	if (flags < 0) {
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)nr, ask, NEXT)->note = name;
		return;
	}
	end = block(p, nr, name);
	load(p, OFF_ARG_LOW(flags));
	jump(p, BPF_JSET, O_PATH, ret_allow(p), NEXT);
	if (what == READS)
		emit(p, BPF_JMP | BPF_JA, 0, ask, NEXT);
	else if (what == MAKES)
		jump(p, BPF_JSET, O_CREAT, ask, ret_allow(p));
	else
		jump(p, BPF_JSET, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, ask, ret_allow(p));
	label_here(p, end);
}

/* Another ABI, and what has no row, is for the other filter to judge. */
static void make_notify(struct prog *p, enum heard what)
{
	load(p, OFF_ARCH);
	jump(p, BPF_JEQ, AUDIT_ARCH_X86_64, NEXT, ret_allow(p));
	load(p, OFF_NR);
#define X(name, nr, op, dir, path, dir2, path2, flags, follow) \
	if (what != MAKES || MAKES_##op)                       \
		emit_notify(p, #name, nr, flags, what);
	SECCOMP_NOTIFY(X)
#undef X
	emit(p, BPF_JMP | BPF_JA, 0, ret_allow(p), NEXT);
	emit_rets(p);
}

static unsigned int distance(const struct prog *p, size_t at, int label)
{
	if (label == NEXT)
		return 0;
	if (p->label[label] <= at)
		die("instruction %zu jumps to an unplaced label", at);
	return (unsigned int)(p->label[label] - at - 1);
}

/* --- part 2: libseccomp --- */

static void check_row(const struct row *r)
{
	int nr = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, r->name);

	if (nr == __NR_SCMP_ERROR) {
		/* Newer than libseccomp: at least the number must be nobody else's. */
		char *known = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, r->nr);

		if (known)
			die("%d is %s, not %s", r->nr, known, r->name);
	} else if (nr != r->nr) {
		die("%s is %d, not %d", r->name, nr, r->nr);
	}
	if (r->nr > SECCOMP_NR_MAX)
		die("%s is above SECCOMP_NR_MAX", r->name);
}

static void check_rows(void)
{
	char seen[SECCOMP_NR_MAX + 1] = { 0 };

	for (size_t i = 0; i < sizeof(deny_rows) / sizeof(deny_rows[0]); i++) {
		check_row(&deny_rows[i]);
		if (seen[deny_rows[i].nr]++)
			die("%s is in two lists", deny_rows[i].name);
	}
	for (size_t i = 0; i < sizeof(arg_rows) / sizeof(arg_rows[0]); i++) {
		check_row(&arg_rows[i]);
		if (seen[arg_rows[i].nr]++)
			die("%s is in two lists", arg_rows[i].name);
	}
	for (size_t i = 0; i < sizeof(xattr_rows) / sizeof(xattr_rows[0]); i++)
		check_row(&xattr_rows[i]);
	for (size_t i = 0; i < sizeof(notify_rows) / sizeof(notify_rows[0]); i++)
		check_row(&notify_rows[i]);
	for (size_t i = 0; i < sizeof(allow_rows) / sizeof(allow_rows[0]); i++) {
		size_t k = 0;

		while (k < sizeof(deny_rows) / sizeof(deny_rows[0]) &&
		       strcmp(deny_rows[k].name, allow_rows[i].name) != 0)
			k++;
		if (k == sizeof(deny_rows) / sizeof(deny_rows[0]))
			die("%s is in no list that a variant could leave it out of",
			    allow_rows[i].name);
	}
}

static int allowed_in(enum seccomp_variant variant, const char *name)
{
	if (variant == SECCOMP_STAYS) {
		for (size_t i = 0; i < sizeof(stays_rows) / sizeof(stays_rows[0]); i++)
			if (strcmp(stays_rows[i], name) == 0)
				return 1;
		return 0;
	}
	for (size_t i = 0; i < sizeof(allow_rows) / sizeof(allow_rows[0]); i++) {
		if (strcmp(allow_rows[i].name, name) == 0)
			return variant >= allow_rows[i].from;
	}
	return 0;
}

static size_t make_second_part(enum seccomp_variant variant, const struct row *rows, size_t n_rows,
			       struct sock_filter *filter, size_t max)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int fd = memfd_create("seccomp", MFD_CLOEXEC);
	ssize_t n;
	int r;

	if (!ctx || fd < 0)
		die("can't start: %s", strerror(errno));
	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		die("this profile is for x86_64 only");
	if (seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)) < 0 ||
	    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0)
		die("libseccomp refuses an attribute");
	for (size_t i = 0; i < n_rows; i++) {
		if (allowed_in(variant, rows[i].name))
			continue;
		r = seccomp_rule_add_exact(ctx, SCMP_ACT_ERRNO((unsigned int)rows[i].err),
					   rows[i].nr, 0);
		if (r < 0)
			die("libseccomp refuses the rule for %s: %s", rows[i].name, strerror(-r));
	}
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		die("can't export: %s", strerror(-r));
	seccomp_release(ctx);
	n = pread(fd, filter, max * sizeof(*filter), 0);
	close(fd);
	if (n <= 0 || (size_t)n == max * sizeof(*filter) || (size_t)n % sizeof(*filter) != 0)
		die("libseccomp's program has %zd bytes", n);
	return (size_t)n / sizeof(*filter);
}

/* --- the header --- */

static void print_insns(FILE *f, const struct prog *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct insn *in = &p->insn[i];
		unsigned int k = in->k, jt = distance(p, i, in->jt), jf = distance(p, i, in->jf);

		if (in->code == (BPF_JMP | BPF_JA)) {
			k = jt;
			jt = 0;
		}
		if (jt > 255 || jf > 255)
			die("instruction %zu jumps too far", i);
		if (in->note)
			fprintf(f, "\t/* %s */\n", in->note);
		fprintf(f, "\t{ 0x%02x, %u, %u, 0x%08x },\n", in->code, jt, jf, k);
	}
}

/* @rows: of the second part; @first: whether there is a first one. */
static void print_program(FILE *f, const char *name, enum seccomp_variant variant, int first,
			  const struct row *rows, size_t n_rows)
{
	struct sock_filter second[INSN_MAX];
	size_t n_second = make_second_part(variant, rows, n_rows, second, INSN_MAX);
	struct prog p = { .variant = variant };

	if (first)
		make_first_part(&p);
	fprintf(f, "/* %zu instructions. */\n", p.n + n_second);
	fprintf(f, "__attribute__((unused)) static const struct sock_filter %s[] = {\n", name);
	print_insns(f, &p);
	fprintf(f, "\t/* refused whatever the arguments: libseccomp's tree */\n");
	for (size_t i = 0; i < n_second; i++)
		fprintf(f, "\t{ 0x%02x, %u, %u, 0x%08x },\n", second[i].code, second[i].jt,
			second[i].jf, second[i].k);
	fprintf(f, "};\n\n");
}

static void print_notify(FILE *f, const char *name, enum heard what)
{
	struct prog p = { .variant = SECCOMP_PLAIN };

	make_notify(&p, what);
	fprintf(f, "/* %zu instructions. */\n", p.n);
	fprintf(f, "__attribute__((unused)) static const struct sock_filter %s[] = {\n", name);
	print_insns(f, &p);
	fprintf(f, "};\n\n");
}

int main(int argc, char **argv)
{
	static const char *const names[SECCOMP_VARIANTS] = {
		[SECCOMP_PLAIN] = "seccomp_run",
		[SECCOMP_USERNS] = "seccomp_userns",
		[SECCOMP_NESTED] = "seccomp_nested",
		[SECCOMP_STAYS] = "seccomp_stays",
	};
	char tmp[4096];
	FILE *f;
	int bad;

	if (argc != 2) {
		fputs("usage: gen-seccomp OUTPUT.h\n", stderr);
		return 2;
	}
	check_rows();
	if (snprintf(tmp, sizeof(tmp), "%s.tmp", argv[1]) >= (int)sizeof(tmp))
		die("%s: name too long", argv[1]);
	f = fopen(tmp, "we");
	if (!f)
		die("%s: %s", tmp, strerror(errno));
	fprintf(f, "/* SPDX-License-Identifier: Apache-2.0 */\n"
		   "/* Made by tools/gen-seccomp from src/jail/seccomp-table.h. Don't edit. */\n"
		   "#ifndef BAILEY_SECCOMP_PROG_H\n#define BAILEY_SECCOMP_PROG_H\n\n"
		   "#include <linux/filter.h>\n\n");
	for (int i = 0; i < SECCOMP_VARIANTS; i++)
		print_program(f, names[i], (enum seccomp_variant)i, 1, deny_rows,
			      sizeof(deny_rows) / sizeof(deny_rows[0]));
	print_program(f, "seccomp_xattr", SECCOMP_PLAIN, 0, xattr_rows,
		      sizeof(xattr_rows) / sizeof(xattr_rows[0]));
	print_notify(f, "seccomp_writes", WRITES);
	print_notify(f, "seccomp_reads", READS);
	print_notify(f, "seccomp_makes", MAKES);
	fprintf(f, "#endif\n");
	bad = ferror(f);
	if (fclose(f) != 0 || bad) {
		(void)remove(tmp);
		die("%s: can't write", tmp);
	}
	/* Half a header must not look made. */
	if (rename(tmp, argv[1]) < 0)
		die("%s: %s", argv[1], strerror(errno));
	return 0;
}
