// A weights file, as an arm reads it: its header, its tensors, whether they are an encoder's, what images it wants; and written again.

#include "graph/byol.h"
#include "graph/layout.h"
#include "rig.h"
#include "weights/weights.h"

static const bl_layout *encoder(void) {
    static bl_layout *layout;
    bl_features_graph features;
    const bl_encoder_options options = {.name = "resnet18", .stem = BL_STEM_CIFAR, .stem_padding = 1, .width = 1,
                                        .init = {BL_INIT_KAIMING_FAN_OUT, BL_INIT_UNIFORM_FAN_IN}};
    if (layout) return layout;
    if (bl_layout_create(&layout) || bl_features_build(&features, layout, &options, 8, 1)) abort();
    bl_graph_free(features.graph);
    return layout;
}

// What was read is what is written, but for types: F64 and halves become F32.
static void write_again(const bl_weights *weights) {
    bl_weights again = {0};
    char before[65], after[65], path[5000];
    snprintf(path, sizeof path, "%s/again.safetensors", bl_fuzz_here());
    for (int i = 0; i < weights->count; i++)
        if (weights->items[i].dtype) return; // without values: not written
    if (!FUZZ(bl_weights_write_safetensors(weights, path))) return;
    if (!FUZZ(bl_weights_read_safetensors(&again, path))) abort();
    bl_weights_digest(weights, before);
    bl_weights_digest(&again, after);
    if (strcmp(before, after) != 0) abort();
    bl_weights_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const bl_preprocessing ours = {true, {0.5, 0.5, 0.5}, {0.25, 0.25, 0.25}, 32, 0};
    bl_weights weights = {0};
    if (FUZZ(bl_weights_read_safetensors(&weights, bl_fuzz_file("input.safetensors", data, size)))) {
        static const char *const prefixes[] = {NULL, ".", "module.encoder"};
        for (int i = 0; i < 3; i++) {
            weights.prefix = prefixes[i];
            FUZZ(bl_weights_check_encoder(&weights, encoder(), "online"));
        }
        FUZZ(bl_preprocessing_check("input", &weights.preprocessing, &ours));
        write_again(&weights);
    }
    bl_weights_free(&weights);
    return 0;
}
