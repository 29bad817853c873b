// model.h - one cell on one backend: layout, store, the training plan and the plan that extracts features.
//
// The room train/ holds a model, the one loop that trains it and the diagnosis of collapse (which alone knows LAPACKE). It sees record/ and
// all below it. Its door: model.h and loop.h.

#ifndef BL_TRAIN_MODEL_H
#define BL_TRAIN_MODEL_H

#include "backends/backend.h"   // bl_backend, bl_store, bl_plan
#include "experiment/options.h" // bl_cell, bl_machine

#define BL_FEATURE_ROWS 250 // images a step of feature extraction; divides CIFAR's splits

typedef struct bl_model { // start from {0}; owns everything it points to but the backend
    bl_backend *backend;
    bl_layout *layout;
    bl_step_graph step;
    bl_features_graph features;
    bl_store *store;
    bl_plan *training, *extraction;
    bool tf32; // the training plan may round to it; whatever evaluates is exact
} bl_model;

// The cell's training step: BYOL's, or a classifier's where the cell is supervised.
BL_CHECK int bl_model_build_step(bl_step_graph *step, bl_layout *layout, const bl_cell *cell);
// Compiles it as training wants it; `only_report`: to know what it needs (bl_compile_options).
BL_CHECK int bl_model_compile(bl_plan **plan, bl_store *store, const bl_step_graph *step, const bl_cell *cell, bool only_report);
// The classifier that a supervised cell trains.
bl_classifier_options bl_model_classifier(const bl_cell *cell);

// Builds the graphs, makes the store, fills it with the initial weights of `seed`, compiles. The extraction plan is compiled only
// where the cell evaluates.
BL_CHECK int bl_model_create(bl_model *model, bl_backend *backend, const bl_cell *cell, uint64_t seed);
void bl_model_free(bl_model *model);

// Names the first tensor, in the order of the graph, with a value that is not finite when the micro phase of what the training
// plan's `slot` held runs again with everything observed.
BL_CHECK int bl_model_first_bad(bl_model *model, int slot, const char **name);

#endif
