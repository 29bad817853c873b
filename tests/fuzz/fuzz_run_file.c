// A run file or a checkpoint that somebody changed, with a digest that is right: as report, status, export and a run that goes on read it.
//
// The input is a list of changes to a file that byolab has made. Its first byte says of which (1: a checkpoint, else a run file), how (2: bytes
// of the file itself, else through HDF5: other values, types, extents, links) and what takes longest: whether a run goes on from it (4 and no
// higher bit), or a report is written (8 and no other of those). Every RECORD bytes behind it are one change.

#include <hdf5.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "experiment/experiment.h"
#include "report/report.h"
#include "report/study.h"
#include "rig.h"
#include "run/sweep.h"
#include "run/trainer.h"
#include "weights/weights.h"

enum { USER_BLOCK = 512, AT_LENGTH = 16, AT_DIGEST = 24 }; // record/container_parts.h has the block before HDF5's bytes
enum { RECORD = 12, MOST_RECORDS = 8, MOST_SETS = 512 };

static const char recipe[] =
        "machine: {backend: reference, threads: 1, loader_threads: 1, lock: none}\n"
        "data: {dataset: shapes, train: 30, validation: 10, test: 10}\n"
        "views: [{random_resized_crop: {size: 8}, normalize: imagenet}]\n"
        "network: {encoder: resnet18, stem: cifar, width: 1, projector: {hidden: 2, out: 2}}\n"
        "method: {predictor: {kind: mlp, hidden: 2}, target: {source: ema, tau: 0.9}}\n"
        "train: {epochs: 2, batch: 10, optimizer: {kind: adam, lr: 1.0e-3}, log_every: 1, checkpoint_every: 1, collapse_every: 2, seeds: [7, 8]}\n"
        "evaluate:\n"
        "  - knn: {k: 1, split: test}\n"
        "  - linear: {solver: sgd, split: test, steps: 2, batch: 4, lr: [0.1, 0.3], shares: [100], validation: 0.5}\n"
        "save: {features: last}\n";

static struct {
    bl_experiment *experiment;
    void *bytes[2]; // of seed 7's run file and of seed 8's checkpoint
    size_t size[2];
    char *paths[2];
    char *names[2][MOST_SETS]; // of their data sets
    int count[2];
} made;

// ---- the files as byolab leaves them ----

static herr_t note(hid_t object, const char *name, const H5O_info_t *info, void *context) {
    const int which = *(int *)context;
    (void)object;
    if (info->type == H5O_TYPE_DATASET && made.count[which] < MOST_SETS) made.names[which][made.count[which]++] = strdup(name);
    return 0;
}

static void make(int which, bl_run_request request, const char *ending) {
    bl_arena *arena = bl_arena_create();
    request.key = (bl_run_key){made.experiment, &made.experiment->cells[0], made.experiment->seeds[which], "results"};
    const char *path = bl_run_path(arena, &request.key);
    if (which) path = bl_run_beside(arena, path, ending);
    if (bl_run(&request) || bl_read_file(path, &made.bytes[which], &made.size[which])) abort();
    made.paths[which] = strdup(path);
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0 || H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, note, &which, H5O_INFO_BASIC) < 0) abort();
    H5Fclose(file);
    unlink(path);
    bl_arena_free(arena);
}

static void make_all(void) {
    if (made.experiment) return;
    bl_fuzz_here();
    bl_fuzz_file("small.yaml", (const uint8_t *)recipe, sizeof recipe - 1);
    if (bl_experiment_read(&made.experiment, "small.yaml", NULL, 0)) abort();
    make(0, (bl_run_request){0}, ".h5");
    make(1, (bl_run_request){.stop_after_epoch = 1}, ".ckpt");
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

// ---- changes ----

static uint64_t number(const uint8_t *bytes, int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static double value_of(const uint8_t *bytes) {
    static const double odd[] = {0, -0.0, 1, -1, 0x1p31, 0x1p32, 0x1p53, 0x1p63, -0x1p63, 1e300, -1e300, 1e-320, (double)__builtin_inff(), __builtin_nan("")};
    return *bytes < 200 ? odd[*bytes % (sizeof odd / sizeof *odd)] : (double)(int64_t)number(bytes, 6);
}

// One value of a set, or each of them.
static void write_values(hid_t file, const char *name, bool each, uint32_t at, double value) {
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set);
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    const hid_t type = H5Dget_type(set);
    if (count > 0 && count < 1 << 20 && H5Tget_class(type) != H5T_STRING) {
        double *values = malloc((size_t)count * sizeof *values);
        if (H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0) {
            for (hssize_t i = 0; i < count; i++)
                if (each || i == (hssize_t)at % count) values[i] = value;
            H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
        }
        free(values);
    } else if (count == 1) { // a text: its bytes
        const size_t size = H5Tget_size(type);
        char *text = calloc(size + 1, 1);
        if (!H5Tis_variable_str(type) && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) >= 0 && size) {
            text[at % size] = (char)(int)(value > 127 || value < -128 || value != value ? 127 : value);
            H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text);
        }
        free(text);
    }
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
}

// In the place of the set another one of its name.
static void replace(hid_t file, const char *name, const uint8_t *how) {
    static const hsize_t extents[] = {0, 1, 2, 3, 7, 64, 4096, 1ull << 31, 1ull << 40, 1ull << 62};
    const int rank = how[1] % 4;
    hsize_t dims[3];
    for (int d = 0; d < 3; d++) dims[d] = extents[how[2 + d] % 10];
    hid_t type = H5Tcopy(how[0] & 1 ? H5T_C_S1 : how[0] & 2 ? H5T_STD_I64LE : how[0] & 4 ? H5T_STD_U8LE : H5T_IEEE_F64LE);
    if (how[0] & 1) H5Tset_size(type, how[0] & 8 ? H5T_VARIABLE : 1 + how[5] % 40u);
    const hid_t space = rank ? H5Screate_simple(rank, dims, NULL) : H5Screate(how[0] & 16 ? H5S_NULL : H5S_SCALAR), made_by = H5Pcreate(H5P_DATASET_CREATE);
    if (rank && how[0] & 32) H5Pset_chunk(made_by, rank, (const hsize_t[]){3, 3, 3});
    H5Pset_fill_time(made_by, H5D_FILL_TIME_NEVER);
    H5Pset_alloc_time(made_by, rank && !(how[0] & 32) ? H5D_ALLOC_TIME_LATE : H5D_ALLOC_TIME_DEFAULT);
    H5Ldelete(file, name, H5P_DEFAULT);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, made_by, H5P_DEFAULT);
    if (set >= 0) H5Dclose(set);
    H5Pclose(made_by);
    if (space >= 0) H5Sclose(space);
    H5Tclose(type);
}

static void change(hid_t file, int which, const uint8_t *record) {
    const char *name = made.names[which][number(record + 1, 2) % (uint64_t)made.count[which]];
    const char *other = made.names[which][number(record + 3, 2) % (uint64_t)made.count[which]];
    if (H5Lexists(file, name, H5P_DEFAULT) <= 0 || H5Oexists_by_name(file, name, H5P_DEFAULT) <= 0) return;
    switch (record[0] % 8) {
    case 0: H5Ldelete(file, name, H5P_DEFAULT); break;
    case 1: replace(file, name, record + 5); break;
    case 2: // leads to another
        if (!strcmp(name, other)) break;
        H5Ldelete(file, name, H5P_DEFAULT);
        if (record[5] & 1) H5Lcreate_soft(other, file, name, H5P_DEFAULT, H5P_DEFAULT);
        else H5Lcreate_hard(file, other, file, name, H5P_DEFAULT, H5P_DEFAULT);
        break;
    case 3: // a copy of another
        H5Ldelete(file, name, H5P_DEFAULT);
        if (H5Lexists(file, other, H5P_DEFAULT) > 0) H5Ocopy(file, other, file, name, H5P_DEFAULT, H5P_DEFAULT);
        break;
    default: write_values(file, name, record[0] & 8, (uint32_t)number(record + 3, 2), value_of(record + 5));
    }
}

static void pass_off(uint8_t *bytes, size_t size) {
    for (int i = 0; i < 8; i++) bytes[AT_LENGTH + i] = (uint8_t)((uint64_t)(size - USER_BLOCK) >> (8 * i));
    bl_digest digest;
    bl_digest_begin(&digest);
    bl_digest_add(&digest, bytes + USER_BLOCK, size - USER_BLOCK);
    bl_digest_end(&digest, bytes + AT_DIGEST);
}

static void write_changed(const uint8_t *data, size_t size, int which, bool by_bytes) {
    const char *path = made.paths[which];
    void *bytes;
    size_t length = made.size[which];
    const size_t records = (size - 1) / RECORD < MOST_RECORDS ? (size - 1) / RECORD : MOST_RECORDS;
    if (bl_atomic_write(path, made.bytes[which], length)) abort();
    const hid_t file = by_bytes ? H5I_INVALID_HID : H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    for (size_t r = 0; r < records && !by_bytes; r++) change(file, which, data + 1 + r * RECORD);
    if (!by_bytes) H5Fclose(file);
    if (bl_read_file(path, &bytes, &length)) abort();
    for (size_t r = 0; r < records && by_bytes; r++) {
        const uint8_t *record = data + 1 + r * RECORD;
        const size_t at = USER_BLOCK + number(record, 4) % (length - USER_BLOCK);
        for (size_t i = 0; i < 1 + record[4] % 7u && at + i < length; i++) ((uint8_t *)bytes)[at + i] = record[5 + i];
    }
    pass_off(bytes, length);
    if (bl_atomic_write(path, bytes, length)) abort();
    bl_free(bytes);
}

// ---- who reads it ----

static void read_weights(const char *path, bool all) {
    bl_weights weights = {0};
    FUZZ(all ? bl_weights_read_run_all(&weights, path) : bl_weights_read_run(&weights, path));
    bl_weights_free(&weights);
}

static void read_study(void) {
    bl_study study;
    bl_text table = {0};
    if (FUZZ(bl_study_read(&study, made.experiment, "results", true))) bl_study_free(&study);
    FUZZ(bl_sweep_table(made.experiment, "results", &table));
    bl_text_free(&table);
}

static void write_report(void) {
    bl_text summary = {0};
    bool written;
    FUZZ(bl_report_write(made.experiment, "results", true, &summary, &written));
    bl_text_free(&summary);
}

static void go_on(int which) {
    FUZZ(bl_run(&(bl_run_request){.key = {made.experiment, &made.experiment->cells[0], made.experiment->seeds[which], "results"}}));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    make_all();
    if (size < 1 + RECORD) return 0;
    const int which = *data & 1;
    write_changed(data, size, which, *data & 2);
    read_weights(made.paths[which], size % 2);
    read_study();
    if (*data >> 2 == 1) go_on(which);
    if (*data >> 2 == 2) write_report();
    // What byolab opened is closed.
    if (H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL)) abort();
    unlink(made.paths[which]);
    bl_fuzz_clear();
    if (mkdir("results", 0777) || mkdir("results/small", 0777) || mkdir("results/small/main", 0777)) abort();
    return 0;
}
