/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard: names that the host executes or obeys later, and that a run has made (docs/adr/0017).
 *  1. guard_begin()       before the command starts: the journal of the run
 *  2. guard_end()         when nothing of the run is left: look for new protected names, move them to the quarantine
 *  3. guard_heal()        the same for runs whose bailey was killed
 *  4. quarantine_…()      what was moved: list, look at, give back, delete
 * Everything is kept below bailey's state directory, which no sandbox sees.
 */
#ifndef BAILEY_GUARD_H
#define BAILEY_GUARD_H

#include <stdint.h>

#include "jail/jail.h"
#include "policy/policy.h"
#include "util/util.h"

#define GUARD_ID 10 /* hexadecimal digits */
#define GUARD_YOUNG_MS 50
#define GUARD_PASSES 64 /* sweeps at the end of a run, each after one that has moved something */

/* A run, as far as its end is concerned. */
struct guard {
	int journal;           /* locked while the run lives; -1: it has none */
	int state;             /* the state directory, or -1 */
	int watch;             /* to the watcher, or -1 */
	char id[GUARD_ID + 1]; /* of the run */
	int64_t start;         /* ns, as the kernel stamps files */
};

/* A pattern of denials: what it would have matched at the start is denied when it comes. */
struct guard_pattern {
	enum policy_kind kind;
	enum policy_layer layer;
	struct policy_glob glob;
	const struct guard_pattern *next;
};

#define GUARD_INIT                                      \
	{                                               \
		.journal = -1, .state = -1, .watch = -1 \
	}

/* What begins the words about a name that a rule denies. */
#define GUARD_DENIED "denied by "

/* One name that was moved, or could not be. */
struct guard_moved {
	const char *path;
	const char *what; /* of the table: "git hooks" …; or GUARD_DENIED and the origin of a rule */
	const char *
		why; /* what it says that makes it more than harmless: a variable of a git configuration; or NULL */
	const char *id;    /* in the quarantine; NULL: it is where it was */
	const char *error; /* why, then */
};

/* What a sweep found; all of it @arena's. */
/* What guard_set_ids() found. */
struct guard_set_ids {
	unsigned long n;
	char first[LIMIT_PATH]; /* its name */
	unsigned long closed;   /* directories that no id inside could have entered */
	char first_closed[LIMIT_PATH];
};

/**
 * guard_set_ids() - take set-user-ID and set-group-ID modes from what was changed in and below @dir since @since; directories keep a set-group-ID
 * mode that their parent has. Should run when nothing of the sandbox is left.
 * @since: s since 1970
 * Return: 0 or negative errno; @ret is complete as far as it came.
 */
int guard_set_ids(const char *dir, int64_t since, struct guard_set_ids *ret);

struct guard_report {
	struct arena *arena;
	struct guard_moved *moved;
	size_t n;
	size_t more;   /* that have no place here */
	size_t passed; /* moved, in all */
	bool again; /* something is being written: to be looked at when it is GUARD_YOUNG_MS old */
};

/**
 * guard_begin() - write the journal of a run.
 * @state_dir: bailey's state directory; made when it is not there
 * @pid1: of the run, as the host sees it
 * @plan: its absent names are moved, too; @policy: sealed; @protect: what was found at the start; @patterns: or NULL
 * A state directory that can't be had is no failure: then only a living bailey looks after the run.
 */
void guard_begin(struct guard *g, const char *state_dir, pid_t pid1, const struct jail_plan *plan,
		 const struct policy *policy, const struct jail_protect *protect,
		 const struct guard_pattern *patterns);

/**
 * guard_end() - look for names that are new, move them, forget the journal.
 * Should be called when every process of the run is dead.
 * Return: 0 or negative errno with @e; then the journal stays, and guard_heal() tries again.
 */
int guard_end(struct guard *g, const struct jail_plan *plan, const struct policy *policy,
	      const struct jail_protect *protect, struct guard_report *ret, struct err *e);

/* What a strict run may not make. */
struct guard_names {
	const struct policy *policy; /* sealed, when it is asked */
	const struct jail_protect *protect;
	const struct jail_plan *plan;
};

/**
 * guard_refuses() - refuses() of struct jail_strict (jail.h): names of the table, and absent names of denials, in what is writable and stays.
 * @arg: struct guard_names
 */
const char *guard_refuses(const void *arg, int dir, const char *path, const char *name,
			  enum jail_make what, int from);

#define GUARD_WATCH_WORD "watch-runs" /* the word behind bailey that runs guard_watch_main() */

/**
 * guard_watch() - ask the user's watcher to look after the run until @g ends; start one when there is none.
 * @ns: of the sandbox, for what comes late and must be covered there; they stay the caller's
 * Return: 0; -EAGAIN: it has been started, ask again soon; other negative errno: there will be none.
 */
int guard_watch(struct guard *g, const int ns[JAIL_NS_NUM]);

/* What the watcher says of a run, when the kernel has lost events: a byte. The run answers a freeze with GUARD_FROZEN, or GUARD_NOT_FROZEN. */
#define GUARD_FREEZE 'F'
#define GUARD_THAW 'T'
#define GUARD_FROZEN 'f'
#define GUARD_NOT_FROZEN 'n'
#define GUARD_FREEZE_MS 5000 /* the longest time that a run waits to be thawed */

/**
 * guard_hear() - what the watcher says; does not wait.
 * Return: GUARD_FREEZE, GUARD_THAW; 0: it has gone, and guard_watch() may be asked again; -EAGAIN.
 */
int guard_hear(struct guard *g);

/** guard_answer() - tell the watcher whether the run is frozen. */
void guard_answer(const struct guard *g, bool frozen);

/** guard_runtime() - the directory of the user's sockets, made if need be. @state: fd of the state directory. Return: fd or negative errno. */
int guard_runtime(int state);

/** guard_sockets() - the one in the state, whatever the environment says: what one session makes another one must find. Return: the same. */
int guard_sockets(int state);

/** guard_watch_main() - be the watcher. @runtime: fd of the directory of its socket. Return: exit status. */
int guard_watch_main(int runtime);

/** guard_drop() - nothing of the run was started: forget it. */
void guard_drop(struct guard *g);

/**
 * guard_heal() - sweep up after runs of the caller whose bailey was killed.
 * Return: 0 or negative errno with @e. @ret: what was moved, of all of them.
 */
int guard_heal(const char *state_dir, struct guard_report *ret, struct err *e);

/* Something in the quarantine; strings are the arena's. */
struct quarantined {
	char id[GUARD_ID + 1];
	char run[GUARD_ID + 1];
	const char *path; /* where it was */
	const char *what; /* of the table */
	int64_t when;     /* s */
	char type;        /* 'f', 'd', 'l', or '?' */
	uint64_t size;    /* bytes, of a file */
};

/** quarantine_list() - all of it, the newest first. Return: 0 or negative errno with @e. */
int quarantine_list(const char *state_dir, struct arena *arena, struct quarantined **ret,
		    size_t *ret_n, struct err *e);

/**
 * quarantine_open() - its contents.
 * Return: O_RDONLY of a file or directory, O_PATH of anything else; or negative errno with @e.
 */
int quarantine_open(const char *state_dir, const char *id, struct err *e);

/**
 * quarantine_restore() - put it back where it was, or at @to.
 * @to: absolute, or NULL
 * Return: 0; -EEXIST when there is something of that name; other negative errno; with @e.
 */
int quarantine_restore(const char *state_dir, const struct quarantined *q, const char *to,
		       struct err *e);

/** quarantine_remove() - delete it. Return: 0 or negative errno with @e. */
int quarantine_remove(const char *state_dir, const char *id, struct err *e);

#endif
