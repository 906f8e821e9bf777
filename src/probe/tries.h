/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: how a try answers, and the tries that the table of facts names. */
#ifndef BAILEY_PROBE_TRIES_H
#define BAILEY_PROBE_TRIES_H

#include <sys/types.h>

#include "probe.h"

#define PROBE_SECONDS 3 /* after which a try has no answer */
#define PROBE_BLOCK \
	0x70000000u /* host ids that nobody has (docs/adr/0002); only mapped, never used on a file of the host */
#define PROBE_BLOCK_SIZE 65536u

/** probe_ok() - answer, with parameters worth knowing. Return: PROBE_OK. */
__attribute__((format(printf, 2, 3))) enum probe_state probe_ok(struct probe_answer *a,
								const char *fmt, ...);

/** probe_missing() - answer. @r: negative errno of the step that @fmt names, or 0. Return: PROBE_MISSING. */
__attribute__((format(printf, 3, 4))) enum probe_state probe_missing(struct probe_answer *a, int r,
								     const char *fmt, ...);

/** probe_degraded() - answer. @fmt: what is lost. Return: PROBE_DEGRADED. */
__attribute__((format(printf, 3, 4))) enum probe_state probe_degraded(struct probe_answer *a, int r,
								      const char *fmt, ...);

/** probe_mend() - the command for this very cause. */
__attribute__((format(printf, 2, 3))) void probe_mend(struct probe_answer *a, const char *fmt, ...);

/** probe_advise() - words for this very cause. */
__attribute__((format(printf, 2, 3))) void probe_advise(struct probe_answer *a, const char *fmt,
							...);

/** probe_clone() - a process in new namespaces. Return: as fork(), with a negative errno. */
pid_t probe_clone(unsigned int flags);

/** probe_wait() - wait status of @pid, a child; or negative errno. */
int probe_wait(pid_t pid);

/** probe_map_block() - map 0-65535 of the user namespace of @pid to a block of host ids; needs root. Return: 0 or negative errno. */
int probe_map_block(pid_t pid);

/**
 * probe_inside() - run @fn in new namespaces, with all capabilities there, as the id that a run would have.
 * @flags: CLONE_NEW… beside CLONE_NEWUSER
 * Return: what @fn returned; PROBE_UNKNOWN when the namespaces can't be had; PROBE_MISSING when @fn did not come to its end.
 */
enum probe_state probe_inside(struct probe_answer *a, unsigned int flags,
			      enum probe_state (*fn)(struct probe_answer *a));

/** probe_read_number() - the number in the file @path, or -1. */
long probe_read_number(const char *path);

/** probe_stage() - in a mount namespace: an empty tmpfs over /tmp. Return: 0 or negative errno; @ret_step names the call. */
int probe_stage(const char **ret_step);

/* namespaces.c */
enum probe_state try_userns(struct probe_answer *a);
enum probe_state try_userns_ids(struct probe_answer *a);
enum probe_state try_userns_rights(struct probe_answer *a);
enum probe_state try_userns_nested(struct probe_answer *a);
enum probe_state try_ns_mount(struct probe_answer *a);
enum probe_state try_ns_pid(struct probe_answer *a);
enum probe_state try_ns_pid_end(struct probe_answer *a);
enum probe_state try_ns_ipc(struct probe_answer *a);
enum probe_state try_ns_uts(struct probe_answer *a);
enum probe_state try_ns_cgroup(struct probe_answer *a);
enum probe_state try_ns_net(struct probe_answer *a);

/* ids.c */
enum probe_state try_ids_block(struct probe_answer *a);
enum probe_state try_ids_ranges(struct probe_answer *a);
enum probe_state try_ids_locks(struct probe_answer *a);
enum probe_state try_idmap_root(struct probe_answer *a);
enum probe_state try_idmap_cwd(struct probe_answer *a);
enum probe_state try_idmap_home(struct probe_answer *a);

/* mounts.c */
enum probe_state try_openat2(struct probe_answer *a);
enum probe_state try_fsopen(struct probe_answer *a);
enum probe_state try_open_tree(struct probe_answer *a);
enum probe_state try_mount_setattr(struct probe_answer *a);
enum probe_state try_move_mount(struct probe_answer *a);
enum probe_state try_root_mount(struct probe_answer *a);
enum probe_state try_in_place(struct probe_answer *a);
enum probe_state try_tmpfs(struct probe_answer *a);
enum probe_state try_devpts(struct probe_answer *a);
enum probe_state try_proc(struct probe_answer *a);

/* overlay.c */
enum probe_state try_overlay(struct probe_answer *a);
enum probe_state try_overlay_whiteout(struct probe_answer *a);
enum probe_state try_overlay_sockets(struct probe_answer *a);
enum probe_state try_overlay_upper(struct probe_answer *a);
enum probe_state try_overlay_remount(struct probe_answer *a);

/* confine.c */
enum probe_state try_caps(struct probe_answer *a);
enum probe_state try_nnp(struct probe_answer *a);
enum probe_state try_undumpable(struct probe_answer *a);
enum probe_state try_landlock(struct probe_answer *a);
enum probe_state try_landlock_streams(struct probe_answer *a);
enum probe_state try_seccomp(struct probe_answer *a);
enum probe_state try_seccomp_notify(struct probe_answer *a);
enum probe_state try_seccomp_one(struct probe_answer *a);

/* calls.c */
enum probe_state try_close_range(struct probe_answer *a);
enum probe_state try_clone3(struct probe_answer *a);
enum probe_state try_pidfd(struct probe_answer *a);

/* limits.c */
enum probe_state try_cgroup(struct probe_answer *a);
enum probe_state try_nproc(struct probe_answer *a);
enum probe_state try_disk(struct probe_answer *a);

/* net.c */
enum probe_state try_sock_diag(struct probe_answer *a);
enum probe_state try_anyip(struct probe_answer *a);
enum probe_state try_capture(struct probe_answer *a);
enum probe_state try_tap(struct probe_answer *a);

/* kvm.c */
enum probe_state try_kvm(struct probe_answer *a);

#endif
