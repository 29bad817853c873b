// One call fails: the n-th write, fsync, rename, open or mkdir, or the n-th allocation, over training, its evaluations, fits, a run that
// continues, one that is evaluated again, and the report. The command says so, or has not noticed; the same command without the fault
// then leaves what it always leaves, and nothing beside it.
//
//     BYOLAB_TEST_FAULTS=all test_faults    # each n, in place of some: ten minutes

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "run_rig.h"

static const char recipe[] =
        "machine: {backend: reference, threads: 1, loader_threads: 1}\n"
        "data: {dataset: shapes, train: 30, validation: 10, test: 10}\n"
        "views:\n"
        "  - {random_resized_crop: {size: 8}, normalize: imagenet}\n"
        "network: {encoder: resnet18, stem: cifar, width: 1, projector: {hidden: 2, out: 2}}\n"
        "method:\n"
        "  predictor: {kind: mlp, hidden: 2}\n"
        "  target: {source: ema, tau: 0.9}\n"
        "train: {epochs: 2, batch: 10, optimizer: {kind: adam, lr: 1.0e-3}, precision: f32, log_every: 1, checkpoint_every: 1, collapse_every: 2,\n"
        "        seeds: [7]}\n"
        "evaluate:\n"
        "  - knn: {at: {first: 0, every: 1}, k: 3, protocol: train_to_test, split: test, monitor: test}\n";
static const char fits[] =
        "  - linear: {features: cached, solver: sgd, split: validation, steps: 3, batch: 4, lr: [0.1, 0.3], shares: [100]}\n"
        "  - finetune: {arms: [pretrained], shares: [100], steps: 2, batch: 4, lr: [0.01], split: test}\n";

static bool is_whole(void) { // each n
    const char *wanted = getenv("BYOLAB_TEST_FAULTS");
    if (wanted && strcmp(wanted, "all") != 0) fail_msg("BYOLAB_TEST_FAULTS=%s: write all", wanted);
    return wanted;
}

// ---- one command ----

typedef struct call {
    const char *command, *results, *recipe; // the recipe's name
    const char *more[3];
    long file, memory;                      // which one fails; 0: none
    const char *kind;                       // of a file's: the error
    long lock_error;                        // of each lock; 0: none
    rlim_t most_bytes;                      // of a file; 0: any
} call;

typedef struct end {
    int status; // as a shell tells it: 128 + signal where it died
    char *said, *shown; // on standard error and standard output; malloc'ed
} end;

static char *text_of(const char *path) {
    void *data;
    size_t bytes;
    assert_ok(bl_read_file(path, &data, &bytes));
    char *text = strdup(data);
    bl_free(data);
    return text;
}

static char *here(const char *name) { return joined(bl_test_here(), name); }

static void set_number(const char *name, long value) {
    char text[32];
    snprintf(text, sizeof text, "%ld", value);
    setenv(name, text, 1);
}

static void become(const call *c, const char *said, const char *shown, const char *count) {
    char *program = joined(bl_test_build(), "byolab"), *file = here(c->recipe);
    const int error = open(said, O_WRONLY | O_CREAT | O_TRUNC, 0666), output = open(shown, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    const char *words[16] = {program, c->command, file};
    int size = 3;
    if (c->results) {
        words[size++] = "--results";
        words[size++] = c->results;
    }
    for (int i = 0; i < 3 && c->more[i]; i++) words[size++] = c->more[i];
    if (error < 0 || output < 0 || dup2(output, 1) < 0 || dup2(error, 2) < 0) _exit(126);
    // Crashes are told apart from failures, and leaks of libraries that ran out of memory are their own.
    const char *sanitizer = getenv("ASAN_OPTIONS");
    char *options;
    if (asprintf(&options, "%s:verify_asan_link_order=0:exitcode=99%s", sanitizer ? sanitizer : "", c->memory ? ":detect_leaks=0" : "") < 0) _exit(126);
    setenv("ASAN_OPTIONS", options, 1);
    setenv("LD_PRELOAD", BYOLAB_FAULTS, 1);
    setenv("PATH", "/nowhere", 1); // gnuplot: another program's time
    setenv("FAULTS_BELOW", bl_test_here(), 1);
    setenv("FAULTS_COUNT", count, 1);
    set_number("FAULTS_FILE", c->file);
    set_number("FAULTS_MEMORY", c->memory);
    set_number("FAULTS_LOCKS", c->lock_error);
    setenv("FAULTS_KIND", c->kind ? c->kind : "", 1);
    if (c->most_bytes && setrlimit(RLIMIT_FSIZE, &(struct rlimit){c->most_bytes, c->most_bytes})) _exit(126);
    alarm(120); // whatever hangs dies
    execv(program, (char *const *)words);
    _exit(127);
}

static end done(const call *c) {
    char *said = here("said"), *shown = here("shown"), *count = here("count");
    unlink(count);
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (!child) become(c, said, shown, count);
    int how;
    assert_true(waitpid(child, &how, 0) == child);
    const end result = {WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how), text_of(said), text_of(shown)};
    free(said);
    free(shown);
    free(count);
    return result;
}

static void free_end(end e) {
    free(e.said);
    free(e.shown);
}

// How many calls on files and how many allocations a command makes.
static void count_of(call c, long *files, long *allocations) {
    char *count = here("count");
    c.file = c.memory = 0;
    const end e = done(&c);
    if (e.status) fail_msg("%s: exit status %d: %s", c.command, e.status, e.said);
    char *text = text_of(count);
    assert_int_equal(sscanf(text, "files %ld memory %ld", files, allocations), 2);
    assert_true(*allocations > 1000);
    free(text);
    free(count);
    free_end(e);
}

// ---- folders ----

static void shell(const char *format, const char *a, const char *b) {
    char *line;
    assert_true(asprintf(&line, format, a, b) > 0);
    if (system(line)) fail_msg("%s", line);
    free(line);
}

static void replace_folder(const char *folder, const char *from) {
    shell("rm -rf '%s'%s", folder, "");
    if (from) shell("cp -a '%s' '%s'", from, folder);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// The names of everything in a folder, a line each.
static char *listing(const char *folder) {
    char *names[64], *text = strdup("");
    int count = 0;
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    for (const struct dirent *entry; (entry = readdir(entries));)
        if (*entry->d_name != '.' && count < 64) names[count++] = strdup(entry->d_name);
    closedir(entries);
    qsort(names, (size_t)count, sizeof *names, by_name);
    for (int i = 0; i < count; i++) {
        char *longer = joined(text, names[i]);
        free(text);
        free(names[i]);
        text = longer;
    }
    return text;
}

// Two results folders of the study hold the same: names, tables, and the run but for its times.
static void assert_same_results(const char *whole, const char *broken, const char *what) {
    static const char *const folders[] = {"recipe", "recipe/main"};
    static const char *const tables[] = {"measurements.csv", "aggregate.csv", "collapse.csv", "steps.csv"};
    for (int i = 0; i < 2; i++) {
        char *a = joined(whole, folders[i]), *b = joined(broken, folders[i]), *one = listing(a), *other = listing(b);
        if (strcmp(one, other) != 0) fail_msg("%s: %s holds%s, not%s", what, folders[i], other, one);
        free(a);
        free(b);
        free(one);
        free(other);
    }
    for (int i = 0; i < 4; i++) {
        char *a, *b;
        assert_true(asprintf(&a, "%s/recipe/%s", whole, tables[i]) > 0 && asprintf(&b, "%s/recipe/%s", broken, tables[i]) > 0);
        char *one = text_of(a), *other = text_of(b);
        if (strcmp(one, other) != 0) fail_msg("%s: %s differs", what, tables[i]);
        free(one);
        free(other);
        free(a);
        free(b);
    }
    char *a = run_file(whole, "reference"), *b = run_file(broken, "reference");
    assert_same_run(a, b);
    free(a);
    free(b);
}

static void assert_no_halves(const char *folder, const char *what) {
    char *line, found[512] = "";
    assert_true(asprintf(&line, "find '%s' -name '*.tmp' -o -name '*.lock'", folder) > 0);
    FILE *output = popen(line, "r");
    assert_non_null(output);
    const size_t size = fread(found, 1, sizeof found - 1, output);
    pclose(output);
    free(line);
    if (size) fail_msg("%s: left behind: %s", what, found);
}

// ---- what is tried ----

typedef struct work {
    const char *name;
    call call;
    const char *from; // the results it begins with; NULL: none
    char *whole;      // what it leaves
} work;

enum { WORKS = 4 };
static work works[WORKS];

// The folders that the works begin with, and what they leave.
static int set_up(void **state) {
    (void)state;
    char *text = joined(recipe, fits), *path = here("recipe.yaml"), *short_path = here("short"), *whole = here("whole"), *fresh = here("fresh");
    memmove(text + strlen(recipe), text + strlen(recipe) + 1, strlen(fits) + 1); // without joined's slash
    write_text(path, text);
    assert_int_equal(mkdir(short_path, 0777), 0);
    free(path);
    path = joined(short_path, "recipe.yaml"); // the same study, without its fits
    write_text(path, recipe);
    char *begun = here("begun"), *trained = here("trained");
    const call calls[] = {{.command = "run", .recipe = "recipe.yaml", .results = begun, .more = {"--stop-after-epoch", "1"}},
                          {.command = "run", .recipe = "short/recipe.yaml", .results = trained},
                          {.command = "run", .recipe = "recipe.yaml", .results = whole}};
    for (int i = 0; i < 3; i++) {
        const end e = done(&calls[i]);
        if (e.status) fail_msg("exit status %d: %s", e.status, e.said);
        free_end(e);
    }
    works[0] = (work){"a run from its beginning", {.command = "run", .recipe = "recipe.yaml", .results = fresh}, NULL, whole};
    works[1] = (work){"a run that continues", {.command = "run", .recipe = "recipe.yaml", .results = fresh}, begun, whole};
    works[2] = (work){"rows added to a finished run", {.command = "eval", .recipe = "recipe.yaml", .results = fresh}, trained, whole};
    works[3] = (work){"a report", {.command = "report", .recipe = "recipe.yaml", .results = fresh}, whole, whole};
    free(text);
    free(path);
    free(short_path);
    return 0;
}

static int tear_down(void **state) {
    free((char *)works[0].call.results);
    free(works[0].whole);
    free((char *)works[1].from);
    free((char *)works[2].from);
    return bl_test_leave(state);
}

// The same command once more, without a fault.
static void assert_recovers(const work *w, const char *what) {
    call again = w->call;
    again.file = again.memory = 0;
    const end e = done(&again);
    if (e.status) fail_msg("%s: again: exit status %d: %s", what, e.status, e.said);
    free_end(e);
    assert_same_results(w->whole, w->call.results, what);
}

// ---- files ----

static void one_failed_call_on_a_file_loses_nothing(void **state) {
    (void)state;
    static const struct {
        const char *name, *says; // NULL: it goes unnoticed
    } kinds[] = {{"ENOSPC", "No space left on device"}, {"EIO", "Input/output error"}, {"EINTR", NULL}, {"short", NULL}};
    int tried = 0, failed = 0;
    for (int k = 0; k < WORKS; k++) {
        long files, allocations;
        replace_folder(works[k].call.results, works[k].from);
        count_of(works[k].call, &files, &allocations);
        assert_true(files > 20);
        const long step = is_whole() ? 1 : 37;
        for (long turn = k; turn < 4 * files; turn += step) {
            const int kind = (int)(turn % 4);
            const long n = turn / 4 + 1;
            char what[128];
            work w = works[k];
            w.call.file = n;
            w.call.kind = kinds[kind].name;
            snprintf(what, sizeof what, "%s, call %ld of %ld, %s", w.name, n, files, kinds[kind].name);
            replace_folder(w.call.results, w.from);
            const end e = done(&w.call);
            if (e.status > 1) fail_msg("%s: exit status %d: %s", what, e.status, e.said);
            if (e.status && !kinds[kind].says) fail_msg("%s: %s", what, e.said);
            if (e.status && !strstr(e.said, kinds[kind].says)) fail_msg("%s: it only said: %s", what, e.said);
            tried++;
            failed += e.status;
            if (bl_file_exists(w.call.results)) assert_no_halves(w.call.results, what);
            // Where the folder of a whole file could not be written out, that is told, and the run is finished all the same.
            if (kinds[kind].says && strstr(e.said, kinds[kind].says)) assert_recovers(&w, what);
            else assert_same_results(w.whole, w.call.results, what);
            free_end(e);
        }
    }
    print_message("    %d calls failed, which ended %d commands\n", tried, failed);
    assert_true(failed > 10 && failed < tried);
}

// ---- file systems that are otherwise ----

static void without_locks_a_run_says_what_to_write_and_then_needs_none(void **state) {
    (void)state;
    static const char *const commands[] = {"run", "status", "report", "eval"};
    work w = works[0];
    w.call.lock_error = ENOLCK;
    replace_folder(w.call.results, NULL);
    const end refused = done(&w.call);
    assert_int_equal(refused.status, 1);
    bl_test_holds(refused.said, "No locks available");
    bl_test_holds(refused.said, "write `machine: {lock: none}`");
    assert_no_halves(w.call.results, "without locks");
    free_end(refused);
    for (int i = 0; i < 4; i++) {
        call c = w.call;
        c.command = commands[i];
        c.more[0] = "--set";
        c.more[1] = "machine.lock=none";
        const end e = done(&c);
        if (e.status) fail_msg("%s: exit status %d: %s", c.command, e.status, e.said);
        free_end(e);
    }
    char *a = run_file(w.whole, "reference"), *b = run_file(w.call.results, "reference");
    assert_same_run_but(a, b, "manifest/resolved"); // the same ids
    free(a);
    free(b);
}

static void a_file_that_may_not_grow_is_said(void **state) {
    (void)state;
    work w = works[1]; // there is an old checkpoint
    char *checkpoint, *marker;
    void *before, *after;
    size_t size, size_after;
    replace_folder(w.call.results, w.from);
    assert_true(asprintf(&checkpoint, "%s/recipe/main/seed-7.reference.ckpt", w.call.results) > 0);
    assert_true(asprintf(&marker, "%s/recipe/main/seed-7.reference.failed", w.call.results) > 0);
    assert_ok(bl_read_file(checkpoint, &before, &size));
    w.call.most_bytes = 20000;
    const end e = done(&w.call);
    assert_int_equal(e.status, 1);
    bl_test_holds(e.said, "File too large");
    assert_true(bl_file_exists(marker));
    assert_ok(bl_read_file(checkpoint, &after, &size_after));
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);
    assert_no_halves(w.call.results, "a limit");
    w.call.most_bytes = 0;
    assert_recovers(&w, "a limit");
    free_end(e);
    bl_free(before);
    bl_free(after);
    free(checkpoint);
    free(marker);
}

static void what_dead_processes_left_is_gone_after_the_next(void **state) {
    (void)state;
    static const char *const names[] = {"recipe/aggregate.csv", "recipe/curves.svg", "recipe/pictures.png", "recipe/main/seed-7.reference.h5",
                                        "recipe/main/seed-7.reference.ckpt", "recipe/main/seed-7.reference.fit.ckpt",
                                        "recipe/main/seed-7.reference.epoch-1.ckpt", "recipe/main/seed-7.reference.failed"};
    work w = works[1];
    replace_folder(w.call.results, w.from);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path;
        assert_true(asprintf(&path, "%s/%s.999999-%zu.tmp", w.call.results, names[i], i + 1) > 0);
        write_text(path, "half");
        free(path);
    }
    assert_recovers(&w, "halves of dead processes");
}

// ---- memory ----

static bool is_nobodys(const char *name) { // who only does as he is told: the C library, the sanitizers, what lets calls fail
    static const char *const names[] = {"libc.", "libm.", "ld-linux", "libasan", "libubsan", "libsanitizer", "byolab_faults"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strstr(name, names[i])) return true;
    return false;
}

// Whoever took a NULL for memory is innermost: "FAULTS signal 11, memory asked for by libhdf5.so, stack: libhdf5.so byolab" of the library
// that lets calls fail; "    #1 0x7f in H5SL_search (/lib/libhdf5.so+0x22)" of the sanitizer, which names our own with their source lines.
static bool is_of_a_library(const char *said) {
    const char *sanitizer = strstr(said, "ERROR: AddressSanitizer"), *told = strstr(said, "FAULTS ");
    char name[512];
    int size;
    if (sanitizer) {
        for (const char *frame = sanitizer; (frame = strstr(frame, "\n    #")); frame++)
            if (sscanf(frame + 1, "%511[^\n]", name) == 1 && !is_nobodys(name)) return strstr(name, ".so") && !strstr(name, "byolab");
        return false;
    }
    // The C library found that somebody had written past what is his: that was who went on without his memory, whoever gives some back now.
    static const char *const broken[] = {"corrupted ", "double free", "malloc(): ", "free(): ", "realloc(): ", "munmap_chunk(): "};
    for (size_t i = 0; told && i < sizeof broken / sizeof *broken; i++) {
        const char *found = strstr(said, broken[i]);
        if (found && found < told && sscanf(told, "FAULTS signal %*d, memory asked for by %511[^,]", name) == 1)
            return !is_nobodys(name) && !strstr(name, "byolab");
    }
    const char *stack = told ? strstr(told, "stack:") : NULL;
    for (stack += stack ? 6 : 0; stack && sscanf(stack, " %511s%n", name, &size) == 1; stack += size)
        if (!is_nobodys(name)) return !strstr(name, "byolab");
    return false;
}

// The first 2000 and 500 of the others; or some of them.
static long next_allocation(long n, long count, uint32_t *drawn) {
    const long step = is_whole() ? 1 : 97, far = is_whole() ? (count - 2000) / 500 : (count - 2000) / 12;
    if (n < 2000) return n + step;
    *drawn = *drawn * 1664525u + 1013904223u;
    return n + 1 + (long)(*drawn >> 8) % (2 * (far > 0 ? far : 1));
}

static void one_failed_allocation_is_said_or_changes_nothing(void **state) {
    (void)state;
    char *reference = here("checked");
    work all[3] = {{"check", {.command = "check", .recipe = "recipe.yaml"}, NULL, NULL}, works[0], works[3]};
    for (int k = 0; k < 3; k++) {
        const work *w = &all[k];
        long files, count, failed = 0, tried = 0, theirs = 0;
        uint32_t drawn = 15;
        if (w->call.results) replace_folder(w->call.results, w->from);
        count_of(w->call, &files, &count);
        end plain = done(&all[k].call); // of check: what it shows
        for (long n = 1 + 13 * k; n <= count; n = next_allocation(n, count, &drawn)) {
            call c = w->call;
            char what[128];
            c.memory = n;
            snprintf(what, sizeof what, "%s, allocation %ld of %ld", w->name, n, count);
            if (c.results) replace_folder(c.results, w->from);
            const end e = done(&c);
            tried++;
            if (e.status > 1 && !is_of_a_library(e.said)) fail_msg("%s: exit status %d: %s", what, e.status, e.said);
            if (strstr(e.said, "runtime error:")) fail_msg("%s: %s", what, e.said);
            if (e.status == 1 && !*e.said) fail_msg("%s: it said nothing", what);
            theirs += e.status > 1;
            failed += e.status == 1;
            if (!c.results && !e.status && strcmp(e.shown, plain.shown) != 0) fail_msg("%s: it shows another thing:\n%s", what, e.shown);
            if (c.results && !e.status) assert_same_results(w->whole, c.results, what);
            if (c.results && e.status) assert_recovers(w, what);
            free_end(e);
        }
        free_end(plain);
        print_message("    %s: %ld of %ld allocations failed: %ld were told, %ld ended in a library, %ld changed nothing\n", w->name, tried, count,
                      failed, theirs, tried - failed - theirs);
        assert_true(failed > 0);
    }
    free(reference);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_failed_call_on_a_file_loses_nothing),
        cmocka_unit_test(without_locks_a_run_says_what_to_write_and_then_needs_none),
        cmocka_unit_test(a_file_that_may_not_grow_is_said),
        cmocka_unit_test(what_dead_processes_left_is_gone_after_the_next),
        cmocka_unit_test(one_failed_allocation_is_said_or_changes_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
