/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/kvm that opens proves nothing: some hosts offer it without hardware behind it, and emulate each instruction. So a guest of one
 * page runs a loop of known length, for a bounded time, and its speed is the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tries.h"

#define LOOPS 100000u
#define RUN_SECONDS 1
/* a loop of two instructions takes about a nanosecond on a processor, a microsecond or more by emulation */
#define FAST_PER_SECOND 50000000u
#define PAGE 4096u

static void on_alarm(int sig)
{
	(void)sig; /* ends the system call */
}

struct vm {
	int kvm, vm, cpu;
	unsigned char *memory;
	struct kvm_run *run;
	size_t run_size;
};

/* 16-bit code at address 0: mov ecx, LOOPS; again: dec ecx; jnz again; hlt */
static const unsigned char code[] = {
	0x66, 0xb9, LOOPS & 0xff, LOOPS >> 8 & 0xff, LOOPS >> 16 & 0xff, LOOPS >> 24, 0x66, 0x49,
	0x75, 0xfc, 0xf4
};

/* Return: 0 or negative errno; @ret_step names what failed. */
static int make(struct vm *vm, const char **ret_step)
{
	struct kvm_userspace_memory_region region = { .memory_size = PAGE };
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rflags = 2 };
	int size;

	*ret_step = "KVM_CREATE_VM";
	vm->vm = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	if (vm->vm < 0)
		return -errno;
	*ret_step = "memory of the guest";
	vm->memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->memory == MAP_FAILED)
		return -errno;
	memcpy(vm->memory, code, sizeof(code));
	region.userspace_addr = (uint64_t)(uintptr_t)vm->memory;
	if (ioctl(vm->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return -errno;
	*ret_step = "KVM_CREATE_VCPU";
	vm->cpu = ioctl(vm->vm, KVM_CREATE_VCPU, 0);
	size = vm->cpu < 0 ? -1 : ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size <= 0)
		return -errno;
	vm->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->cpu, 0);
	if (vm->run == MAP_FAILED)
		return -errno;
	*ret_step = "registers of the guest";
	if (ioctl(vm->cpu, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs.base = sregs.cs.selector = 0;
	if (ioctl(vm->cpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vm->cpu, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

static enum probe_state judge(struct probe_answer *a, const struct vm *vm, int r, unsigned long us)
{
	unsigned long speed = us ? LOOPS * 1000000ul / us : LOOPS * 1000000ul;

	if (r == -EINTR)
		return probe_degraded(a, 0,
				      "a loop of %u took more than %d s: emulated, not hardware",
				      LOOPS, RUN_SECONDS);
	if (r < 0)
		return probe_missing(a, r, "KVM_RUN");
	if (vm->run && vm->run->exit_reason != KVM_EXIT_HLT)
		return probe_missing(a, 0, "the guest stopped for reason %u instead of its end",
				     vm->run->exit_reason);
	if (speed < FAST_PER_SECOND)
		return probe_degraded(a, 0, "%lu loops a second: emulated, not hardware", speed);
	return probe_ok(a, "%lu million loops a second", speed / 1000000);
}

static enum probe_state run(struct probe_answer *a, struct vm *vm)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval limit = { .it_value = { .tv_sec = RUN_SECONDS } };
	struct timespec start, now;
	const char *step;
	int r = make(vm, &step);

	if (r < 0)
		return probe_missing(a, r, "%s", step);
	(void)sigaction(SIGALRM, &sa, NULL);        /* valid arguments */
	(void)setitimer(ITIMER_REAL, &limit, NULL); /* as above */
	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	r = ioctl(vm->cpu, KVM_RUN, 0) < 0 ? -errno : 0;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return judge(a, vm, r,
		     (unsigned long)((now.tv_sec - start.tv_sec) * 1000000 +
				     (now.tv_nsec - start.tv_nsec) / 1000));
}

/* The group that the device is open to, which a container's /etc/group may have no name for. Root's is nobody's to join. */
static void mend_group(struct probe_answer *a)
{
	const struct passwd *pw = getpwuid(geteuid());
	const unsigned int rw = S_IRGRP | S_IWGRP;
	const struct group *gr;
	struct stat st;

	if (!pw || stat("/dev/kvm", &st) < 0 || st.st_gid == 0 || (st.st_mode & rw) != rw)
		return;
	gr = getgrgid(st.st_gid);
	if (gr)
		probe_mend(a, "usermod -a -G %s %s", gr->gr_name, pw->pw_name);
	else
		probe_mend(a, "sh -c 'groupadd -g %u kvm-%u && usermod -a -G kvm-%u %s'", st.st_gid,
			   st.st_gid, st.st_gid, pw->pw_name);
}

enum probe_state try_kvm(struct probe_answer *a)
{
	struct vm vm = { .kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), .vm = -1, .cpu = -1 };
	const int r = vm.kvm < 0 ? -errno : 0;

	if (r == 0)
		return run(a, &vm); /* all of it ends with this process */
	if (r == -EACCES)
		mend_group(a);
	return probe_missing(a, r, "/dev/kvm");
}
