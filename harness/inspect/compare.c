#include "inspect/compare.h"

#include <math.h>

#include "backends/isolate.h"  // bl_isolate_compare
#include "backends/registry.h" // bl_backend_open
#include "base/random.h"       // bl_random_stream
#include "graph/op.h"          // bl_op_rules
#include "train/model.h"       // bl_model_build_step

// What the host writes before a step: an ordinary moment of training.
static const struct {
    bl_scalar scalar;
    double value;
} scalars[] = {{BL_SCALAR_STEP, 1}, {BL_SCALAR_LEARNING_RATE, 0.05}, {BL_SCALAR_TAU, 0.99}};

typedef struct side { // one backend with its store
    bl_backend *backend;
    bl_store *store;
} side;

typedef struct comparison {
    const bl_comparison *asked;
    bl_layout *layout;
    bl_step_graph step;
    side right, judged;
    double *images, *labels; // labels: NULL where the step has none
} comparison;

static int open_side(side *s, const comparison *c, const char *name) {
    if (bl_backend_open(&s->backend, name, &c->asked->machine)) return BL_FAILED;
    if (bl_store_create(s->backend, c->layout, &s->store)) return BL_FAILED;
    if (bl_store_initialize(s->store, c->asked->seed, c->asked->cell->model.method.target_init == BL_TARGET_COPY)) return BL_FAILED;
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
        if (bl_store_scalar(s->store, scalars[i].scalar, scalars[i].value)) return BL_FAILED;
    return BL_OK;
}

static double *draw_images(const bl_tensor *images, uint64_t seed) {
    const int64_t count = bl_shape_count(&images->shape);
    double *values = bl_alloc((size_t)count * sizeof *values);
    if (!values) return NULL;
    bl_random random = bl_random_stream(seed, "compare/images", 0, 0, 0);
    for (int64_t i = 0; i < count; i++) values[i] = bl_round_to(images->dtype, bl_random_normal(&random));
    return values;
}

// Class numbers in turn; every fourth row has none.
static double *draw_labels(const bl_step_graph *step) {
    const int64_t count = bl_shape_count(&step->labels->shape), classes = step->logits->shape.dims[1];
    double *values = bl_alloc((size_t)count * sizeof *values);
    for (int64_t i = 0; values && i < count; i++) values[i] = i % 4 == 3 ? -1 : (double)(i % classes);
    return values;
}

static int begin(comparison *c) {
    if (bl_layout_create(&c->layout)) return BL_FAILED;
    if (bl_model_build_step(&c->step, c->layout, c->asked->cell)) return BL_FAILED;
    if (open_side(&c->right, c, c->asked->right) || open_side(&c->judged, c, c->asked->judged)) return BL_FAILED;
    c->images = draw_images(c->step.images, c->asked->seed);
    if (c->step.labels) c->labels = draw_labels(&c->step);
    return c->images && (c->labels || !c->step.labels) ? BL_OK : BL_FAILED;
}

static void end(comparison *c) {
    bl_free(c->images);
    bl_free(c->labels);
    bl_store_free(c->right.store);
    bl_store_free(c->judged.store);
    bl_backend_close(c->right.backend);
    bl_backend_close(c->judged.backend);
    bl_graph_free(c->step.graph);
    bl_layout_free(c->layout);
}

// ---- isolated ----

typedef struct op_summary {
    int nodes;         // results compared
    double worst;      // largest nmse as a part of its limit
    double nmse, limit;
    const char *tensor;
} op_summary;

typedef struct isolated {
    op_summary ops[BL_OP_COUNT][2]; // by dtype
    bl_text failures;
    bool pass;
} isolated;

static int note(void *context, const bl_difference *d) {
    isolated *all = context;
    if (d->refused) {
        bl_text_add(&all->failures, "%s cannot run: %s\n", d->node->name, d->refused);
        all->pass = false;
        return BL_OK;
    }
    const double limit = bl_isolate_limit(d->node), part = d->nmse / limit;
    op_summary *op = &all->ops[d->node->op][bl_isolate_dtype(d->node)];
    if (!op->nodes++ || part > op->worst) *op = (op_summary){op->nodes, part, d->nmse, limit, d->tensor->name};
    if (part <= 1) return BL_OK;
    bl_text_add(&all->failures, "%s %s: squared relative error %.2e, at most %.0e; worst at value %lld: %.9g should be %.9g\n",
                bl_op_rules[d->node->op]->name, d->tensor->name, d->nmse, limit, (long long)d->worst, d->actual, d->expected);
    all->pass = false;
    return BL_OK;
}

static void print_isolated(const isolated *all, bl_text *table) {
    bl_text_add(table, "%-30s %-5s %7s %28s %9s  %-5s %s\n", "operator", "dtype", "results", "worst squared relative error", "limit", "", "worst at");
    for (int op = 0; op < BL_OP_COUNT; op++)
        for (int dtype = 0; dtype < 2; dtype++) {
            const op_summary *s = &all->ops[op][dtype];
            if (!s->nodes) continue;
            bl_text_add(table, "%-30s %-5s %7d %28.2e %9.0e  %-5s %s\n", bl_op_rules[op]->name, bl_dtype_name((bl_dtype)dtype), s->nodes,
                        s->nmse, s->limit, s->worst <= 1 ? "pass" : "FAIL", s->tensor);
        }
    if (all->failures.size) bl_text_add(table, "\n%s", all->failures.chars);
}

static int compare_isolated(comparison *c, bl_text *table, bool *pass) {
    const bl_graph *graph = c->step.graph;
    double **values = bl_alloc((size_t)graph->tensor_count * sizeof *values);
    if (!values) return BL_FAILED;
    values[c->step.images->id] = c->images;
    if (c->step.labels) values[c->step.labels->id] = c->labels;
    isolated all = {.pass = true};
    const int status = bl_isolate_compare(c->right.backend, c->judged.backend, c->right.store, graph, values, note, &all);
    if (!status) print_isolated(&all, table);
    *pass = all.pass;
    bl_text_free(&all.failures);
    for (int i = 0; i < graph->tensor_count; i++)
        if (values[i] != c->images && values[i] != c->labels) bl_free(values[i]);
    bl_free(values);
    return status;
}

// ---- chained ----

// Reads a tensor's value after the step from either side.
static int read_tensor(const bl_plan *plan, const bl_tensor *tensor, double *dst) {
    return tensor->role == BL_ROLE_STORED ? bl_store_read(plan->store, tensor->place, dst) : bl_plan_read(plan, tensor, dst);
}

static int print_chained(const bl_graph *graph, const bl_plan *right, const bl_plan *judged, bl_text *table, bool *pass) {
    bl_text_add(table, "%-60s %-5s %22s\n", "tensor", "dtype", "squared relative error");
    for (int i = 0; i < graph->tensor_count; i++) {
        const bl_tensor *tensor = graph->tensors[i];
        if (tensor->role == BL_ROLE_INPUT) continue;
        const int64_t count = bl_shape_count(&tensor->shape);
        double *expected = bl_alloc((size_t)count * sizeof *expected), *actual = bl_alloc((size_t)count * sizeof *actual);
        const int status = !expected || !actual || read_tensor(right, tensor, expected) || read_tensor(judged, tensor, actual);
        if (!status) {
            const double nmse = bl_nmse(expected, actual, count, 0, NULL);
            for (int64_t k = 0; k < count; k++) *pass = *pass && isfinite(actual[k]);
            bl_text_add(table, "%-60s %-5s %22.2e\n", tensor->name, bl_dtype_name(tensor->dtype), nmse);
        }
        bl_free(expected);
        bl_free(actual);
        if (status) return BL_FAILED;
    }
    return BL_OK;
}

static int run_freely(const comparison *c, const side *s, bl_plan **plan) {
    const bl_compile_options options = {.accumulate = 1, .observe_all = true, .tf32 = c->asked->cell->train.precision == BL_PRECISION_TF32};
    if (bl_plan_compile(s->store, c->step.graph, &options, plan)) return BL_FAILED;
    if (bl_plan_write(*plan, c->step.images, c->images)) return BL_FAILED;
    if (c->labels && bl_plan_write(*plan, c->step.labels, c->labels)) return BL_FAILED;
    return bl_plan_step(*plan, 0, BL_PHASE_BEGIN | BL_PHASE_MICRO | BL_PHASE_UPDATE);
}

static int compare_chained(comparison *c, bl_text *table, bool *pass) {
    bl_plan *right = NULL, *judged = NULL;
    *pass = true;
    int status = BL_FAILED;
    if (!run_freely(c, &c->right, &right) && !run_freely(c, &c->judged, &judged))
        status = print_chained(c->step.graph, right, judged, table, pass);
    bl_plan_free(right);
    bl_plan_free(judged);
    return status;
}

int bl_compare(const bl_comparison *asked, bl_text *table, bool *pass) {
    comparison c = {.asked = asked};
    *pass = false;
    int status = begin(&c);
    if (!status) status = asked->mode == BL_COMPARE_ISOLATED ? compare_isolated(&c, table, pass) : compare_chained(&c, table, pass);
    end(&c);
    return status;
}
