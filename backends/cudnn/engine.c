// Engines of an open backend: made once a pattern, found again by its text, run.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cudnn/choice.h"
#include "backends/cudnn/descriptors.h"
#include "backends/cudnn/engine.h"
#include "backends/cudnn/record.h"
#include "base/memory.h" // bl_alloc

typedef struct entry {    // a pattern that was asked for, or a choice that waits for its pattern
    char *text;
    bl_gpu_engine *engine; // NULL: not asked for yet
    bl_gpu_choice choice;  // engine's memory; of one that waits: its JSON only
    bl_gpu_pattern pattern;
} entry;

struct bl_gpu_engines {
    bl_gpu_device device;
    bl_gpu_descriptors owner;  // of the described device
    bool collects;
    entry **entries;
    int count, capacity;
};

static char *copy(const char *chars, size_t size) {
    char *made = bl_alloc(size + 1);
    if (made) memcpy(made, chars, size);
    return made;
}

// ---- the list ----

static int describe_device(bl_gpu_engines *engines, const char *json) {
    cudnnBackendDescriptor_t *device = &engines->device.described;
    if (!bl_gpu_descriptor_create(&engines->owner, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, device) &&
        !bl_gpu_attribute(*device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(json), json) &&
        !bl_gpu_finalize(*device))
        return BL_OK;
    return bl_fail("cuDNN does not accept the description of the device: %s", bl_error());
}

int bl_gpu_engines_create(bl_gpu_engines **engines, cudnnHandle_t handle, const char *device) {
    bl_gpu_engines *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->device.handle = handle;
    made->collects = !handle && !device;
    if (device && describe_device(made, device)) {
        bl_gpu_engines_free(made);
        return BL_FAILED;
    }
    *engines = made;
    return BL_OK;
}

static void free_entry(entry *old) {
    bl_gpu_choice_free(&old->choice);
    bl_free(old->engine);
    bl_free(old->text);
    bl_free(old);
}

void bl_gpu_engines_free(bl_gpu_engines *engines) {
    if (!engines) return;
    for (int i = 0; i < engines->count; i++) free_entry(engines->entries[i]);
    bl_free(engines->entries);
    bl_gpu_descriptors_free(&engines->owner);
    bl_free(engines);
}

static entry *find(const bl_gpu_engines *engines, const char *text) {
    for (int i = 0; i < engines->count; i++)
        if (!strcmp(engines->entries[i]->text, text)) return engines->entries[i];
    return NULL;
}

// Takes the text.
static entry *add(bl_gpu_engines *engines, char *text) {
    if (bl_grow((void **)&engines->entries, engines->count, &engines->capacity, sizeof *engines->entries)) goto failed;
    entry *made = bl_alloc(sizeof *made);
    if (!made) goto failed;
    made->text = text;
    return engines->entries[engines->count++] = made;
failed:
    bl_free(text);
    return NULL;
}

int bl_gpu_engines_count(const bl_gpu_engines *engines) {
    return engines->count;
}

const bl_gpu_pattern *bl_gpu_engines_pattern(const bl_gpu_engines *engines, int index, const char **text) {
    if (text) *text = engines->entries[index]->text;
    return &engines->entries[index]->pattern;
}

// ---- engines ----

// The entry's choice as an engine of the pattern.
static int complete(bl_gpu_engines *engines, entry *of, const bl_gpu_pattern *pattern) {
    bl_gpu_engine *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    if (engines->collects) snprintf(of->choice.name, sizeof of->choice.name, "pattern %d", engines->count - 1);
    *made = (bl_gpu_engine){.text = of->text, .json = of->choice.json, .name = of->choice.name, .plan = of->choice.plan,
                            .workspace = of->choice.workspace, .tensors = pattern->tensor_count};
    for (int i = 0; i < pattern->tensor_count; i++) {
        made->is_virtual[i] = pattern->tensors[i].is_virtual;
        made->is_by_value[i] = pattern->tensors[i].is_by_value;
        made->values[i] = pattern->tensors[i].value;
    }
    of->pattern = *pattern;
    of->engine = made;
    return BL_OK;
}

// Builds what was recorded for the pattern.
static int build_again(bl_gpu_engines *engines, const bl_gpu_pattern *pattern, entry *waiting) {
    bl_gpu_choice choice;
    if (bl_gpu_choose_again(&engines->device, pattern, waiting->text, waiting->choice.json, &choice)) return BL_FAILED;
    bl_gpu_choice_free(&waiting->choice);
    waiting->choice = choice;
    return BL_OK;
}

static int choose(bl_gpu_engines *engines, const bl_gpu_pattern *pattern, const char *text, entry **made) {
    bl_gpu_choice choice = {0};
    if (!engines->collects && bl_gpu_choose(&engines->device, pattern, text, &choice)) return BL_FAILED;
    char *own = copy(text, strlen(text));
    *made = own ? add(engines, own) : NULL;
    if (*made)
        (*made)->choice = choice;
    else
        bl_gpu_choice_free(&choice);
    return *made ? BL_OK : BL_FAILED;
}

int bl_gpu_engine_find(bl_gpu_engines *engines, const bl_gpu_pattern *pattern, const bl_gpu_engine **engine) {
    bl_text text = {0};
    bl_gpu_pattern_print(pattern, &text);
    entry *known = find(engines, text.chars);
    int status = BL_OK;
    if (!known)
        status = choose(engines, pattern, text.chars, &known);
    else if (!known->engine)
        status = build_again(engines, pattern, known);
    if (!status && !known->engine) status = complete(engines, known, pattern);
    if (!status) *engine = known->engine;
    bl_text_free(&text);
    return status;
}

int bl_gpu_engine_run(const bl_gpu_engines *engines, const bl_gpu_engine *engine, void *const *data, void *workspace) {
    int64_t ids[BL_GPU_PATTERN_TENSORS];
    const void *pointers[BL_GPU_PATTERN_TENSORS];
    int count = 0;
    for (int i = 0; i < engine->tensors; i++) {
        if (engine->is_virtual[i]) continue;
        ids[count] = i + 1;
        pointers[count++] = engine->is_by_value[i] ? (const void *)&engine->values[i] : data[i];
    }
    bl_gpu_descriptors owner = {0};
    cudnnBackendDescriptor_t pack;
    int status = BL_FAILED;
    if (!bl_gpu_descriptor_create(&owner, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack) &&
        !bl_gpu_attribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids) &&
        !bl_gpu_attribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers) &&
        !bl_gpu_attribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace) && !bl_gpu_finalize(pack)) {
        const cudnnStatus_t ran = cudnnBackendExecute(engines->device.handle, engine->plan, pack);
        status = ran == CUDNN_STATUS_SUCCESS ? BL_OK : bl_gpu_fail_with_last_words(ran);
    }
    if (status) bl_fail("cuDNN does not run %s (%s): %s", engine->text, engine->name, bl_error());
    bl_gpu_descriptors_free(&owner);
    return status;
}

// ---- what is written down ----

static int by_text(const void *a, const void *b) {
    return strcmp((*(entry *const *)a)->text, (*(entry *const *)b)->text);
}

void bl_gpu_engines_print(const bl_gpu_engines *engines, bl_text *text) {
    const size_t bytes = (size_t)engines->count * sizeof(entry *);
    entry **sorted = bl_alloc(bytes);
    if (sorted && bytes) memcpy(sorted, engines->entries, bytes);
    if (sorted && bytes) qsort(sorted, (size_t)engines->count, sizeof(entry *), by_text);
    bool is_first = true;
    bl_text_add(text, "[");
    for (int i = 0; sorted && i < engines->count; i++) {
        if (!sorted[i]->choice.json) continue; // collected only
        bl_gpu_record_write(text, is_first, sorted[i]->text, sorted[i]->choice.json);
        is_first = false;
    }
    bl_text_add(text, "]\n");
    bl_free(sorted);
}

static int check_choice(void *data, bl_gpu_span pattern, bl_gpu_span plan) {
    (void)data, (void)pattern, (void)plan;
    return BL_OK;
}

// A pattern found before keeps the engine that it has.
static int take_choice(void *data, bl_gpu_span pattern, bl_gpu_span plan) {
    bl_gpu_engines *engines = data;
    char *text = copy(pattern.chars, pattern.size);
    if (!text) return BL_FAILED;
    if (find(engines, text)) {
        bl_free(text);
        return BL_OK;
    }
    entry *made = add(engines, text);
    if (!made) return BL_FAILED;
    made->choice.json = copy(plan.chars, plan.size);
    return made->choice.json ? BL_OK : BL_FAILED;
}

int bl_gpu_engines_recall(bl_gpu_engines *engines, const char *text) {
    if (bl_gpu_record_read(text, check_choice, NULL)) return BL_FAILED; // all of it, or nothing
    return bl_gpu_record_read(text, take_choice, engines);
}
