/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive: trees of files as a stream of tar.
 *  1. tar_next(), tar_data()   the entries of a stream; pure (fuzz/tar.c)
 *  2. tar_header()             the bytes in front of an entry's data
 *  3. archive_pack()           a file or a tree to a stream
 *  4. archive_unpack()         a stream to files
 */
#ifndef BAILEY_ARCHIVE_H
#define BAILEY_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "util/util.h"

/* TAR_FIFO, TAR_DEVICE: read, so that they can be left out; never written, never made */
enum tar_type { TAR_FILE, TAR_DIR, TAR_SYMLINK, TAR_HARDLINK, TAR_FIFO, TAR_DEVICE };

struct tar_entry {
	enum tar_type type;
	char path[LIMIT_PATH]; /* relative, without "." and ".."; "." alone is the top */
	char link[LIMIT_PATH]; /* of TAR_SYMLINK: any text; of TAR_HARDLINK: as path */
	mode_t mode;           /* permission bits; no others */
	uint32_t uid, gid;
	uint64_t size; /* of TAR_FILE, else 0 */
	struct timespec mtime;
	struct buf
		xattrs; /* "user.NAME", NUL, u32 size in the order of this machine, value; again and again */
};

/** tar_entry_init(), tar_entry_done() - an entry that nothing is known of; free its attributes. */
void tar_entry_init(struct tar_entry *t);
void tar_entry_done(struct tar_entry *t);

/** tar_path() - the path of a stream as it is kept: no empty name, no "." in it. Return: false: it is absolute, has "..", or is too long. */
bool tar_path(const char *text, char out[LIMIT_PATH]);

/** tar_xattr_ok() - whether an attribute of that name travels. */
bool tar_xattr_ok(const char *name);

/** tar_xattr_add() - append one. Return: 0 or -E2BIG. */
int tar_xattr_add(struct tar_entry *t, const char *name, const void *value, size_t n);

/** tar_xattr_next() - the one at *@at, which goes on. Return: whether there was one. */
bool tar_xattr_next(const struct tar_entry *t, size_t *at, const char **ret_name, const void **ret,
		    size_t *ret_n);

/* A stream that is read. */
struct tar_in {
	/* fill @n bytes. Return: 0; -ENODATA: the stream is over; -EBADMSG: it ends among them; another negative errno */
	int (*read)(void *arg, void *p, size_t n);
	void *arg;
	uint64_t left;    /* of the data of the last entry */
	unsigned int pad; /* behind it */
	uint64_t entries; /* so far */
	uint64_t most;    /* bytes of all files together; 0: no bound */
	uint64_t bytes;   /* of them so far */
};

/**
 * tar_next() - the next entry; what is left of the data of the last one is passed over.
 * @ret: initialised; what it had is freed
 * Return: 1; 0 at the end; -EBADMSG (it is no tar, or cut), -E2BIG, -EOPNOTSUPP (an unknown kind of file) or another negative errno, with @e.
 */
int tar_next(struct tar_in *in, struct tar_entry *ret, struct err *e);

/** tar_data() - the next bytes of the last entry. Return: how many, at most @n; 0 at their end; or negative errno with @e. */
ssize_t tar_data(struct tar_in *in, void *p, size_t n, struct err *e);

/** tar_header() - append what stands in front of the data of @t, which is no TAR_FIFO or TAR_DEVICE. */
void tar_header(const struct tar_entry *t, struct buf *b);

#define TAR_BLOCK 512u

/**
 * archive_named() - refuse @name in @dir, which somebody has named by hand as @path, if it is a device, FIFO or socket, or a link to one. As a @target also any other link but one to
 * a directory: to replace it is not what was meant, and to follow it leads where whoever may write the directory wants. What is not there is right.
 * Return: 0 or negative errno with @e.
 */
int archive_named(int dir, const char *name, const char *path, bool target, struct err *e);

/* The numbers that stand for us in a stream: of whom it is for or from, where that side has others. */
struct archive_ids {
	bool given; /* else our own stand for themselves */
	uint32_t uid, gid;
};

/* What archive_pack() is to do. */
struct archive_pack {
	const char *path; /* "DIR/.": what is in it */
	bool follow;      /* the link that path itself is */
	struct archive_ids ids;
	void (*left_out)(void *arg, const char *path, const char *why); /* a socket, a device … */
	void *arg;
};

/** archive_pack() - write the tree to @out, to the end of the archive. Return: 0 or negative errno with @e. */
int archive_pack(const struct archive_pack *p, int out, struct err *e);

/* What archive_unpack() is to do. */
struct archive_unpack {
	/*
	 * where to, as cp has it: a directory that is there gets what comes; else that is the new name of the file or the directory that comes
	 */
	const char *path;
	bool named; /* path must not be what archive_named() refuses */
	bool into;  /* path must be a directory, and gets all of it, under the names that it has */
	bool owner; /* give the files to the ids in the stream */
	struct archive_ids ids;
	bool hard;      /* hard links may be made; else they are an error */
	uint64_t bytes; /* at most; 0: no bound */
	void (*left_out)(void *arg, const char *path,
			 const char *why); /* a FIFO, a device; NULL: they are an error */
	void *arg;
};

/** archive_unpack() - read @in to the end of the archive. What is there under the same name is replaced, but no directory. Return: 0 or negative errno with @e. */
int archive_unpack(const struct archive_unpack *u, int in, struct err *e);

#endif
