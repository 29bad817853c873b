// options.h - what an experiment file says, typed: the study, its cells, each training's and each evaluation's options, with defaults.
//
// The room experiment/ holds the file: YAML to a tree (yaml_text, yaml, value), the table of every key (schema), one key and all keys to
// fields and back to canonical text (key_values, keys), what to say of a name that nothing has (names), the rows below `evaluate:` (rows), a
// cell and what follows from it (cell), what contradicts itself (contradictions), cells and sweeps (drafts), ${NAME} (variables), and the
// whole (experiment). It uses base, and of graph and datasets the types that options are made of. Its public door: experiment.h reads a
// file, options.h is what was read, cell.h what follows from it.

#ifndef BL_EXPERIMENT_OPTIONS_H
#define BL_EXPERIMENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"           // BL_CHECK
#include "base/memory.h"          // bl_arena, bl_text
#include "datasets/dataset.h"     // bl_dataset_options, bl_split
#include "datasets/views/views.h" // bl_recipe
#include "experiment/value.h"     // bl_spot
#include "graph/byol.h"           // bl_model_options
#include "graph/classifier.h"     // bl_classifier_options
#include "graph/schedule.h"       // bl_schedule

#define BL_MAX_EPOCHS 32 // that a list names
typedef struct bl_epochs { // when an evaluation runs, in finished epochs; 0 is before training; the last epoch always counts
    int first, every;      // first, first + every, ...; every 0: only the list
    int list[BL_MAX_EPOCHS], list_count;
} bl_epochs;

typedef enum bl_knn_metric { BL_KNN_COSINE } bl_knn_metric;
typedef enum bl_knn_protocol { BL_KNN_CROSS_VALIDATION, BL_KNN_TRAIN_TO_TEST } bl_knn_protocol;

typedef struct bl_knn_options {
    int k;
    bl_knn_metric metric;
    bl_knn_protocol protocol;
    double temperature;       // weights exp(cos / T); 0: one vote each
    int folds;                // cross-validation
    int64_t rows;             // the first rows of the split; 0: all
    bool raw_pixels;          // features: pixels | encoder (default): the normalised evaluation image itself, once, at epoch 0
} bl_knn_options;

// Where an arm of a label-efficiency curve gets its encoder from.
typedef enum bl_arm_source { BL_ARM_PRETRAINED, BL_ARM_RANDOM, BL_ARM_RUN, BL_ARM_WEIGHTS } bl_arm_source;
typedef struct bl_arm {
    const char *name;         // "pretrained", "random", or the file's own word
    bl_arm_source source;     // this run's encoder; this run's initial weights; another run's file; a safetensors file
    const char *path;         // run, weights
    bl_spot spot;             // where the path is written
    const char *prefix;       // weights: of the network that is meant among several in the file; NULL: the only one
    bool keep_preprocessing;  // run, weights: use the file's evaluation preprocessing although the weights say otherwise
} bl_arm;

// What a fit looks at every `watch_every` updates: nothing, the held-out part of its labels, or val itself, as the hands-on review does,
// which chooses its best epoch there.
typedef enum bl_watch { BL_WATCH_NONE, BL_WATCH_HELD_OUT, BL_WATCH_VAL } bl_watch;

// What every protocol that learns from labels has: the labels, the choice, the budget, the optimiser, and where it starts.
#define BL_MAX_RATES 16
typedef struct bl_fit_options {
    double share;             // percent of the train labels, balanced over the classes, nested: 1 lies inside 10
    bool listed;              // of scenes: the first ones as they are listed; false: drawn from label_seed
    int64_t label_seed;       // which labels; -1: the run's seed

    double validation;        // part of the labelled images held out for choices, by class; 0: the split `validation` is used
    bool refit;               // after the choice train on the held-out part too
    bl_watch watch;
    int watch_every;          // updates between looks; 0: a pass over what is fitted

    int steps;                // optimiser steps of a row, equal for all arms; 0: `epochs` of the labelled part
    double growth;            // steps are as the file has them times (share / 100 %) ** growth: 0, equal for all shares; 1: in proportion
    int epochs;
    int batch;

    double learning_rates[BL_MAX_RATES]; // candidates, chosen once an arm and share on the held-out part
    int rate_count;
    bl_optimizer_options optimizer; // SGD
    bl_schedule schedule;     // kind, least, power, factor, patience; the fit gives it a candidate for its base, and the warm-up:
    double warmup_steps;

    bl_arm arm;
    bool frozen;              // the encoder stays
    double head_lr_scale;
    bl_recipe view;           // of images: augmentation while fitting, without the normalisation, which is the evaluation's
} bl_fit_options;

typedef struct bl_linear_options {
    bool cached;              // features extracted once; false: augmented images through the frozen encoder
    bool lbfgs;               // cached: L-BFGS over l2; false: SGD over learning rates
    double l2[2];             // L-BFGS: weight of |W|^2 / 2 beside the mean cross-entropy, low and high end of a logarithmic grid
    int l2_points;
} bl_linear_options;

typedef struct bl_finetune_options {
    int hidden;               // width of a hidden layer of the head; 0: none
} bl_finetune_options;

typedef struct bl_scene_fit_options {
    int crop;                 // pixels a side of a training crop
    double scale[2];          // of the scene, before: low and high
    double flip;
    int score_batch;          // whole scenes of a step while scoring: batch-averaged accuracy depends on it
    int pictures;             // scenes of val whose prediction is kept, of the largest share
} bl_scene_fit_options;

// Every protocol: its kind, and the bl_protocol_<name> of its file in protocols/. Its facts are a row in protocol_facts.c.
#define BL_PROTOCOLS(row) \
    row(KNN, knn) row(LINEAR, linear) row(FINETUNE, finetune) row(PROBE, probe) row(ACCURACY, accuracy) row(SEGMENTATION, segmentation)
#define BL_PROTOCOL_KIND(kind, name) BL_PROTOCOL_##kind,
typedef enum bl_protocol_kind { BL_PROTOCOLS(BL_PROTOCOL_KIND) BL_PROTOCOL_COUNT } bl_protocol_kind;

// One row of measurements. An entry under `evaluate:` makes one, or one for each arm and share. Its key names its measurements:
// "knn/k1_cv/test", "linear/test", "linear/10%/test", "finetune/pretrained/10%/test", "probe/test", "accuracy/test",
// "segmentation/pretrained/10%/val".
typedef struct bl_evaluation {
    const char *row;          // built from the options
    const char *id;           // digest of the options of class evaluate, 16 hexadecimal digits
    bl_protocol_kind kind;
    const bl_value *written;  // its entry's keys: where an error stands
    bl_epochs at;             // finetune, segmentation: the last epoch alone
    bl_split split;           // of images: that is asked about; k-NN by cross-validation: inside it
    bl_scene_split scenes;    // of scenes: that are asked about
    bool monitor;             // watches test before the last epoch, as the file owns: labelled so
    bool chosen_on;           // a plateau chose the learning rate by images that are asked about: labelled so
    bl_knn_options knn;       // knn
    bl_fit_options fit;       // linear, finetune, segmentation; and beside it their own
    bl_linear_options linear;
    bl_finetune_options finetune;
    bl_scene_fit_options segmentation;
} bl_evaluation;

typedef struct bl_expectation { // a published figure
    const char *row, *source, *origin, *cell; // origin: read | digitised; cell: NULL where it speaks of every cell
    int epoch, n;             // epoch: where the source names none, the last one of ours
    double value;             // percent; where the source contradicts itself the middle of low and high, which no one published
    double low, high;         // where the source contradicts itself: both its values; equal where it does not
    double spread;            // NaN: none is given
    const char *spread_kind;  // none | sd | half_range | interval
    const char *selection;    // last | best_on_test | unknown: which epoch of theirs it is; ours is the last
    const char *about;        // what differs from ours ("ImageNet, ResNet-50, 300 epochs"); "" where nothing does
    bool context;             // not `last`, another width, data set or protocol (`about` says): no difference is printed
} bl_expectation;

// train.precision: what layers compute in. Graphs know the type of their tensors alone (bl_model_options.precision): tf32's are f32.
typedef enum bl_precision { BL_PRECISION_F32, BL_PRECISION_BF16, BL_PRECISION_TF32 } bl_precision;

typedef struct bl_interval { // train.checkpoint_every: one of them is not 0
    int64_t steps;
    double seconds;
} bl_interval;

typedef struct bl_train_options {
    bl_precision precision;
    int epochs, batch, accumulate; // batch: images a micro step; the optimiser sees batch * accumulate
    int64_t steps;                 // 0: as the epochs give; else training ends there, inside the last epoch
    bl_schedule schedule;          // of the learning rate; its base is final: {value, per} is resolved by batch * accumulate / per
    const char *plateau_row;       // PLATEAU watches it: an evaluation row of the validation split, or "loss"
    bool shuffle;                  // data.shuffle
    bool stop_when_collapsed;      // stop_on: collapsed
    int collapse_every;            // steps between diagnoses of collapse (machine); 0: none
    bl_interval checkpoint_every;  // of training, and of fits in steps of their own (machine)
    int log_every;                 // steps between logged scalars
} bl_train_options;

typedef enum bl_task_kind { BL_TASK_BYOL, BL_TASK_SUPERVISED } bl_task_kind; // method.kind

// One cell, resolved. Strings belong to the experiment.
typedef struct bl_cell {
    const char *name;              // "main" when the file names none
    const bl_value *written;       // its keys: where an error stands
    bl_dataset_options data;
    const bl_value *data_root;     // as it is written; NULL: it is not
    bl_recipe views[BL_VIEWS];
    bl_recipe evaluation_view;     // the whole image at the views' size, and normalize as in `views`
    bl_task_kind task;
    bl_model_options model;        // encoder, optimiser, image size, precision count for either task
    double head_lr_scale;          // supervised: method.head.lr_scale
    int head_hidden;               // supervised: method.head.hidden
    double label_share;            // supervised: data.labels, percent of the train labels that exist
    bool is_probed;                // method.probe.kind: model.probe_classes is the data set's
    bl_train_options train;
    bl_evaluation *evaluations;
    int evaluation_count;
    const struct bl_evaluation_entry *entries; // the list below `evaluate:` that the rows were made from (schema.h): the room's own
    int entry_count;
    const char *resolved;          // canonical YAML of every key of the cell, defaults included
    const char *train_id;          // digest of the keys of class train, 64 hexadecimal digits (the seed is added by the run)
    bool save_weights, save_features, save_last_checkpoint;
    int save_checkpoints[BL_MAX_EPOCHS], save_checkpoint_count; // finished epochs
} bl_cell;

typedef struct bl_machine {
    const char *backend;           // "onednn" | "cudnn" | "reference"
    int threads, loader_threads;   // 0 in the file: chosen from the processors
    const char *isa;
    bool eager;                    // cudnn
    bool without_locks;            // nobody else writes, as the user says
} bl_machine;

typedef struct bl_experiment {
    bl_arena *arena;
    const char *warnings;          // of bl_experiment_read_elsewhere: a line each; "" otherwise
    const char *path, *study;      // study: the path below experiments/, without ".yaml"; or the file's stem
    const char *title;             // of the plot; report class
    bl_machine machine;
    uint64_t seeds[64];
    int seed_count;
    bl_cell *cells;
    int cell_count;
    const char **skipped;          // cells of a product that are left out, as meaningless or excluded: "name: why"
    int skipped_count;
    bl_expectation *expectations;
    int expectation_count;
} bl_experiment;

#endif
