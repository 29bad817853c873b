#include "inspect/hours.h"

#include <string.h>

#include "datasets/dataset.h"
#include "experiment/cell.h" // bl_cell_steps, bl_fit_steps
#include "experiment/protocol_facts.h"
#include "inspect/bench.h"

enum { WARM_UP = 2, STEPS = 6 };
static const bl_bench_options options = {.steps = STEPS, .warmup = WARM_UP};

static int64_t scenes_of(const bl_dataset *dataset) {
    const bl_scenes *scenes = bl_dataset_labelled(dataset);
    return scenes ? bl_scenes_count(scenes) : 0;
}

static int64_t count_training(const bl_cell *cell, const bl_dataset *dataset) {
    const int64_t steps = bl_cell_steps(cell), update = (int64_t)cell->train.batch * cell->train.accumulate;
    if (steps >= 0 || !dataset) return steps;
    return cell->train.steps ? cell->train.steps : bl_dataset_count(dataset, BL_TRAIN) / update * cell->train.epochs;
}

static int64_t count_fit(const bl_cell *cell, const bl_evaluation *row, const bl_dataset *dataset) {
    const bl_fit_options *fit = &row->fit;
    const int64_t labels = bl_cell_labels(cell, row, fit->share), all = dataset ? scenes_of(dataset) : 0;
    const int64_t steps = bl_fit_steps(fit, labels >= 0 ? labels : (int64_t)((double)all * fit->share / 100));
    return steps * (fit->rate_count > 1 ? fit->rate_count + 1 : 1);
}

static bool learns_on_images(const bl_evaluation *row) {
    return row->kind == BL_PROTOCOL_SEGMENTATION || row->kind == BL_PROTOCOL_FINETUNE || (row->kind == BL_PROTOCOL_LINEAR && !row->linear.cached);
}

static bool is_same_step(const bl_evaluation *a, const bl_evaluation *b) {
    return a->kind == b->kind && a->fit.batch == b->fit.batch && a->fit.frozen == b->fit.frozen && a->segmentation.crop == b->segmentation.crop &&
           a->finetune.hidden == b->finetune.hidden;
}

static int add_fits(const bl_cell *cell, const bl_machine *machine, const bl_dataset *dataset, bl_hours *hours) {
    const bl_evaluation *timed = NULL;
    bl_bench bench = {0};
    for (int i = 0; i < cell->evaluation_count; i++) { // rows of one entry stand together
        const bl_evaluation *row = &cell->evaluations[i];
        if (!learns_on_images(row)) continue;
        if ((!timed || !is_same_step(timed, row)) && bl_bench_fit(cell, row, machine, &options, &bench)) return BL_FAILED;
        timed = row;
        const int64_t steps = count_fit(cell, row, dataset);
        hours->fit_steps += steps;
        hours->fit_count += row->fit.rate_count > 1 ? row->fit.rate_count + 1 : 1;
        hours->fits += (double)steps * bench.step_seconds / 3600;
    }
    return BL_OK;
}

static bool is_told(const bl_cell *cell) {
    bool told = bl_cell_steps(cell) >= 0;
    for (int i = 0; i < cell->evaluation_count; i++)
        if (learns_on_images(&cell->evaluations[i])) told = told && bl_cell_labels(cell, &cell->evaluations[i], 100) >= 0;
    return told;
}

int bl_hours_of(const bl_cell *cell, const bl_machine *machine, bl_hours *hours) {
    bl_dataset *dataset = NULL;
    bl_bench bench;
    *hours = (bl_hours){0};
    int status = is_told(cell) ? BL_OK : bl_dataset_open(&dataset, &cell->data);
    if (!status) hours->training_steps = count_training(cell, dataset);
    if (!status) status = bl_bench_run(cell, machine, &options, &bench);
    if (!status) hours->training = (double)hours->training_steps * cell->train.accumulate * bench.step_seconds / 3600;
    if (!status) status = add_fits(cell, machine, dataset, hours);
    bl_dataset_close(dataset);
    return status;
}
