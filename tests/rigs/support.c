#include "support.h"

#include <dlfcn.h>
#include <ftw.h>
#include <hdf5.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const char *environment(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

const char *bl_test_source(void) { return environment("BYOLAB_SOURCE", BYOLAB_SOURCE); }
const char *bl_test_build(void) { return environment("BYOLAB_BUILD", BYOLAB_BUILD); }

static bool is_known(const char *name) {
    for (const char *const *known = bl_backend_known(); *known; known++)
        if (!strcmp(*known, name)) return true;
    return false;
}

static bool is_required(const char *name) {
    bool is = false;
    char *names = strdup(environment("BYOLAB_TEST_REQUIRED", "")), *rest = names;
    for (char *each; (each = strsep(&rest, ","));) {
        if (*each && !is_known(each)) fail_msg("BYOLAB_TEST_REQUIRED: there is no backend '%s'", each);
        is = is || !strcmp(each, name);
    }
    free(names);
    return is;
}

bool bl_test_has_backend(const char *name) {
    const bool is_there = bl_backend_present(name), must_be = is_required(name);
    if (must_be && !is_there) fail_msg("BYOLAB_TEST_REQUIRED asks for backend '%s', which was not built", name);
    return is_there;
}

static bool opens(const char *name) {
    bl_backend *backend;
    if (!bl_test_has_backend(name)) return false;
    if (bl_backend_open(&backend, name, &(bl_backend_options){.threads = 2, .isa = ""})) {
        if (is_required(name)) fail_msg("BYOLAB_TEST_REQUIRED asks for backend '%s', which does not open: %s", name, bl_error());
        print_message("%s is left out: %s\n", name, bl_error());
        return false;
    }
    bl_backend_close(backend);
    return true;
}

bool bl_test_backend_is_named(void) { return *environment("BYOLAB_TEST_BACKEND", ""); }

const char *const *bl_test_backends(void) {
    static const char *names[8];
    const char *wanted = environment("BYOLAB_TEST_BACKEND", "");
    int count = 0;
    if (names[0]) return names;
    if (*wanted) {
        names[0] = wanted;
        return names;
    }
    for (const char *const *name = bl_backend_known(); *name && count < 7; name++) // the reference is the first
        if (opens(*name)) names[count++] = *name;
    return names;
}

const char *bl_test_instruction_set(void) {
    static char name[32];
    bl_backend *backend;
    bl_text text = {0};
    if (*name) return name;
    assert_ok(bl_backend_open(&backend, "onednn", &(bl_backend_options){.threads = 2, .isa = ""}));
    backend->table->describe(backend, &text);
    const char *line = strstr(text.chars, "instruction set: ");
    assert_non_null(line);
    assert_int_equal(sscanf(line, "instruction set: %31s", name), 1);
    bl_text_free(&text);
    bl_backend_close(backend);
    return name;
}

bool bl_test_has_avx512(void) {
    return !strncmp(bl_test_instruction_set(), "avx512", 6);
}

static bool takes_bf16(const bl_node *node) {
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] && node->inputs[i]->dtype == BL_BF16) return true;
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] && node->outputs[i]->dtype == BL_BF16) return true;
    return false;
}

bool bl_test_can_run(const char *name, const bl_graph *graph) {
    bl_backend *backend;
    bool can = true;
    assert_ok(bl_backend_open(&backend, name, &(bl_backend_options){.threads = 2, .isa = ""}));
    for (int n = 0; n < graph->node_count && can; n++) {
        char reason[256] = "";
        const bl_node *node = graph->nodes[n];
        can = backend->table->supports(backend, node, reason, sizeof reason);
        if (can) continue;
        print_message("%s cannot run %s: %s\n", name, node->name, reason);
        const bool lacks_bf16 = takes_bf16(node) && !strcmp(name, "onednn") && !bl_test_has_avx512();
        if (is_required(name) && !lacks_bf16) fail_msg("BYOLAB_TEST_REQUIRED asks for backend '%s', which cannot run %s", name, node->name);
    }
    bl_backend_close(backend);
    return can;
}

const char *bl_test_backend(void) {
    const char *named = environment("BYOLAB_TEST_BACKEND", "");
    if (*named) return named;
    return bl_test_has_backend("onednn") ? "onednn" : "reference";
}

char *bl_test_folder(void) {
    const char *parent = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/byolab-test-XXXXXX", parent && *parent ? parent : "/tmp") < 0 || !mkdtemp(path))
        fail_msg("cannot make a temporary folder: %s", path ? path : "out of memory");
    return path;
}

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *where) {
    (void)facts, (void)kind, (void)where;
    return remove(path);
}

void bl_test_folder_remove(char *path) {
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS)) fail_msg("cannot remove %s", path);
    free(path);
}

static char *here; // NULL: none was asked for

const char *bl_test_here(void) {
    if (!here) here = bl_test_folder();
    return here;
}

int bl_test_leave(void **state) {
    (void)state;
    if (here) bl_test_folder_remove(here);
    here = NULL;
    return 0;
}

double *bl_test_golden(const char *file, const char *path, int64_t *count) {
    char *name = NULL;
    const bool is_absolute = *file == '/';
    if (asprintf(&name, "%s%s%s", is_absolute ? "" : bl_test_source(), is_absolute ? "" : "/tests/golden/", file) < 0)
        fail_msg("out of memory");
    hid_t opened = H5Fopen(name, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (opened < 0) fail_msg("cannot open %s", name);
    hid_t set = H5Dopen2(opened, path, H5P_DEFAULT);
    if (set < 0) fail_msg("%s has no data set %s", name, path);
    hid_t space = H5Dget_space(set);
    hssize_t values = H5Sget_simple_extent_npoints(space);
    double *data = values >= 0 ? malloc(values ? (size_t)values * sizeof *data : 1) : NULL;
    if (!data || H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        fail_msg("cannot read %s of %s as numbers", path, name);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(opened);
    free(name);
    *count = values;
    return data;
}

double bl_test_nmse(const double *a, const double *b, int64_t count) {
    double error = 0, power = 0;
    for (int64_t i = 0; i < count; ++i) {
        error += (a[i] - b[i]) * (a[i] - b[i]);
        power += b[i] * b[i];
    }
    return error == 0 ? 0 : error / power; // all zero and equal is no error, all zero and unequal is infinite
}

double bl_test_worst(const double *a, const double *b, int64_t count) {
    double worst = 0;
    for (int64_t i = 0; i < count; ++i) {
        double distance = fabs(a[i] - b[i]);
        if (isnan(distance)) return distance; // no comparison would notice it
        if (distance > worst) worst = distance;
    }
    return worst;
}

int bl_test_byolab(const char *words, char *says, size_t size) {
    char *line;
    if (asprintf(&line, "'%s/byolab' %s 2>&1", bl_test_build(), words) < 0) fail_msg("out of memory");
    FILE *output = popen(line, "r");
    assert_non_null(output);
    says[fread(says, 1, size - 1, output)] = '\0';
    free(line);
    return WEXITSTATUS(pclose(output));
}

void bl_test_holds(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("\"%s\" is not in:\n%s", part, text);
}

// A function's address out of dlsym is an object pointer; POSIX promises that the bytes mean the same.
void bl_test_next(const char *name, void *function) {
    void *symbol = dlsym(RTLD_NEXT, name);
    memcpy(function, &symbol, sizeof symbol);
}

// ---- the end of a failing program ----

// A test that fails leaps over every free that was to come: what it then holds is no leak, and a report of it would bury the message.
static bool has_failed;

static void note_exit(int status, void *context) {
    (void)context;
    has_failed = status != 0;
}

__attribute__((constructor)) static void watch_exit(void) {
    on_exit(note_exit, NULL); // before the leak checker's turn, which has put itself there first
    setenv("XDG_CACHE_HOME", BYOLAB_BUILD "/tests/cache", 1); // no test writes to its user's
    H5dont_atexit();          // it would close files a failed test left open, by callbacks that lay on the test's stack
}

// Asked by the leak checker at the end of a program.
int __lsan_is_turned_off(void);
__attribute__((weak)) int __lsan_is_turned_off(void) { // weak: a test may have its own
    return has_failed;
}
