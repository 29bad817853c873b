#include "inspect/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backends/registry.h"    // bl_backend_open
#include "base/file.h"            // bl_seconds
#include "base/random.h"          // bl_random_stream
#include "datasets/view_loader.h" // bl_view_loader_create
#include "experiment/cell.h"      // bl_cell_classes
#include "graph/op.h"             // bl_op_rules
#include "protocols/learner.h"    // bl_classifier_of
#include "protocols/segmenter.h"  // bl_segmentation_of
#include "record/blocks.h"        // bl_blocks_put
#include "record/keeper.h"        // bl_keeper
#include "train/collapse.h"       // bl_collapse
#include "train/loop.h"           // bl_loop_watch
#include "train/model.h"          // bl_model

typedef struct timed { // a training step
    const bl_step_graph *step;
    bl_store *store;
    bl_plan *plan;
    double learning_rate, tau;
    int batch;
    int ahead;   // how many steps are given before the oldest is waited for
    int classes; // of the labels that it is given
} timed;

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

static int give_step(const timed *t, int step) {
    if (bl_store_scalar(t->store, BL_SCALAR_STEP, step + 1) || bl_store_scalar(t->store, BL_SCALAR_LEARNING_RATE, t->learning_rate) ||
        bl_store_scalar(t->store, BL_SCALAR_TAU, t->tau))
        return BL_FAILED;
    return bl_plan_step(t->plan, step % BL_STAGING_SLOTS, WHOLE_STEP);
}

static int timed_steps(const timed *t, int count, int ahead, double *seconds) {
    double values[BL_WATCHED], finite, since = bl_seconds();
    for (int given = 0, done = 0; done < count; done++) {
        for (; given < count && given <= done + ahead; given++)
            if (give_step(t, given)) return BL_FAILED;
        if (bl_plan_watched(t->plan, given - done - 1, values, &finite)) return BL_FAILED;
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

static int measure_product(bl_backend *backend, bl_dtype precision, bool tf32, int side, double *seconds) {
    const bl_segment weights = {.name = "weight", .shape = {2, {side, side}}, .init = {.kind = BL_INIT_UNIFORM_FAN_IN, .fan = side}};
    const bl_compile_options options = {.accumulate = 1, .tf32 = tf32};
    bl_layout *layout = NULL;
    bl_graph *graph = NULL;
    bl_store *store = NULL;
    bl_plan *plan = NULL;
    bl_tensor *x, *w;
    float *host;
    int network, segment, status = BL_FAILED;
    if (bl_layout_create(&layout) || bl_layout_network(layout, "peak", false, &network) ||
        bl_layout_parameter(layout, network, &weights, &segment) || bl_graph_create(&graph, layout) ||
        bl_graph_input(graph, "x", precision, (bl_shape){2, {side, side}}, &x) ||
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

int bl_bench_product(bl_backend *backend, bl_dtype precision, bool tf32, int *side, double *gflops) {
    enum { LEAST = 512, MOST = 8192 };
    double seconds = 0;
    for (int next = LEAST; next <= MOST && seconds < 0.01; next *= 2) {
        if (measure_product(backend, precision, tf32, next, &seconds)) return BL_FAILED;
        *side = next;
        *gflops = 2.0 * next * next * next / seconds / 1e9;
    }
    return BL_OK;
}

static int measure_peak(bl_backend *backend, const bl_cell *cell, bl_bench *result) {
    return bl_bench_product(backend, cell->model.precision, cell->train.precision == BL_PRECISION_TF32, &result->peak_side,
                            &result->peak_gflops);
}

static int measure_views(const bl_cell *cell, int threads, double *views_per_second) {
    enum { LEAST = 16, MOST = 512, PIXELS = 1 << 21 }; // what a batch of views holds: many small images, some scenes
    const int side = cell->model.image_size, fitting = PIXELS / (side * side);
    const int images = fitting < LEAST ? LEAST : fitting > MOST ? MOST : fitting;
    bl_dataset *dataset = NULL;
    bl_loader *loader = NULL;
    uint32_t samples[MOST];
    float *views = NULL;
    int status = BL_FAILED;
    double best = 1e9;
    bl_dataset_options data = cell->data;
    data.labelled = false; // views need no labels
    if (bl_dataset_open(&dataset, &data) || bl_view_loader_create(&loader, dataset, BL_TRAIN, cell->views, BL_VIEWS, 0, threads, 1)) goto done;
    if (!(views = bl_alloc((size_t)BL_VIEWS * images * side * side * 3 * sizeof *views))) goto done;
    for (int i = 0; i < images; i++) samples[i] = (uint32_t)(i % bl_dataset_count(dataset, BL_TRAIN));
    for (uint32_t round = 0; round < 4; round++) {
        const double start = bl_seconds();
        if (bl_loader_submit(loader, 0, samples, images, round, views, NULL) || bl_loader_wait(loader, 0)) goto done;
        if (bl_seconds() - start < best) best = bl_seconds() - start;
    }
    *views_per_second = BL_VIEWS * images / best;
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
    bl_text_add(text, "%-*s  %-30s %9s %7s %8s %13s  %s\n", width, "node", "operator", "ms", "regions", "barriers", "workspace MiB",
                "implementation");
    for (int i = 0; i < report->count; i++) {
        const bl_node_report *row = &report->rows[i];
        bl_text_add(text, "%-*s  %-30s %9.3f %7.4g %8.4g %13.1f  %s\n", width, row->node->name, bl_op_rules[row->node->op]->name,
                    1e3 * row->seconds / steps, (double)row->regions / steps, (double)row->barriers / steps,
                    (double)row->bytes / 1048576, row->implementation);
    }
}

static void add_node(bl_bench *result, const bl_node_report *row, int steps, double flop[BL_OP_COUNT]) {
    const char *name = bl_op_rules[row->node->op]->name;
    int k = 0;
    while (k < result->kind_count && result->kinds[k].name != name) k++;
    if (k == result->kind_count) result->kinds[result->kind_count++] = (bl_bench_kind){.name = name};
    result->kinds[k].seconds += row->seconds / steps;
    result->kinds[k].regions += (double)row->regions / steps;
    result->kinds[k].barriers += (double)row->barriers / steps;
    result->kinds[k].count++;
    flop[k] += node_flop(row->node);
}

static int time_nodes(const timed *t, const bl_bench_options *options, bl_bench *result) {
    double seconds[8], flop[BL_OP_COUNT] = {0}, total = 0;
    bl_plan_report report;
    bl_plan *plan = t->plan;
    const bl_backend_table *table = plan->backend->table;
    const int steps = options->steps < 8 ? options->steps : 8;
    table->timing(plan, true);
    if (timed_steps(t, steps, 0, seconds)) return BL_FAILED;
    table->timing(plan, false);
    table->report(plan, &report);
    result->regions = (double)report.regions / steps;
    result->barriers = (double)report.barriers / steps;
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

// A batch in every slot, the same one.
static int fill_slots(const timed *t) {
    const bl_tensor *inputs[] = {t->step->images, t->step->labels};
    float *first, *host;
    bl_random random = bl_random_stream(0, "bench", 0, 0, 0);
    for (int k = 0; k < 2 && inputs[k]; k++) {
        const size_t count = (size_t)bl_shape_count(&inputs[k]->shape);
        if (bl_plan_slot(t->plan, 0, inputs[k], &first)) return BL_FAILED;
        for (size_t i = 0; i < count; i++)
            first[i] = (float)(k ? (double)bl_random_below(&random, (uint32_t)t->classes) : bl_random_normal(&random));
        for (int slot = 1; slot < BL_STAGING_SLOTS; slot++) {
            if (bl_plan_slot(t->plan, slot, inputs[k], &host)) return BL_FAILED;
            memcpy(host, first, count * sizeof *host);
        }
    }
    return BL_OK;
}

// Steps alone, then as many with a checkpoint that is written beside them.
static int time_pair(const timed *t, bl_optimizer_kind optimizer, bl_keeper *keeper, const char *path, int steps, double *seconds,
                     bl_bench_checkpoint *pair) {
    bl_container_writer *writer;
    const double start = bl_seconds();
    if (timed_steps(t, steps, t->ahead, seconds) || bl_container_writer_create(&writer)) return BL_FAILED;
    const double alone = bl_seconds();
    if (bl_blocks_put(t->store, optimizer, writer)) {
        bl_container_writer_free(writer);
        return BL_FAILED;
    }
    pair->copy_seconds = bl_seconds() - alone;
    if (bl_keeper_write(keeper, writer, path) || timed_steps(t, steps, t->ahead, seconds)) return BL_FAILED;
    pair->seconds = (bl_seconds() - alone) - (alone - start);
    if (bl_keeper_wait(keeper)) return BL_FAILED;
    pair->file_seconds = bl_seconds() - alone;
    return BL_OK;
}

static int compare_checkpoints(const void *a, const void *b) {
    const bl_bench_checkpoint *x = a, *y = b;
    return (x->seconds > y->seconds) - (x->seconds < y->seconds);
}

// The middle one of several pairs.
static int measure_checkpoint(const timed *t, bl_optimizer_kind optimizer, bl_bench *result) {
    enum { PAIRS = 5 };
    const int steps = 1 + (int)(2 / result->step_seconds);
    const char *folder = getenv("TMPDIR");
    bl_arena *arena = bl_arena_create();
    char *path = bl_arena_format(arena, "%s/byolab-bench-%d.ckpt", folder ? folder : "/tmp", (int)getpid());
    bl_bench_checkpoint pairs[PAIRS] = {0};
    bl_keeper *keeper = NULL;
    double *seconds = bl_alloc((size_t)steps * sizeof *seconds);
    int status = seconds ? bl_keeper_create(&keeper, (bl_interval){.seconds = 1e9}) : BL_FAILED;
    for (int i = 0; !status && i < PAIRS; i++) status = time_pair(t, optimizer, keeper, path, steps, seconds, &pairs[i]);
    bl_keeper_free(keeper);
    bl_free(seconds);
    unlink(path);
    bl_arena_free(arena);
    qsort(pairs, PAIRS, sizeof *pairs, compare_checkpoints);
    result->checkpoint = pairs[PAIRS / 2];
    return status;
}

static int measure_parts(const timed *t, const bl_cell *cell, const bl_machine *machine, const bl_bench_options *options,
                         bl_bench *result) {
    if (time_nodes(t, options, result) || measure_checkpoint(t, cell->model.optimizer.kind, result) || measure_peak(t->plan->backend, cell, result) ||
        measure_views(cell, 1, &result->views_per_second[0]))
        return BL_FAILED;
    result->views_per_second[1] = result->views_per_second[0];
    return machine->loader_threads > 1 ? measure_views(cell, machine->loader_threads, &result->views_per_second[1]) : BL_OK;
}

// One pass over the steps; of the median, the best and the worst of them.
static int time_pass(const timed *t, int steps, double *seconds, bl_bench *result) {
    if (timed_steps(t, steps, t->ahead, seconds)) return BL_FAILED;
    qsort(seconds, (size_t)steps, sizeof *seconds, compare_doubles);
    result->step_seconds = seconds[steps / 2];
    result->best = t->batch / seconds[0];
    result->worst = t->batch / seconds[steps - 1];
    result->median = t->batch / result->step_seconds;
    double total = 0;
    for (int i = 0; i < steps; i++) total += seconds[i];
    result->mean = t->batch * steps / total;
    return BL_OK;
}

// A pass a turn; one step before it, for whoever had the machine meanwhile had its caches too.
static int take_turns(const timed *t, const bl_bench_options *options, double *seconds, bl_bench *result) {
    const bl_bench *last = NULL;
    while (options->turn(options->context, last)) {
        if (timed_steps(t, 1, 0, seconds) || time_pass(t, options->steps, seconds, result)) return BL_FAILED;
        last = result;
    }
    return last ? BL_OK : bl_fail("no turn was taken: nothing is timed");
}

// The instruction set or the GPU, as the backend describes itself.
static void name_device(const bl_backend *backend, char device[64]) {
    bl_text text = {0};
    backend->table->describe(backend, &text);
    for (char *line = strtok(text.chars, "\n"); line; line = strtok(NULL, "\n"))
        if (!strncmp(line, "instruction set: ", 17) || !strncmp(line, "device: ", 8)) snprintf(device, 64, "%s", strchr(line, ':') + 2);
    bl_text_free(&text);
}

// The warm-up, then one pass or the turns; what the plan holds.
static int time_step(const timed *t, const bl_bench_options *options, bl_bench *result) {
    const bl_backend_table *table = t->plan->backend->table;
    const int warmup = options->warmup + (table->is_asynchronous ? BL_STAGING_SLOTS : 0); // what is replayed is recorded once a slot
    double *seconds = bl_alloc((size_t)(options->steps + warmup) * sizeof *seconds);
    bl_plan_report report;
    struct rusage usage;
    int status = BL_FAILED;
    if (!seconds || fill_slots(t) || timed_steps(t, warmup, t->ahead, seconds) ||
        (options->turn ? take_turns(t, options, seconds, result) : time_pass(t, options->steps, seconds, result)))
        goto done;
    for (int i = 0; i < t->step->graph->node_count; i++) result->gflop += node_flop(t->step->graph->nodes[i]) / 1e9;
    table->report(t->plan, &report);
    name_device(t->plan->backend, result->device);
    result->batch = t->batch;
    result->arena_bytes = report.arena_bytes;
    result->packed_bytes = report.packed_bytes;
    result->staging_bytes = report.staging_bytes;
    if (getrusage(RUSAGE_SELF, &usage) == 0) result->process_bytes = (size_t)usage.ru_maxrss * 1024;
    status = BL_OK;
done:
    bl_free(seconds);
    return status;
}

static int open_backend(bl_backend **backend, const bl_machine *machine) {
    const bl_backend_options open = {.threads = machine->threads, .isa = machine->isa, .eager = machine->eager};
    return bl_backend_open(backend, machine->backend, &open);
}

int bl_bench_run(const bl_cell *cell, const bl_machine *machine, const bl_bench_options *options, bl_bench *result) {
    bl_backend *backend = NULL;
    bl_model model = {0};
    bl_cell alone = *cell; // without evaluations: their plan would only take memory
    alone.evaluation_count = 0;
    alone.save_features = false;
    int status = BL_FAILED;
    *result = (bl_bench){0};
    if (open_backend(&backend, machine) || bl_model_create(&model, backend, &alone, 0)) goto done;
    const timed t = {.step = &model.step,
                     .store = model.store,
                     .plan = model.training,
                     .learning_rate = cell->train.schedule.base,
                     .tau = cell->model.method.tau,
                     .batch = cell->train.batch,
                     .ahead = backend->table->is_asynchronous && cell->train.accumulate == 1,
                     .classes = 1}; // there whatever the data set
    if (time_step(&t, options, result) || measure_collapse(&model, cell->train.collapse_every, &result->collapse_seconds) ||
        (options->nodes && measure_parts(&t, cell, machine, options, result)))
        goto done;
    status = BL_OK;
done:
    bl_model_free(&model);
    bl_backend_close(backend);
    return status;
}

static int build_fit(bl_step_graph *step, bl_layout *layout, const bl_cell *cell, const bl_evaluation *row) {
    if (row->kind == BL_PROTOCOL_SEGMENTATION) {
        const bl_segmentation_options network = bl_segmentation_of(cell, &row->fit);
        return bl_segmentation_build(step, layout, &network, row->fit.batch, row->segmentation.crop, row->segmentation.crop);
    }
    const bl_classifier_options network = bl_classifier_of(cell, row);
    return bl_classifier_build(step, layout, &network, row->fit.batch);
}

int bl_bench_fit(const bl_cell *cell, const bl_evaluation *row, const bl_machine *machine, const bl_bench_options *options, bl_bench *result) {
    const bl_fit_options *fit = &row->fit;
    bl_tensor *watch[BL_WATCHED];
    bl_backend *backend = NULL;
    bl_layout *layout = NULL;
    bl_step_graph step = {0};
    bl_store *store = NULL;
    bl_plan *plan = NULL;
    int status = BL_FAILED;
    *result = (bl_bench){0};
    if (open_backend(&backend, machine) || bl_layout_create(&layout) || build_fit(&step, layout, cell, row) ||
        bl_store_create(backend, layout, &store) || bl_store_initialize(store, 0, false))
        goto done;
    const bl_compile_options compile = {.accumulate = 1,
                                        .watch = watch,
                                        .watch_count = bl_loop_watch(&step, watch),
                                        .tf32 = cell->train.precision == BL_PRECISION_TF32 && row->kind != BL_PROTOCOL_LINEAR,
                                        .batch = fit->batch,
                                        .batch_key = row->kind == BL_PROTOCOL_SEGMENTATION ? "segmentation.batch" : row->kind == BL_PROTOCOL_LINEAR ? "linear.batch" : "finetune.batch"};
    if (bl_plan_compile(store, step.graph, &compile, &plan)) goto done;
    const timed t = {.step = &step,
                     .store = store,
                     .plan = plan,
                     .learning_rate = fit->learning_rates[0],
                     .batch = fit->batch,
                     .ahead = backend->table->is_asynchronous,
                     .classes = bl_cell_classes(cell)};
    if (time_step(&t, options, result) || (options->nodes && (time_nodes(&t, options, result) || measure_peak(backend, cell, result))))
        goto done;
    status = BL_OK;
done:
    bl_plan_free(plan);
    bl_store_free(store);
    bl_graph_free(step.graph);
    bl_layout_free(layout);
    bl_backend_close(backend);
    return status;
}
