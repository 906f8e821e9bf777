/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "jail.h"

static const struct jail_layer_info layers[JAIL_LAYER_NUM] = {
	[JAIL_LAYER_USERNS] = { "userns", "user namespace: no privilege inside is one outside",
				NULL,
				"allow unprivileged user namespaces: sysctl kernel.unprivileged_userns_clone=1, "
				"user.max_user_namespaces=10000, kernel.apparmor_restrict_unprivileged_userns=0" },
	[JAIL_LAYER_MOUNTNS] = { "mountns", "mount namespace: a file system view of its own", NULL,
				 "a kernel with CONFIG_NAMESPACES and sysctl user.max_mnt_namespaces above 0" },
	[JAIL_LAYER_PIDNS] = { "pidns",
			       "pid namespace: host processes are not there; all of the sandbox's die together",
			       NULL, "a kernel with CONFIG_PID_NS" },
	[JAIL_LAYER_IPCNS] = { "ipcns", "System V IPC and message queues of its own", NULL,
			       "a kernel with CONFIG_IPC_NS" },
	[JAIL_LAYER_UTSNS] = { "utsns", "host name of its own", NULL,
			       "a kernel with CONFIG_UTS_NS" },
	[JAIL_LAYER_CGROUPNS] = { "cgroupns", "the host's cgroup paths are not visible", NULL,
				  "a kernel with CONFIG_CGROUPS" },
	[JAIL_LAYER_NETNS] = { "netns", "network namespace: loopback only, no route out", NULL,
			       "a kernel with CONFIG_NET_NS" },
	[JAIL_LAYER_IDS] = { "ids", "the command runs as the id that it should", NULL, "" },
	[JAIL_LAYER_ROOTFS] = { "rootfs", "the host's file systems are read-only, nosuid, nodev",
				NULL,
				"Linux 5.12 or newer, and a container engine that lets openat2, fsopen, open_tree and "
				"mount_setattr through" },
	[JAIL_LAYER_OVERLAY] = { "overlay",
				 "host trees are shown so that sockets in them are dead, and hidden names absent",
				 "sockets in host directories may be reachable",
				 "Linux 5.11 or newer with CONFIG_OVERLAY_FS (modprobe overlay)" },
	[JAIL_LAYER_PROC] = { "proc", "a /proc that shows only the sandbox",
			      "there is no /proc inside",
			      "start the container with an unmasked /proc (podman: --security-opt unmask=ALL; "
			      "docker: --security-opt systempaths=unconfined)" },
	[JAIL_LAYER_CAPS] = { "caps", "no capabilities, none can be regained", NULL, "" },
	[JAIL_LAYER_NNP] = { "nnp", "no_new_privs: set-id programs gain nothing", NULL, "" },
	[JAIL_LAYER_LANDLOCK] = { "landlock",
				  "writes only below writable directories, whatever fd they come through",
				  "one of two walls against writes outside the workspace",
				  "Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK and landlock in the lsm= boot parameter" },
	[JAIL_LAYER_SECCOMP] = { "seccomp",
				 "system calls that a sandbox has no use for are refused",
				 "kernel attack surface; vsock; session keys; set-id bits in the workspace",
				 "a kernel with CONFIG_SECCOMP_FILTER" },
	[JAIL_LAYER_SOCKETS] = { "sockets",
				 "the host's sockets in directly shown trees are found and masked before the command exists",
				 "sockets of the host in the workspace may be reachable",
				 "remove sockets that nobody needs (find . -type s), and trees that no program needs so deep" },
	[JAIL_LAYER_CGROUP] = { "cgroup",
				"the kernel holds the run as a whole to its limits, when there are any",
				"limits on memory and CPUs are soft, one on processes may not hold",
				"cgroup v2 delegated (systemd-run --user --scope -p Delegate=yes bailey run …), or root" },
	[JAIL_LAYER_CAPTURE] = { "capture",
				 "connections of programs that know no proxy reach the gateway",
				 "only programs that use the proxies (HTTP_PROXY, ALL_PROXY) have a network",
				 "a kernel with CONFIG_NF_TABLES and CONFIG_NFT_TPROXY (modprobe -a nf_tables nft_tproxy nft_reject_ipv4 nft_reject_ipv6)" },
};

const struct jail_layer_info *jail_layer_info(enum jail_layer l)
{
	return &layers[l];
}

int jail_layer_parse(const char *name)
{
	size_t i;

	for (i = 0; i < JAIL_LAYER_NUM; i++) {
		if (strcmp(layers[i].name, name) == 0)
			return (int)i;
	}
	return -ENOENT;
}
