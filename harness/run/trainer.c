#include "run/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"        // bl_lock_try, bl_seconds
#include "datasets/loader.h"  // bl_loader
#include "run/checkpoint.h"   // bl_checkpoint_write
#include "run/evaluate.h"     // bl_evaluate

typedef struct trainer { // one run in progress
    const bl_run_request *request;
    const bl_cell *cell;
    const char *path, *checkpoint_path;
    bl_dataset *dataset;
    bl_backend *backend;
    bl_pool *pool;
    bl_model model;
    bl_evaluator evaluator;
    bl_identity identity;
    bl_history history;
    bl_progress progress;
    bl_loader *loader;
    uint32_t *order[2];      // of an even and an odd epoch: the prefetch may stand in the next one
    int64_t order_epoch[2];  // which epoch each holds; -1: none
    int64_t micros_submitted, micros_done;
    int64_t steps_per_epoch, steps;
    double speed;            // images a second, smoothed
    int64_t resumed_from;
} trainer;

const char *bl_run_path(bl_arena *arena, const bl_experiment *experiment, const bl_cell *cell, uint64_t seed, const char *results_folder) {
    return bl_arena_format(arena, "%s/%s/%s/seed-%" PRIu64 ".%s.h5", results_folder, experiment->study, cell->name, seed,
                           experiment->machine.backend);
}

static void emit(trainer *t, bl_event event) {
    event.cell = t->cell->name;
    event.seed = t->request->seed;
    event.epochs = t->cell->train.epochs;
    event.steps = t->steps;
    event.step = t->progress.step;
    event.path = t->path;
    event.resumed_from = t->resumed_from;
    event.seconds = t->progress.seconds;
    event.images_per_second = t->speed;
    const double images_left = (double)(t->steps - t->progress.step) * t->cell->train.batch * t->cell->train.accumulate;
    event.seconds_left = t->speed > 0 ? images_left / t->speed : 0;
    if (t->request->sink.event) t->request->sink.event(t->request->sink.context, &event);
}

static void on_measured(void *context, const bl_measurement *measurement) {
    emit(context, (bl_event){.kind = BL_EVENT_EVALUATION, .epoch = measurement->epoch, .measurement = measurement});
}

// ---- batches ----

static const uint32_t *epoch_order(trainer *t, int64_t epoch) {
    const int parity = (int)(epoch % 2);
    if (t->order_epoch[parity] != epoch) {
        bl_epoch_order(t->request->seed, (uint32_t)epoch, t->cell->train.shuffle, t->order[parity],
                       (uint32_t)bl_dataset_count(t->dataset, BL_TRAIN));
        t->order_epoch[parity] = epoch;
    }
    return t->order[parity];
}

// Lends the next free slot to the loader. Batches count on over epochs; what is left of an epoch after its last whole step is dropped.
static int submit_micro(trainer *t) {
    const bl_train_options *train = &t->cell->train;
    const int64_t micro = t->micros_submitted, a_epoch = t->steps_per_epoch * train->accumulate;
    const int64_t epoch = micro / a_epoch, first = micro % a_epoch * train->batch;
    const int slot = (int)(micro % BL_STAGING_SLOTS);
    float *host;
    if (bl_plan_slot(t->model.training, slot, t->model.step.images, &host) ||
        bl_loader_submit(t->loader, slot, epoch_order(t, epoch) + first, train->batch, (uint32_t)epoch, host))
        return BL_FAILED;
    t->micros_submitted++;
    return BL_OK;
}

static int keep_ahead(trainer *t) {
    const int64_t end = t->steps * t->cell->train.accumulate;
    while (t->micros_submitted < end && t->micros_submitted < t->micros_done + BL_STAGING_SLOTS)
        if (submit_micro(t)) return BL_FAILED;
    return BL_OK;
}

// ---- one step ----

static int refuse_not_finite(trainer *t, int slot) {
    float *host;
    const char *name;
    if (bl_plan_slot(t->model.training, slot, t->model.step.images, &host) || bl_model_first_bad(&t->model, host, &name)) return BL_FAILED;
    return bl_fail("%s: step %" PRId64 " is not finite, first in '%s'; no update was made. A lower learning rate or a warm-up is the "
                   "usual remedy",
                   t->path, t->progress.step, name ? name : "the gradients");
}

static int read_scalar(const bl_plan *plan, const bl_tensor *tensor, double *value) {
    return bl_plan_read(plan, tensor, value);
}

static int set_scalars(trainer *t, bl_step_row *row) {
    const bl_train_options *train = &t->cell->train;
    const int64_t warmup = (int64_t)llround(train->warmup_epochs * (double)t->steps_per_epoch);
    row->learning_rate = bl_learning_rate(train->schedule, train->learning_rate, t->progress.step, t->steps, warmup);
    row->tau = bl_tau(train->tau_schedule, train->tau, t->progress.step, t->steps);
    if (bl_store_scalar(t->model.store, BL_SCALAR_STEP, (double)(t->progress.step + 1)) ||
        bl_store_scalar(t->model.store, BL_SCALAR_LEARNING_RATE, row->learning_rate))
        return BL_FAILED;
    return bl_store_scalar(t->model.store, BL_SCALAR_TAU, row->tau);
}

static int log_step(trainer *t, bl_step_row *row) {
    row->step = t->progress.step;
    row->epoch = (double)t->progress.step / (double)t->steps_per_epoch;
    const double first = t->history.step_count ? t->history.steps[0].std : row->std;
    row->std_ratio = first > 0 ? row->std / first : 0;
    if (row->step % t->cell->train.log_every && row->step != t->steps - 1) return BL_OK;
    return bl_history_add_step(&t->history, row);
}

// `row` describes the network before the update: its first one is the untrained network.
static int step(trainer *t, bl_step_row *row) {
    const int accumulate = t->cell->train.accumulate;
    double finite, loss = 0, std = 0;
    int slot = 0;
    if (set_scalars(t, row)) return BL_FAILED;
    for (int micro = 0; micro < accumulate; micro++) {
        double part_loss, part_std;
        slot = (int)(t->micros_done % BL_STAGING_SLOTS);
        const unsigned phases = BL_PHASE_MICRO | (micro == accumulate - 1 ? BL_PHASE_UPDATE : 0);
        if (keep_ahead(t) || bl_loader_wait(t->loader, slot) || bl_plan_step(t->model.training, slot, phases) ||
            read_scalar(t->model.training, t->model.step.loss, &part_loss) || read_scalar(t->model.training, t->model.step.std, &part_std))
            return BL_FAILED;
        loss += part_loss / accumulate;
        std += part_std / accumulate;
        t->micros_done++;
    }
    if (bl_store_read(t->model.store, (bl_place){BL_SCALAR_NETWORK, BL_PARAMETERS, BL_SCALAR_FINITE}, &finite)) return BL_FAILED;
    if (finite != 1 || !isfinite(loss)) return refuse_not_finite(t, slot);
    row->loss = loss;
    row->std = std;
    if (log_step(t, row)) return BL_FAILED;
    t->progress.step++;
    return BL_OK;
}

// ---- the run ----

static int write_checkpoint(trainer *t, const char *path) {
    return bl_checkpoint_write(path, &t->identity, t->request, &t->model, &t->progress, &t->history);
}

static int finish_epoch(trainer *t) {
    const int epoch = (int)(t->progress.step / t->steps_per_epoch);
    if (bl_evaluate(&t->evaluator, epoch, &t->history)) return BL_FAILED;
    for (int i = 0; i < t->cell->save_checkpoint_count; i++)
        if (t->cell->save_checkpoints[i] == epoch) {
            bl_text path = {0};
            bl_text_add(&path, "%.*s.epoch-%d.ckpt", (int)strlen(t->path) - 3, t->path, epoch); // without ".h5"
            const int status = write_checkpoint(t, path.chars);
            bl_text_free(&path);
            if (status) return BL_FAILED;
        }
    emit(t, (bl_event){.kind = BL_EVENT_EPOCH, .epoch = epoch});
    return BL_OK;
}

static int train(trainer *t) {
    const int64_t stop = t->request->stop_after && t->request->stop_after < t->steps ? t->request->stop_after : t->steps;
    const int images = t->cell->train.batch * t->cell->train.accumulate;
    if (t->progress.step % t->steps_per_epoch == 0 && bl_evaluate(&t->evaluator, (int)(t->progress.step / t->steps_per_epoch), &t->history))
        return BL_FAILED;
    while (t->progress.step < stop) {
        bl_step_row row = {0};
        const double start = bl_seconds();
        if (step(t, &row)) return BL_FAILED;
        const double seconds = bl_seconds() - start, speed = images / seconds;
        t->progress.seconds += seconds;
        t->speed = t->speed > 0 ? 0.95 * t->speed + 0.05 * speed : speed;
        emit(t, (bl_event){.kind = BL_EVENT_STEP, .epoch = (int)((t->progress.step - 1) / t->steps_per_epoch) + 1, .scalars = &row});
        if (t->progress.step % t->steps_per_epoch == 0 && finish_epoch(t)) return BL_FAILED;
        if (t->progress.step % t->cell->train.checkpoint_every == 0 && t->progress.step < t->steps && write_checkpoint(t, t->checkpoint_path))
            return BL_FAILED;
    }
    return BL_OK;
}

static int prepare_batches(trainer *t) {
    const int64_t count = bl_dataset_count(t->dataset, BL_TRAIN);
    for (int i = 0; i < 2; i++) {
        t->order_epoch[i] = -1;
        if (!(t->order[i] = bl_alloc((size_t)count * sizeof **t->order))) return BL_FAILED;
    }
    t->micros_submitted = t->micros_done = t->progress.step * t->cell->train.accumulate;
    return bl_loader_create(&t->loader, t->dataset, BL_TRAIN, t->cell->views, BL_VIEWS, t->request->seed,
                            t->request->experiment->machine.loader_threads, BL_STAGING_SLOTS);
}

static int train_and_save(trainer *t) {
    bool found = false;
    if (bl_checkpoint_read(t->checkpoint_path, &t->identity, t->request, &t->model, &t->progress, &t->history, &found)) return BL_FAILED;
    t->resumed_from = t->progress.step;
    emit(t, (bl_event){.kind = BL_EVENT_BEGIN});
    if (prepare_batches(t) || train(t)) return BL_FAILED;
    if (t->progress.step < t->steps) return BL_OK; // stopped early, as asked
    if (bl_run_file_write(t->path, &t->identity, t->request, &t->evaluator, &t->progress, &t->history)) return BL_FAILED;
    unlink(t->checkpoint_path); // the run file holds all that is worth keeping
    emit(t, (bl_event){.kind = BL_EVENT_END, .epoch = t->cell->train.epochs});
    return BL_OK;
}

// A finished run: measure what its file lacks at the last epoch, from its own weights.
static int evaluate_finished(trainer *t, bl_run_reader *reader) {
    if (bl_run_file_restore(t->path, reader, &t->model, &t->progress)) return BL_FAILED;
    if (bl_evaluate(&t->evaluator, t->cell->train.epochs, &t->history)) return BL_FAILED;
    return bl_run_file_write(t->path, &t->identity, t->request, &t->evaluator, &t->progress, &t->history);
}

static int open_run(trainer *t, bl_arena *arena) {
    const bl_machine *machine = &t->request->experiment->machine;
    const bl_backend_options options = {.threads = machine->threads, .isa = machine->isa};
    if (bl_dataset_open(&t->dataset, &t->cell->data)) return BL_FAILED;
    t->steps_per_epoch = bl_dataset_count(t->dataset, BL_TRAIN) / ((int64_t)t->cell->train.batch * t->cell->train.accumulate);
    t->steps = t->steps_per_epoch * t->cell->train.epochs;
    if (!t->steps_per_epoch)
        return bl_fail("cell %s: a step takes %d images, the train split has %" PRId64 "; lower train.batch", t->cell->name,
                       t->cell->train.batch * t->cell->train.accumulate, bl_dataset_count(t->dataset, BL_TRAIN));
    if (bl_backend_open(&t->backend, machine->backend, &options) || bl_pool_create(&t->pool, machine->threads) ||
        bl_model_create(&t->model, t->backend, t->cell, t->request->seed))
        return BL_FAILED;
    bl_identity_of(&t->identity, arena, t->request, t->backend, t->dataset);
    t->evaluator = (bl_evaluator){&t->model, t->cell, t->dataset, t->pool, machine->loader_threads, on_measured, t};
    return BL_OK;
}

static void close_run(trainer *t) {
    bl_loader_free(t->loader);
    bl_free(t->order[0]);
    bl_free(t->order[1]);
    bl_model_free(&t->model);
    bl_pool_free(t->pool);
    bl_backend_close(t->backend);
    bl_dataset_close(t->dataset);
    bl_history_free(&t->history);
}

// Everything under the run's lock.
static int run_locked(trainer *t, bl_arena *arena) {
    bl_run_reader *reader = NULL;
    int status = BL_FAILED;
    if (bl_file_exists(t->path)) {
        if (bl_run_reader_open(&reader, t->path) || bl_identity_check(t->request, reader, t->path) || bl_history_get(&t->history, reader))
            goto done;
        if (bl_is_evaluated(t->cell, t->cell->train.epochs, &t->history)) {
            emit(t, (bl_event){.kind = BL_EVENT_SKIPPED});
            status = BL_OK;
            goto done;
        }
    } else if (t->request->evaluate_only) {
        bl_fail("%s: not finished, so there is nothing to evaluate; `byolab run` first", t->path);
        goto done;
    }
    if (open_run(t, arena)) goto done;
    status = reader ? evaluate_finished(t, reader) : train_and_save(t);
done:
    bl_run_reader_close(reader);
    close_run(t);
    return status;
}

int bl_run(const bl_run_request *request) {
    bl_arena *arena = bl_arena_create();
    trainer t = {.request = request, .cell = request->cell};
    t.path = bl_run_path(arena, request->experiment, request->cell, request->seed, request->results_folder);
    t.checkpoint_path = bl_arena_format(arena, "%.*s.ckpt", (int)strlen(t.path) - 3, t.path); // without ".h5"
    const char *lock_path = bl_arena_format(arena, "%s.lock", t.path);
    const char *folder = bl_arena_format(arena, "%.*s", (int)(strrchr(t.path, '/') - t.path), t.path);
    bl_lock lock;
    bool held = false;
    int status = BL_FAILED;
    if (bl_make_folders(folder) || bl_lock_try(&lock, lock_path, &held)) goto done;
    if (!held) {
        emit(&t, (bl_event){.kind = BL_EVENT_BUSY});
        status = BL_OK;
        goto done;
    }
    status = run_locked(&t, arena);
    unlink(lock_path);
    bl_lock_release(&lock);
done:
    bl_arena_free(arena);
    return status;
}
