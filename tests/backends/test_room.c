// What a machine has free, read from made-up ones; and plans that need more: refused before anything is taken, with what would fit.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/room.h"
#include "base/file.h"
#include "step_rig.h"

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

// ---- machines ----

typedef struct made_up { // files under a folder that stands for /, and what there is
    const char *name;
    const char *files[8][2];
    size_t free, total;
} made_up;

#define MEMINFO {"proc/meminfo", "MemTotal:       8388608 kB\nMemFree:         100000 kB\nMemAvailable:   4194304 kB\n"}

static const made_up machines[] = {
    {"nothing to read: not known", {{NULL}}, 0, 0},
    {"what the kernel calls available", {MEMINFO}, 4 * GIB, 8 * GIB},
    {"a group without a limit", {MEMINFO, {"proc/self/cgroup", "0::/user/me\n"}, {"sys/fs/cgroup/user/me/memory.max", "max\n"}}, 4 * GIB, 8 * GIB},
    {"a limit, and files of the page cache that may go",
     {MEMINFO,
      {"proc/self/cgroup", "0::/user/me\n"},
      {"sys/fs/cgroup/user/me/memory.max", "1073741824\n"},
      {"sys/fs/cgroup/user/me/memory.current", "536870912\n"},
      {"sys/fs/cgroup/user/me/memory.stat", "anon 300000000\nactive_file 104857600\ninactive_file 104857600\n"}},
     (512 + 200) * MIB, GIB},
    {"the limit of a group above",
     {MEMINFO,
      {"proc/self/cgroup", "0::/user/me\n"},
      {"sys/fs/cgroup/user/me/memory.max", "max\n"},
      {"sys/fs/cgroup/user/memory.max", "2147483648\n"},
      {"sys/fs/cgroup/user/memory.current", "1073741824\n"}},
     GIB, 2 * GIB},
    {"a container that sees its own limit alone",
     {MEMINFO, {"proc/self/cgroup", "0::/far/away\n"}, {"sys/fs/cgroup/memory.max", "1073741824\n"}}, GIB, GIB},
    {"a limit that is more than there is free",
     {MEMINFO, {"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/memory.max", "6442450944\n"}}, 4 * GIB, 6 * GIB},
    {"a limit that is passed already",
     {MEMINFO, {"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/memory.max", "1048576\n"}, {"sys/fs/cgroup/memory.current", "2097152\n"}},
     0, MIB},
    {"groups as they were before, memory among others",
     {MEMINFO,
      {"proc/self/cgroup", "9:cpu:/me\n4:cpuset,memory:/me\n0::/\n"},
      {"sys/fs/cgroup/memory/me/memory.limit_in_bytes", "1073741824\n"},
      {"sys/fs/cgroup/memory/me/memory.usage_in_bytes", "536870912\n"},
      {"sys/fs/cgroup/memory/me/memory.stat", "inactive_file 5\ntotal_inactive_file 104857600\n"}},
     (512 + 100) * MIB, GIB},
};

static void write_file(const char *root, const char *path, const char *text) {
    char whole[4096];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    char *last = strrchr(whole, '/');
    *last = '\0';
    assert_ok(bl_make_folders(whole));
    *last = '/';
    assert_ok(bl_atomic_write(whole, text, strlen(text)));
}

static void free_memory_is_what_machine_and_control_groups_leave(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        const made_up *m = &machines[i];
        char *root = bl_test_folder();
        bl_room room;
        for (int f = 0; f < 8 && m->files[f][0]; f++) write_file(root, m->files[f][0], m->files[f][1]);
        bl_room_of_machine(root, &room);
        if (room.free != m->free || room.total != m->total)
            fail_msg("%s: %zu of %zu bytes are free, not %zu of %zu", m->name, room.free, room.total, m->free, m->total);
        bl_test_folder_remove(root);
    }
}

static void this_machine_has_some(void **state) {
    (void)state;
    bl_room room;
    bl_room_of_machine("", &room);
    assert_true(room.free > 0 && room.free <= room.total);
}

// ---- needs ----

#define BYOL_KEYS "train.batch", "train.accumulate"

static void refusal_names_what_is_needed_what_is_free_and_what_would_fit(void **state) {
    (void)state;
    static const struct {
        bl_room room;
        bl_need need;
        const char *says; // NULL: it fits
    } cases[] = {
        {{"here", 4 * GIB, 8 * GIB}, {3 * GIB, GIB, 0, 1, 32, BYOL_KEYS}, NULL},
        {{"here", 0, 0}, {900 * GIB, 0, 0, 1, 32, BYOL_KEYS}, NULL}, // not known
        {{"here", 4 * GIB, 8 * GIB}, {3 * GIB, GIB, 1, 1, 0, NULL, NULL},
         "out of memory on here: this plan needs 4.00 GiB (activations and workspace 3.00, batches 1.00, packed weights 0.00), 4.00 GiB of 8.00 are free"},
        {{"here", 4 * GIB, 8 * GIB}, {7 * GIB, GIB, 0, 1, 32, BYOL_KEYS},
         "; train.batch 15 would fit, or train.batch 8 with train.accumulate 4 for as many images an update (batch norm's statistics are then "
         "of 8 images a view)"},
        {{"here", 4 * GIB, 8 * GIB}, {7 * GIB, GIB, 0, 2, 32, BYOL_KEYS}, "or train.batch 8 with train.accumulate 8"},
        {{"here", 4 * GIB, 8 * GIB}, {7 * GIB, GIB, 0, 1, 32, "segmentation.batch", NULL}, "; segmentation.batch 15 would fit"},
        {{"here", 4 * GIB, 8 * GIB}, {7 * GIB, GIB, 0, 1, 32, NULL, NULL}, "; a batch of 15 would fit"},
        {{"here", 4 * GIB, 8 * GIB}, {79 * GIB, GIB, 0, 1, 512, BYOL_KEYS}, "; train.batch 24 would fit, or train.batch 16 with train.accumulate 32"},
        {{"here", 4 * GIB, 8 * GIB}, {50 * GIB, 0, GIB, 1, 10, BYOL_KEYS}, "; not one image of this size fits beside the weights"},
        {{"here", 4 * GIB, 8 * GIB}, {GIB, 0, 5 * GIB, 1, 10, BYOL_KEYS}, "; not one image of this size fits beside the weights"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int status = bl_room_check(&cases[i].room, &cases[i].need);
        assert_int_equal(status, cases[i].says ? BL_FAILED : BL_OK);
        if (cases[i].says) bl_test_holds(bl_error(), cases[i].says);
    }
}

// ---- plans ----

static const bl_model_options model = {
    .encoder = RESNET18(8), .projector = MLP(16, 8, BL_NORM_HIDDEN),
    .method = {.predictor_head = MLP(16, 8, BL_NORM_HIDDEN), .predictor_lr_scale = 1, .stop_gradient = true},
    .optimizer = {.kind = BL_OPTIMIZER_SGD}, .image_size = 32, .precision = BL_F32};

static void begin(bl_rig *rig, const char *backend, int batch) {
    *rig = (bl_rig){0};
    assert_ok(bl_layout_create(&rig->layout));
    assert_ok(bl_byol_build(&rig->step, rig->layout, &model, batch));
    assert_ok(bl_backend_open(&rig->backend, backend, &(bl_backend_options){.threads = 1, .isa = ""}));
    assert_ok(bl_store_create(rig->backend, rig->layout, &rig->store));
}

static void plan_that_only_reports_says_what_another_takes(void **state) {
    (void)state;
    for (const char *const *name = bl_test_backends(); *name; name++) {
        bl_rig rig;
        bl_plan_report asked, taken;
        float *host;
        begin(&rig, *name, 4);
        for (int only = 1; only >= 0; only--) {
            assert_ok(bl_plan_compile(rig.store, rig.step.graph, &(bl_compile_options){.batch = 4, .only_report = only}, &rig.plan));
            rig.backend->table->report(rig.plan, only ? &asked : &taken);
            if (only) {
                assert_int_equal(bl_plan_slot(rig.plan, 0, rig.step.images, &host), BL_FAILED);
                assert_int_equal(bl_plan_step(rig.plan, 0, BL_PHASE_MICRO), BL_FAILED);
                bl_plan_free(rig.plan);
            }
        }
        assert_true(asked.arena_bytes > 0 && asked.staging_bytes == BL_STAGING_SLOTS * 2 * 4 * 32 * 32 * 3 * sizeof(float));
        assert_int_equal(asked.arena_bytes, taken.arena_bytes);
        assert_int_equal(asked.packed_bytes, taken.packed_bytes);
        assert_int_equal(asked.staging_bytes, taken.staging_bytes);
        rig_close(&rig);
    }
}

static void step_that_no_machine_holds_is_refused_before_it_takes_memory(void **state) {
    (void)state;
    if (!bl_test_has_backend("onednn")) skip();
    enum { MUCH = 1 << 24 };
    const bl_compile_options refused = {.accumulate = 1, .batch = MUCH, .batch_key = "train.batch", .accumulate_key = "train.accumulate"};
    int batch = 0;
    bl_rig rig;
    begin(&rig, "onednn", MUCH);
    assert_int_equal(bl_plan_compile(rig.store, rig.step.graph, &refused, &rig.plan), BL_FAILED);
    bl_test_holds(bl_error(), "out of memory on this machine: this plan needs");
    bl_test_holds(bl_error(), "train.accumulate");
    const char *advice = strstr(bl_error(), "train.batch ");
    assert_non_null(advice);
    assert_int_equal(sscanf(advice, "train.batch %d", &batch), 1);
    assert_true(batch > 0 && batch < MUCH);
    bl_store_free(rig.store);
    bl_backend_close(rig.backend);
    bl_graph_free(rig.step.graph);
    bl_layout_free(rig.layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_memory_is_what_machine_and_control_groups_leave),
        cmocka_unit_test(this_machine_has_some),
        cmocka_unit_test(refusal_names_what_is_needed_what_is_free_and_what_would_fit),
        cmocka_unit_test(plan_that_only_reports_says_what_another_takes),
        cmocka_unit_test(step_that_no_machine_holds_is_refused_before_it_takes_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
