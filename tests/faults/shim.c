/* What a disk and a clock may do to a process, for LD_PRELOAD.
 *
 * Files below $SHIM_ROOT:
 *   - Before a write, what it overwrites goes to a log in $SHIM_UNDO, one for each file; a sync empties that file's log.
 *     So after a kill -9 the logs hold all that a power cut might take, and whoever plays the power cut takes of it what
 *     they like. sync_file_range is no sync. Real syncs are left out: what matters is that the process asked for them.
 *   - The N-th write or sync from now on fails, as the control file says.
 *   - At the N-th step (a file or folder made, renamed or removed, or a sync) the process dies, or the step fails. With
 *     $SHIM_ARM, steps count from the moment on that a file of that name is made.
 * With $SHIM_LIES, syncs are answered and keep nothing: a disk that lies, to show that a loss is noticed.
 * The clock: CLOCK_REALTIME is moved by as many seconds as the control file says.
 *
 * Control file ($SHIM_CONTROL), mapped, so that it counts from the moment it is written:
 *   int32 what (0 nothing, 1 write, 2 sync, 3 step), int32 errno (of a write 0: a short write; of a step 0: death),
 *   int32 countdown, int32 sticky,
 *   int32 fired, int32 unused, int64 seconds
 *
 * A log is records of: int64 offset, int64 length of what follows, int64 size of the file before; then the old bytes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    int32_t what, err, countdown, sticky, fired, unused;
    int64_t seconds;
};

static volatile struct control *control;
static const char *root, *undo;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate)(int, off64_t);
static int (*real_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    root = getenv("SHIM_ROOT");
    undo = getenv("SHIM_UNDO");
    const char *path = getenv("SHIM_CONTROL");
    int fd = path ? open(path, O_RDWR) : -1;
    if (fd >= 0) {
        void *at = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at != MAP_FAILED) control = at;
        close(fd);
    }
}

/* The file's path below the root, or NULL. */
static const char *tracked(int fd, char *path, size_t size) {
    if (!root) return NULL;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, size - 1);
    if (n <= 0) return NULL;
    path[n] = 0;
    size_t len = strlen(root);
    return strncmp(path, root, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

static int log_of(const char *name, int flags) {
    char path[4096];
    size_t n = (size_t)snprintf(path, sizeof path, "%s/", undo);
    for (; *name && n + 1 < sizeof path; name++) path[n++] = *name == '/' ? '%' : *name;
    path[n] = 0;
    return open(path, flags | O_CLOEXEC, 0600);
}

static void remember(int fd, const char *name, off64_t offset, size_t length) {
    if (!undo) return;
    int out = log_of(name, O_WRONLY | O_APPEND | O_CREAT);
    struct stat about;
    if (out < 0) return;
    fstat(fd, &about);
    char *bytes = calloc(1, length + 24);
    char path[64];
    /* The descriptor may be for writing only. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int in = open(path, O_RDONLY | O_CLOEXEC);
    if (in >= 0) {
        ssize_t got = pread(in, bytes + 24, length, offset);
        (void)got;
        close(in);
    }
    int64_t head[3] = {offset, (int64_t)length, about.st_size};
    memcpy(bytes, head, sizeof head);
    ssize_t put = real_write(out, bytes, length + 24);
    (void)put;
    free(bytes);
    close(out);
}

/* Whether this call is the one that fails. */
static int fails(int what) {
    if (!control || control->what != what) return 0;
    int left = __sync_sub_and_fetch(&control->countdown, 1);
    if (left == 0 || (left < 0 && control->sticky)) {
        __sync_add_and_fetch(&control->fired, 1);
        return 1;
    }
    return 0;
}

/* A step. Gives whether it is to fail; or does not return. */
static int stumbles(void) {
    if (!fails(3)) return 0;
    if (!control->err) {
        kill(getpid(), SIGKILL);
        pause();
    }
    errno = control->err;
    return 1;
}

static int armed = -1;

/* A step once the file was made from which on they count. */
static int step(const char *made) {
    if (armed < 0) armed = getenv("SHIM_ARM") == NULL;
    const char *from = getenv("SHIM_ARM");
    size_t length = made ? strlen(made) : 0;
    if (!armed && made && length >= strlen(from) && strcmp(made + length - strlen(from), from) == 0) armed = 1;
    return armed && stumbles();
}

#define NEXT(name, type, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

static mode_t mode_of(int flags, va_list *rest) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(*rest, mode_t) : 0; }

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, &rest);
    va_end(rest);
    if (flags & O_CREAT && step(path)) return -1;
    return NEXT("open64", int, const char *, int, ...)(path, flags, mode);
}
int rename(const char *from, const char *to) {
    return step(NULL) ? -1 : NEXT("rename", int, const char *, const char *)(from, to);
}
int mkdir(const char *path, mode_t mode) { return step(NULL) ? -1 : NEXT("mkdir", int, const char *, mode_t)(path, mode); }
int rmdir(const char *path) { return step(NULL) ? -1 : NEXT("rmdir", int, const char *)(path); }
int unlink(const char *path) { return step(NULL) ? -1 : NEXT("unlink", int, const char *)(path); }
int unlinkat(int folder, const char *path, int flags) {
    return step(NULL) ? -1 : NEXT("unlinkat", int, int, const char *, int)(folder, path, flags);
}

static ssize_t put(int fd, const void *bytes, size_t length, off64_t offset, int moves) {
    char path[4096];
    const char *name = tracked(fd, path, sizeof path);
    if (!name) return moves ? real_write(fd, bytes, length) : real_pwrite(fd, bytes, length, offset);
    pthread_mutex_lock(&lock);
    if (fails(1)) {
        if (control->err) {
            pthread_mutex_unlock(&lock);
            errno = control->err;
            return -1;
        }
        if (length > 1) length /= 2;
    }
    if (moves) {
        offset = lseek64(fd, 0, SEEK_CUR);
        int flags = fcntl(fd, F_GETFL);
        if (flags & O_APPEND) offset = lseek64(fd, 0, SEEK_END);
    }
    if (offset >= 0) remember(fd, name, offset, length);
    ssize_t done = moves ? real_write(fd, bytes, length) : real_pwrite(fd, bytes, length, offset);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) { return put(fd, bytes, length, 0, 1); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { return put(fd, bytes, length, at, 0); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return put(fd, bytes, length, at, 0); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[4096];
    if (tracked(fd, path, sizeof path)) {
        for (int i = 0; i < count; i++)
            if (parts[i].iov_len) return write(fd, parts[i].iov_base, parts[i].iov_len);
        return 0;
    }
    ssize_t (*real)(int, const struct iovec *, int) = dlsym(RTLD_NEXT, "writev");
    return real(fd, parts, count);
}

int ftruncate64(int fd, off64_t length) {
    char path[4096];
    const char *name = tracked(fd, path, sizeof path);
    struct stat about;
    if (name && fstat(fd, &about) == 0) {
        pthread_mutex_lock(&lock);
        if (about.st_size > length) remember(fd, name, length, (size_t)(about.st_size - length));
        int done = real_ftruncate(fd, length);
        pthread_mutex_unlock(&lock);
        return done;
    }
    return real_ftruncate(fd, length);
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int synced(int fd, const char *real_name) {
    char path[4096];
    const char *name = tracked(fd, path, sizeof path);
    if (!name) {
        int (*real)(int) = dlsym(RTLD_NEXT, real_name);
        return real(fd);
    }
    if (step(NULL)) return -1;
    pthread_mutex_lock(&lock);
    if (fails(2)) {
        pthread_mutex_unlock(&lock);
        errno = control->err ? control->err : EIO;
        return -1;
    }
    if (undo && !getenv("SHIM_LIES")) {
        int out = log_of(name, O_WRONLY | O_TRUNC);
        if (out >= 0) close(out);
    }
    pthread_mutex_unlock(&lock);
    return 0;
}
int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

int clock_gettime(clockid_t which, struct timespec *now) {
    int done = real_clock ? real_clock(which, now) : -1;
    if (done == 0 && which == CLOCK_REALTIME && control) now->tv_sec += control->seconds;
    return done;
}
