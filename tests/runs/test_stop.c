// A run can be stopped anywhere: SIGKILL, SIGTERM and SIGUSR1 at moments drawn from a seed, over training and its evaluations, linear
// evaluation, fine-tuning, segmentation and the report. What is there in the end is what an uninterrupted run leaves.
//
//     BYOLAB_TEST_MOMENTS=20 test_stop    # moments of each signal (default 10)

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

#include "base/random.h"
#include "base/stop.h"
#include "run_rig.h"

// Of each signal for each recipe. Ten are enough to see that nothing has broken; whoever changes how runs stop takes twenty.
static int moment_count(void) {
    const char *wanted = getenv("BYOLAB_TEST_MOMENTS");
    const int count = wanted ? atoi(wanted) : 10;
    assert_true(count > 0);
    return count;
}

// Every protocol, each with several fits, choices among them and looks between.
static const char images[] =
        "machine: {threads: 1, loader_threads: 1}\n"
        "data: {dataset: shapes, train: 96, validation: 20, test: 60}\n"
        "views:\n"
        "  - {random_resized_crop: {size: 32}, flip: 0.5, grayscale: 0.2, normalize: imagenet}\n"
        "network: {encoder: resnet18, stem: cifar, width: 4, projector: {hidden: 8, out: 4}}\n"
        "method:\n"
        "  predictor: {kind: mlp, hidden: 8}\n"
        "  target: {source: ema, tau: 0.9}\n"
        "train: {epochs: 3, batch: 8, optimizer: {kind: adam, lr: 1.0e-3}, precision: f32, log_every: 1, checkpoint_every: 4, collapse_every: 3,\n"
        "        seeds: [7]}\n"
        "evaluate:\n"
        "  - knn: {at: {first: 0, every: 1}, k: 3, protocol: train_to_test, split: test, monitor: test}\n"
        "  - linear: {split: test, points: 5, l2: [1.0e-4, 1.0e-2], shares: [50, 100]}\n"
        "  - linear: {features: cached, solver: sgd, split: validation, steps: 30, batch: 16, lr: [0.1, 0.3], shares: [100]}\n"
        "  - linear: {features: augmented, split: test, steps: 10, batch: 8, lr: [0.1, 0.3], shares: [100]}\n"
        "  - finetune: {arms: [pretrained, random], shares: [50, 100], steps: 9, batch: 8, lr: [0.01, 0.1], split: test}\n";

#define STREETS(steps) \
        "machine: {threads: 1, loader_threads: 1}\n" \
        "data: {dataset: streets, train: 12, test: 10, width: 64, height: 32, crop: 32, splits: [train, train_extra]}\n" \
        "views:\n" \
        "  - {random_resized_crop: {size: 32}, flip: 0.5, normalize: imagenet}\n" \
        "network: {encoder: resnet18, stem: imagenet, width: 8, projector: {hidden: 8, out: 4}}\n" \
        "method:\n" \
        "  predictor: {kind: mlp, hidden: 8}\n" \
        "  target: {source: ema, tau: 0.9}\n" \
        "train: {epochs: 2, batch: 8, optimizer: {kind: adam, lr: 1.0e-3}, precision: f32, checkpoint_every: " steps ", collapse_every: 0, seeds: [7]}\n"
#define WATCHED "  - segmentation: {arms: {watched: random}, shares: [100], steps: 8, batch: 2, crop: 32, watch: val, every: 3}\n"

static const char scenes[] = STREETS("2")
        "evaluate:\n"
        "  - segmentation: {arms: [pretrained, random], shares: [50, 100], steps: 11, batch: 2, crop: 32, lr: [0.02, 0.1], validation: 0.3,\n"
        "                   refit: false, schedule: plateau, patience: 0, watch: held_out, every: 3, score_batch: 4, pictures: 2}\n"
        WATCHED;

// ---- the program, as a user starts it ----

static pid_t start(const char *results, const char *said, const char *const more[]) {
    char *program = joined(bl_test_build(), "byolab"), *recipe = joined(bl_test_here(), "recipe.yaml");
    const int output = open(said, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666); // emptied also where the child dies at once
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        const char *words[16] = {program, "run", recipe, "--results", results, "--backend", bl_test_backend()};
        for (int i = 0; more[i]; i++) words[7 + i] = more[i];
        if (output < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) _exit(126);
        execv(program, (char *const *)words);
        _exit(127);
    }
    close(output);
    free(program);
    free(recipe);
    return child;
}

// A thread is nearly always at a file, whatever is done beside it.
static const char *const by_time[] = {"--set", "train.checkpoint_every=0.05 s", NULL};

// As a shell tells it: 128 + signal where it was killed.
static int end_of(pid_t child) {
    int how;
    assert_true(waitpid(child, &how, 0) == child);
    return WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
}

static char *text_of(const char *path) {
    void *data;
    size_t bytes;
    assert_ok(bl_read_file(path, &data, &bytes));
    return data;
}

static void run_to_its_end(const char *results, const char *said) {
    const int status = end_of(start(results, said, by_time));
    char *text = text_of(said);
    if (status) fail_msg("exit status %d:\n%s", status, text);
    bl_free(text);
}

static void wait_for(double seconds) {
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&time, &time) && errno == EINTR) {}
}

// Until the moment has come or there is nothing left to stop. The child remains to be waited for.
static void wait_beside(pid_t child, double seconds) {
    const double until = bl_seconds() + seconds;
    siginfo_t ended = {0};
    for (double left; !ended.si_pid && (left = until - bl_seconds()) > 0;) {
        wait_for(left < .01 ? left : .01);
        assert_int_equal(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
    }
}

// ---- the same run ----

static void assert_same_text(const char *one, const char *other) {
    char *a = text_of(one), *b = text_of(other);
    if (strcmp(a, b) != 0) fail_msg("%s and %s differ", one, other);
    bl_free(a);
    bl_free(b);
}

// Beside the run file nothing is left: no checkpoint, no lock, no half of a file.
static void assert_alone(const char *run_path) {
    char *place = strdup(run_path), *name = strrchr(place, '/');
    *name++ = 0;
    DIR *entries = opendir(place);
    assert_non_null(entries);
    for (const struct dirent *entry; (entry = readdir(entries));)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, name) != 0) fail_msg("%s was left", entry->d_name);
    closedir(entries);
    free(place);
}

static void assert_same_study(const char *whole, const char *broken, const char *const tables[]) {
    char *a = run_file(whole, bl_test_backend()), *b = run_file(broken, bl_test_backend());
    assert_same_run(a, b);
    assert_alone(b);
    free(a);
    free(b);
    for (int i = 0; tables[i]; i++) {
        char *one, *other;
        assert_true(asprintf(&one, "%s/recipe/%s", whole, tables[i]) > 0 && asprintf(&other, "%s/recipe/%s", broken, tables[i]) > 0);
        assert_same_text(one, other);
        free(one);
        free(other);
    }
}

static const struct {
    int number, status; // and what the program ends with that has listened
    const char *name;
} signals[] = {{SIGKILL, 128 + SIGKILL, "SIGKILL"}, {SIGTERM, 143, "SIGTERM"}, {SIGUSR1, 75, "SIGUSR1"}};

// Every signal ends a program that does not listen yet, and then it has said nothing. After its last boundary it finishes.
static bool was_stopped(int which, int status, const char *said) {
    char *text = text_of(said);
    const bool is_early = status == 128 + signals[which].number && !*text, is_killed = status == 128 + SIGKILL;
    const bool is_told = status == signals[which].status && strstr(text, "the same command continues");
    if (status && !is_early && !is_told && !(is_killed && signals[which].number == SIGKILL))
        fail_msg("%s: exit status %d, and it said:\n%s", signals[which].name, status, text);
    bl_free(text);
    return status != 0;
}

static void interrupt_at_drawn_moments(const char *recipe, const char *name, const char *const tables[]) {
    char *path = joined(bl_test_here(), "recipe.yaml"), *said = joined(bl_test_here(), "said"), *whole = joined(bl_test_here(), name);
    write_text(path, recipe);
    const double since = bl_seconds();
    run_to_its_end(whole, said);
    const int moments = moment_count();
    const double longest = (bl_seconds() - since) / 5; // ten moments together reach over the whole run, its report included
    for (int which = 0; which < (int)(sizeof signals / sizeof *signals); which++) {
        char *broken;
        bl_random random = bl_random_stream(12, "moments", 0, 0, 0);
        int stopped = 0;
        assert_true(asprintf(&broken, "%s.%s", whole, signals[which].name) > 0);
        for (int m = 0; m < moments; m++) {
            const double moment = longest * bl_random_uniform(&random);
            const pid_t child = start(broken, said, by_time);
            wait_beside(child, moment);
            kill(child, signals[which].number);
            stopped += was_stopped(which, end_of(child), said);
        }
        print_message("%s, %s: %d of %d moments of up to %.2f s found it at work\n", name, signals[which].name, stopped, moments, longest);
        assert_true(stopped > 0);
        run_to_its_end(broken, said);
        assert_same_study(whole, broken, tables);
        free(broken);
    }
    free(path);
    free(said);
    free(whole);
}

static void images_are_learned_as_if_nothing_had_happened(void **state) {
    (void)state;
    interrupt_at_drawn_moments(images, "images", (const char *const[]){"measurements.csv", "steps.csv", "collapse.csv", "labels.csv", NULL});
}

static void scenes_are_learned_as_if_nothing_had_happened(void **state) {
    (void)state;
    interrupt_at_drawn_moments(scenes, "scenes", (const char *const[]){"measurements.csv", "steps.csv", "segmentation.csv", "classes.csv", NULL});
}

// ---- at a boundary that is known ----

typedef struct told { // by a child
    bool is_stopped, ended;   // bl_run failed as a stop; it succeeded
    int64_t first_step, first_fit, last_step, last_fit;
    int rows;
    char row[64];             // that the stop interrupted
} told;

typedef struct moment {       // of a signal; 0: never
    int64_t step, fit;
    int row;                  // measurements
    int signal, times;
    const char *name;         // of the row whose fit is meant
} moment;

typedef struct watch {
    moment when;
    told seen;
} watch;

static void see(void *context, const bl_event *event) {
    watch *w = context;
    bool is_it = false;
    switch (event->kind) {
    case BL_EVENT_STEP:
        if (!w->seen.first_step) w->seen.first_step = event->step;
        is_it = event->step == w->when.step;
        w->seen.last_step = event->step;
        break;
    case BL_EVENT_FIT:
        if (w->when.name && strcmp(w->when.name, event->row) != 0) break;
        if (!w->seen.first_fit) w->seen.first_fit = event->fit_step;
        is_it = event->fit_step == w->when.fit;
        w->seen.last_fit = event->fit_step;
        break;
    case BL_EVENT_EVALUATION:
        w->seen.rows++;
        is_it = w->seen.rows == w->when.row;
        break;
    case BL_EVENT_STOPPED:
        if (event->row) snprintf(w->seen.row, sizeof w->seen.row, "%s", event->row);
        break;
    default: break;
    }
    for (int i = 0; is_it && i < w->when.times; i++) raise(w->when.signal);
}

// Returns the signal that ended the child, or 0.
static int run_until(const char *results, moment when, told *seen) {
    int channel[2], how;
    assert_int_equal(pipe(channel), 0);
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        char *path = joined(bl_test_here(), "recipe.yaml");
        const bl_override override = {"machine.backend", bl_test_backend()};
        bl_experiment *experiment;
        watch w = {.when = when};
        bl_stop_listen();
        if (bl_experiment_read(&experiment, path, &override, 1)) _exit(3);
        const bl_run_request request = {.key = {experiment, &experiment->cells[0], 7, results}, .sink = {see, &w}};
        const int status = bl_run(&request);
        w.seen.ended = !status;
        w.seen.is_stopped = status && bl_stopped();
        _exit(write(channel[1], &w.seen, sizeof w.seen) == sizeof w.seen ? 0 : 2);
    }
    close(channel[1]);
    *seen = (told){0};
    const ssize_t got = read(channel[0], seen, sizeof *seen);
    close(channel[0]);
    assert_true(waitpid(child, &how, 0) == child);
    assert_true(got == sizeof *seen || WIFSIGNALED(how));
    return WIFSIGNALED(how) ? WTERMSIG(how) : 0;
}

static void begin_with(const char *recipe, const char *name, char **results) {
    char *path = joined(bl_test_here(), "recipe.yaml");
    write_text(path, recipe);
    free(path);
    *results = joined(bl_test_here(), name);
}

static void training_stops_after_the_step_in_hand(void **state) {
    (void)state;
    char *results;
    told seen;
    begin_with(images, "step", &results);
    // An epoch has 9 steps: 7 is no checkpoint's and no epoch's end.
    assert_int_equal(run_until(results, (moment){.step = 7, .signal = SIGTERM, .times = 1}, &seen), 0);
    assert_true(seen.is_stopped && seen.last_step == 7 && !*seen.row);
    assert_int_equal(run_until(results, (moment){.step = 20, .signal = SIGINT, .times = 1}, &seen), 0);
    assert_true(seen.is_stopped && seen.first_step == 8 && seen.last_step == 20);
    free(results);
}

static void an_evaluation_stops_before_its_next_row(void **state) {
    (void)state;
    char *results;
    told seen;
    begin_with(images, "row", &results);
    assert_int_equal(run_until(results, (moment){.row = 4, .signal = SIGUSR1, .times = 1}, &seen), 0); // the last k-NN, after training
    assert_true(seen.is_stopped && seen.rows == 4 && seen.last_step == 27);
    bl_test_holds(seen.row, "linear/50%/test"); // it fell to the signal before it was measured
    assert_int_equal(run_until(results, (moment){.row = 1, .signal = SIGUSR1, .times = 1}, &seen), 0);
    assert_true(seen.is_stopped && seen.rows == 1 && !seen.first_step);
    free(results);
}

static void a_fit_stops_after_the_update_in_hand_and_goes_on_behind_it(void **state) {
    (void)state;
    static const struct {
        const char *recipe, *name;
        int64_t update;
    } fits[] = {{images, "linear/validation", 17}, {images, "linear_augmented/test", 7}, {images, "finetune/random/50%/test", 6},
                {scenes, "segmentation/pretrained/val", 7}, {scenes, "segmentation/watched/val", 3}}; // 3: its look comes after
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++) {
        char name[32], *results;
        told seen;
        snprintf(name, sizeof name, "fit_%zu", i);
        begin_with(fits[i].recipe, name, &results);
        assert_int_equal(run_until(results, (moment){.name = fits[i].name, .fit = fits[i].update, .signal = SIGTERM, .times = 1}, &seen), 0);
        if (!seen.is_stopped || seen.last_fit != fits[i].update) fail_msg("%s: it did not stop at update %d", fits[i].name, (int)fits[i].update);
        bl_test_holds(seen.row, fits[i].name);
        assert_int_equal(run_until(results, (moment){.name = fits[i].name}, &seen), 0);
        if (!seen.ended || seen.first_fit != fits[i].update + 1)
            fail_msg("%s: after update %d it went on with %d", fits[i].name, (int)fits[i].update, (int)seen.first_fit);
        free(results);
    }
}

static void a_fit_that_is_killed_goes_on_from_its_checkpoint(void **state) {
    (void)state;
    char *results;
    told seen;
    begin_with(images, "killed", &results);
    const moment row = {.name = "finetune/random/test", .fit = 8, .signal = SIGKILL, .times = 1};
    assert_int_equal(run_until(results, row, &seen), SIGKILL);
    assert_int_equal(run_until(results, (moment){.name = row.name}, &seen), 0);
    assert_true(seen.ended);
    assert_int_equal(seen.first_fit, 9);
    free(results);
}

// They were in the run's own checkpoint too, where a fit was the first to ask for one, and came back twice.
static void looks_of_a_row_in_hand_are_kept_once(void **state) {
    (void)state;
    char *results, *path;
    told seen;
    begin_with(STREETS("4") "evaluate:\n" WATCHED, "looks", &results);
    assert_int_equal(run_until(results, (moment){.fit = 5, .signal = SIGKILL, .times = 1}, &seen), SIGKILL); // kept at 4, after a look at 3
    assert_int_equal(run_until(results, (moment){0}, &seen), 0);
    assert_true(seen.ended && seen.first_fit == 5);
    path = run_file(results, bl_test_backend());
    bl_history history = history_in(path);
    assert_int_equal(history.look_count, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(history.looks[i].step, i < 2 ? 3 * (i + 1) : 8);
    bl_history_free(&history);
    free(path);
    free(results);
}

static void a_second_signal_stops_at_once(void **state) {
    (void)state;
    char *results;
    told seen;
    begin_with(images, "twice", &results);
    assert_int_equal(run_until(results, (moment){.step = 7, .signal = SIGTERM, .times = 2}, &seen), SIGTERM);
    assert_int_equal(run_until(results, (moment){.step = 9, .signal = SIGTERM, .times = 1}, &seen), 0);
    assert_int_equal(seen.first_step, 5); // behind the checkpoint of step 4
    free(results);
}

// A sweep that is stopped leaves its other runs alone, and none is marked as failed.
static void a_sweep_ends_with_its_run(void **state) {
    (void)state;
    char *path = joined(bl_test_here(), "recipe.yaml"), *said = joined(bl_test_here(), "said"), *results = joined(bl_test_here(), "sweep"), *marker, *other;
    write_text(path, images);
    const pid_t child = start(results, said, (const char *const[]){"--seeds", "7,8", NULL});
    bool is_there = false;
    assert_true(asprintf(&marker, "%s/recipe/main/seed-7.%s.ckpt", results, bl_test_backend()) > 0);
    for (int i = 0; i < 6000 && !(is_there = bl_file_exists(marker)); i++) wait_for(.01);
    assert_true(is_there); // so it listens
    kill(child, SIGTERM);
    assert_int_equal(end_of(child), 143);
    char *text = text_of(said);
    bl_test_holds(text, "stopped at step ");
    bl_test_holds(text, "byolab run: stopped by SIGTERM; the same command continues");
    bl_free(text);
    assert_true(asprintf(&other, "%s/recipe/main/seed-8.%s.ckpt", results, bl_test_backend()) > 0);
    assert_false(bl_file_exists(other));
    free(marker);
    assert_true(asprintf(&marker, "%s/recipe/main/seed-7.%s.failed", results, bl_test_backend()) > 0);
    assert_false(bl_file_exists(marker));
    free(path);
    free(said);
    free(results);
    free(marker);
    free(other);
}

// Also where a thread writes it: the next one, or the run's end, tells.
static void a_checkpoint_that_cannot_be_written_fails_the_run(void **state) {
    (void)state;
    static const char *const intervals[] = {"4", "0.01 s"};
    char *path = joined(bl_test_here(), "recipe.yaml"), *results = joined(bl_test_here(), "full"), says[512];
    struct rlimit before;
    write_text(path, images);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        const plan_of_run plan = {.backend = bl_test_backend(), .results = results, .set_key = "train.checkpoint_every", .set_value = intervals[i]};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){20000, before.rlim_max}), 0);
        const int status = run_child(plan, says);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        if (status != 1 || !strstr(says, ".ckpt: cannot write")) fail_msg("%s: status %d: %s", intervals[i], status, says);
    }
    signal(SIGXFSZ, SIG_DFL);
    free(path);
    free(results);
}

static int set_up(void **state) {
    (void)state;
    write_recipe(images);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(training_stops_after_the_step_in_hand),
            cmocka_unit_test(an_evaluation_stops_before_its_next_row),
            cmocka_unit_test(a_fit_stops_after_the_update_in_hand_and_goes_on_behind_it),
            cmocka_unit_test(a_fit_that_is_killed_goes_on_from_its_checkpoint),
            cmocka_unit_test(looks_of_a_row_in_hand_are_kept_once),
            cmocka_unit_test(a_second_signal_stops_at_once),
            cmocka_unit_test(a_sweep_ends_with_its_run),
            cmocka_unit_test(a_checkpoint_that_cannot_be_written_fails_the_run),
            cmocka_unit_test(images_are_learned_as_if_nothing_had_happened),
            cmocka_unit_test(scenes_are_learned_as_if_nothing_had_happened),
    };
    return cmocka_run_group_tests(tests, set_up, bl_test_leave);
}
