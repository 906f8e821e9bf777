/* SPDX-License-Identifier: Apache-2.0 */
/* Every cap of the project, in one table. A cap that is hit is an error with a name, never a truncation. */
#ifndef BAILEY_UTIL_LIMITS_H
#define BAILEY_UTIL_LIMITS_H

#define LIMIT_PATH 4096       /* bytes of a path, with the NUL (PATH_MAX) */
#define LIMIT_RULES 4096      /* rules of one policy */
#define LIMIT_NET_RULES 4096  /* network rules of one run */
#define LIMIT_NET_LIVE 1024   /* beyond these, changes while it lives: GATEWAY_LIVE holds fewer */
#define LIMIT_NET_QUOTAS 64   /* budgets and rates of one run */
#define LIMIT_INSPECTS 256    /* hosts whose requests are judged, and those where nobody looks */
#define LIMIT_FORWARDS 256    /* requests that go elsewhere, by rules of one run */
#define LIMIT_INSPECT 65536   /* bytes of what is said about one */
#define LIMIT_NET_REASON 200  /* bytes of the reason of one */
#define LIMIT_NET_HANDED 1024 /* names that one run hands to a proxy at a socket */
#define LIMIT_NET_PACK (8u << 20) /* bytes of all rules of one run, on their way to its gateway */
#define LIMIT_OPS 4096            /* operations of one mount plan */
#define LIMIT_WORKSPACES 64
#define LIMIT_OVERLAYS 64     /* overlays that show host trees; what is left stays a bind */
#define LIMIT_OVERLAY_DEPTH 4 /* how deep a directory with mounts below is taken apart */
#define LIMIT_MOUNTS 8192     /* lines of /proc/self/mountinfo that are read */
#define LIMIT_MOUNTINFO (4u << 20)
#define LIMIT_ARENA (16u << 20)     /* bytes of policy and plan together */
#define LIMIT_OUTPUT (16u << 20)    /* bytes of one --explain */
#define LIMIT_ENV 65536             /* variables given to the command */
#define LIMIT_SCAN_DEPTH 128        /* depth of a tree that is searched for sockets */
#define LIMIT_SCAN_SOCKETS 4096     /* sockets masked in direct trees of one run */
#define LIMIT_SCAN_BYTES (1u << 20) /* of directories; 150 KiB of usual ones are listed in 1.5 ms */
#define LIMIT_POLICY_FILE (256u << 10) /* bytes of a policy file or a file of variables */
#define LIMIT_POLICY_STRING 32767      /* bytes of one string in it */
#define LIMIT_POLICY_DEPTH \
	12 /* lists and objects inside each other: a rule about requests is 10 deep in a file */
#define LIMIT_POLICY_MEMBERS 1024 /* keys of one object */
#define LIMIT_POLICY_VALUES \
	32768 /* values of one file; the rules of one run, as its gateway lists them, are fewer */
#define LIMIT_POLICY_FILES 80     /* of one run */
#define LIMIT_GLOB_PARTS 32       /* names and patterns between the slashes of one pattern */
#define LIMIT_GLOB_ENTRIES 500000 /* names that the patterns of one run look at */
#define LIMIT_WHERE 4352          /* bytes of "FILE:LINE:COLUMN: key" */
#define LIMIT_NOTICES 64          /* lines that one run prints about its policy */
#define LIMIT_SOURCES 144         /* descriptors that one poll loop waits for */
#define LIMIT_SESSIONS 1          /* commands under PID 1 of a run */
#define LIMIT_SERVED 1024         /* commands under PID 1 of a sandbox that stays */
#define LIMIT_EVENTS \
	(1u << 20)       /* bytes of one of the two files of what happened to sandboxes that stay */
#define LIMIT_CLIENTS 64 /* of sessions of one sandbox at a time */
#define LIMIT_ASKING 16  /* beside them: who asks for something else, and goes */
#define LIMIT_HELD 256   /* sessions of one whose output is kept, while they may write */
#define LIMIT_ENDED 64   /* sessions of one that have ended and are remembered */
#define LIMIT_SCROLLBACK (1u << 20)   /* bytes that are kept of one */
#define LIMIT_SCROLLBACKS (64u << 20) /* and of all; then each keeps what it has room for */
#define LIMIT_BEHIND 65536 /* bytes that a client may not have read yet, before its session waits */
#define LIMIT_TURNS 4096   /* changes between the two streams of one that are kept */
#define LIMIT_STALL_MS 10000        /* and so long, for LIMIT_TTY_OUT of them; then it is let go */
#define LIMIT_DRAINS 256            /* pipes that are emptied for commands whose client has gone */
#define LIMIT_LISTED_WORDS 4096     /* bytes of a session's words that a listing shows */
#define LIMIT_SERVICES 64           /* of one sandbox that stays */
#define LIMIT_SERVICE 131072        /* bytes of the command and the variables of one */
#define LIMIT_SPAWN (4u << 20)      /* bytes of a command's words and variables */
#define LIMIT_TTY_IN 4096           /* bytes on the way to a terminal's program */
#define LIMIT_TTY_OUT 32768         /* bytes on the way from it */
#define LIMIT_PROTECTED 512         /* protected paths of one run */
#define LIMIT_PROTECT_DIRS 500      /* directories searched for them, LIMIT_PROTECT_DEPTH deep */
#define LIMIT_PROTECT_US 1500       /* before the start, for how long, at most, of our own time */
#define LIMIT_PROTECT_SHORT_US 400  /* of these PID 1 has something to do; then it waits for us */
#define LIMIT_PROTECT_WAIT_US 10000 /* with all that we wait for */
#define LIMIT_PROTECT_DEPTH 3
#define LIMIT_PROTECT_NOTES 64 /* places that were not looked at, each with its reason */
#define LIMIT_GIT_DIRS 256     /* git directories, worktrees and submodules of one run */
#define LIMIT_GIT_DEPTH 8      /* submodules in submodules; configurations that include others */
#define LIMIT_GIT_INDEX (64u << 20) /* bytes of all indexes together */
#define LIMIT_GIT_FILE (64u << 10)  /* bytes of a configuration, of .gitmodules */
#define LIMIT_TREE_DEPTH \
	128 /* of a tree that is copied; how deep a removal goes before it moves what is below */
#define LIMIT_TREE_ENTRIES 10000 /* of a tree that is copied */
#define LIMIT_TREE_BYTES (256u << 20)
#define LIMIT_COPY (1u << 20)   /* bytes of a new protected file that is compared with an old one */
#define LIMIT_QUARANTINED 50000 /* things in the quarantine that are listed */
#define LIMIT_WATCHED_RUNS 1024 /* runs of one user at a time that are watched */
#define LIMIT_MOVED_LIVE 64     /* names of one run that are moved while it lives */
#define LIMIT_LATE_SETTLED 1024 /* late names of one run that are known to need nothing more */
#define LIMIT_LATE_COVERED 1024 /* late names of one run that are mounted over */
#define LIMIT_JOURNAL (4u << 20) /* bytes of the journal of one run */
#define LIMIT_LEARNED 512        /* hosts and ports that one run of `bailey learn` finds */
#define LIMIT_REPORTED 200       /* denials that the report of one run names; more are counted */
#define LIMIT_AUDIT_FILE (256u << 20) /* bytes that one run adds to the log of --audit */
#define LIMIT_FROZEN 4096             /* processes of a run that can be stopped for a moment */
#define LIMIT_MISSING 64              /* names in git configurations that lead to nothing */
#define LIMIT_REFUSED 64 /* names that the end of a strict run lists; more are counted */
#define LIMIT_LOOKS 64   /* tries to find where a path of a stopped call leads */
#define LIMIT_REVIEW_ARENA (256u << 20) /* bytes of the names of one run's changes */
#define LIMIT_REVIEW_CHANGES 500000     /* changes of one run, and names in one directory of it */
#define LIMIT_REVIEW_TREES 64           /* overlay workspaces and git directories of one run */
#define LIMIT_REVIEW_RECORD \
	(4 << 20)                  /* bytes of the text of a record: arguments have most of them */
#define LIMIT_REVIEW_JOURNAL 65536 /* bytes of a journal */
#define LIMIT_REVIEW_TEXT (32 << 20) /* bytes of a file that is compared line by line */
#define LIMIT_REVIEW_DEPTH 64        /* levels of a tree that are removed in one go */
#define LIMIT_AUDIT (8u << 20)       /* bytes of one of the two files of a network log */
#define LIMIT_CONNS 1024             /* connections of one sandbox at a time */
#define LIMIT_CONNS_PER_MS 2         /* that it makes, when it has made so many at once: */
#define LIMIT_CONNS_BURST 2000
#define LIMIT_QUESTIONS_PER_MS 4 /* datagrams to its name server */
#define LIMIT_QUESTIONS_BURST 2000
#define LIMIT_QUESTIONS 128     /* of one sandbox to the name servers of the host at a time */
#define LIMIT_UDP_PLACES 256    /* addresses and ports that one sandbox sends datagrams to */
#define LIMIT_UDP_FLOWS 256     /* of its programs at a time */
#define LIMIT_DNS_QUESTIONS 512 /* that are open or whose answers are kept */
#define LIMIT_DNS_TRIES 64      /* asked of servers at a time, each by a socket of its own */
#define LIMIT_DNS_WAITERS 1024  /* who wait for answers */
#define LIMIT_DNS_MESSAGE 16384 /* bytes of an answer over TCP */
#define LIMIT_RESOLV_CONF 65536 /* bytes of /etc/resolv.conf */
#define LIMIT_ARCHIVE_ENTRIES 2000000u /* headers of one stream of files */
#define LIMIT_ARCHIVE_XATTRS 65536u    /* bytes of the attributes of one file in it */
#define LIMIT_ARCHIVE_DIRS (64u << 20) /* bytes of the names of its directories */
#define LIMIT_KEPT_BLOCKS 2047u     /* of host ids, for root's sandboxes that stay (jail/ids.c) */
#define LIMIT_SANDBOXES 4096        /* named sandboxes of one store */
#define LIMIT_KEPT (64u << 20)      /* bytes of all that one store says of its sandboxes */
#define LIMIT_KEPT_TEXT (128 << 10) /* and of one text: what the kernel takes as one argument */
#define LIMIT_KEPT_ARENA (8ul * LIMIT_KEPT) /* when it is read: the store counts values, too */
#define LIMIT_VOLUMES 4096                  /* and volumes */
#define LIMIT_HOSTS_FILE (16u << 20)        /* bytes of /etc/hosts: some list what they block */

#endif
