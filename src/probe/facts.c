/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of facts. Facts stand behind those they need. An id is for ever: scripts, documents and refusals name it.
 * docs/requirements.md is checked against this table.
 */
#include "tries.h"

#define RUN NULL /* no feature does without it */

#define FILTER                                                                                                        \
	"boot Linux 5.12 or newer; in a container: an engine whose seccomp profile knows the call, or start it with " \
	"--security-opt seccomp=unconfined"
#define KERNEL(option) \
	"boot a kernel with " option " (Debian: apt-get install linux-image-amd64, reboot)"

static const struct probe_fact facts[] = {
	/* id, group, what, feature, layer, needs, mend, advice, try */
	{ "userns", "namespaces", "a user namespace can be made", RUN, "userns", NULL, NULL,
	  KERNEL("CONFIG_USER_NS"), try_userns },
	{ "userns.ids", "namespaces", "the caller's ids can be mapped into it", RUN, "userns",
	  "userns", NULL, NULL, try_userns_ids },
	{ "userns.rights", "namespaces", "it gives rights over what is made in it", RUN, "userns",
	  "userns.ids", NULL, NULL, try_userns_rights },
	{ "ns.mount", "namespaces", "mount namespace", RUN, "mountns", "userns.rights", NULL,
	  KERNEL("CONFIG_NAMESPACES"), try_ns_mount },
	{ "userns.nested", "namespaces", "a user namespace inside one, where mounts stay locked",
	  "--allow-userns, --allow-nested-sandbox", "userns", "ns.mount",
	  "sysctl -w user.max_user_namespaces=10000 user.max_mnt_namespaces=10000",
	  "no kernel is known to fail the rest of it: please report it", try_userns_nested },
	{ "ns.pid", "namespaces", "pid namespace", RUN, "pidns", "userns.rights", NULL,
	  KERNEL("CONFIG_PID_NS"), try_ns_pid },
	{ "ns.pid.end", "namespaces", "kill -9 of the launcher ends PID 1 and everything with it",
	  RUN, "pidns", "ns.pid", NULL, KERNEL("CONFIG_PID_NS"), try_ns_pid_end },
	{ "ns.ipc", "namespaces", "IPC namespace", RUN, "ipcns", "userns.rights", NULL,
	  KERNEL("CONFIG_IPC_NS"), try_ns_ipc },
	{ "ns.uts", "namespaces", "host name namespace", RUN, "utsns", "userns.rights", NULL,
	  KERNEL("CONFIG_UTS_NS"), try_ns_uts },
	{ "ns.cgroup", "namespaces", "cgroup namespace", RUN, "cgroupns", "userns.rights", NULL,
	  KERNEL("CONFIG_CGROUPS"), try_ns_cgroup },
	{ "ns.net", "namespaces", "network namespace: own loopback, no route out", RUN, "netns",
	  "userns.rights", NULL, KERNEL("CONFIG_NET_NS"), try_ns_net },

	{ "ids.block", "ids", "root can give each run a block of host ids",
	  "runs of root with ids of their own", "ids", "userns", NULL,
	  "this is root of a container, without ids to give away: start bailey as an ordinary user, or on the host",
	  try_ids_block },
	{ "ids.locks", "ids", "a lock on a block lives exactly as long as its holders",
	  "runs of root with ids of their own", "ids", NULL, NULL, KERNEL("CONFIG_FILE_LOCKING"),
	  try_ids_locks },
	{ "ids.ranges", "ids", "newuidmap maps a range of /etc/subuid",
	  "named sandboxes with several users", "ids", "userns", NULL, NULL, try_ids_ranges },
	{ "idmap.root", "ids", "idmapped mounts of the root file system",
	  "runs of root with ids of their own", "ids", "userns", NULL,
	  "keep templates and workspaces on ext4, xfs or btrfs: overlayfs and some others can't be idmapped",
	  try_idmap_root },
	{ "idmap.cwd", "ids", "idmapped mounts of the current directory",
	  "runs of root with ids of their own", "ids", "userns", NULL,
	  "keep the workspace on ext4, xfs or btrfs: overlayfs and some others can't be idmapped",
	  try_idmap_cwd },

	{ "openat2", "mounts", "paths can be resolved without following links", RUN, "rootfs", NULL,
	  NULL, FILTER, try_openat2 },
	{ "fsopen", "mounts", "new file systems by descriptor", RUN, "rootfs", "ns.mount", NULL,
	  FILTER, try_fsopen },
	{ "open-tree", "mounts", "copies of mounts by descriptor", RUN, "rootfs", "ns.mount", NULL,
	  FILTER, try_open_tree },
	{ "mount-setattr", "mounts", "mounts made read-only with all below them", RUN, "rootfs",
	  "open-tree", NULL, FILTER, try_mount_setattr },
	{ "move-mount", "mounts", "mounts attached by descriptor", RUN, "rootfs", "fsopen", NULL,
	  FILTER, try_move_mount },
	{ "root-mount", "mounts", "'/' is a mount point", RUN, "rootfs", "mount-setattr", NULL,
	  "enter this tree as a root of its own: systemd-nspawn -D DIR, or mount --bind DIR DIR and pivot_root",
	  try_root_mount },
	{ "in-place", "mounts", "a tree made read-only in place stays so in namespaces inside", RUN,
	  "rootfs", "root-mount", NULL, "no kernel is known to fail this: please report it",
	  try_in_place },
	{ "tmpfs", "mounts", "private directories on a tmpfs", RUN, "rootfs", "move-mount", NULL,
	  KERNEL("CONFIG_TMPFS"), try_tmpfs },
	{ "devpts", "mounts", "terminals of its own", RUN, "rootfs", "move-mount", NULL,
	  KERNEL("CONFIG_UNIX98_PTYS"), try_devpts },
	{ "proc", "mounts", "a fresh /proc that shows only the sandbox", RUN, "proc", "move-mount",
	  NULL, KERNEL("CONFIG_PROC_FS"), try_proc },

	{ "overlay", "overlay", "host trees can be shown through overlays", RUN, "overlay",
	  "move-mount", NULL, KERNEL("CONFIG_OVERLAY_FS, Linux 5.11 or newer"), try_overlay },
	{ "overlay.sockets", "overlay", "a socket seen through an overlay is dead", RUN, "overlay",
	  "overlay", NULL, "no kernel is known to fail this: please report it",
	  try_overlay_sockets },
	{ "overlay.whiteout", "overlay", "names can be made absent", RUN, "overlay", "overlay",
	  NULL, KERNEL("CONFIG_OVERLAY_FS, Linux 5.8 or newer"), try_overlay_whiteout },
	{ "overlay.upper", "overlay", "a copy on write (userxattr)",
	  "overlay workspaces, named sandboxes", NULL, "overlay", NULL,
	  "boot Linux 6.6 or newer: a tmpfs has no user attributes before", try_overlay_upper },
	{ "overlay.remount", "overlay", "a live overlay keeps its layers", "checkpoints", NULL,
	  "overlay", NULL, "no kernel is known to fail this: please report it",
	  try_overlay_remount },

	{ "caps", "confinement", "capabilities can be given up for good", RUN, "caps",
	  "userns.rights", NULL,
	  "a container's seccomp filter: start it with --security-opt seccomp=unconfined",
	  try_caps },
	{ "nnp", "confinement", "no_new_privs", RUN, "nnp", NULL, NULL,
	  "a container's seccomp filter: start it with --security-opt seccomp=unconfined",
	  try_nnp },
	{ "undumpable", "confinement", "the memory of PID 1 can be closed to what runs inside", RUN,
	  "caps", NULL, NULL,
	  "a container's seccomp filter: start it with --security-opt seccomp=unconfined",
	  try_undumpable },
	{ "landlock", "confinement", "Landlock refuses writes", RUN, "landlock", NULL, NULL,
	  KERNEL("CONFIG_SECURITY_LANDLOCK, Linux 5.19 or newer; docs/landlock.md"), try_landlock },
	{ "landlock.streams", "confinement", "a file on 0-2 can't be opened again for writing", RUN,
	  "landlock", "landlock", NULL, "no kernel is known to fail this: please report it",
	  try_landlock_streams },
	{ "seccomp", "confinement", "seccomp filters for x86_64", RUN, "seccomp", NULL, NULL,
	  KERNEL("CONFIG_SECCOMP_FILTER"), try_seccomp },
	{ "seccomp.notify", "confinement", "calls can be answered by another process",
	  "reports, --strict-protect", NULL, "seccomp", NULL,
	  "boot Linux 5.0 or newer; under another program's notifier (a container engine's, a sandbox's) there can't be a second one",
	  try_seccomp_notify },
	{ "seccomp.one", "confinement", "a process has at most one notifier",
	  "reports, --strict-protect", NULL, "seccomp.notify", NULL,
	  "no kernel is known to fail this: please report it", try_seccomp_one },
	{ "close-range", "confinement", "inherited files can be closed at once", RUN, NULL, NULL,
	  NULL, FILTER, try_close_range },

	{ "sock-diag", "network", "bound sockets can be listed",
	  "exact masking of sockets in large workspaces", "sockets", NULL, NULL,
	  KERNEL("CONFIG_UNIX_DIAG"), try_sock_diag },
	{ "net.anyip", "network", "every address can be a local one", "the gateway", NULL, "ns.net",
	  NULL, KERNEL("CONFIG_INET"), try_anyip },
	{ "net.capture", "network", "nftables gives connections to a transparent socket",
	  "the gateway", "capture", "net.anyip", "modprobe -a nf_tables nft_tproxy nft_reject_ipv4 nft_reject_ipv6",
	  KERNEL("CONFIG_NFT_TPROXY"), try_capture },
	{ "net.tap", "network", "network cards for a guest", "--isolation vm with a network", NULL,
	  "ns.net", NULL, "pass /dev/net/tun into the container: --device /dev/net/tun", try_tap },

	{ "cgroup", "limits", "control groups of our own", "hard limits", "cgroup", NULL, NULL,
	  NULL, try_cgroup },
	{ "nproc", "limits", "the process limit counts by sandbox", "--pids without control groups",
	  NULL, "ns.pid", NULL, "boot Linux 5.14 or newer", try_nproc },
	{ "clone3", "limits", "processes can be born in a control group",
	  "starting in a control group", NULL, NULL, NULL, FILTER, try_clone3 },
	{ "pidfd", "limits", "processes can be named by descriptor", "named sandboxes", NULL, NULL,
	  NULL, FILTER, try_pidfd },
	{ "state-dir", "limits", "room for the state", "named sandboxes, overlay workspaces", NULL,
	  NULL, NULL, "make room, or set XDG_STATE_HOME to a directory on a larger disk",
	  try_disk },
	{ "kvm", "limits", "hardware virtualization", "--isolation vm at full speed", NULL, NULL,
	  NULL,
	  "turn virtualization on in the firmware, or nested virtualization on at the provider; without it vm runs by emulation, about 12 times "
	  "slower",
	  try_kvm },
};

const struct probe_fact *probe_facts(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(facts);
	return facts;
}
