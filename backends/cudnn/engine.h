// engine.h - a pattern made executable: cuDNN's engine with its settings, chosen once and the same every time.
//
// The choice is by rule, not by timing: the first of cuDNN's own suggestions (its heuristics' mode A, then its fallback list) that is
// deterministic, that computes f32 in f32 (no tensor cores; without Winograd or FFT where another does) unless the pattern allows TF32,
// that uses tensor cores for bf16 where any suggestion does, that wants at most 1 GiB of workspace where any does, that finalises,
// and whose plan can be written down: as cuDNN's JSON, to be taken again by a later run. That JSON holds the code of engines that are
// compiled at run time (75 kB each; 2 kB for others), so that taking them again compiles nothing and runs the same code.

#ifndef BL_BACKENDS_CUDNN_ENGINE_H
#define BL_BACKENDS_CUDNN_ENGINE_H

#include <cudnn.h>
#include <stddef.h>

#include "backends/cudnn/pattern.h"
#include "base/error.h" // BL_CHECK

typedef struct bl_gpu_engine {   // owned by its list
    const char *text;            // of its pattern
    const char *json;            // of the finalised plan
    const char *name;            // "engine 62, tensor cores": what reports show
    cudnnBackendDescriptor_t plan;
    size_t workspace;            // bytes
    int tensors;                 // of the pattern
    bool is_by_value[BL_GPU_PATTERN_TENSORS], is_virtual[BL_GPU_PATTERN_TENSORS];
    float values[BL_GPU_PATTERN_TENSORS];
} bl_gpu_engine;

typedef struct bl_gpu_engines bl_gpu_engines; // all engines of an open backend, and choices recalled from an earlier run

// For a device that is there (`handle`), or one that is only described by cuDNN's JSON of its properties (`device`; plans are then
// built and finalised, and can never run). The other is NULL. Where both are, nothing is built: patterns are collected, and each gets a
// blank engine whose name is "pattern <index>".
BL_CHECK int bl_gpu_engines_create(bl_gpu_engines **engines, cudnnHandle_t handle, const char *device);
void bl_gpu_engines_free(bl_gpu_engines *engines);

// The pattern's engine: the one made before, else the recalled choice, else by the rule. Fails with cuDNN's own reason where there is
// none; the caller names the node.
BL_CHECK int bl_gpu_engine_find(bl_gpu_engines *engines, const bl_gpu_pattern *pattern, const bl_gpu_engine **engine);

// The patterns asked for so far, in order of their first asking (recalled choices that wait for theirs are among them, blank).
int bl_gpu_engines_count(const bl_gpu_engines *engines);
const bl_gpu_pattern *bl_gpu_engines_pattern(const bl_gpu_engines *engines, int index, const char **text); // text: may be NULL

// Runs it on the handle's stream. data: a device pointer a tensor of the pattern, ignored for virtual and by-value ones. `workspace` has
// the engine's bytes, aligned to 64.
BL_CHECK int bl_gpu_engine_run(const bl_gpu_engines *engines, const bl_gpu_engine *engine, void *const *data, void *workspace);

// Every choice so far as JSON: [{"pattern": "...", "plan": {..}}, ..], in order of their texts; and the choices of such a text to be taken
// by patterns not found yet. A plan that this cuDNN no longer builds is an error that says so.
void bl_gpu_engines_print(const bl_gpu_engines *engines, bl_text *text);
BL_CHECK int bl_gpu_engines_recall(bl_gpu_engines *engines, const char *text);

#endif
