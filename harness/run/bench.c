#include "run/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"       // bl_seconds
#include "base/random.h"     // bl_random_stream
#include "datasets/loader.h" // bl_loader
#include "graph/op.h"        // bl_op_rules
#include "run/collapse.h"    // bl_collapse
#include "run/model.h"       // bl_model

// 2 a multiply-add. Only what grows with a product of three sizes counts.
static double node_flop(const bl_node *node) {
    const bl_tensor *const *in = (const bl_tensor *const *)node->inputs;
    switch (node->op) {
    case BL_OP_CONVOLUTION: return 2.0 * (double)bl_shape_count(&node->outputs[0]->shape) * (double)bl_shape_count(&in[1]->shape) / (double)in[1]->shape.dims[0];
    case BL_OP_CONVOLUTION_BACKWARD_DATA: return 2.0 * (double)bl_shape_count(&in[0]->shape) * (double)bl_shape_count(&in[1]->shape) / (double)in[1]->shape.dims[0];
    case BL_OP_CONVOLUTION_BACKWARD_WEIGHTS: {
        const bl_shape *w = &node->outputs[0]->shape;
        return 2.0 * (double)bl_shape_count(&in[1]->shape) * (double)bl_shape_count(w) / (double)w->dims[0];
    }
    case BL_OP_LINEAR: return 2.0 * (double)in[0]->shape.dims[0] * (double)bl_shape_count(&in[1]->shape);
    case BL_OP_LINEAR_BACKWARD_DATA: return 2.0 * (double)in[0]->shape.dims[0] * (double)bl_shape_count(&in[1]->shape);
    case BL_OP_LINEAR_BACKWARD_WEIGHTS: return 2.0 * (double)in[0]->shape.dims[0] * (double)bl_shape_count(&node->outputs[0]->shape);
    default: return 0;
    }
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_kinds(const void *a, const void *b) {
    const bl_bench_kind *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

#define WHOLE_STEP (BL_PHASE_BEGIN | BL_PHASE_MICRO | BL_PHASE_UPDATE)

static int give_step(const bl_model *model, const bl_cell *cell, int step) {
    if (bl_store_scalar(model->store, BL_SCALAR_STEP, step + 1) ||
        bl_store_scalar(model->store, BL_SCALAR_LEARNING_RATE, cell->train.schedule.base) ||
        bl_store_scalar(model->store, BL_SCALAR_TAU, cell->train.tau))
        return BL_FAILED;
    return bl_plan_step(model->training, step % BL_STAGING_SLOTS, WHOLE_STEP);
}

// `ahead`: how many steps are given before the oldest is waited for.
static int timed_steps(const bl_model *model, const bl_cell *cell, int count, int ahead, double *seconds) {
    double values[BL_WATCHED], finite, since = bl_seconds();
    for (int given = 0, done = 0; done < count; done++) {
        for (; given < count && given <= done + ahead; given++)
            if (give_step(model, cell, given)) return BL_FAILED;
        if (bl_plan_watched(model->training, given - done - 1, values, &finite)) return BL_FAILED;
        seconds[done] = bl_seconds() - since;
        since += seconds[done];
    }
    return BL_OK;
}

// Best of ten: the node alone, without what brings its operands there.
static int time_product(bl_plan *plan, double *best) {
    const bl_backend_table *table = plan->backend->table;
    double before = 0;
    bl_plan_report report;
    *best = INFINITY;
    table->timing(plan, true);
    for (int i = 0; i < 10; i++) {
        if (bl_plan_step(plan, 0, BL_PHASE_MICRO)) return BL_FAILED;
        table->report(plan, &report);
        if (report.rows[0].seconds - before < *best) *best = report.rows[0].seconds - before;
        before = report.rows[0].seconds;
    }
    return BL_OK;
}

static int measure_product(bl_backend *backend, const bl_cell *cell, int side, double *seconds) {
    const bl_segment weights = {.name = "weight", .shape = {2, {side, side}}, .init = {BL_INIT_UNIFORM_FAN_IN, side}};
    const bl_compile_options options = {.accumulate = 1, .tf32 = cell->train.precision == BL_PRECISION_TF32};
    bl_layout *layout = NULL;
    bl_graph *graph = NULL;
    bl_store *store = NULL;
    bl_plan *plan = NULL;
    bl_tensor *x, *w;
    float *host;
    int network, segment, status = BL_FAILED;
    if (bl_layout_create(&layout) || bl_layout_network(layout, "peak", false, &network) ||
        bl_layout_parameter(layout, network, &weights, &segment) || bl_graph_create(&graph, layout) ||
        bl_graph_input(graph, "x", cell->model.precision, (bl_shape){2, {side, side}}, &x) ||
        bl_graph_stored(graph, (bl_place){network, BL_PARAMETERS, segment}, &w) ||
        bl_graph_node(graph, BL_OP_LINEAR, "product", NULL, (bl_tensor *[]){x, w, NULL}, 3, NULL))
        goto done;
    bl_graph_seal(graph);
    if (bl_store_create(backend, layout, &store) || bl_store_initialize(store, 0, false) || bl_plan_compile(store, graph, &options, &plan) ||
        bl_plan_slot(plan, 0, x, &host))
        goto done;
    for (int i = 0; i < side * side; i++) host[i] = (float)(i % 17) / 17 - 0.5f;
    status = time_product(plan, seconds);
done:
    bl_plan_free(plan);
    bl_store_free(store);
    bl_graph_free(graph);
    bl_layout_free(layout);
    return status;
}

// Large enough to be bound by arithmetic on this machine: the side doubles while a product takes less than 10 ms.
static int measure_peak(bl_backend *backend, const bl_cell *cell, bl_bench *result) {
    enum { LEAST = 512, MOST = 8192 };
    double seconds = 0;
    for (int side = LEAST; side <= MOST && seconds < 0.01; side *= 2) {
        if (measure_product(backend, cell, side, &seconds)) return BL_FAILED;
        result->peak_side = side;
        result->peak_gflops = 2.0 * side * side * side / seconds / 1e9;
    }
    return BL_OK;
}

static int measure_views(const bl_cell *cell, int threads, double *views_per_second) {
    enum { IMAGES = 512 };
    const int side = cell->model.image_size;
    bl_dataset *dataset = NULL;
    bl_loader *loader = NULL;
    uint32_t samples[IMAGES];
    float *views = NULL;
    int status = BL_FAILED;
    double best = 1e9;
    if (bl_dataset_open(&dataset, &cell->data) || bl_loader_create(&loader, dataset, BL_TRAIN, cell->views, BL_VIEWS, 0, threads, 1)) goto done;
    if (!(views = bl_alloc((size_t)BL_VIEWS * IMAGES * side * side * 3 * sizeof *views))) goto done;
    for (int i = 0; i < IMAGES; i++) samples[i] = (uint32_t)(i % bl_dataset_count(dataset, BL_TRAIN));
    for (uint32_t round = 0; round < 4; round++) {
        const double start = bl_seconds();
        if (bl_loader_submit(loader, 0, samples, IMAGES, round, views) || bl_loader_wait(loader, 0)) goto done;
        if (bl_seconds() - start < best) best = bl_seconds() - start;
    }
    *views_per_second = BL_VIEWS * IMAGES / best;
    status = BL_OK;
done:
    bl_loader_free(loader);
    bl_dataset_close(dataset);
    bl_free(views);
    return status;
}

// One window, as the trainer makes it: read what the step left, take it in, until the ranks are there. What it costs a step: the
// trainer opens the next window at the first multiple of `every` behind this one's end.
static int measure_collapse(const bl_model *model, int every, double *seconds_a_step) {
    const bl_tensor *const read = model->step.projection;
    bl_collapse *collapse = NULL;
    bl_collapse_row row;
    double *projection = NULL, *prediction = NULL;
    bool complete = false;
    int64_t batches = 0;
    int status = BL_FAILED;
    *seconds_a_step = 0;
    if (!read || !every) return BL_OK;
    const size_t bytes = (size_t)bl_shape_count(&read->shape) * sizeof(double);
    if (!(projection = bl_alloc(bytes)) || !(prediction = bl_alloc(bytes)) ||
        bl_collapse_create(&collapse, read->shape.dims[0], (int)read->shape.dims[1], every))
        goto done;
    const double start = bl_seconds();
    for (; !complete; batches++)
        if (bl_plan_read(model->training, read, projection) || bl_plan_read(model->training, model->step.prediction, prediction) ||
            bl_collapse_observe(collapse, &(bl_step_row){0}, projection, prediction, &complete, &row))
            goto done;
    *seconds_a_step = (bl_seconds() - start) / (double)((batches + every - 1) / every * every);
    status = BL_OK;
done:
    bl_collapse_free(collapse);
    bl_free(projection);
    bl_free(prediction);
    return status;
}

// What a plan is made of: a row a node, in execution order.
static void print_plan(const bl_plan_report *report, int steps, bl_text *text) {
    int width = 4;
    for (int i = 0; i < report->count; i++)
        if ((int)strlen(report->rows[i].node->name) > width) width = (int)strlen(report->rows[i].node->name);
    bl_text_add(text, "%-*s  %-30s %9s %13s  %s\n", width, "node", "operator", "ms", "workspace MiB", "implementation");
    for (int i = 0; i < report->count; i++) {
        const bl_node_report *row = &report->rows[i];
        bl_text_add(text, "%-*s  %-30s %9.3f %13.1f  %s\n", width, row->node->name, bl_op_rules[row->node->op]->name,
                    1e3 * row->seconds / steps, (double)row->bytes / 1048576, row->implementation);
    }
}

static void add_node(bl_bench *result, const bl_node_report *row, int steps, double flop[32]) {
    const char *name = bl_op_rules[row->node->op]->name;
    int k = 0;
    while (k < result->kind_count && result->kinds[k].name != name) k++;
    if (k == result->kind_count) result->kinds[result->kind_count++] = (bl_bench_kind){.name = name};
    result->kinds[k].seconds += row->seconds / steps;
    result->kinds[k].count++;
    flop[k] += node_flop(row->node);
}

static int time_nodes(const bl_model *model, const bl_cell *cell, const bl_bench_options *options, bl_bench *result) {
    double seconds[8], flop[32] = {0}, total = 0;
    bl_plan_report report;
    bl_plan *plan = model->training;
    const bl_backend_table *table = plan->backend->table;
    const int steps = options->steps < 8 ? options->steps : 8;
    table->timing(plan, true);
    if (timed_steps(model, cell, steps, 0, seconds)) return BL_FAILED;
    table->timing(plan, false);
    table->report(plan, &report);
    if (options->plan) print_plan(&report, steps, options->plan);
    for (int i = 0; i < report.count; i++) add_node(result, &report.rows[i], steps, flop);
    for (int k = 0; k < result->kind_count; k++) total += result->kinds[k].seconds;
    for (int k = 0; k < result->kind_count; k++) {
        result->kinds[k].share = total > 0 ? result->kinds[k].seconds / total : 0;
        result->kinds[k].gflops = result->kinds[k].seconds > 0 ? flop[k] / result->kinds[k].seconds / 1e9 : 0;
    }
    qsort(result->kinds, (size_t)result->kind_count, sizeof *result->kinds, compare_kinds);
    return BL_OK;
}

// A batch in every slot, the same one. Labels: class 0 is there whatever the data set.
static int fill_slots(const bl_model *model) {
    const bl_tensor *images = model->step.images, *labels = model->step.labels;
    const size_t count = (size_t)bl_shape_count(&images->shape);
    float *first, *host;
    bl_random random = bl_random_stream(0, "bench", 0, 0, 0);
    if (bl_plan_slot(model->training, 0, images, &first)) return BL_FAILED;
    for (size_t i = 0; i < count; i++) first[i] = (float)bl_random_normal(&random);
    for (int slot = 0; slot < BL_STAGING_SLOTS; slot++) {
        if (slot && bl_plan_slot(model->training, slot, images, &host)) return BL_FAILED;
        if (slot) memcpy(host, first, count * sizeof *host);
        if (labels && bl_plan_slot(model->training, slot, labels, &host)) return BL_FAILED;
        if (labels) memset(host, 0, (size_t)bl_shape_count(&labels->shape) * sizeof *host);
    }
    return BL_OK;
}

static int measure_parts(const bl_model *model, const bl_cell *cell, const bl_machine *machine, const bl_bench_options *options,
                         bl_bench *result) {
    if (time_nodes(model, cell, options, result) || measure_peak(model->backend, cell, result) ||
        measure_views(cell, 1, &result->views_per_second[0]))
        return BL_FAILED;
    result->views_per_second[1] = result->views_per_second[0];
    return machine->loader_threads > 1 ? measure_views(cell, machine->loader_threads, &result->views_per_second[1]) : BL_OK;
}

// One pass over the steps; of the median and the best of them.
static int time_steps(const bl_model *model, const bl_cell *cell, int steps, int ahead, double *seconds, bl_bench *result) {
    if (timed_steps(model, cell, steps, ahead, seconds)) return BL_FAILED;
    qsort(seconds, (size_t)steps, sizeof *seconds, compare_doubles);
    result->step_seconds = seconds[steps / 2];
    result->best = cell->train.batch / seconds[0];
    result->median = cell->train.batch / result->step_seconds;
    return BL_OK;
}

// A pass a turn; one step before it, for whoever had the machine meanwhile had its caches too.
static int take_turns(const bl_model *model, const bl_cell *cell, const bl_bench_options *options, int ahead, double *seconds,
                      bl_bench *result) {
    const bl_bench *last = NULL;
    while (options->turn(options->context, last)) {
        if (timed_steps(model, cell, 1, 0, seconds) || time_steps(model, cell, options->steps, ahead, seconds, result)) return BL_FAILED;
        last = result;
    }
    return last ? BL_OK : bl_fail("no turn was taken: nothing is timed");
}

int bl_bench_run(const bl_cell *cell, const bl_machine *machine, const bl_bench_options *options, bl_bench *result) {
    const bl_backend_options open = {.threads = machine->threads, .isa = machine->isa, .eager = machine->eager};
    bl_backend *backend = NULL;
    bl_model model = {0};
    bl_cell timed = *cell; // without evaluations: their plan would only take memory
    timed.evaluation_count = 0;
    timed.save_features = false;
    double *seconds = NULL;
    bl_plan_report report;
    int status = BL_FAILED;
    *result = (bl_bench){0};
    if (bl_backend_open(&backend, machine->backend, &open)) goto done;
    const bool is_asynchronous = backend->table->is_asynchronous;
    const int ahead = is_asynchronous && cell->train.accumulate == 1;
    const int warmup = options->warmup + (is_asynchronous ? BL_STAGING_SLOTS : 0); // what is replayed is recorded once a slot
    if (bl_model_create(&model, backend, &timed, 0) || fill_slots(&model) ||
        !(seconds = bl_alloc((size_t)(options->steps + warmup) * sizeof *seconds)) ||
        timed_steps(&model, cell, warmup, ahead, seconds) ||
        (options->turn ? take_turns(&model, cell, options, ahead, seconds, result)
                       : time_steps(&model, cell, options->steps, ahead, seconds, result)) ||
        measure_collapse(&model, cell->train.collapse_every, &result->collapse_seconds))
        goto done;
    for (int i = 0; i < model.step.graph->node_count; i++) result->gflop += node_flop(model.step.graph->nodes[i]) / 1e9;
    if (options->nodes && measure_parts(&model, cell, machine, options, result)) goto done;
    backend->table->report(model.training, &report);
    result->arena_bytes = report.arena_bytes;
    result->packed_bytes = report.packed_bytes;
    result->staging_bytes = report.staging_bytes;
    status = BL_OK;
done:
    bl_free(seconds);
    bl_model_free(&model);
    bl_backend_close(backend);
    return status;
}
