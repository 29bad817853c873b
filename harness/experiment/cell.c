#include "experiment/cell.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "datasets/facts.h"  // bl_dataset_facts
#include "datasets/labels.h" // bl_labels_count_scenes
#include "experiment/keys.h"
#include "experiment/protocol_facts.h"
#include "experiment/rows.h"

static const bl_dataset_facts *facts_of(const bl_cell *cell) { return bl_dataset_facts_of(cell->data.name); }

bool bl_epochs_hit(const bl_epochs *at, int epoch, int last) {
    if (epoch == last) return true;
    for (int i = 0; i < at->list_count; i++)
        if (at->list[i] == epoch) return true;
    return at->every > 0 && epoch >= at->first && (epoch - at->first) % at->every == 0;
}

int bl_cell_image_side(const bl_cell *cell) {
    return facts_of(cell)->scenes ? cell->data.crop : facts_of(cell)->side;
}

int bl_cell_classes(const bl_cell *cell) { return facts_of(cell)->classes; }

const char *bl_cell_precision(const bl_cell *cell) {
    return cell->train.precision == BL_PRECISION_TF32 ? "tf32" : bl_dtype_name(cell->model.precision);
}

bool bl_cell_has_average(const bl_cell *cell) {
    return cell->task == BL_TASK_BYOL && cell->model.method.target == BL_TARGET_EMA;
}

bool bl_cell_asks(const bl_cell *cell, bl_split split) {
    for (int i = 0; i < cell->evaluation_count; i++) {
        const bl_evaluation *row = &cell->evaluations[i];
        const bool fits = bl_protocol_facts_of(row->kind)->has_shares;
        const bool has_bank = row->kind == BL_PROTOCOL_KNN && row->knn.protocol == BL_KNN_TRAIN_TO_TEST;
        if (row->split == split || (split == BL_TRAIN && (fits || has_bank)) || (split == BL_VALIDATION && fits && row->fit.validation <= 0))
            return true;
    }
    return false;
}

static int64_t scenes_of(const bl_cell *cell, bl_split split) {
    int splits = 0;
    for (int s = 0; s < BL_SCENE_SPLITS; s++) splits += cell->data.scene_splits >> s & 1;
    if (split == BL_VALIDATION) return 0;
    if (!facts_of(cell)->is_drawn) return -1;
    const bool has_extra = cell->data.scene_splits >> BL_SCENE_TRAIN_EXTRA & 1 && cell->data.extra;
    return split == BL_TEST ? cell->data.test : (int64_t)(splits - has_extra) * cell->data.train + has_extra * cell->data.extra;
}

int64_t bl_cell_images(const bl_cell *cell, bl_split split) {
    const bl_dataset_facts *facts = facts_of(cell);
    if (facts->scenes) return scenes_of(cell, split);
    if (split == BL_TEST) return facts->is_drawn ? cell->data.test : facts->test;
    if (split == BL_VALIDATION) return cell->data.validation;
    const int64_t left = (facts->is_drawn ? cell->data.train : facts->train) - cell->data.validation;
    return cell->data.limit && cell->data.limit < left ? cell->data.limit : left;
}

int64_t bl_cell_steps_per_epoch(const bl_cell *cell) {
    double images = (double)bl_cell_images(cell, BL_TRAIN);
    if (images < 0) return -1;
    // Each class rounds its share: at worst half an image less a class than this.
    if (cell->label_share < 100) images = ceil(images * cell->label_share / 100 - 0.5 * bl_cell_classes(cell));
    const int64_t steps = (int64_t)images / ((int64_t)cell->train.batch * cell->train.accumulate);
    return steps > 0 ? steps : 1;
}

int64_t bl_cell_steps(const bl_cell *cell) {
    const int64_t per_epoch = bl_cell_steps_per_epoch(cell);
    if (cell->train.steps) return cell->train.steps;
    return per_epoch < 0 ? -1 : per_epoch * cell->train.epochs;
}

int64_t bl_cell_labels(const bl_cell *cell, const bl_evaluation *row, double share) {
    const int64_t images = bl_cell_images(cell, BL_TRAIN);
    const int classes = bl_cell_classes(cell);
    if (bl_protocol_facts_of(row->kind)->of_scenes) return facts_of(cell)->is_drawn ? bl_labels_count_scenes(cell->data.train, share, row->fit.listed) : -1;
    if (images < 0 || cell->data.limit || images % classes) return -1; // the first ones are of any class
    return classes * llround(share * (double)(images / classes) / 100);
}

int64_t bl_cell_learned(const bl_cell *cell, const bl_evaluation *row, double share) {
    const bl_fit_options *fit = &row->fit;
    const int64_t labels = bl_cell_labels(cell, row, share);
    const bool holds_out = fit->rate_count > 1 || !fit->refit || fit->watch == BL_WATCH_HELD_OUT;
    return labels < 0 || !holds_out ? labels : labels - bl_labels_count_held_out(labels, fit->validation);
}

int64_t bl_fit_steps_per_pass(const bl_fit_options *fit, int64_t learned) {
    return learned < 0 ? -1 : learned > fit->batch ? learned / fit->batch : 1;
}

int64_t bl_fit_steps(const bl_fit_options *fit, int64_t learned) {
    const int64_t a_pass = bl_fit_steps_per_pass(fit, learned);
    return fit->steps ? fit->steps : a_pass < 0 ? -1 : fit->epochs * a_pass;
}

// ---- views ----

// An evaluation sees the whole image, as large as the first view and resized as that is.
static void fill_evaluation_view(bl_cell *cell) {
    bl_recipe *made = &cell->evaluation_view;
    bl_transform resize = {.kind = BL_CENTER_CROP, .p = 1, .size = bl_cell_image_side(cell)};
    for (int i = 0; i < cell->views[0].count; i++) {
        const bl_transform *transform = &cell->views[0].items[i];
        if (transform->kind == BL_NORMALIZE) made->items[made->count++] = *transform;
        if (transform->kind != BL_RANDOM_RESIZED_CROP) continue;
        resize.size = resize.resize = transform->size;
        resize.interpolation = transform->interpolation;
    }
    cell->model.image_size = resize.size;
    if (resize.size == bl_cell_image_side(cell)) return;
    memmove(&made->items[1], &made->items[0], (size_t)made->count++ * sizeof *made->items);
    made->items[0] = resize;
}

static int fill_views(bl_arena *arena, const bl_value *tree, bl_cell *cell) {
    const bl_value *list = bl_value_get(tree, "views");
    if (!list) return bl_refuse(tree->spot, "write `views:` and one list entry for both views, or two", "views is missing");
    if (list->count < 1 || list->count > BL_VIEWS)
        return bl_refuse(list->spot, "write one entry for both views, or one each", "views: %d entries", list->count);
    for (int v = 0; v < list->count; v++)
        if (bl_recipe_fill(arena, "views", list->entries[v].value, &cell->views[v])) return BL_FAILED;
    if (list->count == 1) cell->views[1] = cell->views[0];
    fill_evaluation_view(cell);
    return BL_OK;
}

// Two equal entries are written as one.
static void print_views(bl_arena *arena, const bl_value *tree, const bl_cell *cell, unsigned classes, bl_text *text) {
    const bl_value *list = bl_value_get(tree, "views");
    bl_text entries[BL_VIEWS] = {{0}};
    for (int v = 0; v < list->count; v++) bl_recipe_print_entry(arena, list->entries[v].value, &cell->views[v], classes, &entries[v]);
    bl_text_add(text, "views:\n%s", entries[0].chars);
    if (list->count == 2 && strcmp(entries[0].chars, entries[1].chars)) bl_text_add(text, "%s", entries[1].chars);
    for (int v = 0; v < BL_VIEWS; v++) bl_text_free(&entries[v]);
}

// ---- the cell ----

// A plateau looks at the images of the split validation, or a segmentation's at those of val.
static bool is_chosen_on(const bl_cell *cell, const bl_evaluation *row) {
    if (bl_protocol_facts_of(row->kind)->of_scenes) return row->fit.watch == BL_WATCH_VAL && row->fit.schedule.kind == BL_SCHEDULE_PLATEAU;
    return row->split == BL_VALIDATION && cell->train.schedule.kind == BL_SCHEDULE_PLATEAU && strcmp(cell->train.plateau_row, "loss") != 0;
}

static void fill_what_follows(bl_cell *cell) {
    bl_model_options *model = &cell->model;
    model->precision = cell->train.precision == BL_PRECISION_BF16 ? BL_BF16 : BL_F32;
    model->method.predictor_head.out = model->projector.out;
    model->projector.init = model->method.predictor_head.init = model->encoder.init.linear;
    model->probe_classes = cell->is_probed ? bl_cell_classes(cell) : 0;
    for (int i = 0; i < cell->evaluation_count; i++)
        cell->data.labelled = cell->data.labelled || bl_protocol_facts_of(cell->evaluations[i].kind)->of_scenes;
    for (int i = 0; i < cell->evaluation_count; i++)
        cell->evaluations[i].chosen_on = is_chosen_on(cell, &cell->evaluations[i]);
    const int64_t steps = bl_cell_steps_per_epoch(cell);
    if (cell->train.steps && steps > 0) {
        cell->train.epochs = (int)((cell->train.steps + steps - 1) / steps);
    }
}

int bl_cell_fill(bl_arena *arena, bl_value *tree, bl_cell *cell) {
    cell->written = tree;
    if (bl_keys_known(arena, tree)) return BL_FAILED;
    bl_value_drop_taken_back(tree);
    int status = bl_keys_fill(arena, BL_OF_CELL, "", tree, cell);
    if (!status) status = fill_views(arena, tree, cell);
    if (!status) status = bl_evaluations_fill(arena, tree, cell);
    cell->data_root = bl_value_at(tree, "data.root");
    if (!status) fill_what_follows(cell);
    return status;
}

// How often a run is diagnosed is the machine's affair, unless the diagnosis ends it. Left out at its default, like the other keys.
static void print_watch(const bl_cell *cell, bl_text *text) {
    const bool is_default = cell->train.collapse_every == atoi(bl_schema_find("train.collapse_every")->default_text);
    if (cell->train.stop_when_collapsed && !is_default) bl_text_add(text, "collapse_every: %d\n", cell->train.collapse_every);
}

void bl_cell_identify(bl_arena *arena, const bl_value *tree, const bl_machine *machine, bl_cell *cell) {
    bl_text all = {0}, training = {0};
    char digest[65];
    for (int pass = 0; pass < 2; pass++) {
        bl_text *text = pass ? &training : &all;
        unsigned classes = pass ? 1u << BL_KEY_TRAIN | BL_ONLY_CHANGED : BL_EVERY_CLASS;
        bl_keys_print_block(BL_OF_CELL, "data", tree, cell, classes, text);
        print_views(arena, tree, cell, classes, text);
        bl_keys_print_block(BL_OF_CELL, "network", tree, cell, classes, text);
        bl_keys_print_block(BL_OF_CELL, "method", tree, cell, classes, text);
        bl_keys_print_block(BL_OF_CELL, "train", tree, cell, classes, text);
        if (pass) {
            print_watch(cell, text);
            continue;
        }
        bl_evaluations_print(arena, cell, text);
        bl_keys_print_block(BL_OF_CELL, "save", tree, cell, classes, text);
        bl_keys_print_block(BL_OF_MACHINE, "machine", tree, machine, classes, text);
    }
    bl_digest_hex(training.chars, training.size, digest);
    cell->resolved = bl_arena_copy(arena, all.chars);
    cell->train_id = bl_arena_copy(arena, digest);
    bl_text_free(&all);
    bl_text_free(&training);
}
