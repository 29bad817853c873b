// asynchronous.h - a backend made asynchronous: `step` and scalars are queued and run when someone waits for them, no sooner and no
// further. So what is read too early is missing, and what is refilled too early is wrong.

#ifndef BL_TESTS_ASYNCHRONOUS_H
#define BL_TESTS_ASYNCHRONOUS_H

#include <string.h>

#include "backends/backend.h"
#include "support.h"

typedef struct queued { // a step of `plan`, or without one a scalar of `store`
    bl_plan *plan;
    int slot;
    unsigned phases;
    bl_store *store;
    bl_place place;
    double value;
} queued;

typedef struct watch_record { // the values of a plan's last steps, by their number
    bl_plan *plan;
    int given, done;
    double values[2][BL_WATCHED], finite[2];
} watch_record;

static struct {
    const bl_backend_table *real; // what computes
    bl_backend_table table;       // what is seen
    queued queue[64];
    int queue_count;
    watch_record records[8];
} asynchronous;

static inline watch_record *record_of(bl_plan *plan) {
    for (int pass = 0; pass < 2; pass++) // its own, else a free one
        for (int i = 0; i < 8; i++)
            if (asynchronous.records[i].plan == (pass ? NULL : plan)) {
                asynchronous.records[i].plan = plan;
                return &asynchronous.records[i];
            }
    fail_msg("more plans than the asynchronous backend knows");
    return NULL;
}

static inline int run_step(const queued *step) {
    watch_record *record = record_of(step->plan);
    const bl_backend_table *real = asynchronous.real;
    if (real->step(step->plan, step->slot, step->phases)) return BL_FAILED;
    const int at = ++record->done % 2;
    for (int i = 0; i < step->plan->watch_count; i++)
        if (real->read(step->plan, step->plan->watch[i], &record->values[at][i])) return BL_FAILED;
    return real->store_read(step->plan->store, (bl_place){BL_SCALAR_NETWORK, BL_PARAMETERS, BL_SCALAR_FINITE}, &record->finite[at]);
}

static inline int run_oldest(void) {
    const queued oldest = asynchronous.queue[0];
    memmove(asynchronous.queue, asynchronous.queue + 1, (size_t)--asynchronous.queue_count * sizeof oldest);
    if (oldest.plan) return run_step(&oldest);
    return asynchronous.real->store_write(oldest.store, oldest.place, &oldest.value);
}

static inline int run_all(void) {
    while (asynchronous.queue_count)
        if (run_oldest()) return BL_FAILED;
    return BL_OK;
}

static inline int enqueue(queued what) {
    if (asynchronous.queue_count == 64) return bl_fail("64 operations, and no one waited");
    asynchronous.queue[asynchronous.queue_count++] = what;
    return BL_OK;
}

static inline int later_step(bl_plan *plan, int slot, unsigned phases) {
    record_of(plan)->given++;
    return enqueue((queued){.plan = plan, .slot = slot, .phases = phases});
}

static inline int later_watched(bl_plan *plan, int back, double *values, double *finite) {
    watch_record *record = record_of(plan);
    const int step = record->given - back;
    if (back < 0 || back >= BL_STEPS_AHEAD || step < 1) return bl_fail("step %d of %d is not kept", step, record->given);
    while (record->done < step)
        if (run_oldest()) return BL_FAILED;
    memcpy(values, record->values[step % 2], (size_t)plan->watch_count * sizeof *values);
    *finite = record->finite[step % 2];
    return BL_OK;
}

static inline int later_slot(bl_plan *plan, int slot, const bl_tensor *input, float **host) {
    for (int i = 0; i < asynchronous.queue_count; i++)
        if (asynchronous.queue[i].plan == plan && asynchronous.queue[i].slot == slot) return bl_fail("slot %d is still waiting for its step", slot);
    return asynchronous.real->slot(plan, slot, input, host);
}

static inline int later_store_write(bl_store *store, bl_place place, const double *src) {
    if (place.network == BL_SCALAR_NETWORK) return enqueue((queued){.store = store, .place = place, .value = *src});
    return run_all() ? BL_FAILED : asynchronous.real->store_write(store, place, src);
}

static inline int later_store_read(bl_store *store, bl_place place, double *dst) {
    return run_all() ? BL_FAILED : asynchronous.real->store_read(store, place, dst);
}

static inline int later_store_read_f32(bl_store *store, bl_place place, float *dst) {
    return run_all() ? BL_FAILED : asynchronous.real->store_read_f32(store, place, dst);
}

static inline int later_read(bl_plan *plan, const bl_tensor *tensor, double *dst) {
    return run_all() ? BL_FAILED : asynchronous.real->read(plan, tensor, dst);
}

static inline int later_write(bl_plan *plan, const bl_tensor *tensor, const double *src) {
    return run_all() ? BL_FAILED : asynchronous.real->write(plan, tensor, src);
}

static inline void later_plan_free(bl_plan *plan) {
    assert_ok(run_all());
    for (int i = 0; i < 8; i++)
        if (asynchronous.records[i].plan == plan) asynchronous.records[i] = (watch_record){0};
    asynchronous.real->plan_free(plan);
}

static inline void later_store_free(bl_store *store) {
    assert_ok(run_all());
    asynchronous.real->store_free(store);
}

// One at a time.
static inline void make_asynchronous(bl_backend *backend) {
    memset(&asynchronous, 0, sizeof asynchronous);
    asynchronous.real = backend->table;
    asynchronous.table = *backend->table;
    asynchronous.table.is_asynchronous = true;
    asynchronous.table.step = later_step;
    asynchronous.table.watched = later_watched;
    asynchronous.table.slot = later_slot;
    asynchronous.table.store_write = later_store_write;
    asynchronous.table.store_read = later_store_read;
    if (asynchronous.real->store_read_f32) asynchronous.table.store_read_f32 = later_store_read_f32;
    asynchronous.table.read = later_read;
    asynchronous.table.write = later_write;
    asynchronous.table.plan_free = later_plan_free;
    asynchronous.table.store_free = later_store_free;
    backend->table = &asynchronous.table;
}

#endif
