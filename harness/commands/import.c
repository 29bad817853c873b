#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backends/registry.h"
#include "base/digest.h"
#include "base/file.h"
#include "commands/command.h"
#include "record/container.h"
#include "weights/weights.h"

// The encoder of a cell, empty, on the reference backend: what the file is compared with.
typedef struct encoder {
    bl_layout *layout;
    bl_features_graph features;
    bl_backend *backend;
    bl_store *store;
} encoder;

static int open_encoder(encoder *e, const bl_cell *cell) {
    const bl_backend_options options = {.threads = 1, .isa = ""};
    if (bl_layout_create(&e->layout) || bl_features_build(&e->features, e->layout, &cell->model.encoder, cell->model.image_size, 1) ||
        bl_backend_open(&e->backend, "reference", &options))
        return BL_FAILED;
    return bl_store_create(e->backend, e->layout, &e->store);
}

static void close_encoder(encoder *e) {
    bl_store_free(e->store);
    bl_backend_close(e->backend);
    bl_graph_free(e->features.graph);
    bl_layout_free(e->layout);
}

// As a run file has it: /weights/online/<name>, OHWI.
static int put_segments(const encoder *e, bl_container_writer *writer) {
    const int n = bl_layout_find_network(e->layout, "online");
    for (int k = 0; k < 2; k++) {
        const bl_block_kind kind = k ? BL_BUFFERS : BL_PARAMETERS;
        const bl_segments *segments = bl_network_segments(&e->layout->networks[n], kind);
        for (int s = 0; s < segments->count; s++) {
            const bl_segment *segment = &segments->items[s];
            const size_t count = (size_t)bl_shape_count(&segment->shape);
            char path[256];
            double *values = bl_alloc(count * sizeof *values);
            float *narrow = bl_alloc(count * sizeof *narrow);
            int status = !values || !narrow || bl_store_read(e->store, (bl_place){n, kind, s}, values) ? BL_FAILED : BL_OK;
            for (size_t i = 0; !status && i < count; i++) narrow[i] = (float)values[i];
            snprintf(path, sizeof path, "/weights/online/%s", segment->name);
            if (!status) status = bl_container_put_f32(writer, path, narrow, segment->shape.dims, segment->shape.rank);
            bl_free(values);
            bl_free(narrow);
            if (status) return BL_FAILED;
        }
    }
    return BL_OK;
}

static int put_preprocessing(const bl_preprocessing *p, bl_container_writer *writer) {
    const int64_t three = 3, one = 1, size = p->image_size, resize = p->resize;
    if (bl_container_put_f64(writer, "/preprocessing/mean", p->mean, &three, 1) ||
        bl_container_put_f64(writer, "/preprocessing/std", p->std, &three, 1) ||
        bl_container_put_i64(writer, "/preprocessing/image_size", &size, &one, 1))
        return BL_FAILED;
    return bl_container_put_i64(writer, "/preprocessing/resize", &resize, &one, 1);
}

static int write_file(const char *path, const char *source, const encoder *e, const bl_preprocessing *preprocessing) {
    bl_container_writer *writer = NULL;
    void *data = NULL;
    size_t bytes;
    char digest[65];
    int status = BL_FAILED;
    if (bl_read_file(source, &data, &bytes)) return BL_FAILED;
    bl_digest_hex(data, bytes, digest);
    if (bl_container_writer_create(&writer) || bl_container_put_text(writer, "/manifest/status", "imported") ||
        bl_container_put_text(writer, "/manifest/source", source) || bl_container_put_text(writer, "/manifest/source_digest", digest) ||
        bl_container_put_text(writer, "/manifest/version", BYOLAB_VERSION) || put_preprocessing(preprocessing, writer) || put_segments(e, writer))
        goto done;
    status = bl_container_writer_save(writer, path);
done:
    bl_container_writer_free(writer);
    bl_free(data);
    return status;
}

static void print_preprocessing(const bl_preprocessing *ours, const bl_preprocessing *theirs, bool keep) {
    printf("  images: mean %g %g %g, std %g %g %g, %d pixels%s\n", ours->mean[0], ours->mean[1], ours->mean[2], ours->std[0], ours->std[1],
           ours->std[2], ours->image_size,
           !theirs->known ? " (the experiment's; the file does not say)" : keep ? " (the experiment's, by --keep-preprocessing)" : "");
}

static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    const bl_cell *cell;
    bl_weights weights = {0}, taken = {0};
    encoder e = {0};
    int status = BL_FAILED;
    if (bl_arguments_parse(&arguments, argc, argv, bl_command_import.options)) return BL_FAILED;
    const char *file = arguments.file, *out = bl_arguments_option(&arguments, "out", NULL);
    const bool keep = bl_arguments_option(&arguments, "keep-preprocessing", NULL) != NULL;
    arguments.file = bl_arguments_option(&arguments, "experiment", NULL);
    if (!file) return bl_misused(bl_fail("write the file to import: byolab import FILE.safetensors --experiment FILE.yaml"));
    if (!arguments.file) return bl_misused(bl_fail("--experiment is missing: whose encoder are these weights for?"));
    if (bl_weights_read_safetensors(&weights, file)) goto done;
    weights.prefix = bl_arguments_option(&arguments, "prefix", NULL);
    if (bl_arguments_read(&arguments, &experiment) || bl_arguments_cell(&arguments, experiment, &cell) || open_encoder(&e, cell) ||
        bl_weights_apply_encoder(&weights, e.store, "online"))
        goto done;
    const bl_preprocessing ours = bl_preprocessing_of(&cell->evaluation_view, cell->model.image_size);
    if (!keep && bl_preprocessing_check(file, &weights.preprocessing, &ours)) goto done;
    if (!out) {
        out = bl_path_with_ending(weights.arena, file, ".h5");
        if (bl_file_exists(out)) { // what export wrote beside a run would replace that run
            bl_fail("%s: is there already, perhaps the run these weights were exported from: name another file by --out", out);
            goto done;
        }
    }
    if (write_file(out, file, &e, &ours) || bl_weights_read_run(&taken, out) || bl_print_file(out, &taken)) goto done;
    print_preprocessing(&ours, &weights.preprocessing, keep);
    if (weights.count > taken.count) 
        printf("  %d tensors passed over: classifier, batch counts%s\n", weights.count - taken.count, weights.prefix ? ", what the prefix leaves out" : "");
    status = BL_OK;
done:
    close_encoder(&e);
    bl_experiment_free(experiment);
    bl_weights_free(&weights);
    bl_weights_free(&taken);
    return status;
}

const bl_command bl_command_import = {
        "import", "check a safetensors encoder against an experiment and make a run file of it",
        "byolab import FILE.safetensors --experiment FILE.yaml [--out FILE.h5] [options]\n\n"
        "Names and shapes are compared one by one with the experiment's encoder, and how images were prepared with its views. The file\n"
        "written can stand in `finetune: {arms: {name: {run: FILE.h5}}}`. A .pth file is a pickle: convert it in Python with\n"
        "safetensors.torch.save_file(state_dict, \"weights.safetensors\").\n\n"
        "  --experiment FILE   whose encoder it is (--cell: of which cell; default: the first)\n"
        "  --prefix NAME       of several networks in the file, the one whose tensors are called NAME.conv1.weight and so on\n"
        "  --keep-preprocessing\n"
        "                      use the experiment's images although the weights saw others\n"
        "  --out FILE          default: beside the file, ending in .h5, unless that is there already\n",
        "set cell experiment out prefix keep-preprocessing!", run};
