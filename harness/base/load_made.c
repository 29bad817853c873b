// A load of this process's own, to measure beside.

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/load.h"

typedef struct barrier { // in memory that the processes share
    _Atomic int arrived, round;
} barrier;

static void work(void) {
    struct timespec now, begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000000000L + now.tv_nsec - begin.tv_nsec < 50000);
}

static void meet(barrier *b, int cores) {
    const int round = atomic_load(&b->round);
    if (atomic_fetch_add(&b->arrived, 1) + 1 == cores) {
        atomic_store(&b->arrived, 0);
        atomic_store(&b->round, round + 1);
    } else {
        while (atomic_load(&b->round) == round) continue;
    }
}

// What the parent does with signals, a child of it must not.
static _Noreturn void run_child(bl_load_kind kind, int cores, barrier *b, int parent) {
    static const int asked[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) signal(asked[i], SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0); // it has ended before that was in place
    if (kind == BL_LOAD_SPINNING_THREADS && nice(10) == -1) _exit(1);
    for (raise(SIGSTOP);;) {
        work();
        if (kind == BL_LOAD_SPINNING_THREADS) meet(b, cores);
    }
}

static int wait_until_halted(const bl_load_made *made) {
    for (int i = 0, status; i < made->count; i++)
        if (waitpid(made->pids[i], &status, WUNTRACED) != made->pids[i] || !WIFSTOPPED(status))
            return bl_fail("a process that was to be a load has ended");
    return BL_OK;
}

int bl_load_make(bl_load_made *made, bl_load_kind kind, int cores) {
    const int parent = getpid();
    *made = (bl_load_made){.pids = bl_alloc((size_t)cores * sizeof *made->pids)};
    if (!made->pids) return BL_FAILED;
    void *shared = mmap(NULL, sizeof(barrier), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        bl_load_end(made);
        return bl_fail("no memory for a load to measure beside");
    }
    made->shared = shared;
    for (; made->count < cores; made->count++) {
        const pid_t pid = fork();
        if (pid == 0) run_child(kind, cores, shared, parent);
        if (pid < 0) {
            bl_load_end(made);
            return bl_fail("no process can be started for a load to measure beside");
        }
        made->pids[made->count] = pid;
    }
    if (wait_until_halted(made) == BL_OK) return BL_OK;
    bl_load_end(made);
    return BL_FAILED;
}

int bl_load_go(const bl_load_made *made) {
    for (int i = 0; i < made->count; i++)
        if (kill(made->pids[i], SIGCONT)) return bl_fail("a process that was to be a load has ended");
    return BL_OK;
}

int bl_load_halt(const bl_load_made *made) {
    for (int i = 0; i < made->count; i++)
        if (kill(made->pids[i], SIGSTOP)) return bl_fail("a process that was to be a load has ended");
    return wait_until_halted(made);
}

void bl_load_end(bl_load_made *made) {
    for (int i = 0; i < made->count; i++) kill(made->pids[i], SIGKILL);
    for (int i = 0; i < made->count; i++) waitpid(made->pids[i], NULL, 0);
    if (made->shared) munmap(made->shared, sizeof(barrier));
    bl_free(made->pids);
    *made = (bl_load_made){0};
}
