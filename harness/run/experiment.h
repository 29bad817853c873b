// experiment.h - the experiment file, read: one study, its cells and seeds, every key typed, checked and with its default.
//
// One schema table (schema.c) drives types, defaults, ranges, enums, key classes, the resolved dump and `check --schema`.
// Errors are one message with file:line:column, the line, a caret, and what to write instead.

#ifndef BL_RUN_EXPERIMENT_H
#define BL_RUN_EXPERIMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"       // BL_CHECK
#include "base/memory.h"      // bl_arena, bl_text
#include "datasets/dataset.h" // bl_dataset_options, bl_split
#include "datasets/views.h"   // bl_recipe
#include "graph/byol.h"       // bl_model_options
#include "graph/schedule.h"   // bl_schedule_kind

// Which part of a run's identity a key belongs to.
typedef enum bl_key_class {
    BL_KEY_TRAIN,    // with the seed: the run's id
    BL_KEY_EVALUATE, // each row has an id of its own
    BL_KEY_MACHINE,  // recorded, not part of the id
    BL_KEY_REPORT,   // never repeats anything
} bl_key_class;

typedef struct bl_epochs { // when an evaluation runs, in finished epochs; 0 is before training; the last epoch always counts
    int first, every;      // first, first + every, ...; every 0: only the list
    int list[32], list_count;
} bl_epochs;
bool bl_epochs_hit(const bl_epochs *at, int epoch, int last);

typedef enum bl_knn_protocol { BL_KNN_CROSS_VALIDATION, BL_KNN_TRAIN_TO_TEST } bl_knn_protocol;

// One row under `evaluate:`. Its key names its measurements: "knn/k1_cv/test", "knn/k200/test".
typedef struct bl_evaluation {
    const char *row;          // built from the options
    const char *id;           // digest of the options of class evaluate, 16 hexadecimal digits
    bl_epochs at;
    int k;
    bl_knn_protocol protocol;
    double temperature;       // weights exp(cos / T); 0: one vote each
    int folds;                // cross-validation
    bl_split split;           // cross-validation inside this split; train_to_test: the split that is queried
    int64_t rows;             // the first rows of the split; 0: all
    bool raw_pixels;          // features: pixels | encoder (default): the normalised evaluation image itself, once, at epoch 0
    bool monitor;             // watches test before the last epoch, as the file owns: labelled so
} bl_evaluation;

typedef struct bl_expectation { // a published figure
    const char *row, *source, *origin, *cell; // origin: read | digitised; cell: NULL where it speaks of every cell
    int epoch, n;
    double value;             // percent
    bool context;             // stands beside ours to orient the reader (another width, another data set): no difference is printed
} bl_expectation;

typedef struct bl_train_options {
    int epochs, batch, accumulate; // batch: images a micro step; the optimiser sees batch * accumulate
    double learning_rate;
    bl_schedule_kind schedule;
    double warmup_epochs;
    double tau;
    bl_schedule_kind tau_schedule;
    bool shuffle;                  // data.shuffle
    int checkpoint_every;          // steps between checkpoints (machine)
    int log_every;                 // steps between logged scalars
} bl_train_options;

// One cell, resolved. Strings belong to the experiment.
typedef struct bl_cell {
    const char *name;              // "main" when the file names none
    bl_dataset_options data;
    bl_recipe views[BL_VIEWS];
    bl_recipe evaluation_view;     // normalize alone, as in `views`
    bl_model_options model;
    bl_train_options train;
    bl_evaluation *evaluations;
    int evaluation_count;
    const char *resolved;          // canonical YAML of every key of the cell, defaults included
    const char *train_id;          // digest of the keys of class train, 64 hexadecimal digits (the seed is added by the run)
    bool save_weights, save_features;
    int save_checkpoints[32], save_checkpoint_count; // finished epochs
} bl_cell;

typedef struct bl_machine {
    const char *backend;           // "onednn" | "reference"
    int threads, loader_threads;   // 0 in the file: chosen from the processors
    const char *isa;
} bl_machine;

typedef struct bl_experiment {
    bl_arena *arena;
    const char *path, *study;      // study: the path below experiments/, without ".yaml"; or the file's stem
    const char *title;             // of the plot; report class
    bl_machine machine;
    uint64_t seeds[64];
    int seed_count;
    bl_cell *cells;
    int cell_count;
    const char **skipped;          // meaningless cells of a product: "name: why"
    int skipped_count;
    bl_expectation *expectations;
    int expectation_count;
} bl_experiment;

typedef struct bl_override { // --set key=value
    const char *key, *value;
} bl_override;

// Reads, merges bases, applies overrides, expands cells, checks every contradiction. *experiment is freed by bl_experiment_free.
BL_CHECK int bl_experiment_read(bl_experiment **experiment, const char *path, const bl_override *overrides, int override_count);
void bl_experiment_free(bl_experiment *experiment);

void bl_schema_print(bl_text *text); // every key: type, default, range, class, one line of meaning

#endif
