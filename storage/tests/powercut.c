/*
 * A power cut, as a library to preload.
 *
 * It lets a program write below one directory and remembers how to undo every write, truncation, creation, renaming and
 * removal until the program has synced it. At the n-th such operation the power fails: what was not synced is undone,
 * a random part of it is done again (a disk may have written anything it was given, in any order, in sectors of 512
 * bytes), and the process ends at once with status 99. What lies in the directory then is what a disk could hold.
 *
 *     cc -shared -fPIC -O1 -o powercut.so powercut.c -ldl -lpthread
 *     LD_PRELOAD=./powercut.so CREEL_CUT_DIR=/tmp/x CREEL_CUT_AT=1000 CREEL_CUT_SEED=7 program ...
 *
 *     CREEL_CUT_DIR     only files below this directory are watched (an absolute path without links in it)
 *     CREEL_CUT_AT      the power fails at this operation, counted from 1; 0 or unset: never
 *     CREEL_CUT_SEED    chooses what survives
 *     CREEL_CUT_FULL_AT from this operation on the disk is full: writes that would make a file longer fail with ENOSPC
 *     CREEL_CUT_COUNT   a file outside the directory, into which the number of operations is written at a normal exit
 *
 * What makes something durable: the bytes and the length of a file, fsync or fdatasync of that file; a name (creation,
 * renaming, removal), fsync of the directory. That is all POSIX promises; ext4 promises more for names, and programs
 * that rely on it are caught here. sync_file_range makes nothing durable: it flushes neither metadata nor the disk's
 * cache. Of the names not synced a random number of the oldest survive, in order, as in a journal.
 *
 * Not modelled: shared writable maps (SQLite's -shm files, for one, are left alone), copy_file_range, sendfile, fallocate,
 * stdio, O_SYNC and O_DSYNC, hard links, removed directories, and io_uring. A program that uses
 * them below the directory appears more durable than it is.
 *
 * Every hook takes one lock, and the cut holds it to the end: once the power fails, nothing else in the process gets past
 * a sync, so nothing can be acknowledged that was undone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR 512
#define EXIT_STATUS 99

/* A change of a file's bytes or length. */
struct change {
    struct change *older, *newer;
    unsigned long number;
    dev_t device;
    ino_t inode;
    int file; /* our own handle: the program may have closed its own by the time of the cut */
    off_t offset;
    size_t length; /* of the bytes written; 0 for a truncation */
    char *bytes, *bytes_before;
    size_t length_before; /* how many of the overwritten bytes there were */
    off_t size_before, size_after;
};

/* A change of a name. What a renaming or a removal replaced is kept under `kept`, outside the program's sight. */
enum kind { CREATED, MADE_DIRECTORY, RENAMED, REMOVED };
struct naming {
    struct naming *older, *newer;
    unsigned long number;
    enum kind kind;
    char path[PATH_MAX], target[PATH_MAX], kept[PATH_MAX];
};

static struct change *oldest_change, *newest_change;
static struct naming *oldest_naming, *newest_naming;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long numbers, operations, cut_at, full_at;
static const char *watched, *count_file;
static char keep_dir[PATH_MAX];
static size_t watched_length;
static unsigned seed = 1;

/* The real calls. */
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_fsync)(int), (*real_fdatasync)(int), (*real_ftruncate)(int, off_t);
static int (*real_rename)(const char *, const char *);
static int (*real_unlink)(const char *), (*real_unlinkat)(int, const char *, int);
static int (*real_mkdir)(const char *, mode_t);

/* Called by the constructor, and by any hook that runs before it (other libraries' constructors may write). */
static void load(void) {
    if (real_mkdir) return;
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_open = dlsym(RTLD_NEXT, "open64");
    real_openat = dlsym(RTLD_NEXT, "openat64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
    real_mkdir = dlsym(RTLD_NEXT, "mkdir");
}

static unsigned long number_from(const char *name) {
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void) {
    load();
    cut_at = number_from("CREEL_CUT_AT");
    full_at = number_from("CREEL_CUT_FULL_AT");
    if (getenv("CREEL_CUT_SEED")) seed = (unsigned)number_from("CREEL_CUT_SEED");
    count_file = getenv("CREEL_CUT_COUNT");
    const char *dir = getenv("CREEL_CUT_DIR");
    if (!dir) return;
    /* Beside the directory, so that it lies in the same file system, and below nothing that is watched. */
    snprintf(keep_dir, sizeof keep_dir, "%s.cut-kept", dir);
    real_mkdir(keep_dir, 0700);
    watched_length = strlen(dir);
    watched = dir;
}

__attribute__((destructor)) static void end(void) {
    if (!count_file) return;
    char text[32];
    int length = snprintf(text, sizeof text, "%lu\n", operations);
    int file = real_open(count_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file >= 0 && real_write(file, text, length) == length) close(file);
}

static int chance(unsigned percent) { return (unsigned)rand_r(&seed) % 100 < percent; }

static int is_watched_path(const char *path) {
    return watched && !strncmp(path, watched, watched_length) &&
           (path[watched_length] == '/' || path[watched_length] == 0);
}

static int path_of(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

/* The absolute path that `name` means, seen from the directory `at`. Links within it are not followed. */
static int resolve(int at, const char *name, char *path) {
    if (name[0] == '/') return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
    char dir[PATH_MAX];
    if (at == AT_FDCWD ? !getcwd(dir, sizeof dir) : !path_of(at, dir)) return 0;
    return snprintf(path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX;
}

static int is_watched(int file, struct stat *state) {
    char path[PATH_MAX];
    if (!watched || !path_of(file, path) || !is_watched_path(path)) return 0;
    size_t length = strlen(path);
    if (length > 4 && !strcmp(path + length - 4, "-shm")) return 0;
    return !fstat(file, state) && S_ISREG(state->st_mode);
}

/* One handle of our own for each file there are changes of. Handles are never closed: the process is short-lived. */
static int own_handle(int file, const struct stat *state) {
    static struct { dev_t device; ino_t inode; int file; } handles[8192];
    static int count;
    for (int i = 0; i < count; i++)
        if (handles[i].inode == state->st_ino && handles[i].device == state->st_dev) return handles[i].file;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int own = real_open(path, O_RDWR | O_CLOEXEC);
    if (count < 8192) {
        handles[count].device = state->st_dev;
        handles[count].inode = state->st_ino;
        handles[count++].file = own;
    }
    return own;
}

/* ---- the cut ---- */

static void undo_naming(const struct naming *naming) {
    switch (naming->kind) {
    case CREATED: real_unlink(naming->path); break;
    case MADE_DIRECTORY: rmdir(naming->path); break;
    case RENAMED:
        real_rename(naming->target, naming->path);
        if (naming->kept[0]) real_rename(naming->kept, naming->target);
        break;
    case REMOVED: real_rename(naming->kept, naming->path); break;
    }
}

static void cut(void) {
    int changes = 0, namings = 0, namings_kept = 0;
    for (struct change *change = newest_change; change; change = change->older, changes++) {
        if (change->length_before)
            if (real_pwrite(change->file, change->bytes_before, change->length_before, change->offset) < 0) abort();
        if (real_ftruncate(change->file, change->size_before)) abort();
    }
    /* A third of the cuts lose everything, a third half of the sectors, a third a tenth of them. */
    unsigned keep = (unsigned[]){0, 50, 90}[rand_r(&seed) % 3];
    for (struct change *change = oldest_change; change && keep; change = change->newer) {
        if (!change->bytes && chance(keep)) {
            if (real_ftruncate(change->file, change->size_after)) abort();
        }
        for (size_t done = 0; done < change->length;) {
            size_t piece = SECTOR - (change->offset + done) % SECTOR;
            if (piece > change->length - done) piece = change->length - done;
            if (chance(keep) &&
                real_pwrite(change->file, change->bytes + done, piece, change->offset + done) < 0) abort();
            done += piece;
        }
    }
    for (struct naming *naming = newest_naming; naming; naming = naming->older) namings++;
    /* In a third of the cuts no name survives, in a third all do. */
    unsigned fate = rand_r(&seed) % 3;
    if (namings) namings_kept = fate == 0 ? 0 : fate == 1 ? namings : (int)(rand_r(&seed) % (namings + 1));
    int undo = namings - namings_kept;
    for (struct naming *naming = newest_naming; naming && undo > 0; naming = naming->older, undo--)
        undo_naming(naming);
    char text[160];
    int length = snprintf(text, sizeof text,
                          "power cut at operation %lu: %d writes undone, %u%% of their sectors kept; %d of %d names kept\n",
                          operations, changes, keep, namings_kept, namings);
    if (real_write(2, text, length) < 0) abort();
    _exit(EXIT_STATUS);
}

/* Counts an operation; the cut, if it is due, comes before the operation takes effect. Call with the lock held. */
static void count(void) {
    operations++;
    if (cut_at && operations >= cut_at) cut();
}

/* ---- writes ---- */

static void remember_change(int file, const struct stat *state, const void *bytes, size_t length, off_t offset,
                            off_t size_after) {
    struct change *change = calloc(1, sizeof *change);
    if (!change) abort();
    change->number = ++numbers;
    change->device = state->st_dev;
    change->inode = state->st_ino;
    change->file = own_handle(file, state);
    change->offset = offset;
    change->size_before = state->st_size;
    change->size_after = size_after;
    size_t lost = length;
    if (bytes) {
        change->length = length;
        change->bytes = malloc(length ? length : 1);
        memcpy(change->bytes, bytes, length);
    } else {
        lost = size_after < state->st_size ? (size_t)(state->st_size - size_after) : 0;
    }
    if (lost) {
        change->bytes_before = malloc(lost);
        ssize_t got = pread(change->file, change->bytes_before, lost, offset);
        change->length_before = got > 0 ? (size_t)got : 0;
    }
    change->older = newest_change;
    if (newest_change) newest_change->newer = change; else oldest_change = change;
    newest_change = change;
}

static ssize_t write_at(int file, const void *bytes, size_t length, off_t offset, int with_offset) {
    struct stat state;
    load();
    if (!is_watched(file, &state))
        return with_offset ? real_pwrite(file, bytes, length, offset) : real_write(file, bytes, length);
    pthread_mutex_lock(&lock);
    ssize_t written = -1;
    int error = 0;
    fstat(file, &state); /* again, now that nobody else can change it */
    if (!with_offset) offset = fcntl(file, F_GETFL) & O_APPEND ? state.st_size : lseek(file, 0, SEEK_CUR);
    off_t end = offset + (off_t)length;
    count();
    if (full_at && operations >= full_at && end > state.st_size) {
        error = ENOSPC;
    } else {
        /* Remembered first: the change must be undone even when only a part of it was written. */
        remember_change(file, &state, bytes, length, offset, end > state.st_size ? end : state.st_size);
        written = with_offset ? real_pwrite(file, bytes, length, offset) : real_write(file, bytes, length);
        error = errno;
    }
    pthread_mutex_unlock(&lock);
    if (written < 0) errno = error;
    return written;
}

ssize_t write(int file, const void *bytes, size_t length) { return write_at(file, bytes, length, 0, 0); }
ssize_t pwrite64(int file, const void *bytes, size_t length, off_t offset) {
    return write_at(file, bytes, length, offset, 1);
}
ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset) {
    return write_at(file, bytes, length, offset, 1);
}

static ssize_t write_all(int file, const struct iovec *parts, int count, off_t offset, int with_offset) {
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t written = write_at(file, parts[i].iov_base, parts[i].iov_len, offset + total, with_offset);
        if (written < 0) return total ? total : -1;
        total += written;
        if ((size_t)written < parts[i].iov_len) break;
    }
    return total;
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    struct stat state;
    load();
    if (is_watched(file, &state)) return write_all(file, parts, count, 0, 0);
    ssize_t (*real)(int, const struct iovec *, int) = dlsym(RTLD_NEXT, "writev");
    return real(file, parts, count);
}
ssize_t pwritev64(int file, const struct iovec *parts, int count, off_t offset) {
    struct stat state;
    load();
    if (is_watched(file, &state)) return write_all(file, parts, count, offset, 1);
    ssize_t (*real)(int, const struct iovec *, int, off_t) = dlsym(RTLD_NEXT, "pwritev64");
    return real(file, parts, count, offset);
}
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset) {
    return pwritev64(file, parts, count, offset);
}

int ftruncate64(int file, off_t size) {
    struct stat state;
    load();
    if (!is_watched(file, &state)) return real_ftruncate(file, size);
    pthread_mutex_lock(&lock);
    fstat(file, &state);
    count();
    remember_change(file, &state, NULL, 0, size < state.st_size ? size : state.st_size, size);
    int result = real_ftruncate(file, size);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

/* ---- names ---- */

static struct naming *remember_naming(enum kind kind, const char *path) {
    struct naming *naming = calloc(1, sizeof *naming);
    if (!naming) abort();
    naming->number = ++numbers;
    naming->kind = kind;
    strcpy(naming->path, path);
    naming->older = newest_naming;
    if (newest_naming) newest_naming->newer = naming; else oldest_naming = naming;
    newest_naming = naming;
    return naming;
}

/* Where the file that `naming` replaces is kept until its directory is synced. */
static void choose_kept(struct naming *naming) {
    if (snprintf(naming->kept, PATH_MAX, "%s/%d-%lu", keep_dir, (int)getpid(), naming->number) >= PATH_MAX) abort();
}

static int open_in(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat state;
    load();
    if (!watched || !(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE || !resolve(at, name, path) ||
        !is_watched_path(path))
        return real_openat(at, name, flags, mode);
    pthread_mutex_lock(&lock);
    int is_new = lstat(path, &state) != 0;
    /* The old content goes through our own ftruncate below, where it can be undone. */
    int file = real_openat(at, name, flags & ~O_TRUNC, mode);
    int error = errno;
    if (file >= 0 && is_new) {
        count();
        remember_naming(CREATED, path);
    }
    pthread_mutex_unlock(&lock);
    if (file >= 0 && !is_new && (flags & O_TRUNC) && ftruncate64(file, 0)) return -1;
    errno = error;
    return file;
}

static mode_t mode_of(int flags, va_list arguments) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                        \
    int name(const char *path, int flags, ...) {          \
        va_list arguments;                                \
        va_start(arguments, flags);                       \
        mode_t mode = mode_of(flags, arguments);          \
        va_end(arguments);                                \
        return open_in(AT_FDCWD, path, flags, mode);      \
    }
OPEN(open)
OPEN(open64)
#define OPENAT(name)                                      \
    int name(int at, const char *path, int flags, ...) {  \
        va_list arguments;                                \
        va_start(arguments, flags);                       \
        mode_t mode = mode_of(flags, arguments);          \
        va_end(arguments);                                \
        return open_in(at, path, flags, mode);            \
    }
OPENAT(openat)
OPENAT(openat64)
int creat64(const char *path, mode_t mode) { return open_in(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat(const char *path, mode_t mode) { return creat64(path, mode); }

static int mkdir_in(int at, const char *name, mode_t mode) {
    char path[PATH_MAX];
    load();
    if (!watched || !resolve(at, name, path)) {
        int (*real)(int, const char *, mode_t) = dlsym(RTLD_NEXT, "mkdirat");
        return real(at, name, mode);
    }
    if (!is_watched_path(path)) return real_mkdir(path, mode);
    pthread_mutex_lock(&lock);
    int result = real_mkdir(path, mode);
    int error = errno;
    if (!result) {
        count();
        remember_naming(MADE_DIRECTORY, path);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int mkdir(const char *path, mode_t mode) { return mkdir_in(AT_FDCWD, path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return mkdir_in(at, path, mode); }

static int rename_in(int from_at, const char *from, int to_at, const char *to) {
    char path[PATH_MAX], target[PATH_MAX];
    struct stat state;
    load();
    if (!resolve(from_at, from, path) || !resolve(to_at, to, target)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (!is_watched_path(path) || !is_watched_path(target)) return real_rename(path, target);
    pthread_mutex_lock(&lock);
    int result = -1, error = ENOENT;
    if (!lstat(path, &state)) {
        count();
        struct naming *naming = remember_naming(RENAMED, path);
        strcpy(naming->target, target);
        if (!lstat(target, &state) && !S_ISDIR(state.st_mode)) {
            choose_kept(naming);
            real_rename(target, naming->kept);
        }
        result = real_rename(path, target);
        error = errno;
    }
    pthread_mutex_unlock(&lock);
    if (result) errno = error;
    return result;
}
int rename(const char *from, const char *to) { return rename_in(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int from_at, const char *from, int to_at, const char *to) { return rename_in(from_at, from, to_at, to); }

static int unlink_in(int at, const char *name, int flags) {
    char path[PATH_MAX];
    struct stat state;
    load();
    if (!watched || (flags & AT_REMOVEDIR) || !resolve(at, name, path) || !is_watched_path(path) ||
        lstat(path, &state) || S_ISDIR(state.st_mode))
        return flags || at != AT_FDCWD ? real_unlinkat(at, name, flags) : real_unlink(name);
    pthread_mutex_lock(&lock);
    count();
    struct naming *naming = remember_naming(REMOVED, path);
    choose_kept(naming);
    int result = real_rename(path, naming->kept);
    pthread_mutex_unlock(&lock);
    return result;
}
int unlink(const char *path) { return unlink_in(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return unlink_in(at, path, flags); }

/* ---- syncs ---- */

static void forget_changes(const struct stat *state, unsigned long until) {
    for (struct change *change = oldest_change, *newer; change; change = newer) {
        newer = change->newer;
        if (change->inode != state->st_ino || change->device != state->st_dev || change->number > until) continue;
        if (change->older) change->older->newer = newer; else oldest_change = newer;
        if (newer) newer->older = change->older; else newest_change = change->older;
        free(change->bytes);
        free(change->bytes_before);
        free(change);
    }
}

static int lies_in(const char *path, const char *dir) {
    size_t length = strlen(dir);
    return !strncmp(path, dir, length) && path[length] == '/' && !strchr(path + length + 1, '/');
}

static void forget_namings(const char *dir, unsigned long until) {
    for (struct naming *naming = oldest_naming, *newer; naming; naming = newer) {
        newer = naming->newer;
        if (naming->number > until || !lies_in(naming->path, dir)) continue;
        if (naming->kept[0]) real_unlink(naming->kept);
        if (naming->older) naming->older->newer = newer; else oldest_naming = newer;
        if (newer) newer->older = naming->older; else newest_naming = naming->older;
        free(naming);
    }
}

static int sync_with(int file, int (*real)(int)) {
    char path[PATH_MAX];
    struct stat state;
    if (!watched || !path_of(file, path) || !is_watched_path(path) || fstat(file, &state)) return real(file);
    pthread_mutex_lock(&lock);
    count();
    unsigned long until = numbers; /* what is written while we sync may or may not be part of it; it isn't */
    pthread_mutex_unlock(&lock);
    int result = real(file);
    if (result) return result;
    pthread_mutex_lock(&lock);
    if (S_ISDIR(state.st_mode)) forget_namings(path, until); else forget_changes(&state, until);
    pthread_mutex_unlock(&lock);
    return 0;
}
int fsync(int file) { load(); return sync_with(file, real_fsync); }
int fdatasync(int file) { load(); return sync_with(file, real_fdatasync); }
