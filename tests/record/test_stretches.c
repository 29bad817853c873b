// Who trained a run: each process's stretch in checkpoint and run file, and when another processor makes a run mixed.

#include "base/host.h"
#include "record/identity.h"
#include "record/stretches.h"
#include "run_rig.h"

static const char recipe[] =
        "data: {dataset: shapes, train: 20, test: 20}\n"
        "views: [{random_resized_crop: {size: 32}, flip: 0.5, normalize: imagenet}]\n"
        "network: {encoder: resnet18, stem: cifar, width: 2, projector: {hidden: 8, out: 4}}\n"
        "method: {predictor: {kind: mlp, hidden: 8}, target: {source: ema, tau: 0.9}}\n"
        "train: {epochs: 2, batch: 5, optimizer: {kind: adam, lr: 1.0e-3}, precision: f32, log_every: 1, checkpoint_every: 2, collapse_every: 0}\n"
        "evaluate: [{knn: {k: 1, protocol: cross_validation, folds: 2, split: test}}]\n"
        "machine: {threads: 1, loader_threads: 1}\n"; // 8 steps

static const char *processor = "a processor"; // of the next child

void bl_host_cpu(char *out, size_t room) { snprintf(out, room, "%s", processor); }

static char *checkpoint_file(const char *results) {
    char *path;
    assert_true(asprintf(&path, "%s/recipe/main/seed-7.%s.ckpt", results, bl_test_backend()) > 0);
    return path;
}

static bl_stretches stretches_in(const char *path) {
    bl_container_reader *reader = opened(path);
    bl_stretches stretches = {0};
    assert_ok(bl_stretches_get(&stretches, reader));
    bl_container_reader_close(reader);
    return stretches;
}

static void assert_machine_names_the_processor(const char *path) {
    char *machine = text_in(path, "/host/machine"), expected[700], flags[512];
    bl_host_flags(flags, sizeof flags);
    snprintf(expected, sizeof expected, "\ncpu: %s\ncpu flags: %s\n", processor, flags);
    bl_test_holds(machine, expected);
    bl_free(machine);
}

static bool is_mixed(const char *path) {
    bl_container_reader *reader = opened(path);
    int64_t *mixed, count;
    assert_ok(bl_container_get_i64(reader, "/trainer/mixed", &mixed, &count));
    const bool is = *mixed;
    bl_free(mixed);
    bl_container_reader_close(reader);
    return is;
}

static void assert_stretch(const bl_stretch *stretch, int64_t first, int64_t last, const char *cpu) {
    assert_int_equal(stretch->first, first);
    assert_int_equal(stretch->last, last);
    assert_string_equal(stretch->cpu, cpu);
    assert_string_equal(stretch->version, BYOLAB_VERSION);
    assert_string_equal(stretch->commit, bl_program_commit());
    assert_int_equal(stretch->threads, 1);
    assert_true(stretch->hours > 0 && stretch->hours < 1 && stretch->until > 1700000000);
    assert_int_equal(strncmp(stretch->library, bl_test_backend(), strlen(bl_test_backend())), 0);
}

static void each_process_adds_its_own_and_the_run_file_keeps_them(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "added"), *checkpoint = checkpoint_file(results), *file = run_file(results, bl_test_backend()), says[512];
    plan_of_run plan = {.backend = bl_test_backend(), .results = results, .kill_at = 5};
    processor = "a processor";
    assert_int_equal(run_child(plan, says), SIGKILL); // its fifth step is lost: the checkpoint is of the fourth
    bl_stretches stretches = stretches_in(checkpoint);
    assert_int_equal(stretches.past_count, 1);
    assert_stretch(&stretches.past[0], 1, 4, processor);
    const double hours = stretches.past[0].hours;
    bl_stretches_free(&stretches);
    plan.kill_at = 5; // its first step: nothing of it is kept
    assert_int_equal(run_child(plan, says), SIGKILL);
    plan.kill_at = 0;
    if (run_child(plan, says)) fail_msg("%s", says);
    stretches = stretches_in(file);
    assert_int_equal(stretches.past_count, 2);
    assert_stretch(&stretches.past[0], 1, 4, processor);
    assert_true(stretches.past[0].hours == hours);
    assert_stretch(&stretches.past[1], 5, 8, processor);
    bl_stretches_free(&stretches);
    assert_false(is_mixed(file));
    assert_machine_names_the_processor(file);
    // Rows that are added later train nothing.
    plan.more[0] = (bl_override){"evaluate", "[{knn: {k: 1, protocol: cross_validation, folds: 2, split: test}}, {knn: {k: 3, protocol: train_to_test, split: test}}]"};
    plan.evaluate_only = true;
    if (run_child(plan, says)) fail_msg("%s", says);
    stretches = stretches_in(file);
    assert_int_equal(stretches.past_count, 2);
    assert_stretch(&stretches.past[1], 5, 8, processor);
    bl_stretches_free(&stretches);
    free(results);
    free(checkpoint);
    free(file);
}

static void another_processor_makes_the_run_mixed(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "moved"), *file = run_file(results, bl_test_backend()), says[512];
    plan_of_run plan = {.backend = bl_test_backend(), .results = results, .kill_at = 3};
    processor = "a processor";
    assert_int_equal(run_child(plan, says), SIGKILL);
    plan.kill_at = 0;
    processor = "another processor";
    if (run_child(plan, says)) fail_msg("%s", says);
    bl_stretches stretches = stretches_in(file);
    assert_int_equal(stretches.past_count, 2);
    assert_stretch(&stretches.past[0], 1, 2, "a processor");
    assert_stretch(&stretches.past[1], 3, 8, "another processor");
    assert_false(bl_stretch_same_maker(&stretches.past[0], &stretches.past[1]));
    bl_stretches_free(&stretches);
    assert_true(is_mixed(file));
    free(results);
    free(file);
}

static bl_container_reader *written(void (*put)(bl_container_writer *)) {
    char *path = joined(bl_test_here(), "written.h5");
    bl_container_writer *writer;
    assert_ok(bl_container_writer_create(&writer));
    put(writer);
    assert_ok(bl_container_writer_save(writer, path));
    bl_container_writer_free(writer);
    bl_container_reader *reader = opened(path);
    free(path);
    return reader;
}

static const char on_gpu[] = "backend: cudnn\ndevice: NVIDIA H200\ncompute capability: 9.0\nmemory: 139.8 GiB\n"
                             "versions: cuDNN 91300, CUDA 13000\nhost_isa: x86-64-v3\n";

static void put_gpu_stretch(bl_container_writer *writer) {
    bl_stretches stretches = {0};
    bl_stretches_begin(&stretches, on_gpu, 10, 60);
    assert_ok(bl_stretches_put(&stretches, 30, 3660, writer));
}

static void a_gpu_is_named_with_its_versions_and_the_processor_beside_it_may_change(void **state) {
    (void)state;
    bl_stretches stretches = {0};
    bl_text text = {0};
    processor = "a processor";
    bl_container_reader *reader = written(put_gpu_stretch);
    assert_ok(bl_stretches_get(&stretches, reader));
    bl_container_reader_close(reader);
    const bl_stretch *stretch = &stretches.past[0];
    assert_true(stretch->first == 11 && stretch->last == 30 && stretch->hours == 1 && stretch->threads == 0);
    bl_stretch_maker(stretch, &text);
    char expected[200];
    snprintf(expected, sizeof expected, "NVIDIA H200 on a processor, cudnn cuDNN 91300, CUDA 13000, commit %s", bl_program_commit());
    assert_string_equal(text.chars, expected);
    processor = "another processor";
    assert_true(bl_stretches_same_cpu(&stretches));
    bl_stretches_free(&stretches);
    bl_text_free(&text);
}

static const char *machine_of_file; // of the next that is written

static void put_machine(bl_container_writer *writer) { assert_ok(bl_container_put_text(writer, "/host/machine", machine_of_file)); }

static void another_processor_or_fewer_flags_are_another_machine_where_they_are_named(void **state) {
    (void)state;
#define ON_CPU "backend: onednn\nthreads: 2\n"
#define ON_GPU "backend: cudnn\ndevice: NVIDIA H200\n"
    static const struct {
        const char *file, *here;
        bool same;
    } cases[] = {
            {ON_CPU "cpu: A\ncpu flags: avx2 amx_tile\n", ON_CPU "cpu: A\ncpu flags: avx2 amx_tile\n", true},
            {ON_CPU "cpu: A\ncpu flags: avx2 amx_tile\n", ON_CPU "cpu: B\ncpu flags: avx2 amx_tile\n", false},
            {ON_CPU "cpu: A\ncpu flags: avx2 amx_tile\n", ON_CPU "cpu: A\ncpu flags: avx2\n", false},
            {ON_CPU, ON_CPU "cpu: A\ncpu flags: avx2\n", true}, // of an earlier version
            {ON_CPU "cpu: A\ncpu flags: avx2\n", "backend: onednn\nthreads: 3\ncpu: A\ncpu flags: avx2\n", false},
            {ON_CPU, ON_CPU "library: another\ncpu: A\n", false},
            {ON_GPU "cpu: A\ncpu flags: avx2\n", ON_GPU "cpu: B\ncpu flags: \n", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool same;
        machine_of_file = cases[i].file;
        bl_container_reader *reader = written(put_machine);
        assert_ok(bl_identity_same_machine(cases[i].here, reader, &same));
        bl_container_reader_close(reader);
        if (same != cases[i].same) fail_msg("%s\nand\n%s", cases[i].file, cases[i].here);
    }
}

static void put_nothing(bl_container_writer *writer) { assert_ok(bl_container_put_text(writer, "/manifest/status", "complete")); }

static void files_of_earlier_versions_have_none(void **state) {
    (void)state;
    bl_stretches stretches = {0};
    bl_container_reader *reader = written(put_nothing);
    assert_ok(bl_stretches_get(&stretches, reader));
    assert_int_equal(stretches.past_count, 0);
    assert_true(bl_stretches_same_cpu(&stretches)); // nothing is known against it
    bl_container_reader_close(reader);
}

static void put_unequal_columns(bl_container_writer *writer) {
    const int64_t values[2] = {1, 5};
    assert_ok(bl_container_put_i64(writer, "/timing/stretches/first", values, (int64_t[]){2}, 1));
    assert_ok(bl_container_put_i64(writer, "/timing/stretches/last", values, (int64_t[]){1}, 1));
}

static void columns_that_do_not_match_are_refused(void **state) {
    (void)state;
    bl_stretches stretches = {0};
    bl_container_reader *reader = written(put_unequal_columns);
    assert_int_equal(bl_stretches_get(&stretches, reader), BL_FAILED);
    bl_test_holds(bl_error(), "/timing/stretches/last holds 1 value, not 2");
    bl_container_reader_close(reader);
}

static void the_program_names_the_commit_it_was_built_from(void **state) {
    (void)state;
    char says[512], expected[200];
    const char *commit = bl_program_commit();
    const size_t digits = strspn(commit, "0123456789abcdef");
    assert_true(!strcmp(commit, "unknown") || (digits >= 12 && (!commit[digits] || !strcmp(commit + digits, "+changes"))));
    snprintf(expected, sizeof expected, "byolab %s, commit %s\n", BYOLAB_VERSION, commit);
    assert_int_equal(bl_test_byolab("--version", says, sizeof says), 0);
    assert_string_equal(says, expected);
}

static int set_up(void **state) {
    (void)state;
    write_recipe(recipe);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_process_adds_its_own_and_the_run_file_keeps_them),
            cmocka_unit_test(another_processor_makes_the_run_mixed),
            cmocka_unit_test(a_gpu_is_named_with_its_versions_and_the_processor_beside_it_may_change),
            cmocka_unit_test(another_processor_or_fewer_flags_are_another_machine_where_they_are_named),
            cmocka_unit_test(files_of_earlier_versions_have_none),
            cmocka_unit_test(columns_that_do_not_match_are_refused),
            cmocka_unit_test(the_program_names_the_commit_it_was_built_from),
    };
    return cmocka_run_group_tests(tests, set_up, bl_test_leave);
}
