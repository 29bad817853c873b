// experiment.h - the experiment file, read: one study, its cells and seeds, every key typed, checked and with its default.
//
// Errors are one message with file:line:column, the line, a caret, and what to write instead.

#ifndef BL_EXPERIMENT_EXPERIMENT_H
#define BL_EXPERIMENT_EXPERIMENT_H

#include "experiment/options.h" // bl_experiment

// --set key=value: that line in a file over this one, which has it as its base. What a cell says itself stands above both; where that
// leaves an override without effect it is refused.
typedef struct bl_override {
    const char *key, *value;
} bl_override;

// Reads, merges bases, applies overrides, expands cells, checks every contradiction. *experiment is freed by bl_experiment_free.
BL_CHECK int bl_experiment_read(bl_experiment **experiment, const char *path, const bl_override *overrides, int override_count);
// As on a machine where every variable is set: those that are not set here stay as they are written, and are named in `warnings`.
BL_CHECK int bl_experiment_read_elsewhere(bl_experiment **experiment, const char *path, const bl_override *overrides, int override_count);
void bl_experiment_free(bl_experiment *experiment);

#endif
