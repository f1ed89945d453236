/* Every step of this process that writes beneath given folders, numbered, and the process killed or held at one of them.
 *
 * Loaded by LD_PRELOAD in place of libc's functions, so that what SQLite, DuckDB, Arrow and LightGBM write counts too.
 * Nothing is numbered until `interpose` is called; children of the process are not numbered.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define ROOTS 8
static char roots[ROOTS][PATH_MAX];
static int root_count, armed, told_fd = -1, wait_fd = -1;
static long point, kill_at;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void *libc_s(void **kept, const char *name) {
    if (!*kept) *kept = dlsym(RTLD_NEXT, name);
    return *kept;
}
#define REAL(name) ((__typeof__(&name))libc_s(&real_##name, #name))
#define DECLARE(name) static void *real_##name

static void in_child(void) { armed = 0; }

/* Number what this process writes beneath `folders` (separated by a line end). At point `at` the process kills itself;
 * 0 for never. Each point is written to the descriptor `told` as a line; where `wait` is not -1, the process then
 * waits for a byte from it. */
void interpose(const char *folders, long at, int told, int wait) {
    static int once;
    if (!once) pthread_atfork(NULL, NULL, in_child), once = 1;
    root_count = 0;
    for (const char *from = folders; *from && root_count < ROOTS;) {
        size_t length = strcspn(from, "\n");
        snprintf(roots[root_count++], PATH_MAX, "%.*s", (int)length, from);
        from += length + (from[length] == '\n');
    }
    kill_at = at, told_fd = told, wait_fd = wait, point = 0;
    armed = 1;
}

static int beneath(const char *path) {
    for (int each = 0; each < root_count; each++) {
        size_t length = strlen(roots[each]);
        if (!strncmp(path, roots[each], length) && (!path[length] || path[length] == '/')) return 1;
    }
    return 0;
}

static int of_fd(int fd, char *path) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return beneath(path);
}

static int of_path(int folder, const char *given, char *path) {
    if (!given) return 0;
    if (*given == '/') {
        snprintf(path, PATH_MAX, "%s", given);
    } else {
        char top[PATH_MAX];
        if (folder == AT_FDCWD) {
            if (syscall(SYS_getcwd, top, sizeof top) <= 0) return 0;
        } else {
            char name[64];
            snprintf(name, sizeof name, "/proc/self/fd/%d", folder);
            ssize_t length = readlink(name, top, sizeof top - 1);
            if (length <= 0) return 0;
            top[length] = 0;
        }
        if (snprintf(path, PATH_MAX, "%s/%s", top, given) >= PATH_MAX) return 0;
    }
    return beneath(path);
}

static void reach(const char *kind, const char *path) {
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%ld\t%s\t%s\n", ++point, kind, path);
    int before = errno;
    for (int done = 0; told_fd >= 0 && done < length;) {
        long wrote = syscall(SYS_write, told_fd, line + done, length - done);
        if (wrote < 0 && errno != EINTR) _exit(97);
        done += wrote > 0 ? wrote : 0;
    }
    if (point == kill_at) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) pause();
    }
    char byte;
    while (wait_fd >= 0 && syscall(SYS_read, wait_fd, &byte, 1) < 0 && errno == EINTR) {}
    errno = before;
}

static void before(const char *kind, const char *path) {
    pthread_mutex_lock(&turn);
    reach(kind, path);
    pthread_mutex_unlock(&turn);
}

/* Steps on a path, on two paths, on a descriptor. */
#define ON_PATH(name, result, kind, parameters, arguments, folder, given)                                              \
    DECLARE(name);                                                                                                     \
    result name parameters {                                                                                           \
        char path[PATH_MAX];                                                                                           \
        if (armed && of_path(folder, given, path)) before(kind, path);                                                 \
        return REAL(name) arguments;                                                                                   \
    }
#define ON_FD(name, result, kind, parameters, arguments)                                                               \
    DECLARE(name);                                                                                                     \
    result name parameters {                                                                                           \
        char path[PATH_MAX];                                                                                           \
        if (armed && of_fd(fd, path)) before(kind, path);                                                              \
        return REAL(name) arguments;                                                                                   \
    }

ON_PATH(rename, int, "rename", (const char *from, const char *to), (from, to), AT_FDCWD, to)
ON_PATH(renameat, int, "rename", (int of, const char *from, int at, const char *to), (of, from, at, to), at, to)
ON_PATH(renameat2, int, "rename", (int of, const char *from, int at, const char *to, unsigned int flags), (of, from, at, to, flags), at, to)
ON_PATH(unlink, int, "unlink", (const char *name), (name), AT_FDCWD, name)
ON_PATH(unlinkat, int, "unlink", (int at, const char *name, int flags), (at, name, flags), at, name)
ON_PATH(remove, int, "unlink", (const char *name), (name), AT_FDCWD, name)
ON_PATH(rmdir, int, "rmdir", (const char *name), (name), AT_FDCWD, name)
ON_PATH(mkdir, int, "mkdir", (const char *name, mode_t mode), (name, mode), AT_FDCWD, name)
ON_PATH(mkdirat, int, "mkdir", (int at, const char *name, mode_t mode), (at, name, mode), at, name)
ON_PATH(link, int, "link", (const char *from, const char *to), (from, to), AT_FDCWD, to)
ON_PATH(linkat, int, "link", (int of, const char *from, int at, const char *to, int flags), (of, from, at, to, flags), at, to)
ON_PATH(symlink, int, "link", (const char *from, const char *to), (from, to), AT_FDCWD, to)
ON_PATH(symlinkat, int, "link", (const char *from, int at, const char *to), (from, at, to), at, to)
ON_PATH(chmod, int, "chmod", (const char *name, mode_t mode), (name, mode), AT_FDCWD, name)
ON_PATH(fchmodat, int, "chmod", (int at, const char *name, mode_t mode, int flags), (at, name, mode, flags), at, name)
ON_PATH(truncate, int, "truncate", (const char *name, off_t size), (name, size), AT_FDCWD, name)
ON_PATH(truncate64, int, "truncate", (const char *name, off64_t size), (name, size), AT_FDCWD, name)
ON_FD(fchmod, int, "chmod", (int fd, mode_t mode), (fd, mode))
ON_FD(ftruncate, int, "truncate", (int fd, off_t size), (fd, size))
ON_FD(ftruncate64, int, "truncate", (int fd, off64_t size), (fd, size))
ON_FD(fallocate, int, "truncate", (int fd, int mode, off_t from, off_t size), (fd, mode, from, size))
ON_FD(fallocate64, int, "truncate", (int fd, int mode, off64_t from, off64_t size), (fd, mode, from, size))
ON_FD(posix_fallocate, int, "truncate", (int fd, off_t from, off_t size), (fd, from, size))
ON_FD(posix_fallocate64, int, "truncate", (int fd, off64_t from, off64_t size), (fd, from, size))
ON_FD(fsync, int, "fsync", (int fd), (fd))
ON_FD(fdatasync, int, "fsync", (int fd), (fd))
ON_FD(sendfile, ssize_t, "write", (int fd, int from, off_t *at, size_t size), (fd, from, at, size))
ON_FD(sendfile64, ssize_t, "write", (int fd, int from, off64_t *at, size_t size), (fd, from, at, size))
ON_FD(writev, ssize_t, "write", (int fd, const struct iovec *parts, int count), (fd, parts, count))
ON_FD(pwritev, ssize_t, "write", (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at))
ON_FD(pwritev64, ssize_t, "write", (int fd, const struct iovec *parts, int count, off64_t at), (fd, parts, count, at))
DECLARE(copy_file_range);
ssize_t copy_file_range(int from, off64_t *of, int fd, off64_t *at, size_t size, unsigned int flags) {
    char path[PATH_MAX];
    if (armed && of_fd(fd, path)) before("write", path);
    return REAL(copy_file_range)(from, of, fd, at, size, flags);
}

/* A write has two points: before it, and with half of its bytes written. */
#define WRITE(name, parameters, half, rest, whole)                                                                     \
    DECLARE(name);                                                                                                     \
    ssize_t name parameters {                                                                                          \
        char path[PATH_MAX];                                                                                           \
        if (!armed || !of_fd(fd, path)) return REAL(name) whole;                                                       \
        pthread_mutex_lock(&turn);                                                                                     \
        reach("write", path);                                                                                          \
        ssize_t first = size / 2, done = first ? REAL(name) half : 0;                                                  \
        if (done == first) {                                                                                           \
            if (first) reach("half", path);                                                                            \
            ssize_t more = REAL(name) rest;                                                                            \
            done = more < 0 ? (first ? first : more) : first + more;                                                   \
        }                                                                                                              \
        pthread_mutex_unlock(&turn);                                                                                   \
        return done;                                                                                                   \
    }
WRITE(write, (int fd, const void *from, size_t size), (fd, from, first), (fd, (const char *)from + first, size - first),
      (fd, from, size))
WRITE(pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, first, at),
      (fd, (const char *)from + first, size - first, at + first), (fd, from, size, at))
WRITE(pwrite64, (int fd, const void *from, size_t size, off64_t at), (fd, from, first, at),
      (fd, (const char *)from + first, size - first, at + first), (fd, from, size, at))

static int writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)); }

#define OPEN(name, parameters, folder, given, arguments)                                                               \
    DECLARE(name);                                                                                                     \
    int name parameters {                                                                                              \
        char path[PATH_MAX];                                                                                           \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;                                      \
        va_end(more);                                                                                                  \
        if (armed && writes(flags) && of_path(folder, given, path)) before("open", path);                              \
        return REAL(name) arguments;                                                                                   \
    }
OPEN(open, (const char *name, int flags, ...), AT_FDCWD, name, (name, flags, mode))
OPEN(open64, (const char *name, int flags, ...), AT_FDCWD, name, (name, flags, mode))
OPEN(openat, (int at, const char *name, int flags, ...), at, name, (at, name, flags, mode))
OPEN(openat64, (int at, const char *name, int flags, ...), at, name, (at, name, flags, mode))
ON_PATH(creat, int, "open", (const char *name, mode_t mode), (name, mode), AT_FDCWD, name)
ON_PATH(creat64, int, "open", (const char *name, mode_t mode), (name, mode), AT_FDCWD, name)
/* What is compiled with _FORTIFY_SOURCE calls these where the flags are no constant. */
int __open_2(const char *name, int flags) { return open(name, flags); }
int __open64_2(const char *name, int flags) { return open64(name, flags); }
int __openat_2(int at, const char *name, int flags) { return openat(at, name, flags); }
int __openat64_2(int at, const char *name, int flags) { return openat64(at, name, flags); }

/* A stream writes inside libc, which is not seen; its opening and the moments before it is flushed are. */
static int stream_writes(const char *mode) { return strpbrk(mode, "wa+") != NULL; }
#define FOPEN(name)                                                                                                    \
    DECLARE(name);                                                                                                     \
    FILE *name(const char *given, const char *mode) {                                                                  \
        char path[PATH_MAX];                                                                                           \
        if (armed && stream_writes(mode) && of_path(AT_FDCWD, given, path)) before("open", path);                      \
        return REAL(name)(given, mode);                                                                                \
    }
FOPEN(fopen)
FOPEN(fopen64)
#define OF_STREAM(name, kind)                                                                                          \
    DECLARE(name);                                                                                                     \
    int name(FILE *stream) {                                                                                           \
        char path[PATH_MAX];                                                                                           \
        if (armed && stream && (fcntl(fileno(stream), F_GETFL) & O_ACCMODE) != O_RDONLY &&                             \
            of_fd(fileno(stream), path))                                                                               \
            before(kind, path);                                                                                        \
        return REAL(name)(stream);                                                                                     \
    }
OF_STREAM(fclose, "flush")
OF_STREAM(fflush, "flush")
