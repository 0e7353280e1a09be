/* The time of a redis-server under test: what a file says, in microseconds, in the place of the computer's clock. Loaded
 * into the server by LD_PRELOAD; a test writes the eight bytes of the file. It allocates nothing, because the server's
 * allocator asks for the time. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile int64_t *now;

__attribute__((constructor)) static void open_clock(void) {
    const char *path = getenv("TEST_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    void *memory = file < 0 ? MAP_FAILED : mmap(0, sizeof *now, PROT_READ, MAP_SHARED, file, 0);
    if (memory != MAP_FAILED) now = memory;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    if (now) {
        time->tv_sec = *now / 1000000;
        time->tv_usec = *now % 1000000;
        return 0;
    }
    struct timespec real;
    clock_gettime(CLOCK_REALTIME, &real);
    time->tv_sec = real.tv_sec;
    time->tv_usec = real.tv_nsec / 1000;
    return 0;
}
