#include "experiment/rows.h"

#include <string.h>

#include "base/digest.h"
#include "experiment/key_values.h"
#include "experiment/keys.h"

static const struct {
    const char *name;
    bl_protocol_kind kind;
} protocols[] = {
    {"knn", BL_PROTOCOL_KNN},           {"linear", BL_PROTOCOL_LINEAR}, {"finetune", BL_PROTOCOL_FINETUNE}, {"probe", BL_PROTOCOL_PROBE},
    {"accuracy", BL_PROTOCOL_ACCURACY}, {"segmentation", BL_PROTOCOL_SEGMENTATION},
};

bool bl_protocol_has_arms(bl_protocol_kind kind) { return kind == BL_PROTOCOL_FINETUNE || kind == BL_PROTOCOL_SEGMENTATION; }
bool bl_protocol_has_shares(bl_protocol_kind kind) { return kind == BL_PROTOCOL_LINEAR || bl_protocol_has_arms(kind); }

static const char *prefix_of(bl_arena *arena, const char *name) {
    return bl_arena_format(arena, "evaluate[].%s.", name);
}

// ---- entries ----

static void add_key(bl_arena *arena, bl_value *map, const char *key, const char *text, const bl_value *because) {
    bl_value *value = bl_value_new(arena, BL_VALUE_SCALAR, because->spot, because->layer);
    value->text = text;
    bl_value_append(arena, map, key, because->spot, value);
}

// What one key says about the default of another: augmented features are fitted by SGD, and a budget in epochs is none in steps.
static const bl_value *completed(bl_arena *arena, const bl_value *map) {
    bl_value *copy = bl_value_copy(arena, map);
    const bl_value *features = bl_value_get(copy, "features"), *epochs = bl_value_get(copy, "epochs");
    if (features && features->kind == BL_VALUE_SCALAR && !strcmp(features->text, "augmented") && !bl_value_get(copy, "solver"))
        add_key(arena, copy, "solver", "sgd", features);
    if (epochs && !bl_value_get(copy, "steps")) add_key(arena, copy, "steps", "0", epochs);
    return copy;
}

static int read_entry(bl_arena *arena, const bl_value *item, bl_protocol_options *options) {
    bl_evaluation *row = &options->entry.row;
    if (!item->count) return bl_refuse(item->spot, "write `- knn: {k: 200, ...}`", "evaluate: an entry without a protocol");
    if (item->count > 1)
        return bl_refuse(item->entries[1].key_spot, "write a `-` before each", "evaluate: %s stands in the entry of %s",
                         item->entries[1].key, item->entries[0].key);
    for (size_t k = 0; k < sizeof protocols / sizeof *protocols; k++) {
        if (strcmp(protocols[k].name, item->entries[0].key) != 0) continue;
        options->name = protocols[k].name;
        row->kind = protocols[k].kind;
    }
    options->map = item->entries[0].value;
    if (row->kind == BL_PROTOCOL_LINEAR || row->kind == BL_PROTOCOL_SEGMENTATION) options->map = completed(arena, options->map);
    int status = bl_keys_fill(arena, BL_OF_EVALUATION, prefix_of(arena, options->name), options->map, &options->entry);
    if (status) return status;
    if (row->knn.raw_pixels) row->at = (bl_epochs){.list_count = 1}; // they never change: epoch 0
    if (row->kind == BL_PROTOCOL_KNN && row->knn.protocol == BL_KNN_CROSS_VALIDATION) row->knn.temperature = 0;
    row->fit.optimizer.kind = BL_OPTIMIZER_SGD;
    if (!bl_protocol_has_arms(row->kind)) { // one row a share, of this run's encoder
        options->entry.arms[0] = (bl_arm){.name = "pretrained", .source = BL_ARM_PRETRAINED};
        options->entry.arm_count = 1;
        row->fit.head_lr_scale = 1;
    }
    if (row->kind == BL_PROTOCOL_LINEAR) row->fit.frozen = true;
    if (row->kind == BL_PROTOCOL_SEGMENTATION) row->split = BL_TEST;
    if (!bl_protocol_has_shares(row->kind)) options->entry.share_count = 1;
    return BL_OK;
}

int bl_evaluations_read(bl_arena *arena, const bl_value *tree, bl_protocol_options **options, int *count) {
    const bl_value *list = bl_value_get(tree, "evaluate");
    *count = list ? list->count : 0;
    *options = bl_arena_take(arena, (size_t)(*count + 1) * sizeof **options);
    for (int i = 0; i < *count; i++) {
        int status = read_entry(arena, list->entries[i].value, &(*options)[i]);
        if (status) return status;
    }
    return BL_OK;
}

// ---- rows ----

int bl_evaluation_rows(const bl_protocol_options *options) {
    return options->entry.arm_count * options->entry.share_count;
}

// "knn/k1_cv/test", "pixels/k20/test", "linear/10%/test", "finetune/random/test": all labels go without saying
static const char *name_of(bl_arena *arena, const bl_evaluation *row) {
    const char *split = bl_split_name(row->split);
    const char *share = row->fit.share == 100 ? "" : bl_arena_format(arena, "%g%%/", row->fit.share);
    switch (row->kind) {
    case BL_PROTOCOL_KNN:
        return bl_arena_format(arena, "%s/k%d%s/%s", row->knn.raw_pixels ? "pixels" : "knn", row->knn.k,
                               row->knn.protocol == BL_KNN_CROSS_VALIDATION ? "_cv" : "", split);
    case BL_PROTOCOL_LINEAR: return bl_arena_format(arena, "linear%s/%s%s", row->fit.cached ? "" : "_augmented", share, split);
    case BL_PROTOCOL_FINETUNE: return bl_arena_format(arena, "finetune/%s/%s%s", row->fit.arm.name, share, split);
    case BL_PROTOCOL_PROBE: return bl_arena_format(arena, "probe/%s", split);
    case BL_PROTOCOL_ACCURACY: return bl_arena_format(arena, "accuracy/%s", split);
    case BL_PROTOCOL_SEGMENTATION: return bl_arena_format(arena, "segmentation/%s/%sval", row->fit.arm.name, share);
    }
    return "";
}

// A digest of what differs from the defaults, and of the row's own arm and share: another share beside it changes nothing.
static const char *id_of(bl_arena *arena, const bl_protocol_options *options, int arm, const bl_evaluation *row) {
    bl_text text = {0};
    char digest[65];
    if (row->kind != BL_PROTOCOL_KNN) bl_text_add(&text, "%s ", options->name);
    bl_keys_print_flow(BL_OF_EVALUATION, prefix_of(arena, options->name), options->map, &options->entry,
                       1u << BL_KEY_EVALUATE | BL_ONLY_CHANGED, &text);
    if (bl_protocol_has_shares(row->kind)) bl_text_add(&text, " share %.17g", row->fit.share);
    if (bl_protocol_has_arms(row->kind)) {
        const bl_value *arms = bl_value_get(options->map, "arms");
        bl_text_add(&text, " arm %s ", row->fit.arm.name);
        bl_arm_print(arms ? arms->entries[arm].value : NULL, &row->fit.arm, &text);
    }
    bl_digest_hex(text.chars, text.size, digest);
    bl_text_free(&text);
    return bl_arena_format(arena, "%.16s", digest);
}

void bl_evaluation_expand(bl_arena *arena, const bl_protocol_options *options, bl_evaluation *rows) {
    const bl_evaluation_entry *entry = &options->entry;
    for (int a = 0; a < entry->arm_count; a++)
        for (int s = 0; s < entry->share_count; s++, rows++) {
            *rows = entry->row;
            rows->fit.arm = entry->arms[a];
            rows->fit.share = bl_protocol_has_shares(entry->row.kind) ? entry->shares[s] : 100;
            rows->row = name_of(arena, rows);
            rows->id = id_of(arena, options, a, rows);
        }
}

int bl_evaluations_fill(bl_arena *arena, const bl_value *tree, bl_cell *cell) {
    bl_protocol_options *options;
    int count, rows = 0;
    int status = bl_evaluations_read(arena, tree, &options, &count);
    if (status) return status;
    for (int i = 0; i < count; i++) rows += bl_evaluation_rows(&options[i]);
    cell->evaluations = bl_arena_take(arena, (size_t)(rows + 1) * sizeof *cell->evaluations);
    for (int i = 0; i < count; i++) {
        const int before = cell->evaluation_count;
        bl_evaluation_expand(arena, &options[i], cell->evaluations + before);
        cell->evaluation_count += bl_evaluation_rows(&options[i]);
        for (int fresh = before; fresh < cell->evaluation_count; fresh++)
            for (int k = 0; k < before; k++)
                if (!strcmp(cell->evaluations[k].row, cell->evaluations[fresh].row))
                    return bl_refuse(options[i].map->spot, "write one of them, or give them another k, share or split",
                                     "evaluate: two rows are called %s", cell->evaluations[k].row);
    }
    return BL_OK;
}

void bl_evaluations_print(bl_arena *arena, const bl_value *tree, bl_text *text) {
    bl_protocol_options *options;
    int count;
    if (bl_evaluations_read(arena, tree, &options, &count)) return; // they were read before
    if (count) bl_text_add(text, "evaluate:\n");
    for (int i = 0; i < count; i++) {
        bl_text_add(text, "  - %s: ", options[i].name);
        bl_keys_print_flow(BL_OF_EVALUATION, prefix_of(arena, options[i].name), options[i].map, &options[i].entry, BL_EVERY_CLASS, text);
        bl_text_add(text, "\n");
    }
}
