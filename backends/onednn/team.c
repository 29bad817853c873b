#include "backends/onednn/team.h"

#include <limits.h>
#include <linux/futex.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"    // bl_seconds
#include "base/memory.h"  // bl_alloc
#include "base/threads.h" // bl_relax

// Seconds of spinning before a thread sleeps. The most is what the others' shares of a pass may take longer than its own; waking up
// takes about as long.
#define MOST_PATIENCE 200e-6
#define LEAST_PATIENCE 5e-6

#define CACHE_LINE 64

typedef struct member {
    _Alignas(CACHE_LINE) _Atomic uint32_t claimed; // the last pass in which someone took this thread's shares
    double patience;                               // of the thread itself
} member;

struct bl_cpu_team {
    _Alignas(CACHE_LINE) _Atomic uint32_t posted; // the number of the last pass; also raised when the region ends
    _Atomic uint32_t helpers_asleep;
    _Atomic bool is_closed;
    _Alignas(CACHE_LINE) _Atomic uint32_t left; // members whose shares of the pass are not done
    _Atomic uint32_t caller_asleep;
    // The pass. Read by those who have claimed a part of it: until they are done there is no other.
    _Alignas(CACHE_LINE) void (*body)(const void *context, int share, int shares);
    const void *context;
    int shares;
    int threads;
    bl_cpu_waits waits;
    void *memory; // what this lies in
    member members[];
};

static _Thread_local bl_cpu_team *open_team; // of the thread that runs `work`, between passes

int bl_cpu_team_create(bl_cpu_team **team, int threads) {
    unsigned char *memory = bl_alloc(sizeof **team + (size_t)threads * sizeof(member) + CACHE_LINE);
    if (!memory) return BL_FAILED;
    bl_cpu_team *made = *team = (void *)(memory + CACHE_LINE - (uintptr_t)memory % CACHE_LINE);
    made->memory = memory;
    made->threads = threads;
    for (int t = 0; t < threads; t++) made->members[t].patience = MOST_PATIENCE;
    return BL_OK;
}

void bl_cpu_team_free(bl_cpu_team *team) {
    if (team) bl_free(team->memory);
}

bl_cpu_waits bl_cpu_team_waits(const bl_cpu_team *team) {
    return team->waits;
}

// ---- waiting ----

static void futex(_Atomic uint32_t *word, int operation, uint32_t value) {
    syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static bool has_changed(_Atomic uint32_t *word, uint32_t old) {
    return atomic_load(word) != old;
}

static void wait_for_change(_Atomic uint32_t *word, uint32_t old, _Atomic uint32_t *asleep, double *patience) {
    const double until = bl_seconds() + *patience;
    do
        for (int i = 0; i < 8; i++) {
            if (has_changed(word, old)) {
                if (*patience < MOST_PATIENCE) *patience *= 2;
                return;
            }
            bl_relax();
        }
    while (bl_seconds() < until);
    if (*patience > LEAST_PATIENCE) *patience /= 2;
    atomic_fetch_add(asleep, 1);
    while (!has_changed(word, old)) futex(word, FUTEX_WAIT, old);
    atomic_fetch_sub(asleep, 1);
}

static void wake(_Atomic uint32_t *word, _Atomic uint32_t *asleep) {
    if (atomic_load(asleep)) futex(word, FUTEX_WAKE, INT_MAX);
}

// ---- passes ----

// Passes are numbered so that one who comes late cannot take a part of a later pass for one of the pass he saw.
static bool claim(member *of, uint32_t pass) {
    uint32_t last = atomic_load(&of->claimed);
    return (int32_t)(pass - last) > 0 && atomic_compare_exchange_strong(&of->claimed, &last, pass);
}

static void take_part(bl_cpu_team *team, uint32_t pass, int thread) {
    for (int i = 0; i < team->threads; i++) {
        const int whose = (thread + i) % team->threads;
        if (!claim(&team->members[whose], pass)) continue;
        for (int share = whose; share < team->shares; share += team->threads) team->body(team->context, share, team->shares);
        if (atomic_fetch_sub(&team->left, 1) == 1) wake(&team->left, &team->caller_asleep);
    }
}

void bl_cpu_parallel(int shares, void (*body)(const void *context, int share, int shares), const void *context) {
    bl_cpu_team *team = open_team;
    if (!team || shares == 1) {
        for (int share = 0; share < shares; share++) body(context, share, shares);
        return;
    }
    open_team = NULL;
    team->body = body;
    team->context = context;
    team->shares = shares;
    atomic_store(&team->left, (uint32_t)team->threads);
    const uint32_t pass = atomic_fetch_add(&team->posted, 1) + 1;
    wake(&team->posted, &team->helpers_asleep);
    take_part(team, pass, 0);
    for (uint32_t left; (left = atomic_load(&team->left));)
        wait_for_change(&team->left, left, &team->caller_asleep, &team->members[0].patience);
    team->waits.barriers++;
    open_team = team;
}

// ---- regions ----

static void help(bl_cpu_team *team, int thread, uint32_t pass) {
    for (;;) {
        wait_for_change(&team->posted, pass, &team->helpers_asleep, &team->members[thread].patience);
        pass = atomic_load(&team->posted);
        if (atomic_load(&team->is_closed)) return;
        take_part(team, pass, thread);
    }
}

int bl_cpu_team_run(bl_cpu_team *team, int (*work)(void *context), void *context) {
    int status = BL_OK;
    if (team->threads == 1) return work(context);
    atomic_store(&team->is_closed, false);
    const uint32_t pass = atomic_load(&team->posted);
    team->waits.regions++;
#pragma omp parallel num_threads(team->threads)
    if (omp_get_thread_num() == 0) {
        open_team = team;
        status = work(context);
        open_team = NULL;
        atomic_store(&team->is_closed, true);
        atomic_fetch_add(&team->posted, 1);
        wake(&team->posted, &team->helpers_asleep);
    } else {
        help(team, omp_get_thread_num(), pass);
    }
    return status;
}
