#include "experiment/protocol_facts.h"

#include <string.h>

static void add_knn_name(const bl_evaluation *row, bl_text *text) {
    const bl_knn_options *knn = &row->knn;
    bl_text_add(text, "%s/k%d%s", knn->raw_pixels ? "pixels" : "knn", knn->k, knn->protocol == BL_KNN_CROSS_VALIDATION ? "_cv" : "");
}

static void add_knn_title(const bl_evaluation *row, bl_text *text) {
    const bl_knn_options *knn = &row->knn;
    bl_text_add(text, "k = %d", knn->k);
    if (knn->temperature > 0) bl_text_add(text, ", T = %g", knn->temperature);
    if (knn->protocol == BL_KNN_CROSS_VALIDATION) bl_text_add(text, ", %d-fold inside %s", knn->folds, bl_evaluation_split(row));
    else bl_text_add(text, ", train to %s", bl_evaluation_split(row));
    if (knn->rows) bl_text_add(text, ", first %lld images", (long long)knn->rows);
}

static const char *linear_variant(const bl_evaluation *row) { return row->linear.cached ? "" : "augmented"; }

static const bl_protocol_facts protocols[BL_PROTOCOL_COUNT] = {
    [BL_PROTOCOL_KNN] = {.name = "knn", .in_id = "", // as before there were others
                         .axis = "k-NN accuracy (%)", .measure = "accuracy", .add_name = add_knn_name, .add_full_title = add_knn_title},
    [BL_PROTOCOL_LINEAR] = {.name = "linear", .in_id = "linear ", .has_shares = true, .title = "linear evaluation",
                            .axis = "linear accuracy (%)", .measure = "accuracy", .variant = linear_variant},
    [BL_PROTOCOL_FINETUNE] = {.name = "finetune", .in_id = "finetune ", .has_shares = true, .has_arms = true, .title = "fine-tuning",
                              .axis = "accuracy (%)", .measure = "accuracy"},
    [BL_PROTOCOL_PROBE] = {.name = "probe", .in_id = "probe ", .title = "online probe", .axis = "probe accuracy (%)",
                           .measure = "accuracy"},
    [BL_PROTOCOL_ACCURACY] = {.name = "accuracy", .in_id = "accuracy ", .title = "supervised", .axis = "accuracy (%)",
                              .measure = "accuracy"},
    [BL_PROTOCOL_SEGMENTATION] = {.name = "segmentation", .in_id = "segmentation ", .has_shares = true, .has_arms = true,
                                  .of_scenes = true, .title = "segmentation", .axis = "mIoU (%)", .measure = "mIoU"},
};

const bl_protocol_facts *bl_protocol_facts_of(bl_protocol_kind kind) { return &protocols[kind]; }

const bl_protocol_facts *bl_protocol_facts_find(const char *name) {
    for (int i = 0; i < BL_PROTOCOL_COUNT; i++)
        if (!strcmp(protocols[i].name, name)) return &protocols[i];
    return NULL;
}

bl_protocol_kind bl_protocol_kind_of(const bl_protocol_facts *facts) { return (bl_protocol_kind)(facts - protocols); }

const char *bl_evaluation_split(const bl_evaluation *row) {
    return protocols[row->kind].of_scenes ? bl_scene_split_name(row->scenes) : bl_split_name(row->split);
}

static const char *variant_of(const bl_evaluation *row) {
    const bl_protocol_facts *facts = &protocols[row->kind];
    return facts->variant ? facts->variant(row) : "";
}

// All labels go without saying.
void bl_evaluation_name(const bl_evaluation *row, bl_text *text) {
    const bl_protocol_facts *facts = &protocols[row->kind];
    const char *variant = variant_of(row);
    if (facts->add_name) facts->add_name(row, text);
    else bl_text_add(text, "%s%s%s", facts->name, *variant ? "_" : "", variant);
    if (facts->has_arms) bl_text_add(text, "/%s", row->fit.arm.name);
    if (facts->has_shares && row->fit.share != 100) bl_text_add(text, "/%g%%", row->fit.share);
    bl_text_add(text, "/%s", bl_evaluation_split(row));
}

void bl_evaluation_kind_title(const bl_evaluation *row, bl_text *text) {
    const char *variant = variant_of(row);
    bl_text_add(text, "%s%s%s", protocols[row->kind].title, *variant ? ", " : "", variant);
}

const char *bl_evaluation_mark(const bl_evaluation *row) {
    return row->monitor ? " (monitored)" : row->chosen_on ? " (chosen on it)" : "";
}

void bl_evaluation_title(const bl_evaluation *row, bl_text *text) {
    const bl_protocol_facts *facts = &protocols[row->kind];
    if (facts->add_full_title) {
        facts->add_full_title(row, text);
    } else {
        bl_evaluation_kind_title(row, text);
        if (facts->has_arms && row->fit.arm.source != BL_ARM_PRETRAINED) bl_text_add(text, " of %s", row->fit.arm.name);
        if (facts->has_shares && row->fit.share < 100) bl_text_add(text, ", %g %% of the labels", row->fit.share);
        bl_text_add(text, ", %s", bl_evaluation_split(row));
    }
    bl_text_add(text, "%s", bl_evaluation_mark(row));
}
