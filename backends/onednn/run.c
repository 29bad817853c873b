#include "backends/onednn/run.h"

#include <omp.h>

#include "backends/onednn/packing.h"   // bl_cpu_pack_stale
#include "backends/onednn/primitive.h" // bl_cpu_is_primitive
#include "backends/onednn/regions.h"   // bl_cpu_run_together
#include "base/file.h"                 // bl_seconds

static int run_step(bl_cpu_plan *plan, const bl_step *step) {
    if (!plan->lowering.is_timed) return step->run(&plan->lowering, step);
    const double begin = bl_seconds();
    const bl_cpu_waits before = bl_cpu_team_waits(bl_cpu_backend_of(&plan->lowering)->team);
    const bool opens_region = bl_cpu_is_primitive(step) && bl_cpu_threads(&plan->lowering) > 1;
    if (step->run(&plan->lowering, step)) return BL_FAILED;
    plan->waits.regions += opens_region;
    if (!step->node) return BL_OK;
    bl_node_report *row = &plan->lowering.rows[step->node->id];
    row->seconds += bl_seconds() - begin;
    row->regions += opens_region;
    row->barriers += bl_cpu_waits_since(plan, before).barriers;
    return BL_OK;
}

// Own steps that follow one another, from `begin` to before `end`; what they touch in all.
typedef struct stretch {
    bl_cpu_plan *plan;
    unsigned phases;
    int begin, end;
    size_t bytes;
    const bl_node *node; // the first one
} stretch;

static int run_stretch(void *passed) {
    const stretch *s = passed;
    for (int i = s->begin; i < s->end; i++)
        if (bl_step_phase(&s->plan->lowering.steps[i]) & s->phases && run_step(s->plan, &s->plan->lowering.steps[i])) return BL_FAILED;
    return BL_OK;
}

static stretch stretch_from(bl_cpu_plan *plan, int begin, unsigned phases) {
    stretch s = {.plan = plan, .phases = phases, .begin = begin, .end = begin};
    for (; s.end < plan->lowering.step_count; s.end++) {
        const bl_step *step = &plan->lowering.steps[s.end];
        if (!(bl_step_phase(step) & phases)) continue;
        if (bl_cpu_is_primitive(step)) break;
        s.bytes += step->bytes;
        if (!s.node) s.node = step->node;
    }
    return s;
}

static int run_steps(bl_cpu_plan *plan, unsigned phases) {
    for (int i = 0; i < plan->lowering.step_count; i++) {
        stretch s = stretch_from(plan, i, phases);
        if (s.bytes <= BL_CPU_SMALL_BYTES ? run_stretch(&s) : bl_cpu_run_together(plan, s.node, run_stretch, &s)) return BL_FAILED;
        i = s.end;
        if (i < plan->lowering.step_count && run_step(plan, &plan->lowering.steps[i])) return BL_FAILED;
    }
    return BL_OK;
}

int bl_cpu_step(bl_plan *plan, int slot, unsigned phases) {
    bl_cpu_plan *self = (bl_cpu_plan *)plan;
    omp_set_num_threads(bl_cpu_threads(&self->lowering));
    self->lowering.slot = slot;
    if (phases & BL_PHASE_BEGIN && run_steps(self, BL_PHASE_BEGIN)) return BL_FAILED;
    if (bl_cpu_pack_stale(self)) return BL_FAILED;
    return run_steps(self, phases & ~(unsigned)BL_PHASE_BEGIN);
}
