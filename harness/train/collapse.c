// collapse.c - see collapse.h. All in f64 and in one order: the same numbers whatever the threads.

#include "train/collapse.h"

#include <dlfcn.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/memory.h" // bl_alloc

enum {
    LANES = 8,           // columns of a tile of products, and partial sums of a distance: what vectors hold
    TILE_ROWS = 4,
    PANEL = 64,          // rows of a batch whose products are taken at a time: they stay in the cache
    ROWS_PER_CHANNEL = 8,
};

static const double norm_floor = 1e-8;    // as in the loss: a row of zeros stays zeros
static const double rankme_added = 1e-7; // Garrido et al. 2023, equation 1

struct bl_collapse {
    int64_t rows;       // of a batch: both views
    int width, padded;  // padded: to whole tiles; columns from `width` on stay 0
    int every;
    int64_t gathered;   // rows behind the moments; 0: no window is open
    bl_collapse_row opening;
    double *pivot;      // [padded] mean of the opening batch: moments around it lose no digits to a large mean
    double *sums;       // [padded] of rows - pivot
    double *products;   // [padded, padded] of (rows - pivot)^T (rows - pivot); the tiles on and above the diagonal
    double *scratch;    // [rows, padded]
};

int bl_collapse_create(bl_collapse **out, int64_t rows, int width, int every) {
    bl_collapse *collapse = bl_alloc(sizeof *collapse);
    if (!collapse) return BL_FAILED;
    const int padded = (width + LANES - 1) / LANES * LANES;
    *collapse = (bl_collapse){.rows = rows, .width = width, .padded = padded, .every = every};
    collapse->pivot = bl_alloc((size_t)padded * sizeof(double));
    collapse->sums = bl_alloc((size_t)padded * sizeof(double));
    collapse->products = bl_alloc((size_t)padded * (size_t)padded * sizeof(double));
    collapse->scratch = bl_alloc((size_t)rows * (size_t)padded * sizeof(double));
    if (!collapse->pivot || !collapse->sums || !collapse->products || !collapse->scratch) {
        bl_collapse_free(collapse);
        return BL_FAILED;
    }
    *out = collapse;
    return BL_OK;
}

void bl_collapse_free(bl_collapse *collapse) {
    if (!collapse) return;
    bl_free(collapse->pivot);
    bl_free(collapse->sums);
    bl_free(collapse->products);
    bl_free(collapse->scratch);
    bl_free(collapse);
}

bool bl_collapse_wants(const bl_collapse *collapse, int64_t step) { return collapse->gathered > 0 || step % collapse->every == 0; }

// ---- what is judged of one batch ----

double bl_alignment(const double *x, const double *y, int64_t count, int width) {
    double sum = 0;
    for (int64_t i = 0; i < count * width; i++) sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sum / (double)count;
}

// In LANES partial sums: one sum in order would be a chain that no compiler may break up.
static double squared_distance(const double *restrict a, const double *restrict b, int width) {
    double partial[LANES] = {0}, sum = 0;
    int c = 0;
    for (; c + LANES <= width; c += LANES)
        for (int l = 0; l < LANES; l++) partial[l] += (a[c + l] - b[c + l]) * (a[c + l] - b[c + l]);
    for (; c < width; c++) sum += (a[c] - b[c]) * (a[c] - b[c]);
    for (int l = 0; l < LANES; l++) sum += partial[l];
    return sum;
}

// Mean of exp(-2 |x - y|^2) over the pairs of different rows.
static double mean_potential(const double *values, int64_t count, int width) {
    double sum = 0;
    if (count < 2) return 1;
    for (int64_t i = 1; i < count; i++)
        for (int64_t k = 0; k < i; k++) sum += exp(-2 * squared_distance(values + i * width, values + k * width, width));
    return sum / ((double)count * (double)(count - 1) / 2);
}

double bl_uniformity(const double *values, int64_t count, int width) { return log(mean_potential(values, count, width)); }

static double norm_of(const double *row, int width) {
    double sum = 0;
    for (int c = 0; c < width; c++) sum += row[c] * row[c];
    return sqrt(sum);
}

static double mean_norm(const double *values, int64_t count, int width) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += norm_of(values + i * width, width);
    return sum / (double)count;
}

// Sum over the channels of the biased variance: 1 - mean cosine, where the rows have norm 1. `mean` is [width].
static double total_variance(const double *values, int64_t count, int width, double *mean) {
    double sum = 0;
    memset(mean, 0, (size_t)width * sizeof *mean);
    for (int64_t i = 0; i < count; i++)
        for (int c = 0; c < width; c++) mean[c] += values[i * width + c];
    for (int c = 0; c < width; c++) mean[c] /= (double)count;
    for (int64_t i = 0; i < count; i++) sum += squared_distance(values + i * width, mean, width);
    return sum / (double)count;
}

static void measure_batch(bl_collapse *collapse, const double *projection, const double *prediction, bl_collapse_row *row) {
    enum { VIEWS = 2 };
    const int width = collapse->width;
    const int64_t images = collapse->rows / VIEWS, pairs = images < BL_UNIFORMITY_ROWS ? images : BL_UNIFORMITY_ROWS;
    double *const unit = collapse->scratch, *const mean = collapse->sums; // both are written afterwards
    for (int64_t i = 0; i < collapse->rows; i++) {
        const double scale = 1 / fmax(norm_of(projection + i * width, width), norm_floor);
        for (int c = 0; c < width; c++) unit[i * width + c] = projection[i * width + c] * scale;
    }
    double variance = 0, potential = 0;
    for (int view = 0; view < VIEWS; view++) {
        const double *values = unit + view * images * width;
        variance += total_variance(values, images, width, mean) / VIEWS;
        potential += mean_potential(values, pairs, width) / VIEWS;
    }
    row->std = sqrt(variance);
    row->mean_cosine = 1 - variance;
    row->alignment = bl_alignment(unit, unit + images * width, images, width);
    row->uniformity = log(potential);
    row->norm = mean_norm(projection, collapse->rows, width);
    row->prediction_norm = mean_norm(prediction, collapse->rows, width);
}

// ---- ranks of a window ----

double bl_entropy_rank(const double *spectrum, int count, double added) {
    double sum = 0, entropy = 0;
    for (int i = 0; i < count; i++) sum += fmax(spectrum[i], 0); // an eigenvalue below 0 is rounding
    if (sum == 0) return 1;
    for (int i = 0; i < count; i++) {
        const double p = fmax(spectrum[i], 0) / sum + added;
        if (p > 0) entropy -= p * log(p);
    }
    return exp(entropy);
}

// Where LAPACK stands on OpenBLAS, its result would depend on the number of its threads (0.3.21: the last digits of a 256 x 256
// matrix's eigenvalues differ between one thread and two), and they would spin beside ours.
static void hold_blas_to_one_thread(void) {
    void (*set_threads)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
    if (set_threads) set_threads(1);
}

int bl_eigenvalues(double *matrix, int n, double *values) {
    hold_blas_to_one_thread();
    const lapack_int info = LAPACKE_dsyev(LAPACK_COL_MAJOR, 'N', 'L', n, matrix, n, values);
    if (info) return bl_fail("the eigenvalues of a %d x %d matrix were not found (LAPACK's dsyev: %d)", n, n, (int)info);
    return BL_OK;
}

static void add_products(const double *restrict x, int64_t rows, int padded, double *restrict products) {
    for (int i = 0; i < padded; i += TILE_ROWS)
        for (int j = i / LANES * LANES; j < padded; j += LANES) {
            double tile[TILE_ROWS][LANES] = {0};
            for (int64_t r = 0; r < rows; r++) {
                const double *restrict left = x + r * padded + i, *restrict right = x + r * padded + j;
                for (int a = 0; a < TILE_ROWS; a++)
                    for (int b = 0; b < LANES; b++) tile[a][b] += left[a] * right[b];
            }
            for (int a = 0; a < TILE_ROWS; a++)
                for (int b = 0; b < LANES; b++) products[(int64_t)(i + a) * padded + j + b] += tile[a][b];
        }
}

static void open_window(bl_collapse *collapse, const double *projection) {
    const int width = collapse->width;
    const size_t channels = (size_t)collapse->padded;
    memset(collapse->pivot, 0, channels * sizeof(double));
    memset(collapse->sums, 0, channels * sizeof(double));
    memset(collapse->products, 0, channels * channels * sizeof(double));
    for (int64_t i = 0; i < collapse->rows; i++)
        for (int c = 0; c < width; c++) collapse->pivot[c] += projection[i * width + c];
    for (int c = 0; c < width; c++) collapse->pivot[c] /= (double)collapse->rows;
}

static void gather(bl_collapse *collapse, const double *projection) {
    const int width = collapse->width, padded = collapse->padded;
    for (int64_t i = 0; i < collapse->rows; i++)
        for (int c = 0; c < padded; c++) {
            const double away = c < width ? projection[i * width + c] - collapse->pivot[c] : 0;
            collapse->scratch[i * padded + c] = away;
            collapse->sums[c] += away;
        }
    for (int64_t first = 0; first < collapse->rows; first += PANEL) {
        const int64_t rows = collapse->rows - first < PANEL ? collapse->rows - first : PANEL;
        add_products(collapse->scratch + first * padded, rows, padded, collapse->products);
    }
    collapse->gathered += collapse->rows;
}

// The covariance, or the second moment around 0, and the sum of its diagonal.
static double fill_moment(const bl_collapse *collapse, bool is_centred, double *matrix) {
    const int width = collapse->width;
    const double n = (double)collapse->gathered;
    double trace = 0;
    for (int i = 0; i < width; i++)
        for (int j = i; j < width; j++) {
            const double a = collapse->sums[i] / n, b = collapse->sums[j] / n;
            double value = collapse->products[(int64_t)i * collapse->padded + j] / n - a * b;
            if (!is_centred) value += (collapse->pivot[i] + a) * (collapse->pivot[j] + b);
            matrix[(int64_t)i * width + j] = matrix[(int64_t)j * width + i] = value;
            if (i == j) trace += value;
        }
    return trace;
}

static int measure_window(const bl_collapse *collapse, bl_collapse_row *row) {
    const int width = collapse->width;
    double *matrix = bl_alloc((size_t)width * (size_t)width * sizeof *matrix), *spectrum = bl_alloc((size_t)width * sizeof *spectrum);
    int status = BL_FAILED;
    if (!matrix || !spectrum) goto done;
    const double spread = fill_moment(collapse, true, matrix), power = fill_moment(collapse, false, matrix);
    row->rank = row->rankme = NAN;
    if (isfinite(spread) && isfinite(power)) { // else squares overflowed: LAPACK would not take them
        if (bl_eigenvalues(matrix, width, spectrum)) goto done;
        for (int i = 0; i < width; i++) spectrum[i] = sqrt(fmax(spectrum[i], 0));
        row->rankme = bl_entropy_rank(spectrum, width, rankme_added);
        fill_moment(collapse, true, matrix);
        if (bl_eigenvalues(matrix, width, spectrum)) goto done;
        row->rank = spread <= BL_NO_SPREAD * BL_NO_SPREAD * power ? 1 : bl_entropy_rank(spectrum, width, 0);
    }
    status = BL_OK;
done:
    bl_free(matrix);
    bl_free(spectrum);
    return status;
}

static bool is_finite(const double *values, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

int bl_collapse_observe(bl_collapse *collapse, const bl_step_row *step, const double *projection, const double *prediction, bool *complete,
                        bl_collapse_row *row) {
    const int64_t values = collapse->rows * collapse->width;
    *complete = false;
    if (!is_finite(projection, values) || !is_finite(prediction, values)) {
        *row = (bl_collapse_row){.step = step->step, .epoch = step->epoch, .loss = step->loss, .std = NAN, .std_ratio = NAN,
                                 .mean_cosine = NAN, .rank = NAN, .rankme = NAN, .alignment = NAN, .uniformity = NAN, .norm = NAN,
                                 .prediction_norm = NAN};
        *complete = true;
        collapse->gathered = 0;
        return BL_OK;
    }
    if (!collapse->gathered) {
        collapse->opening = (bl_collapse_row){.step = step->step, .epoch = step->epoch, .loss = step->loss};
        measure_batch(collapse, projection, prediction, &collapse->opening);
        open_window(collapse, projection);
    }
    gather(collapse, projection);
    if (collapse->gathered < (int64_t)ROWS_PER_CHANNEL * collapse->width) return BL_OK;
    *row = collapse->opening;
    if (measure_window(collapse, row)) return BL_FAILED;
    *complete = true;
    collapse->gathered = 0;
    return BL_OK;
}

// ---- the verdict ----

static bool is_row_finite(const bl_collapse_row *row) {
    const double values[] = {row->loss, row->std,       row->std_ratio,  row->mean_cosine, row->rank,
                             row->rankme, row->alignment, row->uniformity, row->norm,        row->prediction_norm};
    return is_finite(values, sizeof values / sizeof values[0]);
}

static bool is_stuck(const bl_collapse_row *rows, int64_t count, double least_loss) {
    if (rows[count - 1].step < BL_STUCK_STEPS) return false;
    for (int64_t i = 1; i < count; i++)
        if (rows[i].loss - least_loss < BL_STUCK_LOSS * (rows[0].loss - least_loss)) return false;
    return true;
}

bl_verdict bl_collapse_judge(const bl_collapse_row *rows, int64_t count, double least_loss) {
    if (!count) return BL_UNDETERMINED;
    const bl_collapse_row *first = &rows[0], *last = &rows[count - 1];
    if (!is_row_finite(last) || (first->norm > 0 && last->norm > BL_DIVERGED_NORM * first->norm)) return BL_DIVERGED;
    if (last->step < BL_JUDGED_STEPS) return BL_UNDETERMINED;
    if (last->std <= BL_NO_SPREAD || last->std_ratio < BL_COLLAPSED_STD) return BL_COLLAPSED;
    if (last->std_ratio < BL_COLLAPSING_STD) return BL_COLLAPSING;
    if (last->rank < 1 + BL_DIMENSIONAL_RANK * (first->rank - 1)) return BL_DIMENSIONAL;
    if (is_stuck(rows, count, least_loss)) return BL_STUCK;
    return BL_HEALTHY;
}

// ---- half a window ----

#define AT "/trainer/collapse/"
enum { OPENING_VALUES = 8 };

int bl_collapse_put(const bl_collapse *collapse, bl_container_writer *writer) {
    const bl_collapse_row *row = &collapse->opening;
    const int64_t padded = collapse->padded, square[] = {padded, padded}, window[] = {row->step, collapse->gathered};
    const double opening[OPENING_VALUES] = {row->epoch,     row->loss,       row->std,  row->mean_cosine,
                                            row->alignment, row->uniformity, row->norm, row->prediction_norm};
    if (!collapse->gathered) return BL_OK;
    if (bl_container_put_i64(writer, AT "window", window, (int64_t[]){2}, 1) ||
        bl_container_put_f64(writer, AT "opening", opening, (int64_t[]){OPENING_VALUES}, 1) ||
        bl_container_put_f64(writer, AT "pivot", collapse->pivot, &padded, 1) || bl_container_put_f64(writer, AT "sums", collapse->sums, &padded, 1))
        return BL_FAILED;
    return bl_container_put_f64(writer, AT "products", collapse->products, square, 2);
}

int bl_collapse_get(bl_collapse *collapse, const bl_container_reader *reader) {
    const int64_t padded = collapse->padded;
    int64_t window[2];
    double opening[OPENING_VALUES];
    collapse->gathered = 0;
    if (!bl_container_has(reader, AT "window")) return BL_OK;
    if (bl_container_read_i64(reader, AT "window", window, 2) || bl_container_read_f64(reader, AT "opening", opening, OPENING_VALUES) ||
        bl_container_read_f64(reader, AT "pivot", collapse->pivot, padded) || bl_container_read_f64(reader, AT "sums", collapse->sums, padded) ||
        bl_container_read_f64(reader, AT "products", collapse->products, padded * padded))
        return BL_FAILED;
    if (window[0] < 0 || window[1] < 1 || window[1] >= (int64_t)ROWS_PER_CHANNEL * collapse->width)
        return bl_container_damaged(reader, AT "window holds step %lld and %lld rows, which is no window that is open", (long long)window[0],
                                    (long long)window[1]);
    collapse->opening = (bl_collapse_row){.step = window[0], .epoch = opening[0], .loss = opening[1], .std = opening[2],
                                          .mean_cosine = opening[3], .alignment = opening[4], .uniformity = opening[5],
                                          .norm = opening[6], .prediction_norm = opening[7]};
    collapse->gathered = window[1];
    return BL_OK;
}
