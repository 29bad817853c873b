#include "backends/onednn/primitive.h"

#include <omp.h>

#include "base/memory.h" // bl_alloc

#define MAX_ARGUMENTS 6

typedef struct primitive {
    dnnl_primitive_t handle;
    int count;
    dnnl_exec_arg_t arguments[MAX_ARGUMENTS]; // argument i works on buffer i of the step
} primitive;

static const char *status_name(dnnl_status_t status) {
    switch (status) {
    case dnnl_out_of_memory: return "out of memory";
    case dnnl_invalid_arguments: return "invalid arguments";
    case dnnl_unimplemented: return "not implemented";
    case dnnl_runtime_error: return "run-time error";
    default: return "failed";
    }
}

int bl_cpu_dnnl(dnnl_status_t status, const bl_node *node, const char *what) {
    if (status == dnnl_success) return BL_OK;
    return bl_fail("%s: oneDNN: %s: %s", node ? node->name : "oneDNN backend", what, status_name(status));
}

dnnl_data_type_t bl_cpu_type(bl_dtype dtype) {
    return dtype == BL_F32 ? dnnl_f32 : dnnl_bf16;
}

static void primitive_free(void *state) {
    primitive *self = state;
    for (int i = 0; i < self->count; i++) dnnl_memory_destroy(self->arguments[i].memory);
    if (self->handle) dnnl_primitive_destroy(self->handle);
    bl_free(self);
}

static int primitive_run(const bl_lowering *plan, const bl_step *step) {
    const primitive *self = step->state;
    const dnnl_stream_t stream = bl_cpu_backend_of(plan)->stream;
    for (int i = 0; i < self->count; i++) {
        const dnnl_status_t bound = dnnl_memory_set_data_handle(self->arguments[i].memory, bl_step_at(plan, step, i));
        if (bl_cpu_dnnl(bound, step->node, "binding memory")) return BL_FAILED;
    }
    return bl_cpu_dnnl(dnnl_primitive_execute(self->handle, stream, self->count, self->arguments), step->node, "execution");
}

// Adds an argument whose memory is bound when the step runs.
static int add_argument(const bl_lowering *plan, const bl_node *node, primitive *self, bl_cpu_operand operand) {
    dnnl_exec_arg_t *argument = &self->arguments[self->count];
    argument->arg = operand.argument;
    const dnnl_status_t made = dnnl_memory_create(&argument->memory, operand.desc, bl_cpu_backend_of(plan)->engine, DNNL_MEMORY_NONE);
    if (bl_cpu_dnnl(made, node, "memory")) return BL_FAILED;
    self->count++;
    return BL_OK;
}

static int primitive_step(bl_lowering *plan, const bl_node *node, const_dnnl_primitive_desc_t desc, const bl_cpu_operand *operands,
                          int count) {
    int buffers[MAX_ARGUMENTS];
    if (count >= MAX_ARGUMENTS)
        return bl_fail("%s: a primitive of %d operands and a scratchpad; there is room for %d", node->name, count, MAX_ARGUMENTS);
    primitive *self = bl_alloc(sizeof *self);
    if (!self) return BL_FAILED;
    if (bl_cpu_dnnl(dnnl_primitive_create(&self->handle, desc), node, "primitive")) goto failed;
    for (int i = 0; i < count; i++) {
        if (add_argument(plan, node, self, operands[i])) goto failed;
        buffers[i] = operands[i].buffer;
    }
    const const_dnnl_memory_desc_t scratchpad = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    const size_t bytes = scratchpad ? dnnl_memory_desc_get_size(scratchpad) : 0;
    if (bytes) {
        if (bl_lower_buffer(plan, bytes, &buffers[count])) goto failed;
        if (add_argument(plan, node, self, (bl_cpu_operand){DNNL_ARG_SCRATCHPAD, scratchpad, 0})) goto failed;
        plan->rows[node->id].bytes += bytes;
    }
    if (bl_lower_step(plan, node, primitive_run, buffers, self->count, NULL, 0)) goto failed;
    plan->steps[plan->step_count - 1].state = self;
    plan->steps[plan->step_count - 1].state_free = primitive_free;
    return BL_OK;
failed:
    primitive_free(self);
    return BL_FAILED;
}

int bl_cpu_primitive_step(bl_lowering *plan, const bl_node *node, const_dnnl_primitive_desc_t desc, const bl_cpu_operand *operands,
                          int count) {
    const char *implementation = "";
    if (dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &implementation) == dnnl_success)
        bl_lower_note(plan, node, "%s", implementation);
    return primitive_step(plan, node, desc, operands, count);
}

bool bl_cpu_is_primitive(const bl_step *step) {
    return step->run == primitive_run;
}

static int run_alone(const bl_lowering *plan, const bl_step *step) {
    omp_set_num_threads(1);
    const int status = primitive_run(plan, step);
    omp_set_num_threads(bl_cpu_threads(plan));
    return status;
}

int bl_cpu_reorder_step(bl_lowering *plan, const bl_node *node, bl_cpu_operand from, bl_cpu_operand to) {
    dnnl_primitive_desc_t desc;
    const dnnl_engine_t engine = bl_cpu_backend_of(plan)->engine;
    const dnnl_primitive_attr_t attributes = bl_cpu_backend_of(plan)->attributes;
    const bool is_small = dnnl_memory_desc_get_size(from.desc) + dnnl_memory_desc_get_size(to.desc) <= BL_CPU_SMALL_BYTES;
    if (is_small) omp_set_num_threads(1); // it is made for as many as run it
    const dnnl_status_t made = dnnl_reorder_primitive_desc_create(&desc, from.desc, engine, to.desc, engine, attributes);
    from.argument = DNNL_ARG_FROM;
    to.argument = DNNL_ARG_TO;
    const int status = bl_cpu_dnnl(made, node, "reorder") ? BL_FAILED : primitive_step(plan, node, desc, (bl_cpu_operand[]){from, to}, 2);
    if (!made) dnnl_primitive_desc_destroy(desc);
    omp_set_num_threads(bl_cpu_threads(plan));
    if (status == BL_OK && is_small) plan->steps[plan->step_count - 1].run = run_alone;
    return status;
}
