// logistic.c - see logistic.h. Limited-memory BFGS (Liu & Nocedal 1989; Nocedal & Wright, "Numerical Optimization", algorithms 7.4
// and 7.5) with a line search for the strong Wolfe conditions. The objective is convex, which the line search makes use of.
//
// Inside, the unknowns are one vector, [width + 1][padded classes]: a row for each feature and one for the intercepts, so that all
// classes of a feature are neighbours. The rows are cut into a fixed number of blocks whose sums are added in order.

#include "protocols/logistic.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/stop.h" // bl_stop_here

enum {
    LANES = 4,               // doubles of one vector
    VECTORS = 3,
    GROUP = LANES * VECTORS, // classes of one kernel call: with ROWS rows its sums fill 12 registers
    ROWS = 4,                // images of one kernel call
    BLOCKS = 16,             // of rows; more threads than this do not help
    MEMORY = 10,             // pairs that L-BFGS remembers
    TRIALS = 30,             // of one line search
};
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

static int padded(int classes) { return (classes + GROUP - 1) / GROUP * GROUP; }

static const float *row_of(const bl_features *features, const uint32_t *chosen, int64_t i) {
    return features->values + (chosen ? chosen[i] : i) * (int64_t)features->width;
}
static int label_of(const bl_features *features, const uint32_t *chosen, int64_t i) { return features->labels[chosen ? chosen[i] : i]; }

// ---- the kernels: ROWS images and GROUP classes at once ----

// out[r] = W x_r + b for the padded classes.
static void multiply(const float *const rows[ROWS], const double *unknowns, int width, int pad, double *out) {
    for (int c = 0; c < pad; c += GROUP) {
        lanes sums[ROWS][VECTORS];
        const lanes *intercepts = (const lanes *)(const void *)(unknowns + (int64_t)width * pad + c);
        for (int r = 0; r < ROWS; r++)
            for (int v = 0; v < VECTORS; v++) sums[r][v] = intercepts[v];
        for (int d = 0; d < width; d++) {
            const lanes *weights = (const lanes *)(const void *)(unknowns + (int64_t)d * pad + c);
            for (int r = 0; r < ROWS; r++) {
                const double x = rows[r][d];
                for (int v = 0; v < VECTORS; v++) sums[r][v] += weights[v] * x;
            }
        }
        for (int r = 0; r < ROWS; r++) memcpy(out + (int64_t)r * pad + c, sums[r], sizeof sums[r]);
    }
}

// gradient += x_r residual_r, of weights and intercepts.
static void add_products(const float *const rows[ROWS], const double *residuals, int width, int pad, double *gradient) {
    for (int c = 0; c < pad; c += GROUP) {
        lanes residual[ROWS][VECTORS];
        for (int r = 0; r < ROWS; r++) memcpy(residual[r], residuals + (int64_t)r * pad + c, sizeof residual[r]);
        for (int d = 0; d < width; d++) {
            lanes *sums = (lanes *)(void *)(gradient + (int64_t)d * pad + c);
            for (int v = 0; v < VECTORS; v++) {
                lanes sum = sums[v];
                for (int r = 0; r < ROWS; r++) sum += residual[r][v] * (double)rows[r][d];
                sums[v] = sum;
            }
        }
        lanes *sums = (lanes *)(void *)(gradient + (int64_t)width * pad + c);
        for (int v = 0; v < VECTORS; v++)
            for (int r = 0; r < ROWS; r++) sums[v] += residual[r][v];
    }
}

// ---- the objective ----

typedef struct problem {
    const bl_features *features;
    const uint32_t *chosen;
    int64_t count;      // rows
    int classes, pad, width;
    int64_t size;       // unknowns, padding included
    double l2;
    bl_pool *pool;
    const float *zeros; // stands for rows past the last
    const double *at;   // the unknowns that are asked about
    double *gradients;  // [BLOCKS][size]
    double *scratch;    // [BLOCKS][ROWS][pad]
    double losses[BLOCKS];
    int64_t correct[BLOCKS];
} problem;

static int64_t block_start(const problem *p, int block) { return p->count * block / BLOCKS; }

static int gather_rows(const problem *p, int64_t first, int64_t end, const float *rows[ROWS]) {
    for (int r = 0; r < ROWS; r++) rows[r] = first + r < end ? row_of(p->features, p->chosen, first + r) : p->zeros;
    return (int)(end - first < ROWS ? end - first : ROWS);
}

// Turns a row's logits into d loss / d logits; its loss is returned. What is padding becomes 0.
static double to_residual(const problem *p, double *logits, int label) {
    double largest = logits[0], sum = 0;
    for (int c = 1; c < p->classes; c++) largest = logits[c] > largest ? logits[c] : largest;
    const double own = logits[label] - largest;
    for (int c = 0; c < p->classes; c++) sum += logits[c] = exp(logits[c] - largest);
    for (int c = 0; c < p->classes; c++) logits[c] /= sum;
    for (int c = p->classes; c < p->pad; c++) logits[c] = 0;
    logits[label] -= 1;
    return log(sum) - own;
}

static int block_gradient(void *context, int block) {
    problem *p = context;
    double *gradient = p->gradients + block * p->size, *logits = p->scratch + (int64_t)block * ROWS * p->pad;
    const int64_t end = block_start(p, block + 1);
    memset(gradient, 0, (size_t)p->size * sizeof *gradient);
    p->losses[block] = 0;
    for (int64_t i = block_start(p, block); i < end; i += ROWS) {
        const float *rows[ROWS];
        const int real = gather_rows(p, i, end, rows);
        multiply(rows, p->at, p->width, p->pad, logits);
        for (int r = 0; r < real; r++)
            p->losses[block] += to_residual(p, logits + (int64_t)r * p->pad, label_of(p->features, p->chosen, i + r));
        memset(logits + (int64_t)real * p->pad, 0, (size_t)(ROWS - real) * (size_t)p->pad * sizeof *logits);
        add_products(rows, logits, p->width, p->pad, gradient);
    }
    return BL_OK;
}

static int evaluate(problem *p, const double *unknowns, double *gradient, double *value) {
    const int64_t weights = (int64_t)p->width * p->pad;
    double loss = 0, square = 0;
    p->at = unknowns;
    if (bl_stop_here() || bl_pool_run(p->pool, BLOCKS, block_gradient, p)) return BL_FAILED;
    memset(gradient, 0, (size_t)p->size * sizeof *gradient);
    for (int block = 0; block < BLOCKS; block++) {
        const double *part = p->gradients + block * p->size;
        for (int64_t i = 0; i < p->size; i++) gradient[i] += part[i];
        loss += p->losses[block];
    }
    for (int64_t i = 0; i < p->size; i++) gradient[i] /= (double)p->count;
    for (int64_t i = 0; i < weights; i++) {
        gradient[i] += p->l2 * unknowns[i];
        square += unknowns[i] * unknowns[i];
    }
    *value = loss / (double)p->count + p->l2 / 2 * square;
    return BL_OK;
}

// ---- L-BFGS ----

static double dot(const double *a, const double *b, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < size; i++) sum += a[i] * b[i];
    return sum;
}
static void add_scaled(double *to, double scale, const double *from, int64_t size) {
    for (int64_t i = 0; i < size; i++) to[i] += scale * from[i];
}
static double largest_entry(const double *values, int64_t size) {
    double largest = 0;
    for (int64_t i = 0; i < size; i++) largest = fmax(largest, fabs(values[i]));
    return largest;
}

typedef struct solver {
    double *memory;                                  // of everything below
    double *x, *gradient, *next, *next_gradient, *direction;
    double *moved[MEMORY], *turned[MEMORY];          // pairs: x' - x, gradient' - gradient
    double inverse[MEMORY];                          // 1 / (moved . turned)
    int pairs, newest;                               // pairs held; where the newest one is
    double value;
} solver;

static int solver_create(solver *s, int64_t size) {
    *s = (solver){.newest = -1};
    if (!(s->memory = bl_alloc((size_t)(5 + 2 * MEMORY) * (size_t)size * sizeof *s->memory))) return BL_FAILED;
    double *at = s->memory, **const arrays[] = {&s->x, &s->gradient, &s->next, &s->next_gradient, &s->direction};
    for (int i = 0; i < 5; i++, at += size) *arrays[i] = at;
    for (int i = 0; i < MEMORY; i++, at += 2 * size) {
        s->moved[i] = at;
        s->turned[i] = at + size;
    }
    return BL_OK;
}

// -H gradient by the two loops (algorithm 7.4).
static void find_direction(solver *s, int64_t size) {
    double alpha[MEMORY];
    for (int64_t i = 0; i < size; i++) s->direction[i] = -s->gradient[i];
    for (int k = 0; k < s->pairs; k++) {
        const int j = (s->newest - k + MEMORY) % MEMORY;
        alpha[j] = s->inverse[j] * dot(s->moved[j], s->direction, size);
        add_scaled(s->direction, -alpha[j], s->turned[j], size);
    }
    if (!s->pairs) return;
    const double scale = 1 / (s->inverse[s->newest] * dot(s->turned[s->newest], s->turned[s->newest], size));
    for (int64_t i = 0; i < size; i++) s->direction[i] *= scale;
    for (int k = s->pairs - 1; k >= 0; k--) {
        const int j = (s->newest - k + MEMORY) % MEMORY;
        add_scaled(s->direction, alpha[j] - s->inverse[j] * dot(s->turned[j], s->direction, size), s->moved[j], size);
    }
}

typedef struct trial { // a point on the line
    double step, value, slope;
} trial;

// Where the cubic through both ends, with their slopes, is least; kept off the ends.
static double between(trial low, trial high) {
    const double length = high.step - low.step, d = low.slope + high.slope - 3 * (high.value - low.value) / length;
    const double square = d * d - low.slope * high.slope;
    double part = .5;
    if (square >= 0) {
        const double root = sqrt(square);
        part = 1 - (high.slope + root - d) / (high.slope - low.slope + 2 * root);
    }
    if (!(part >= .1)) part = .1; // also where it is no number
    if (part > .9) part = .9;
    return low.step + part * length;
}

// Leaves the point that was found in next, next_gradient. On a convex line the strong Wolfe conditions hold somewhere between a
// point that still falls steeply and one that is too high or rises. *found false: rounding leaves no such point.
static int search_line(problem *p, solver *s, double step, double *value, bool *found) {
    const double slope = dot(s->gradient, s->direction, p->size), rounding = 8 * DBL_EPSILON * fmax(1, fabs(s->value));
    trial low = {0, s->value, slope}, high = {0};
    *found = false;
    for (int i = 0; i < TRIALS; i++) {
        memcpy(s->next, s->x, (size_t)p->size * sizeof *s->next);
        add_scaled(s->next, step, s->direction, p->size);
        if (evaluate(p, s->next, s->next_gradient, value)) return BL_FAILED;
        const trial here = {step, *value, dot(s->next_gradient, s->direction, p->size)};
        if (!(here.value <= s->value + 1e-4 * step * slope + rounding)) {
            high = here;
        } else if (fabs(here.slope) <= .9 * fabs(slope)) {
            *found = true;
            return BL_OK;
        } else if (here.slope > 0) {
            high = here;
        } else {
            low = here;
        }
        step = high.step > 0 ? between(low, high) : 4 * step;
    }
    return BL_OK;
}

static void remember(solver *s, int64_t size) {
    const int j = (s->newest + 1) % MEMORY;
    for (int64_t i = 0; i < size; i++) {
        s->moved[j][i] = s->next[i] - s->x[i];
        s->turned[j][i] = s->next_gradient[i] - s->gradient[i];
    }
    const double curvature = dot(s->moved[j], s->turned[j], size);
    if (!(curvature > DBL_EPSILON * dot(s->turned[j], s->turned[j], size))) return; // lost in rounding: keep the old pairs
    s->inverse[j] = 1 / curvature;
    s->newest = j;
    if (s->pairs < MEMORY) s->pairs++;
}

static void swap(double **a, double **b) {
    double *kept = *a;
    *a = *b;
    *b = kept;
}

static int minimise(problem *p, solver *s, bl_logistic *model, int iterations, double tolerance) {
    if (evaluate(p, s->x, s->gradient, &s->value)) return BL_FAILED;
    for (model->iterations = 0;; model->iterations++) {
        model->converged = largest_entry(s->gradient, p->size) < tolerance;
        if (model->converged || model->iterations == iterations) return BL_OK;
        find_direction(s, p->size);
        double value;
        bool found;
        if (search_line(p, s, s->pairs ? 1 : 1 / fmax(1, sqrt(dot(s->gradient, s->gradient, p->size))), &value, &found)) return BL_FAILED;
        if (!found && s->pairs) { // along a remembered direction: once more without memory
            s->pairs = 0;
            continue;
        }
        if (!found) return BL_OK;
        remember(s, p->size);
        swap(&s->x, &s->next);
        swap(&s->gradient, &s->next_gradient);
        s->value = value;
    }
}

// ---- the model ----

static int check(const bl_logistic *model, const bl_features *features, const uint32_t *chosen, int64_t count) {
    const char *const who = "logistic regression";
    if (count < 1 || features->width < 1) return bl_fail("%s: there are no rows", who);
    if (model->weights && (model->classes != features->classes || model->width != features->width))
        return bl_fail("%s: a model of %d classes and %d features meets %d classes and %d features", who, model->classes, model->width,
                       features->classes, features->width);
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = chosen ? chosen[i] : i;
        if (row >= features->rows) return bl_fail("%s: row %" PRId64 " of %" PRId64 " is chosen", who, row, features->rows);
        if (features->labels[row] >= features->classes)
            return bl_fail("%s: label %d of row %" PRId64 " is not below %d", who, features->labels[row], row, features->classes);
        for (int d = 0; d < features->width; d++)
            if (!isfinite(features->values[row * features->width + d]))
                return bl_fail("%s: feature %d of row %" PRId64 " is not finite", who, d, row);
    }
    return BL_OK;
}

static int check_classes(const bl_features *features, const uint32_t *chosen, int64_t count) {
    bool seen[256] = {false};
    for (int64_t i = 0; i < count; i++) seen[label_of(features, chosen, i)] = true;
    for (int c = 0; c < features->classes; c++)
        if (!seen[c]) return bl_fail("logistic regression: class %d has no row to fit", c);
    return BL_OK;
}

static int problem_create(problem *p, const bl_features *features, const uint32_t *chosen, int64_t count, double l2, bl_pool *pool) {
    const int pad = padded(features->classes);
    *p = (problem){.features = features, .chosen = chosen, .count = count, .classes = features->classes, .pad = pad,
                   .width = features->width, .size = (int64_t)(features->width + 1) * pad, .l2 = l2, .pool = pool};
    p->zeros = bl_alloc((size_t)p->width * sizeof *p->zeros);
    p->scratch = bl_alloc((size_t)BLOCKS * ROWS * (size_t)pad * sizeof *p->scratch);
    return p->zeros && p->scratch ? BL_OK : BL_FAILED;
}

static void problem_free(problem *p) {
    bl_free((void *)p->zeros);
    bl_free(p->scratch);
    bl_free(p->gradients);
}

static void to_unknowns(const bl_logistic *model, int pad, double *unknowns) {
    for (int c = 0; c < model->classes; c++) {
        for (int d = 0; d < model->width; d++) unknowns[(int64_t)d * pad + c] = model->weights[(int64_t)c * model->width + d];
        unknowns[(int64_t)model->width * pad + c] = model->intercepts[c];
    }
}

static void from_unknowns(bl_logistic *model, int pad, const double *unknowns) {
    for (int c = 0; c < model->classes; c++) {
        for (int d = 0; d < model->width; d++) model->weights[(int64_t)c * model->width + d] = unknowns[(int64_t)d * pad + c];
        model->intercepts[c] = unknowns[(int64_t)model->width * pad + c];
    }
}

static int model_create(bl_logistic *model, const bl_features *features) {
    if (model->weights) return BL_OK;
    model->classes = features->classes;
    model->width = features->width;
    model->weights = bl_alloc((size_t)model->classes * (size_t)model->width * sizeof *model->weights);
    model->intercepts = bl_alloc((size_t)model->classes * sizeof *model->intercepts);
    return model->weights && model->intercepts ? BL_OK : BL_FAILED;
}

int bl_logistic_fit(bl_logistic *model, const bl_features *features, const uint32_t *chosen, int64_t count, double l2, int iterations,
                    double tolerance, bl_pool *pool) {
    problem p = {0};
    solver s = {0};
    int status = BL_FAILED;
    if (check(model, features, chosen, count) || check_classes(features, chosen, count)) return BL_FAILED;
    if (problem_create(&p, features, chosen, count, l2, pool) || model_create(model, features) || solver_create(&s, p.size)) goto done;
    if (!(p.gradients = bl_alloc((size_t)BLOCKS * (size_t)p.size * sizeof *p.gradients))) goto done;
    to_unknowns(model, p.pad, s.x);
    if (minimise(&p, &s, model, iterations, tolerance)) goto done;
    from_unknowns(model, p.pad, s.x);
    status = BL_OK;
done:
    problem_free(&p);
    bl_free(s.memory);
    return status;
}

void bl_logistic_free(bl_logistic *model) {
    bl_free(model->weights);
    bl_free(model->intercepts);
    *model = (bl_logistic){0};
}

static int block_correct(void *context, int block) {
    problem *p = context;
    double *logits = p->scratch + (int64_t)block * ROWS * p->pad;
    const int64_t end = block_start(p, block + 1);
    for (int64_t i = block_start(p, block); i < end; i += ROWS) {
        const float *rows[ROWS];
        const int real = gather_rows(p, i, end, rows);
        multiply(rows, p->at, p->width, p->pad, logits);
        for (int r = 0; r < real; r++) {
            int winner = 0;
            for (int c = 1; c < p->classes; c++)
                if (logits[r * p->pad + c] > logits[r * p->pad + winner]) winner = c;
            p->correct[block] += winner == label_of(p->features, p->chosen, i + r);
        }
    }
    return BL_OK;
}

int bl_logistic_accuracy(const bl_logistic *model, const bl_features *features, const uint32_t *chosen, int64_t count, bl_pool *pool,
                         double *accuracy) {
    problem p = {0};
    double *unknowns = NULL;
    int64_t correct = 0;
    int status = BL_FAILED;
    if (check(model, features, chosen, count)) return BL_FAILED;
    if (problem_create(&p, features, chosen, count, 0, pool) || !(unknowns = bl_alloc((size_t)p.size * sizeof *unknowns))) goto done;
    to_unknowns(model, p.pad, unknowns);
    p.at = unknowns;
    if (bl_pool_run(pool, BLOCKS, block_correct, &p)) goto done;
    for (int block = 0; block < BLOCKS; block++) correct += p.correct[block];
    *accuracy = (double)correct / (double)count;
    status = BL_OK;
done:
    problem_free(&p);
    bl_free(unknowns);
    return status;
}
