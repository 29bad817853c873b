// knn.c - see knn.h. Similarities come from blocked products of l2-normalised rows; every dot product adds its terms in the
// order of the columns, wherever its rows lie in a block, so equal rows have equal similarities and no result depends on the
// thread count.

#include "protocols/knn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/stop.h" // bl_stop_here

enum {
    LANES = 8,                  // floats of one vector
    PANEL = 2 * LANES,          // bank rows that one kernel call meets, stored column by column
    GROUP = 6,                  // queries of one kernel call: 12 sums fit the 16 registers of AVX2
    TASK_ROWS = 10 * GROUP,     // queries of one task
    CACHED_BYTES = 384 * 1024,  // of panels that stay in the second-level cache while a task's groups pass over them
};
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

typedef struct neighbour {
    float similarity;
    int64_t row; // in the bank
} neighbour;

typedef struct knn_search {
    const float *panels;        // bank: panels of PANEL rows, [width][PANEL] each, the last one padded with zeros
    const uint8_t *bank_labels;
    int64_t bank_rows;
    const float *queries;       // normalised, padded with zero rows to a whole group
    const uint8_t *query_labels;
    int64_t query_rows;
    int width, classes, k;
    double temperature;
    int64_t *correct;           // of each task
} knn_search;

// ---- rows ----

// 1 / |row|; 0 for a row of zeros, which then resembles nothing.
static double inverse_norm(const float *row, int width) {
    double square = 0;
    for (int i = 0; i < width; i++) square += (double)row[i] * row[i];
    return square > 0 ? 1 / sqrt(square) : 0;
}

static int64_t round_up(int64_t count, int64_t step) { return (count + step - 1) / step * step; }

// `rows` chooses rows of `features` in order; NULL takes all.
static int64_t chosen(const int64_t *rows, int64_t i) { return rows ? rows[i] : i; }

static float *pack_queries(const bl_features *features, const int64_t *rows, int64_t count) {
    const int width = features->width;
    float *packed = bl_alloc((size_t)round_up(count, GROUP) * (size_t)width * sizeof *packed);
    if (!packed) return NULL;
    for (int64_t i = 0; i < count; i++) {
        const float *row = features->values + chosen(rows, i) * width;
        const double scale = inverse_norm(row, width);
        for (int d = 0; d < width; d++) packed[i * width + d] = (float)(row[d] * scale);
    }
    return packed;
}

static float *pack_bank(const bl_features *features, const int64_t *rows, int64_t count) {
    const int width = features->width;
    float *packed = bl_alloc((size_t)round_up(count, PANEL) * (size_t)width * sizeof *packed);
    if (!packed) return NULL;
    for (int64_t i = 0; i < count; i++) {
        const float *row = features->values + chosen(rows, i) * width;
        const double scale = inverse_norm(row, width);
        float *panel = packed + i / PANEL * PANEL * width + i % PANEL;
        for (int d = 0; d < width; d++) panel[d * PANEL] = (float)(row[d] * scale);
    }
    return packed;
}

static uint8_t *pick_labels(const bl_features *features, const int64_t *rows, int64_t count) {
    uint8_t *labels = bl_alloc((size_t)count);
    for (int64_t i = 0; labels && i < count; i++) labels[i] = features->labels[chosen(rows, i)];
    return labels;
}

static int check_features(const bl_features *features, const char *what) {
    if (features->rows < 1 || features->width < 1) return bl_fail("k-NN: the %s is empty", what);
    for (int64_t i = 0; i < features->rows; i++) {
        if (features->labels[i] >= features->classes)
            return bl_fail("k-NN: label %d of row %lld of the %s is not below %d", features->labels[i], (long long)i, what,
                           features->classes);
        for (int d = 0; d < features->width; d++)
            if (!isfinite(features->values[i * features->width + d]))
                return bl_fail("k-NN: feature %d of row %lld of the %s is not finite", d, (long long)i, what);
    }
    return BL_OK;
}

// ---- similarity ----

// out[q][b] = dot(query q, panel row b) for GROUP queries and one panel.
static void multiply(const float *queries, const float *panel, int width, float out[GROUP][PANEL]) {
    lanes sums[GROUP][2] = {0};
    for (int d = 0; d < width; d++) {
        const lanes *bank = (const lanes *)(const void *)(panel + (int64_t)d * PANEL);
        const lanes low = bank[0], high = bank[1];
        for (int q = 0; q < GROUP; q++) {
            const float value = queries[(int64_t)q * width + d];
            sums[q][0] += low * value;
            sums[q][1] += high * value;
        }
    }
    memcpy(out, sums, sizeof sums);
}

// ---- the k nearest: a heap whose root is the worst kept, the less similar or, at a tie, the later ----

static bool is_worse(neighbour a, neighbour b) { return a.similarity < b.similarity || (a.similarity == b.similarity && a.row > b.row); }

static void replace_worst(neighbour *heap, int k, neighbour item) {
    int at = 0;
    for (;;) {
        int worst = 2 * at + 1;
        if (worst >= k) break;
        if (worst + 1 < k && is_worse(heap[worst + 1], heap[worst])) worst++;
        if (!is_worse(heap[worst], item)) break;
        heap[at] = heap[worst];
        at = worst;
    }
    heap[at] = item;
}

// Rows arrive in their order, so an equal similarity never displaces one that is kept.
static void keep_nearest(neighbour *heap, int k, const float *similarities, int64_t first_row, int count) {
    for (int b = 0; b < count; b++)
        if (similarities[b] > heap->similarity) replace_worst(heap, k, (neighbour){similarities[b], first_row + b});
}

static int nearest_first(const void *a, const void *b) {
    const neighbour *left = a, *right = b;
    return is_worse(*left, *right) ? 1 : -1;
}

static int vote(const knn_search *search, neighbour *nearest, double *votes) {
    qsort(nearest, (size_t)search->k, sizeof *nearest, nearest_first); // one order of adding weights
    memset(votes, 0, (size_t)search->classes * sizeof *votes);
    for (int i = 0; i < search->k; i++) {
        // Weights relative to the nearest one's: the same winner, and no overflow at a low temperature.
        const double distance = (double)nearest[i].similarity - nearest[0].similarity;
        votes[search->bank_labels[nearest[i].row]] += search->temperature > 0 ? exp(distance / search->temperature) : 1;
    }
    int winner = 0;
    for (int c = 1; c < search->classes; c++)
        if (votes[c] > votes[winner]) winner = c;
    return winner;
}

// The queries of one task meet the bank, a cached piece of it at a time.
static int search_task(void *context, int index) {
    const knn_search *search = context;
    const int k = search->k, width = search->width;
    const int64_t first = (int64_t)index * TASK_ROWS;
    const int64_t rows = search->query_rows - first < TASK_ROWS ? search->query_rows - first : TASK_ROWS;
    const int64_t panels = (search->bank_rows + PANEL - 1) / PANEL;
    int64_t piece = CACHED_BYTES / ((int64_t)width * PANEL * (int64_t)sizeof(float));
    if (piece < 1) piece = 1;
    int status = BL_FAILED;
    neighbour *heaps = bl_alloc((size_t)rows * (size_t)k * sizeof *heaps);
    double *votes = bl_alloc((size_t)search->classes * sizeof *votes);
    if (!heaps || !votes) goto done;
    for (int64_t i = 0; i < rows * k; i++) heaps[i] = (neighbour){-INFINITY, INT64_MAX};
    for (int64_t from = 0; from < panels; from += piece) {
        const int64_t to = from + piece < panels ? from + piece : panels;
        if (bl_stop_here()) goto done;
        for (int64_t group = 0; group < rows; group += GROUP) {
            const int group_rows = (int)(rows - group < GROUP ? rows - group : GROUP);
            for (int64_t panel = from; panel < to; panel++) {
                const int64_t bank_row = panel * PANEL;
                const int count = (int)(search->bank_rows - bank_row < PANEL ? search->bank_rows - bank_row : PANEL);
                float similarities[GROUP][PANEL];
                multiply(search->queries + (first + group) * width, search->panels + bank_row * width, width, similarities);
                for (int q = 0; q < group_rows; q++) keep_nearest(heaps + (group + q) * k, k, similarities[q], bank_row, count);
            }
        }
    }
    for (int64_t i = 0; i < rows; i++) search->correct[index] += vote(search, heaps + i * k, votes) == search->query_labels[first + i];
    status = BL_OK;
done:
    bl_free(heaps);
    bl_free(votes);
    return status;
}

// Accuracy of the chosen queries against the chosen bank rows.
static int accuracy_of(const bl_features *bank, const int64_t *bank_rows, int64_t bank_count, const bl_features *queries,
                       const int64_t *query_rows, int64_t query_count, int k, double temperature, bl_pool *pool, double *accuracy) {
    if (k < 1 || k > bank_count) return bl_fail("k-NN: k = %d neighbours of %lld rows; write k from 1 to %lld", k, (long long)bank_count,
                                                (long long)bank_count);
    int status = BL_FAILED;
    const int tasks = (int)((query_count + TASK_ROWS - 1) / TASK_ROWS);
    float *panels = pack_bank(bank, bank_rows, bank_count);
    float *packed_queries = pack_queries(queries, query_rows, query_count);
    uint8_t *bank_labels = pick_labels(bank, bank_rows, bank_count);
    uint8_t *query_labels = pick_labels(queries, query_rows, query_count);
    int64_t *correct = bl_alloc((size_t)tasks * sizeof *correct);
    if (!panels || !packed_queries || !bank_labels || !query_labels || !correct) goto done;
    knn_search search = {.panels = panels, .bank_labels = bank_labels, .bank_rows = bank_count, .queries = packed_queries,
                         .query_labels = query_labels, .query_rows = query_count, .width = bank->width, .classes = bank->classes, .k = k,
                         .temperature = temperature, .correct = correct};
    if (bl_pool_run(pool, tasks, search_task, &search)) goto done;
    int64_t total = 0;
    for (int i = 0; i < tasks; i++) total += correct[i];
    *accuracy = (double)total / (double)query_count;
    status = BL_OK;
done:
    bl_free(panels);
    bl_free(packed_queries);
    bl_free(bank_labels);
    bl_free(query_labels);
    bl_free(correct);
    return status;
}

int bl_knn_accuracy(const bl_features *bank, const bl_features *queries, int k, double temperature, bl_pool *pool, double *accuracy) {
    if (check_features(bank, "bank") || check_features(queries, "query set")) return BL_FAILED;
    if (bank->width != queries->width)
        return bl_fail("k-NN: queries have %d features, the bank has %d", queries->width, bank->width);
    return accuracy_of(bank, NULL, bank->rows, queries, NULL, queries->rows, k, temperature, pool, accuracy);
}

// scikit-learn's StratifiedKFold._make_test_folds: classes are numbered by first appearance; the rows sorted by that number are
// dealt to the folds in turn, which fixes how many of a class each fold tests; a class's rows then fill the folds in order.
int bl_stratified_folds(const uint8_t *labels, int64_t rows, int classes, int folds, uint8_t *fold) {
    if (folds < 2 || folds > 255) return bl_fail("k-NN: %d folds; write 2 to 255", folds);
    int number[256], found = 0;      // class -> order of appearance
    int64_t count[256] = {0};        // by order of appearance
    for (int c = 0; c < 256; c++) number[c] = -1;
    for (int64_t i = 0; i < rows; i++) {
        if (labels[i] >= classes) return bl_fail("k-NN: label %d of row %lld is not below %d", labels[i], (long long)i, classes);
        if (number[labels[i]] < 0) number[labels[i]] = found++;
        count[number[labels[i]]]++;
    }
    int64_t largest = 0;
    for (int c = 0; c < found; c++) largest = count[c] > largest ? count[c] : largest;
    if (folds > largest) return bl_fail("k-NN: %d folds, but no class has more than %lld rows", folds, (long long)largest);

    int64_t left[256][255] = {{0}};  // rows of a class that a fold still takes
    for (int64_t c = 0, dealt = 0; c < found; c++)
        for (int64_t i = 0; i < count[c]; i++) left[c][dealt++ % folds]++;
    int filling[256] = {0};          // the fold that a class fills
    for (int64_t i = 0; i < rows; i++) {
        const int c = number[labels[i]];
        while (!left[c][filling[c]]) filling[c]++;
        left[c][filling[c]]--;
        fold[i] = (uint8_t)filling[c];
    }
    return BL_OK;
}

int bl_knn_cross_validation(const bl_features *features, int k, double temperature, int folds, bl_pool *pool, double *accuracy) {
    if (check_features(features, "set")) return BL_FAILED;
    int status = BL_FAILED;
    uint8_t *fold = bl_alloc((size_t)features->rows);
    int64_t *inside = bl_alloc((size_t)features->rows * sizeof *inside), *outside = bl_alloc((size_t)features->rows * sizeof *outside);
    if (!fold || !inside || !outside || bl_stratified_folds(features->labels, features->rows, features->classes, folds, fold)) goto done;
    double sum = 0;
    for (int f = 0; f < folds; f++) {
        int64_t tested = 0, known = 0;
        for (int64_t i = 0; i < features->rows; i++) {
            if (fold[i] == f) inside[tested++] = i;
            else outside[known++] = i;
        }
        double of_fold = 0;
        if (accuracy_of(features, outside, known, features, inside, tested, k, temperature, pool, &of_fold)) goto done;
        sum += of_fold;
    }
    *accuracy = sum / folds; // of the folds' accuracies, as cross_val_score's mean, not of the pooled rows
    status = BL_OK;
done:
    bl_free(fold);
    bl_free(inside);
    bl_free(outside);
    return status;
}
