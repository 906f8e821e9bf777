/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. place.c has seen to it that the file is ours, and its head says so; only then does sqlite open it. sqlite names its files
 * relative to the working directory, which is the state directory: full_path() below leaves a name as it is.
 *
 * The journal is a WAL with synchronous=FULL: a commit is on the disk when it returns, and a commit that was cut short is not there.
 * It stays beside state.db when the last process goes (NO_CKPT_ON_CLOSE), because writing it back costs three syncs more; when it has WAL_BYTES the
 * last process does write it back and removes it. Only that makes it short again: how much of it is in state.db already stands in its index alone, which
 * is made anew by whoever opens the database first. On a full disk it does so before something is taken away (db_made_room()), which needs room, too.
 *
 * The index of a WAL is shared memory in a file of its own. Where that can't be had (a full disk, a file system without shared mappings) the
 * database is opened by one process at a time, which keeps it for itself: reading must work when nothing can be written.
 */
#include "db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "place.h"
#include "schema.h"

#define HEAD_MAGIC "SQLite format 3" /* with its NUL */
#define HEAD_FORMATS 18              /* write and read version; 2: with a WAL */
#define HEAD_VERSION 60              /* user_version, big-endian */
#define HEAD_APPLICATION 68
#define WAL_FORMAT 2
#define PAGES 65536 /* of 4 KiB */
#define WAL_BYTES (128 << 10)

static bool opened; /* locks of POSIX: a second one that is closed would free those of the first */

/* --- errors, statements, transactions ------------------------------------------------------------------------------------------------- */

/* Why a call failed; sqlite tells it of some failures itself, and of a commit's only when its files are asked. Return: errno, or 0. */
static int system_errno(sqlite3 *db)
{
	sqlite3_file *wal = NULL;
	int sys = db ? sqlite3_system_errno(db) : 0;

	if (!db || sys)
		return sys;
	(void)sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
	if (wal && wal->pMethods)
		(void)wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &sys);
	if (sys == 0)
		(void)sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &sys);
	return sys;
}

int db_fail(struct store *s, int rc, struct err *e)
{
	int sys = system_errno(s->db);

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_PROTOCOL:
		return err_set(e, ERR_SYSTEM, -EBUSY,
			       "%s: another program has kept it busy for %d seconds", s->path,
			       STORE_BUSY_MS / 1000);
	case SQLITE_FULL:
		return err_set(
			e, ERR_SYSTEM, -ENOSPC,
			"%s: there is no space for it: nothing has changed (the disk is full, or it has reached its %d MiB)",
			s->path, PAGES / 256);
	case SQLITE_NOMEM:
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return err_set(e, ERR_SYSTEM, -EBADMSG, "%s: it is damaged (%s)", s->path,
			       sqlite3_errstr(rc));
	case SQLITE_IOERR:
		if (sys == ENOSPC || sys == EDQUOT)
			return err_set(e, ERR_SYSTEM, -ENOSPC,
				       "%s: there is no space for it; look whether it has changed",
				       s->path);
		return err_set(e, ERR_SYSTEM, sys ? -sys : -EIO,
			       "%s: %s (%s); look whether it has changed", s->path,
			       sqlite3_errstr(rc), sys ? strerror(sys) : "no more is known");
	default:
		return err_set(e, ERR_SYSTEM, sys ? -sys : -EIO, "%s: %s", s->path,
			       s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
	}
}

static void nap(void)
{
	const struct timespec pause = { .tv_nsec = 5000000 };

	(void)nanosleep(&pause, NULL); /* a shorter one is as good */
}

/* sqlite's own pauses grow to 100 ms; who waits here waits for a transaction of a few. */
static int wait_turn(void *arg, int tries)
{
	static int64_t end;

	(void)arg;
	if (tries == 0)
		end = clock_ms() + STORE_BUSY_MS;
	if (clock_ms() >= end)
		return 0;
	nap();
	return 1;
}

/* The first look at a database may meet another process that mends or leaves it, which wait_turn() isn't asked about. */
static int exec_patiently(struct store *s, const char *sql)
{
	const int64_t end = clock_ms() + STORE_BUSY_MS;
	int rc;

	for (;;) {
		rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
		if (((rc & 0xff) != SQLITE_BUSY && (rc & 0xff) != SQLITE_PROTOCOL) ||
		    clock_ms() >= end)
			return rc;
		nap();
	}
}

int db_exec(struct store *s, const char *sql, struct err *e)
{
	int rc = exec_patiently(s, sql);

	return rc == SQLITE_OK ? 0 : db_fail(s, rc, e);
}

int db_prepare(struct store *s, const char *sql, sqlite3_stmt **ret, struct err *e)
{
	int rc = sqlite3_prepare_v2(s->db, sql, -1, ret, NULL);

	return rc == SQLITE_OK ? 0 : db_fail(s, rc, e);
}

int db_step(struct store *s, sqlite3_stmt *stmt, struct err *e)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : db_fail(s, rc, e);
}

int db_number(struct store *s, const char *sql, int64_t *ret, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	int r = db_prepare(s, sql, &stmt, e);

	if (r == 0)
		r = db_step(s, stmt, e);
	if (r < 0)
		return r;
	*ret = r == 1 ? sqlite3_column_int64(stmt, 0) : 0;
	return 0;
}

void db_text(sqlite3_stmt *stmt, int at, const char *text)
{
	if (text)
		(void)sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
	else
		(void)sqlite3_bind_null(stmt, at);
}

const char *db_column(sqlite3_stmt *stmt, int at)
{
	const unsigned char *text = sqlite3_column_text(stmt, at);

	return text ? (const char *)text : "";
}

int db_end(struct store *s, int r, struct err *e)
{
	int rc = r < 0 ? SQLITE_OK : sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		r = db_fail(s, rc, e);
	if (r < 0 && !sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL,
				   NULL); /* closing undoes it, too */
	return r;
}

int db_begin(struct store *s, bool write, struct err *e)
{
	int r = db_exec(s, write ? "BEGIN IMMEDIATE" : "BEGIN", e);

	/* a reader's moment is that of its first look */
	if (r < 0 || write)
		return r;
	r = db_exec(s, "SELECT 1 FROM sandboxes LIMIT 1", e);
	return r < 0 ? db_end(s, r, e) : 0;
}

bool db_made_room(struct store *s, int r, struct err *e)
{
	if (r != -ENOSPC ||
	    sqlite3_exec(s->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL) != SQLITE_OK)
		return false;
	*e = (struct err)ERR_INIT;
	return true;
}

int64_t db_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t); /* can't fail for this clock */
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int db_not_found(struct store *s, const char *what, const char *table, const char *word,
		 struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	struct nearest n = NEAREST_INIT(word, strlen(word));
	char sql[64], best[STORE_NAME_MAX + 1] = "";
	struct buf quoted = BUF_INIT(1024);
	int r;

	(void)snprintf(sql, sizeof(sql), "SELECT name FROM %s", table);
	r = db_prepare(s, sql, &stmt, e);
	while (r >= 0 && (r = db_step(s, stmt, e)) == 1) {
		const char *name = db_column(stmt, 0);

		nearest_offer(&n, name);
		if (n.best == name) {
			(void)snprintf(best, sizeof(best), "%s", name); /* names are no longer */
			n.best = best;
		}
	}
	if (r < 0)
		return r;
	buf_quote(&quoted, word);
	r = err_set(e, ERR_USAGE, -ENOENT,
		    n.best ? "there is no %s '%.*s': did you mean '%s'?" :
			     "there is no %s '%.*s'%s",
		    what, STORE_NAME_MAX * 2, quoted.data ? quoted.data : "", best);
	buf_done(&quoted);
	return r;
}

/* --- opening -------------------------------------------------------------------------------------------------------------------------- */

static int full_path(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	(void)vfs;
	return snprintf(out, (size_t)size, "%s", name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int register_vfs(void)
{
	static sqlite3_vfs ours;
	const sqlite3_vfs *theirs = sqlite3_vfs_find("unix");

	if (ours.zName)
		return SQLITE_OK;
	if (!theirs)
		return SQLITE_ERROR;
	ours = *theirs;
	ours.pNext = NULL;
	ours.zName = STORE_PROGRAM;
	ours.xFullPathname = full_path;
	return sqlite3_vfs_register(&ours, 0);
}

static uint32_t number(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int newer(const struct store *s, int64_t version, struct err *e)
{
	return err_set(
		e, ERR_POLICY, -ENOTSUP,
		"%s: a newer release of bailey has written it (version %lld; this one knows %d): use that one",
		s->path, (long long)version, schema_version);
}

/* Before sqlite sees it: sqlite would mend what isn't ours. */
static int check_head(struct store *s, struct err *e)
{
	unsigned char head[PLACE_HEAD];
	int r = place_head(s->dir, s->path, head, e);

	if (r == -EBADMSG || (r == 0 && memcmp(head, HEAD_MAGIC, sizeof(HEAD_MAGIC)) != 0))
		return err_set(e, ERR_POLICY, -EBADMSG, "%s: it is no database", s->path);
	if (r < 0)
		return r;
	if (number(head + HEAD_APPLICATION) != SCHEMA_APPLICATION)
		return err_set(e, ERR_POLICY, -EBADMSG, "%s: it is the database of another program",
			       s->path);
	if (number(head + HEAD_VERSION) > (uint32_t)schema_version)
		return newer(s, number(head + HEAD_VERSION), e);
	return 0;
}

/* One step is one transaction, which looks anew: another process may have taken it. */
static int migrate_one(struct store *s, int64_t *version, struct err *e)
{
	char sql[64];
	int r = db_begin(s, true, e);

	if (r < 0)
		return r;
	r = db_number(s, "PRAGMA user_version", version, e);
	if (r == 0 && *version < schema_version) {
		r = db_exec(s, schema_steps[*version], e);
		(void)snprintf(sql, sizeof(sql), "PRAGMA user_version=%lld",
			       (long long)*version + 1);
		if (r == 0)
			r = db_exec(s, sql, e);
		if (r < 0)
			(void)err_wrap(e, r, "from version %lld to %lld", (long long)*version,
				       (long long)*version + 1);
	}
	return db_end(s, r, e);
}

static int migrate(struct store *s, struct err *e)
{
	int64_t version = 0;
	int r = db_number(s, "PRAGMA user_version", &version, e);

	while (r == 0 && version < schema_version) {
		r = migrate_one(s, &version, e);
		if (r == 0)
			r = db_number(s, "PRAGMA user_version", &version, e);
	}
	if (r == 0 && version > schema_version)
		r = newer(s, version, e);
	return r;
}

/* A database in memory that has all tables, written down. */
static int create(struct store *s, struct err *e)
{
	unsigned char *bytes;
	sqlite3_int64 n = 0;
	char sql[64];
	int rc = sqlite3_open_v2(":memory:", &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
				 NULL);
	int r = rc == SQLITE_OK ? 0 : db_fail(s, rc, e);

	(void)snprintf(sql, sizeof(sql), "PRAGMA application_id=%d", SCHEMA_APPLICATION);
	if (r == 0)
		r = db_exec(s, sql, e);
	if (r == 0)
		r = migrate(s, e);
	bytes = r == 0 ? sqlite3_serialize(s->db, "main", &n, 0) : NULL;
	if (bytes && n >= PLACE_HEAD) {
		bytes[HEAD_FORMATS] = bytes[HEAD_FORMATS + 1] = WAL_FORMAT;
		r = place_create(s->dir, s->path, bytes, (size_t)n, e);
	} else if (r == 0) {
		r = err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	}
	sqlite3_free(bytes);
	(void)sqlite3_close(s->db); /* nothing is open in it */
	s->db = NULL;
	return r;
}

/* @alone: keep others out, and the index of the WAL in our own memory. Return: a code of sqlite. */
static int open_db(struct store *s, bool alone)
{
	static const char pragmas[] = "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
				      "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF";
	char sql[64];
	int rc = sqlite3_open_v2(STORE_FILE, &s->db,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
				 STORE_PROGRAM);

	if (rc == SQLITE_OK)
		rc = sqlite3_extended_result_codes(s->db, 1);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_handler(s->db, wait_turn, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (rc == SQLITE_OK && alone) /* before anything looks at the file */
		rc = exec_patiently(s, "PRAGMA locking_mode=EXCLUSIVE");
	if (rc == SQLITE_OK)
		rc = exec_patiently(s, pragmas);
	(void)snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%d", PAGES);
	if (rc == SQLITE_OK)
		rc = exec_patiently(s, sql);
	if (rc == SQLITE_OK)
		rc = exec_patiently(s, "PRAGMA journal_mode=WAL");
	return rc;
}

static bool no_shared_memory(int rc)
{
	return rc == SQLITE_IOERR_SHMOPEN || rc == SQLITE_IOERR_SHMSIZE ||
	       rc == SQLITE_IOERR_SHMMAP || rc == SQLITE_IOERR_SHMLOCK ||
	       (rc & 0xff) == SQLITE_FULL || (rc & 0xff) == SQLITE_CANTOPEN;
}

static int open_file(struct store *s, struct err *e)
{
	int rc = open_db(s, false);

	if (no_shared_memory(rc)) {
		(void)sqlite3_close(s->db); /* nothing is open in it */
		s->db = NULL;
		rc = open_db(s, true);
	}
	return rc == SQLITE_OK ? migrate(s, e) : db_fail(s, rc, e);
}

int store_db_open(const char *state_dir, bool make, struct store **ret, struct err *e)
{
	struct store *s;
	int r, dir;

	if (opened)
		return err_set(e, ERR_SYSTEM, -EBUSY, "a process opens one store at a time");
	dir = place_open(state_dir, make, e);
	if (dir < 0)
		return dir;
	s = calloc(1, sizeof(*s));
	if (!s) {
		(void)close(dir);
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	}
	opened = true;
	s->dir = dir;
	(void)snprintf(s->path, sizeof(s->path), "%s/" STORE_FILE, state_dir); /* it fits */
	r = fchdir(dir) < 0 ? err_sys(e, -errno, "%s", state_dir) : 0;
	if (r == 0 && (sqlite3_initialize() != SQLITE_OK || register_vfs() != SQLITE_OK))
		r = err_set(e, ERR_SYSTEM, -ENOMEM, "sqlite can't begin");
	if (r == 0)
		r = check_head(s, e);
	if (r == -ENOENT && make) {
		r = create(s, e);
		if (r == 0)
			r = check_head(s, e);
	}
	if (r == 0)
		r = open_file(s, e);
	if (r < 0) {
		(void)store_db_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct store *store_db_close(struct store *s)
{
	struct stat wal;

	if (!s)
		return NULL;
	if (s->db && fstatat(s->dir, STORE_FILE "-wal", &wal, AT_SYMLINK_NOFOLLOW) == 0 &&
	    wal.st_size >= WAL_BYTES)
		(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	(void)sqlite3_close(
		s->db); /* what was committed is safe; a checkpoint that fails is made by the next one */
	(void)close(s->dir);
	free(s);
	opened = false;
	return NULL;
}
