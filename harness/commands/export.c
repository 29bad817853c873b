#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "commands/command.h"
#include "weights/weights.h"

// `path` with `ending` in place of its last ending.
char *bl_path_with_ending(bl_arena *arena, const char *path, const char *ending) {
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    const int stem = dot && dot > (slash ? slash + 1 : path) ? (int)(dot - path) : (int)strlen(path);
    return bl_arena_format(arena, "%.*s%s", stem, path, ending);
}

int bl_print_file(const char *path, const bl_weights *weights) {
    void *data;
    size_t bytes;
    char digest[65];
    int64_t values = 0;
    if (bl_read_file(path, &data, &bytes)) return BL_FAILED;
    bl_digest_hex(data, bytes, digest);
    bl_free(data);
    for (int i = 0; i < weights->count; i++) values += bl_shape_count(&weights->items[i].shape);
    printf("%s\n  %d tensors, %" PRId64 " values\n  sha256 %s\n", path, weights->count, values, digest);
    return BL_OK;
}

static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_weights weights = {0};
    int status = BL_FAILED;
    if (bl_arguments_parse(&arguments, argc, argv, bl_command_export.options)) return BL_FAILED;
    const char *what = bl_arguments_option(&arguments, "what", "encoder");
    const bool all = !strcmp(what, "all");
    if (!arguments.file)
        return bl_misused(bl_fail("write the run file to export, for example results/shapes/quickstart/main/seed-0.onednn.h5"));
    if (!all && strcmp(what, "encoder") != 0) return bl_misused(bl_fail("--what %s: write encoder or all", what));
    if (all ? bl_weights_read_run_all(&weights, arguments.file) : bl_weights_read_run(&weights, arguments.file)) goto done;
    const char *out = bl_arguments_option(&arguments, "out", NULL);
    if (!out) out = bl_path_with_ending(weights.arena, arguments.file, all ? ".all.safetensors" : ".safetensors");
    if (bl_weights_write_safetensors(&weights, out)) goto done;
    status = bl_print_file(out, &weights);
done:
    bl_weights_free(&weights);
    return status;
}

const bl_command bl_command_export = {
        "export", "write a run's weights as safetensors, as torchvision names and lays them out",
        "byolab export RUN.h5 [--what encoder|all] [--out FILE.safetensors]\n\n"
        "Reads a run file or a checkpoint. The file's metadata say how images were prepared: mean, std, image_size, resize.\n\n"
        "  --what encoder      the online encoder alone: a state_dict for torchvision (default)\n"
        "  --what all          with projector, predictor and target: encoder.*, projector.*, predictor.*, target.*\n"
        "  --out FILE          default: beside the run file, FILE.safetensors (all: FILE.all.safetensors)\n",
        "what out", run};
