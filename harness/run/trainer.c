#include "run/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "backends/registry.h"    // bl_backend_open
#include "base/file.h"            // bl_lock_try, bl_seconds
#include "base/stop.h"            // bl_stop_here
#include "datasets/labels.h"      // bl_labels_choose
#include "datasets/view_loader.h" // bl_view_loader_create
#include "experiment/cell.h"       // bl_cell_check_length
#include "experiment/protocol_facts.h"
#include "protocols/arms.h"       // bl_arms_fit
#include "protocols/choice.h"     // bl_shares_fit
#include "protocols/evaluate.h"   // bl_evaluate
#include "record/history_file.h"  // bl_history_get
#include "run/checkpoint.h"       // bl_checkpoint_take
#include "run/longer.h"           // bl_longer
#include "run/unchanged.h"        // bl_data_unchanged
#include "train/loop.h"           // bl_loop
#include "train/still.h"          // bl_still_diagnose

typedef struct trainer { // one run in progress
    const bl_run_request *request;
    const bl_cell *cell;
    const char *path, *checkpoint_path;
    bl_keeper *keeper;
    bl_fit_keeper fits;
    bl_dataset *dataset;
    bl_backend *backend;
    bl_pool *pool;
    bl_model model;
    bl_evaluator evaluator;
    bl_identity identity;
    bl_history history;
    bl_progress progress;
    bl_labelled labelled;      // what a supervised run learns from; empty: all of train
    bl_loader *loader;
    bl_loop *loop;
    bl_collapse *collapse;     // NULL: nothing is diagnosed
    double *projection, *prediction;
    bool is_trained;           // the run file holds it already: evaluations are added
    const char *shorter;       // the kept checkpoint of its recipe with fewer epochs; NULL: there is none
    int shorter_epochs;
    bool grows;                // begins there, and not at a checkpoint that it has left since
    int64_t steps_per_epoch, steps;
    int64_t stop;              // the step that ends this call
    double step_seconds;       // smoothed; 0: none is known
    int64_t resumed_from;
    int64_t kept_step;         // of the last checkpoint; -1: none
    bool is_boundary;          // after the step in hand something is kept or ends
    bl_text said;              // of what was there before, a line each
} trainer;

static void emit(trainer *t, bl_event event) {
    event.cell = t->cell->name;
    event.seed = t->request->key.seed;
    event.epochs = t->cell->train.epochs;
    event.steps = t->steps;
    event.step = t->progress.step;
    event.path = t->path;
    event.resumed_from = t->resumed_from;
    event.seconds = t->progress.seconds;
    if (t->step_seconds > 0) event.images_per_second = t->cell->train.batch * t->cell->train.accumulate / t->step_seconds;
    event.seconds_left = (double)(t->steps - t->progress.step) * t->step_seconds;
    if (t->request->sink.event) t->request->sink.event(t->request->sink.context, &event);
}

// Once.
static void tell(trainer *t) {
    if (t->said.size) emit(t, (bl_event){.kind = BL_EVENT_REMARK, .remarks = t->said.chars});
    bl_text_free(&t->said);
    t->said = (bl_text){0};
}

static bl_verdict verdict_of(const trainer *t) {
    return t->history.collapse_count ? t->history.collapse[t->history.collapse_count - 1].verdict : BL_UNDETERMINED;
}

// Whether the last row is that of the network as it stands.
static bool is_diagnosed(const trainer *t) {
    const int64_t count = t->history.collapse_count;
    return count && t->history.collapse[count - 1].step == t->progress.step;
}

// Twice in a row: a dip at the start of training is normal, and passes.
static bool is_collapsed(const trainer *t) {
    const int64_t count = t->history.collapse_count - is_diagnosed(t); // training stops for what it saw while it trained
    return count > 1 && t->history.collapse[count - 1].verdict == BL_COLLAPSED && t->history.collapse[count - 2].verdict == BL_COLLAPSED;
}

static int write_checkpoint(trainer *t, const char *path) {
    bl_container_writer *snapshot;
    bl_history measured = t->history; // a row in hand is kept with its fit
    if (t->fits.row) {
        measured.look_count = t->fits.first_look;
        measured.picture_count = t->fits.first_picture;
    }
    if (bl_checkpoint_take(&snapshot, &t->identity, &t->request->key, &t->model, &t->progress, t->collapse, &measured)) return BL_FAILED;
    return bl_keeper_write(t->keeper, snapshot, path);
}

static int keep(trainer *t) {
    t->kept_step = t->progress.step;
    return write_checkpoint(t, t->checkpoint_path);
}

// A fit stands on the encoder of its epoch.
static int before_fit_is_kept(void *context) {
    trainer *t = context;
    return t->is_trained || t->kept_step == t->progress.step ? BL_OK : keep(t);
}

static void on_fitting(void *context, int64_t fit_step, int64_t fit_steps) {
    trainer *t = context;
    emit(t, (bl_event){.kind = BL_EVENT_FIT, .epoch = t->progress.epoch, .verdict = verdict_of(t), .row = t->fits.row->row,
                       .fit_step = fit_step, .fit_steps = fit_steps});
}

// A row that took minutes is kept as soon as it is there.
static int on_measured(void *context, const bl_evaluation *row, const bl_measurement *measurement) {
    trainer *t = context;
    emit(t, (bl_event){.kind = BL_EVENT_EVALUATION, .epoch = measurement->epoch, .measurement = measurement, .verdict = verdict_of(t)});
    if (!bl_protocol_facts_of(row->kind)->has_shares) return BL_OK;
    if (t->is_trained) return bl_run_file_write(t->path, &t->identity, &t->request->key, &t->evaluator, &t->progress, &t->history);
    return keep(t);
}

// ---- one step ----

static int refuse_not_finite(trainer *t, int slot) {
    static const char remedy[] = "no update was made. A lower learning rate or a warm-up is the usual remedy";
    const char *name;
    if (bl_model_first_bad(&t->model, slot, &name)) // a plan that keeps every tensor needs more memory than the one that trains
        return bl_fail("%s: step %" PRId64 " is not finite; %s. In which tensor it began is not known: %s", t->path, t->progress.step,
                       remedy, bl_error());
    return bl_fail("%s: step %" PRId64 " is not finite, first in '%s'; %s", t->path, t->progress.step, name ? name : "the gradients", remedy);
}

static int log_step(trainer *t, bl_step_row *row) {
    if (!bl_cell_has_average(t->cell)) row->tau = NAN;
    if (t->model.step.std) {
        const double first = t->history.step_count ? t->history.steps[0].std : row->std;
        row->std_ratio = first > 0 ? row->std / first : 0;
    } else
        row->std = row->std_ratio = NAN; // supervised: nothing is projected
    if (row->step % t->cell->train.log_every && row->step != t->steps - 1) return BL_OK;
    return bl_history_add_step(&t->history, row);
}

// Adds a row, judged by those before it.
static int add_diagnosis(trainer *t, bl_collapse_row *seen) {
    const double least_loss = t->cell->model.method.reduction == BL_REDUCE_HALF ? -1 : 0;
    const double first = t->history.collapse_count ? t->history.collapse[0].std : seen->std;
    seen->std_ratio = first > 0 ? seen->std / first : 0;
    if (bl_history_add_collapse(&t->history, seen)) return BL_FAILED;
    const int64_t count = t->history.collapse_count;
    t->history.collapse[count - 1].verdict = bl_collapse_judge(t->history.collapse, count, least_loss);
    return BL_OK;
}

// The projections of the step that was just made.
static int diagnose(trainer *t, const bl_step_row *row) {
    bl_collapse_row seen;
    bool complete;
    if (!t->collapse || !bl_collapse_wants(t->collapse, row->step)) return BL_OK;
    if (bl_plan_read(t->model.training, t->model.step.projection, t->projection) ||
        bl_plan_read(t->model.training, t->model.step.prediction, t->prediction) ||
        bl_collapse_observe(t->collapse, row, t->projection, t->prediction, &complete, &seen))
        return BL_FAILED;
    return complete ? add_diagnosis(t, &seen) : BL_OK;
}

// `row` describes the network before the update: its first one is the untrained network.
static int step(trainer *t, bl_step_row *row) {
    int bad_slot;
    if (bl_loop_step(t->loop, row, &bad_slot)) return bad_slot < 0 ? BL_FAILED : refuse_not_finite(t, bad_slot);
    if (log_step(t, row) || diagnose(t, row)) return BL_FAILED;
    t->progress.epoch_loss += row->loss;
    t->progress.step++;
    return BL_OK;
}

// ---- the run ----

static bool keeps_epoch(const trainer *t, int epoch) {
    for (int i = 0; i < t->cell->save_checkpoint_count; i++)
        if (t->cell->save_checkpoints[i] == epoch) return true;
    return t->cell->save_last_checkpoint && epoch == t->cell->train.epochs;
}

static int keep_epoch(trainer *t, int epoch) {
    if (!keeps_epoch(t, epoch)) return BL_OK;
    bl_arena *arena = bl_arena_create();
    const int status = write_checkpoint(t, bl_kept_checkpoint(arena, t->path, epoch));
    bl_arena_free(arena);
    return status;
}

// Shows the plateau what it watches: an evaluation row of this epoch, or the epoch's mean loss.
static void watch_plateau(trainer *t, int epoch) {
    const bl_train_options *train = &t->cell->train;
    const bool higher = strcmp(train->plateau_row, "loss") != 0;
    double value = t->progress.epoch_loss / (double)t->steps_per_epoch;
    t->progress.epoch_loss = 0;
    if (train->schedule.kind != BL_SCHEDULE_PLATEAU) return;
    if (higher) {
        const bl_measurement *measured = NULL;
        for (int i = 0; i < t->cell->evaluation_count; i++)
            if (!strcmp(t->cell->evaluations[i].row, train->plateau_row))
                measured = bl_history_find(&t->history, train->plateau_row, t->cell->evaluations[i].id, epoch);
        if (!measured) return; // not every epoch is evaluated
        value = measured->value;
    }
    bl_plateau_observe(&t->progress.plateau, &train->schedule, higher, value);
    bl_loop_scale(t->loop, t->progress.plateau.scale);
}

static int finish_epoch(trainer *t) {
    const int epoch = (int)(t->progress.step / t->steps_per_epoch);
    if (bl_evaluate(&t->evaluator, epoch, false, &t->history)) return BL_FAILED;
    watch_plateau(t, epoch);
    t->progress.epoch = epoch;
    if (keep_epoch(t, epoch)) return BL_FAILED;
    emit(t, (bl_event){.kind = BL_EVENT_EPOCH, .epoch = epoch, .verdict = verdict_of(t)});
    return BL_OK;
}

// Where a run begins or continues: the untrained network is evaluated, or an epoch whose evaluation was interrupted ends.
static int begin(trainer *t) {
    if (t->progress.step == t->steps || t->progress.step % t->steps_per_epoch) return BL_OK;
    const int epoch = (int)(t->progress.step / t->steps_per_epoch);
    if (epoch > t->progress.epoch) return finish_epoch(t);
    return bl_evaluate(&t->evaluator, epoch, false, &t->history);
}

// From one step's end to the next one's: a step may have begun before it is waited for.
static void count_time(trainer *t, double *since) {
    const double now = bl_seconds(), seconds = now - *since;
    *since = now;
    t->progress.seconds += seconds;
    t->step_seconds = t->step_seconds > 0 ? 0.95 * t->step_seconds + 0.05 * seconds : seconds;
}

static bool ends_epoch(const trainer *t, int64_t step) { return step < t->steps && step % t->steps_per_epoch == 0; }
static bool is_kept(const trainer *t, int64_t step) { return step < t->steps && bl_keeper_is_due(t->keeper, step); }

// Whether anyone but the loop looks at the network after `step`, or may change what the next one does.
static bool looks_after(void *context, int64_t step) {
    const trainer *t = context;
    const int64_t done = step + 1;
    if (done == t->stop || t->is_boundary || (t->collapse && bl_collapse_wants(t->collapse, step))) return true;
    if (!ends_epoch(t, done)) return false;
    const int epoch = (int)(done / t->steps_per_epoch);
    return t->cell->train.schedule.kind == BL_SCHEDULE_PLATEAU || keeps_epoch(t, epoch) || bl_evaluates(t->cell, epoch);
}

static bl_loop_options loop_options(const trainer *t) {
    const bl_train_options *train = &t->cell->train;
    const bl_method_options *method = &t->cell->model.method;
    return (bl_loop_options){.graph = &t->model.step, .plan = t->model.training, .store = t->model.store, .samples = t->labelled.all,
                             .sample_count = t->labelled.all ? t->labelled.count : bl_dataset_count(t->dataset, BL_TRAIN),
                             .seed = t->request->key.seed, .shuffle = train->shuffle, .batch = train->batch, .accumulate = train->accumulate,
                             .steps = t->steps, .schedule = train->schedule, .tau = method->tau, .tau_schedule = method->tau_schedule,
                             .looks_after = looks_after, .looks_context = (void *)t};
}

static int open_loader(const trainer *t, bl_loader **loader) {
    const int views = t->cell->task == BL_TASK_BYOL ? BL_VIEWS : 1;
    return bl_view_loader_create(loader, t->dataset, BL_TRAIN, t->cell->views, views, t->request->key.seed,
                                 t->request->key.experiment->machine.loader_threads, BL_STAGING_SLOTS);
}

static int prepare_batches(trainer *t) {
    bl_loop_options options = loop_options(t);
    if (open_loader(t, &t->loader)) return BL_FAILED;
    options.loader = t->loader;
    if (bl_loop_create(&t->loop, &options, t->progress.step)) return BL_FAILED;
    bl_loop_scale(t->loop, t->progress.plateau.scale);
    return BL_OK;
}

// The network as it stands: the untrained one, and the one that training ends with.
static int diagnose_still(trainer *t) {
    const bl_loop_options options = loop_options(t);
    bl_loader *loader = NULL;
    bl_collapse_row seen;
    if (!t->collapse || is_diagnosed(t)) return BL_OK;
    int status = open_loader(t, &loader) || bl_still_diagnose(&t->model, t->cell, &options, loader, t->progress.step, &seen) ? BL_FAILED : BL_OK;
    bl_loader_free(loader);
    if (status) return status;
    seen.step = t->progress.step;
    seen.epoch = (double)seen.step / (double)t->steps_per_epoch;
    return add_diagnosis(t, &seen);
}

static int train(trainer *t) {
    if ((!t->progress.step && diagnose_still(t)) || begin(t)) return BL_FAILED;
    double since = bl_seconds();
    while (t->progress.step < t->stop && !t->progress.stopped) {
        bl_step_row row = {0};
        const bool kept = is_kept(t, t->progress.step + 1);
        t->is_boundary = kept || bl_stop_asked(); // decided now: looks_after is asked within the step
        if (step(t, &row)) return BL_FAILED;
        count_time(t, &since);
        emit(t, (bl_event){.kind = BL_EVENT_STEP, .epoch = (int)((t->progress.step - 1) / t->steps_per_epoch) + 1, .scalars = &row,
                           .verdict = verdict_of(t)});
        t->progress.stopped = t->cell->train.stop_when_collapsed && is_collapsed(t);
        const bool ends = ends_epoch(t, t->progress.step);
        if ((ends && finish_epoch(t)) || (kept && keep(t)) || (!bl_loop_is_ahead(t->loop) && bl_stop_here())) return BL_FAILED;
        if (ends || kept) since = bl_seconds(); // neither is training
    }
    return BL_OK;
}

// Training is over, at its end or before its time: what is measured last.
static int finish(trainer *t) {
    if (diagnose_still(t)) return BL_FAILED;
    if (t->progress.stopped) emit(t, (bl_event){.kind = BL_EVENT_COLLAPSED, .verdict = verdict_of(t)});
    t->progress.epoch = (int)((t->progress.step + t->steps_per_epoch - 1) / t->steps_per_epoch); // a stopped run's last one is begun, not finished
    if (bl_evaluate(&t->evaluator, t->progress.epoch, true, &t->history) || keep_epoch(t, t->progress.epoch)) return BL_FAILED;
    emit(t, (bl_event){.kind = BL_EVENT_EPOCH, .epoch = t->progress.epoch, .verdict = verdict_of(t)});
    if (bl_keeper_wait(t->keeper) ||
        bl_run_file_write(t->path, &t->identity, &t->request->key, &t->evaluator, &t->progress, &t->history))
        return BL_FAILED;
    unlink(t->checkpoint_path); // the run file holds all that is worth keeping
    unlink(t->fits.path);
    if (t->shorter && t->cell->save_last_checkpoint && !keeps_epoch(t, t->shorter_epochs)) unlink(t->shorter); // it is the last one no more
    emit(t, (bl_event){.kind = BL_EVENT_END, .epoch = t->progress.epoch, .verdict = verdict_of(t)});
    return BL_OK;
}

static int prepare_diagnosis(trainer *t) {
    const bl_tensor *projection = t->model.step.projection;
    if (!projection || !t->cell->train.collapse_every) return BL_OK;
    const size_t values = (size_t)bl_shape_count(&projection->shape);
    if (!(t->projection = bl_alloc(values * sizeof *t->projection)) || !(t->prediction = bl_alloc(values * sizeof *t->prediction)))
        return BL_FAILED;
    return bl_collapse_create(&t->collapse, projection->shape.dims[0], (int)projection->shape.dims[1], t->cell->train.collapse_every);
}

// What a stop interrupted is on disk before it is said. An evaluation's row was forgotten, but for the fit that was kept of it.
static int stop_here(trainer *t) {
    if ((!t->is_trained && keep(t)) || bl_keeper_wait(t->keeper)) return BL_FAILED;
    emit(t, (bl_event){.kind = BL_EVENT_STOPPED, .epoch = t->progress.epoch, .verdict = verdict_of(t), .row = t->fits.row ? t->fits.row->row : NULL});
    return bl_stop_here();
}

// Ends early, as asked; tests ask without a checkpoint.
static int leave(trainer *t) {
    if (!t->request->stop_after_epoch) return BL_OK;
    if (keep(t) || bl_keeper_wait(t->keeper)) return BL_FAILED;
    emit(t, (bl_event){.kind = BL_EVENT_LEFT, .epoch = t->progress.epoch, .verdict = verdict_of(t)});
    return BL_OK;
}

static bl_run_length length_of(const trainer *t) { return (bl_run_length){t->steps, t->steps_per_epoch, t->cell->train.epochs}; }

// `before`: *before is NULL where none is there; closed when it was read: it is larger than the model.
static int read_checkpoint(trainer *t, bl_container_reader **before) {
    bl_history former = {0}; // of one that grows: its run file's stays, for rows may have been added to it since
    const char *path = t->grows ? t->shorter : t->checkpoint_path;
    if (!*before) return BL_OK;
    const bl_run_length run = length_of(t);
    const int status = bl_checkpoint_read(path, *before, &t->identity, t->cell, &run, &t->model, &t->progress, t->collapse,
                                          t->grows ? &former : &t->history);
    bl_history_free(&former);
    bl_container_reader_close(*before);
    *before = NULL;
    if (t->grows) {
        t->progress.epoch_loss = 0;                              // it ended an epoch
        if (!status && is_diagnosed(t)) t->history.collapse_count--; // as the network that training ended with
    }
    return status;
}

static int train_and_save(trainer *t, bl_container_reader **checkpoint) {
    t->progress.plateau = bl_plateau_start(strcmp(t->cell->train.plateau_row, "loss") != 0);
    if (prepare_diagnosis(t) || read_checkpoint(t, checkpoint) || bl_arms_renew(t->cell, &t->history, &t->said)) return BL_FAILED;
    tell(t);
    t->progress.stopped = t->cell->train.stop_when_collapsed && is_collapsed(t); // it was killed while its last rows were measured
    t->resumed_from = t->progress.step;
    bl_stretches_begin(&t->progress.stretches, t->identity.machine, t->progress.step, t->progress.seconds);
    emit(t, (bl_event){.kind = BL_EVENT_BEGIN, .verdict = verdict_of(t)});
    if (prepare_batches(t)) return BL_FAILED;
    int status = train(t);
    if (!status && t->progress.step < t->steps && !t->progress.stopped) return leave(t);
    if (!status) status = finish(t);
    return status && bl_stopped() ? stop_here(t) : status;
}

// A finished run: measure what its file lacks where its training ended, from its own weights.
static int evaluate_finished(trainer *t, bl_arena *arena, bl_container_reader *reader) {
    const bl_run_length run = length_of(t);
    t->is_trained = true;
    if (bl_identity_check_data(&t->identity, reader, t->path) || bl_identity_keep(&t->identity, arena, reader)) return BL_FAILED;
    if (bl_run_file_restore(t->path, reader, &run, &t->model, &t->progress) || bl_run_file_epoch(reader, t->cell, &t->progress.epoch))
        return BL_FAILED;
    if (bl_evaluate(&t->evaluator, t->progress.epoch, true, &t->history)) return bl_stopped() ? stop_here(t) : BL_FAILED;
    if (bl_run_file_write(t->path, &t->identity, &t->request->key, &t->evaluator, &t->progress, &t->history)) return BL_FAILED;
    unlink(t->fits.path);
    return BL_OK;
}

// The share of the train labels that a supervised run learns from.
static int choose_labels(trainer *t) {
    const int64_t count = bl_dataset_count(t->dataset, BL_TRAIN);
    if (t->cell->task != BL_TASK_SUPERVISED || t->cell->label_share >= 100) return BL_OK;
    uint8_t *labels;
    if (bl_labels_read(t->dataset, BL_TRAIN, &labels)) return BL_FAILED;
    const int status = bl_labels_choose(&t->labelled, labels, count, bl_dataset_classes(t->dataset), t->cell->label_share, 0, t->request->key.seed);
    bl_free(labels);
    return status;
}

static int count_steps(trainer *t) {
    const bl_train_options *train = &t->cell->train;
    const int64_t images = t->labelled.all ? t->labelled.count : bl_dataset_count(t->dataset, BL_TRAIN);
    const int64_t update = (int64_t)train->batch * train->accumulate;
    if (images < update)
        return bl_fail("cell %s: a step takes %" PRId64 " images, the train split has %" PRId64 "; lower train.batch", t->cell->name, update,
                       images);
    t->steps_per_epoch = images / update;
    t->steps = train->steps ? train->steps : t->steps_per_epoch * train->epochs;
    const int64_t stop = t->request->stop_after_epoch ? t->request->stop_after_epoch * t->steps_per_epoch : t->request->stop_after;
    t->stop = stop && stop < t->steps ? stop : t->steps;
    if (t->steps > t->steps_per_epoch * train->epochs)
        return bl_fail("cell %s: %" PRId64 " steps are more than the %" PRId64 " of %d epoch%s; write more epochs", t->cell->name, t->steps,
                       t->steps_per_epoch * train->epochs, train->epochs, bl_plural(train->epochs));
    return bl_cell_check_length(t->cell, t->steps_per_epoch);
}

// `before`: the run's file or checkpoint, where one is there: what was chosen for its plans is chosen again.
static int open_run(trainer *t, bl_arena *arena, const bl_container_reader *before) {
    const bl_machine *machine = &t->request->key.experiment->machine;
    const bl_backend_options options = {.threads = machine->threads, .isa = machine->isa, .eager = machine->eager};
    if (bl_dataset_open(&t->dataset, &t->cell->data) || choose_labels(t) || count_steps(t) ||
        bl_backend_open(&t->backend, machine->backend, &options) || (before && bl_identity_recall(t->backend, before)) ||
        bl_pool_create(&t->pool, machine->threads) || bl_model_create(&t->model, t->backend, t->cell, t->request->key.seed))
        return BL_FAILED;
    bl_identity_of(&t->identity, arena, &t->request->key, t->backend, t->dataset);
    if (bl_keeper_create(&t->keeper, t->cell->train.checkpoint_every)) return BL_FAILED;
    t->kept_step = -1;
    t->fits = (bl_fit_keeper){.keeper = t->keeper, .path = bl_run_beside(arena, t->path, ".fit.ckpt"), .run_id = t->identity.run_id,
                              .machine = t->identity.machine, .mixed = &t->progress.mixed, .before = before_fit_is_kept, .context = t};
    t->evaluator = (bl_evaluator){.model = &t->model, .cell = t->cell, .dataset = t->dataset, .pool = t->pool,
                                  .loader_threads = machine->loader_threads, .seed = t->request->key.seed, .measured = on_measured, .fitting = on_fitting, .context = t,
                                  .fits = &t->fits};
    return BL_OK;
}

static void close_run(trainer *t) {
    bl_loop_free(t->loop); // before what it lent from
    bl_loader_free(t->loader);
    bl_labelled_free(&t->labelled);
    bl_keeper_free(t->keeper);
    bl_collapse_free(t->collapse);
    bl_free(t->projection);
    bl_free(t->prediction);
    bl_model_free(&t->model);
    bl_pool_free(t->pool);
    bl_backend_close(t->backend);
    bl_dataset_close(t->dataset);
    bl_history_free(&t->history);
    bl_stretches_free(&t->progress.stretches);
    bl_text_free(&t->said);
}

// Of a run file of this recipe. *complete: it holds all that is asked for. `said` (may be NULL) gains what is to be said of its rows.
static int read_finished(const bl_run_request *request, const bl_container_reader *reader, bl_history *history, bl_text *said, bool *complete) {
    int epoch;
    if (bl_history_get(history, reader) || bl_history_check(history, reader, request->key.cell->train.epochs, 0) ||
        bl_arms_renew(request->key.cell, history, said) || bl_run_file_epoch(reader, request->key.cell, &epoch))
        return BL_FAILED;
    *complete = bl_is_evaluated(request->key.cell, epoch, history);
    return BL_OK;
}

bool bl_run_is_finished(const bl_run_request *request) {
    bl_arena *arena = bl_arena_create();
    const char *path = bl_run_path(arena, &request->key);
    bl_container_reader *reader = NULL;
    bl_history history = {0};
    bool complete = false;
    const bool is_there = bl_file_exists(path);
    if (is_there && (bl_container_reader_open(&reader, path) || bl_identity_check(&request->key, reader, path) ||
                     read_finished(request, reader, &history, NULL, &complete) || bl_data_unchanged(&request->key, reader, path, NULL)))
        complete = false;
    bl_container_reader_close(reader);
    bl_history_free(&history);
    bl_arena_free(arena);
    return complete;
}

// What a kill left between the run file and the checkpoint's end. One of another recipe is the beginning of a longer run.
static void remove_checkpoint(const trainer *t) {
    bl_container_reader *reader = NULL;
    if (!bl_file_exists(t->checkpoint_path)) return;
    const bool is_readable = bl_container_reader_open(&reader, t->checkpoint_path) == BL_OK;
    if (!is_readable || bl_identity_check(&t->request->key, reader, t->checkpoint_path) == BL_OK) unlink(t->checkpoint_path);
    bl_container_reader_close(reader);
}

// The run file of another recipe: the run goes on from the checkpoint that was kept of it, which is opened, or from the one that it has
// left since.
static int open_shorter(trainer *t, bl_arena *arena, bl_container_reader **reader) {
    if (t->request->evaluate_only) return bl_identity_check(&t->request->key, *reader, t->path);
    if (bl_longer(arena, &t->request->key, *reader, t->path, &t->shorter, &t->shorter_epochs)) return BL_FAILED;
    t->grows = !bl_file_exists(t->checkpoint_path);
    if (t->grows && bl_history_get(&t->history, *reader)) return BL_FAILED;
    bl_container_reader_close(*reader);
    *reader = NULL;
    return t->grows ? bl_container_reader_open(reader, t->shorter) : BL_OK;
}

// A run file that is there. *is_finished: it is of this recipe.
static int open_run_file(trainer *t, bl_arena *arena, bl_container_reader **reader, bool *is_finished, bool *complete) {
    if (bl_container_reader_open(reader, t->path)) return BL_FAILED;
    *is_finished = bl_identity_check(&t->request->key, *reader, t->path) == BL_OK;
    if (!*is_finished) return open_shorter(t, arena, reader);
    remove_checkpoint(t);
    return read_finished(t->request, *reader, &t->history, &t->said, complete);
}

// Everything under the run's lock.
static int run_locked(trainer *t, bl_arena *arena) {
    bl_container_reader *reader = NULL;
    bool is_finished = false, complete = false;
    int status = BL_FAILED;
    const bool is_there = bl_file_exists(t->path);
    if (!is_there && t->request->evaluate_only) {
        bl_fail("%s: not finished, so there is nothing to evaluate; `byolab run` first", t->path);
        goto done;
    }
    if (is_there && open_run_file(t, arena, &reader, &is_finished, &complete)) goto done;
    if (complete) {
        unlink(bl_run_beside(arena, t->path, ".fit.ckpt")); // of a kill between the run file and this
        if (bl_data_unchanged(&t->request->key, reader, t->path, &t->said)) goto done;
        tell(t);
        emit(t, (bl_event){.kind = BL_EVENT_SKIPPED, .verdict = verdict_of(t)});
        status = BL_OK;
        goto done;
    }
    if (!reader && bl_file_exists(t->checkpoint_path) &&
        (bl_container_reader_open(&reader, t->checkpoint_path) || bl_identity_check(&t->request->key, reader, t->checkpoint_path)))
        goto done;
    tell(t);
    if (open_run(t, arena, reader) || bl_arms_fit(&t->evaluator, &t->history) || bl_shares_fit(&t->evaluator) ||
        bl_dataset_check_labels(t->dataset, t->pool) || bl_shares_are_labelled(&t->evaluator))
        goto done;
    emit(t, (bl_event){.kind = BL_EVENT_DATA, .remarks = bl_dataset_remarks(t->dataset)});
    status = is_finished ? evaluate_finished(t, arena, reader) : train_and_save(t, &reader);
done:
    bl_container_reader_close(reader);
    close_run(t);
    return status;
}

int bl_run(const bl_run_request *request) {
    bl_arena *arena = bl_arena_create();
    trainer t = {.request = request, .cell = request->key.cell};
    t.path = bl_run_path(arena, &request->key);
    t.checkpoint_path = bl_run_beside(arena, t.path, ".ckpt");
    const char *lock_path = bl_arena_format(arena, "%s.lock", t.path);
    const char *folder = bl_arena_format(arena, "%.*s", (int)(strrchr(t.path, '/') - t.path), t.path);
    const bool has_locks = !request->key.experiment->machine.without_locks;
    bl_lock lock = {-1};
    bool held = !has_locks;
    int status = BL_FAILED;
    if (bl_make_folders(folder) || (has_locks && bl_lock_try(&lock, lock_path, &held))) goto done;
    if (!held) {
        emit(&t, (bl_event){.kind = BL_EVENT_BUSY});
        status = BL_OK;
        goto done;
    }
    bl_remove_leftovers(bl_run_beside(arena, t.path, ""));
    status = run_locked(&t, arena);
    if (has_locks) unlink(lock_path);
    bl_lock_release(&lock);
done:
    bl_arena_free(arena);
    return status;
}
