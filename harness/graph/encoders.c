#include "graph/encoders.h"

#include <string.h>

#define FITS(name, build, ...) _Static_assert(sizeof((bl_stage[]){__VA_ARGS__}) <= BL_MAX_STAGES * sizeof(bl_stage), name " has too many stages");
BL_ENCODERS(FITS)

#define ROW(name, build, ...) {name, build, {__VA_ARGS__}},
const bl_encoder bl_encoders[] = {BL_ENCODERS(ROW)};
const int bl_encoder_count = (int)(sizeof bl_encoders / sizeof *bl_encoders);

int bl_encoder_stages(const bl_encoder *encoder) {
    int count = 0;
    while (count < BL_MAX_STAGES && encoder->stages[count].blocks) count++;
    return count;
}

int bl_encoder_tap(const bl_encoder *encoder, int downsampling, int *stage) {
    for (*stage = 0; *stage < bl_encoder_stages(encoder); ++*stage)
        if (encoder->stages[*stage].downsampling == downsampling) return BL_OK;
    return bl_fail("no stage of %s is %d times smaller than the image: write another network.encoder", encoder->name, downsampling);
}

int bl_encoder_find(const char *name, const bl_encoder **encoder) {
    bl_text known = {0};
    for (int i = 0; i < bl_encoder_count; i++) {
        if (!strcmp(bl_encoders[i].name, name)) {
            *encoder = &bl_encoders[i];
            bl_text_free(&known);
            return BL_OK;
        }
        bl_text_add(&known, "%s%s", i ? ", " : "", bl_encoders[i].name);
    }
    const int status = bl_fail("no encoder is called %s; there are %s", name, known.chars);
    bl_text_free(&known);
    return status;
}

int bl_encoder_build(bl_graph *graph, int network, const char *prefix, const bl_encoder_options *options, bl_norm_mode mode,
                     bl_tensor *images, bl_taps *out) {
    bl_builder b = {graph, network, prefix, mode, 1};
    const bl_encoder *encoder;
    if (bl_encoder_find(options->name, &encoder)) return BL_FAILED;
    return encoder->build(&b, encoder, options, images, out);
}

int bl_statistics_groups(const bl_encoder_options *options, int64_t rows, int views, int *groups) {
    const int64_t each = options->statistics_rows;
    *groups = views;
    if (!each) return BL_OK;
    if (each < 1 || each > rows || rows % each)
        return bl_fail("statistics_rows %lld does not divide the %lld rows of a step", (long long)each, (long long)rows);
    *groups = (int)(rows / each);
    return BL_OK;
}
