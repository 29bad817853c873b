// The rule by which a pattern gets its engine, and cuDNN's reasons where there is none.

#include <stdio.h>
#include <string.h>

#include "backends/cudnn/choice.h"
#include "backends/cudnn/descriptors.h"
#include "base/memory.h" // bl_alloc

// Passed over while another engine suits: room that activations need more.
#define LARGE_WORKSPACE ((int64_t)1 << 30)

// ---- what an engine says of itself ----

typedef struct notes {
    int64_t number;
    bool nondeterministic, tensor_cores, rounds, transforms, compiled; // rounds: inputs or sums to less than f32
} notes;

// Notes of the engine of a config, or of a plan's config. False: they cannot be read.
static bool read_notes(cudnnBackendDescriptor_t config, notes *of) {
    cudnnBackendNumericalNote_t numerical[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    cudnnBackendBehaviorNote_t behavior[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
    cudnnBackendDescriptor_t engine;
    int64_t count = 0;
    *of = (notes){.number = -1};
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) != CUDNN_STATUS_SUCCESS) return false;
    bool is_read = cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine) ==
                           CUDNN_STATUS_SUCCESS &&
                   cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count, &of->number) ==
                           CUDNN_STATUS_SUCCESS &&
                   cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                            CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, numerical) == CUDNN_STATUS_SUCCESS;
    for (int64_t i = 0; is_read && i < count; i++) switch (numerical[i]) {
        case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC: of->nondeterministic = true; break;
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: of->tensor_cores = true; break;
        case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
        case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION: of->rounds = true; break;
        case CUDNN_NUMERICAL_NOTE_FFT:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13: of->transforms = true; break;
        default: break;
        }
    is_read = is_read && cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                                  CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, &count, behavior) == CUDNN_STATUS_SUCCESS;
    for (int64_t i = 0; is_read && i < count; i++) of->compiled |= behavior[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
    cudnnBackendDestroyDescriptor(engine);
    return is_read;
}

// ---- what a pattern asks for ----

typedef struct wish {
    bool is_product; // convolution or matmul: where tensor cores can enter
    bool is_half, allows_tf32;
} wish;

static wish wish_of(const bl_gpu_pattern *pattern) {
    wish wanted = {.allows_tf32 = pattern->allows_tf32};
    for (int i = 0; i < pattern->operation_count; i++) {
        const bl_gpu_operation *operation = &pattern->operations[i];
        if (operation->kind > BL_GPU_CONVOLUTION_WEIGHTS && operation->kind != BL_GPU_MATMUL) continue;
        wanted.is_product = true;
        wanted.is_half = pattern->tensors[operation->operands[0]].type == BL_GPU_BF16;
    }
    return wanted;
}

#define RANKS 2
#define UNSUITED RANKS

static int rank_of(const wish *wanted, const notes *of) {
    const bool is_exact = wanted->is_product && !wanted->is_half && !wanted->allows_tf32;
    if (of->nondeterministic) return UNSUITED;
    if (wanted->is_product && of->rounds) return UNSUITED;
    if (is_exact && of->tensor_cores) return UNSUITED; // on f32 they work in TF32
    if (is_exact && of->transforms) return 1;          // sums of other terms, of other sizes
    if (wanted->is_product && wanted->is_half && !of->tensor_cores) return 1;
    return 0;
}

// ---- suggestions ----

typedef struct suggestions {
    cudnnBackendDescriptor_t *configs;
    int count;
} suggestions;

static void free_suggestions(suggestions *from) {
    for (int i = 0; i < from->count; i++) cudnnBackendDestroyDescriptor(from->configs[i]);
    bl_free(from->configs);
    *from = (suggestions){0};
}

// Appends what heuristics of this mode suggest. Failing, they have nothing to say of this graph: another mode may have.
static int suggest(const bl_gpu_device *device, cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode, suggestions *to) {
    bl_gpu_descriptors owner = {0};
    cudnnBackendDescriptor_t heuristics, *configs = NULL;
    int64_t count = 0, given = 0;
    int status = BL_FAILED;
    if (bl_gpu_descriptor_create(&owner, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics) ||
        bl_gpu_attribute(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph) ||
        bl_gpu_attribute(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode) ||
        (device->described &&
         bl_gpu_attribute(heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &device->described)) ||
        bl_gpu_finalize(heuristics))
        goto done;
    if (cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, NULL) !=
        CUDNN_STATUS_SUCCESS)
        count = 0;
    configs = bl_alloc((size_t)(to->count + count) * sizeof *configs);
    if (!configs) goto done;
    if (to->count) memcpy(configs, to->configs, (size_t)to->count * sizeof *configs);
    bl_free(to->configs);
    to->configs = configs;
    const int before = to->count;
    for (; to->count < before + count; to->count++)
        if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[to->count]) != CUDNN_STATUS_SUCCESS) break;
    if (to->count < before + count) {
        status = bl_fail("cuDNN makes no more descriptors");
        goto done;
    }
    if (count && cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &given,
                                          configs + before) != CUDNN_STATUS_SUCCESS)
        given = 0;
    while (to->count > before + given) cudnnBackendDestroyDescriptor(configs[--to->count]);
    status = BL_OK;
done:
    bl_gpu_descriptors_free(&owner);
    return status;
}

// ---- cuDNN's reasons ----

// Heuristics drop what they find unsupported without a word but in the log: "error stack" by "error stack", innermost reason first.
typedef struct reasons {
    char text[400];
    bool is_first;  // the next reason is the first of its stack
} reasons;

static void add_reason(reasons *to, const char *line) {
    static const char status_prefix[] = "CUDNN_STATUS_", reason_prefix[] = "; Reason: ";
    const char *status = strstr(line, status_prefix), *reason = strstr(line, reason_prefix);
    if (!to->is_first || !status || !reason || reason < status) return;
    char one[200];
    status += sizeof status_prefix - 1;
    const char *why = reason + sizeof reason_prefix - 1;
    snprintf(one, sizeof one, "%.*s (%.*s)", (int)(reason - status), status, (int)strcspn(why, "\n"), why);
    to->is_first = false;
    const size_t size = strlen(to->text);
    if (!strstr(to->text, one) && size + strlen(one) + 3 < sizeof to->text)
        snprintf(to->text + size, sizeof to->text - size, "%s%s", size ? ", " : "", one);
}

static void on_log(cudnnSeverity_t severity, void *data, const cudnnDebug_t *debug, const char *message) {
    reasons *to = data;
    (void)severity, (void)debug;
    for (; *message; message += strlen(message) + 1) { // lines end in a zero, and an empty one is the last
        if (strstr(message, "error stack (")) to->is_first = true;
        add_reason(to, message);
    }
}

// Left in place afterwards: with no callback cuDNN would print its log from then on.
static void no_log(cudnnSeverity_t severity, void *data, const cudnnDebug_t *debug, const char *message) {
    (void)severity, (void)data, (void)debug, (void)message;
}

// Asks once more, listening.
static void ask_why(const bl_gpu_device *device, cudnnBackendDescriptor_t graph, reasons *found) {
    suggestions ignored = {0};
    *found = (reasons){0};
    cudnnSetCallback(CUDNN_SEV_ERROR_EN | CUDNN_SEV_WARNING_EN, found, on_log);
    const int status = suggest(device, graph, CUDNN_HEUR_MODE_A, &ignored);
    cudnnSetCallback(0, NULL, no_log);
    if (status && !*found->text) snprintf(found->text, sizeof found->text, "%.300s", bl_error());
    if (!*found->text) snprintf(found->text, sizeof found->text, "it gives no reason");
    free_suggestions(&ignored);
}

// ---- plans ----

static int64_t workspace_of(cudnnBackendDescriptor_t plan) {
    int64_t count = 0, bytes = 0;
    cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &bytes);
    return bytes;
}

static int create_plan(const bl_gpu_device *device, cudnnBackendDescriptor_t *plan) {
    bl_gpu_descriptors owner = {0};
    if (bl_gpu_descriptor_create(&owner, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, plan)) return BL_FAILED;
    if (!device->handle || !bl_gpu_attribute(*plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &device->handle)) return BL_OK;
    bl_gpu_descriptors_free(&owner);
    *plan = NULL;
    return BL_FAILED;
}

// Bytes of the plan's JSON; 0 where cuDNN cannot write it, as it need not for every engine.
static int64_t json_bytes(cudnnBackendDescriptor_t plan) {
    int64_t bytes = 0;
    const cudnnStatus_t status =
            cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0, &bytes, NULL);
    return status == CUDNN_STATUS_SUCCESS && bytes > 0 ? bytes : 0;
}

// A plan that cannot be written down is none: a later run could not take it again.
static int build(const bl_gpu_device *device, cudnnBackendDescriptor_t config, cudnnBackendDescriptor_t *plan) {
    if (create_plan(device, plan)) return BL_FAILED;
    if (!bl_gpu_attribute(*plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config) &&
        !bl_gpu_finalize(*plan)) {
        if (json_bytes(*plan)) return BL_OK;
        bl_fail("cuDNN does not write down its plan");
    }
    cudnnBackendDestroyDescriptor(*plan);
    *plan = NULL;
    return BL_FAILED;
}

// The best by rank, then in the order of the suggestions. *plan: NULL where none suits; `suited` of them did before they were built.
static void pick(const bl_gpu_device *device, const wish *wanted, const suggestions *from, cudnnBackendDescriptor_t *plan, int *suited) {
    cudnnBackendDescriptor_t large = NULL, built;
    *plan = NULL;
    *suited = 0;
    for (int rank = 0; rank < RANKS && !*plan; rank++)
        for (int i = 0; i < from->count && !*plan; i++) {
            notes of;
            if (!read_notes(from->configs[i], &of) || rank_of(wanted, &of) != rank) continue;
            ++*suited;
            if (build(device, from->configs[i], &built)) continue;
            if (workspace_of(built) <= LARGE_WORKSPACE)
                *plan = built;
            else if (!large)
                large = built;
            else
                cudnnBackendDestroyDescriptor(built);
        }
    if (!*plan)
        *plan = large;
    else if (large)
        cudnnBackendDestroyDescriptor(large);
}

// Everything but the plan.
static int complete(bl_gpu_choice *choice, bool is_product) {
    cudnnBackendDescriptor_t config;
    notes of = {.number = -1};
    int64_t given = 0;
    choice->workspace = (size_t)workspace_of(choice->plan);
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &config) == CUDNN_STATUS_SUCCESS) {
        if (cudnnBackendGetAttribute(choice->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &given,
                                     &config) == CUDNN_STATUS_SUCCESS &&
            !read_notes(config, &of))
            of = (notes){.number = -1};
        cudnnBackendDestroyDescriptor(config);
    }
    snprintf(choice->name, sizeof choice->name, "engine %lld%s%s", (long long)of.number, is_product && of.tensor_cores ? ", tensor cores" : "",
             of.compiled ? ", compiled for the device" : "");
    const int64_t size = json_bytes(choice->plan);
    choice->json = bl_alloc((size_t)size + 1);
    if (!choice->json) return BL_FAILED;
    if (!size || cudnnBackendGetAttribute(choice->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, size, &given,
                                          choice->json) != CUDNN_STATUS_SUCCESS)
        return bl_fail("cuDNN does not write down its plan");
    return BL_OK;
}

int bl_gpu_choose(const bl_gpu_device *device, const bl_gpu_pattern *pattern, const char *text, bl_gpu_choice *choice) {
    const wish wanted = wish_of(pattern);
    bl_gpu_descriptors owner = {0};
    suggestions from = {0};
    cudnnBackendDescriptor_t graph;
    reasons why;
    int suited, status = BL_FAILED;
    *choice = (bl_gpu_choice){0};
    if (bl_gpu_describe(&owner, pattern, device->handle, &graph)) {
        bl_fail("cuDNN has no engine for %s: %s", text, bl_error());
        goto done;
    }
    suggest(device, graph, CUDNN_HEUR_MODE_A, &from);
    suggest(device, graph, CUDNN_HEUR_MODE_FALLBACK, &from);
    pick(device, &wanted, &from, &choice->plan, &suited);
    if (choice->plan) {
        status = complete(choice, wanted.is_product);
    } else if (!from.count) {
        ask_why(device, graph, &why);
        bl_fail("cuDNN has no engine for %s: %s", text, why.text);
    } else if (!suited) {
        bl_fail("cuDNN has no engine for %s: of the %d it suggests none is deterministic%s", text, from.count,
                wanted.is_product && !wanted.is_half && !wanted.allows_tf32 ? " and computes in f32 (TF32 allows more)" : "");
    } else {
        bl_fail("cuDNN has no engine for %s: none of the %d that suit can be built: %s", text, suited, bl_error());
    }
done:
    if (status) bl_gpu_choice_free(choice);
    free_suggestions(&from);
    bl_gpu_descriptors_free(&owner);
    return status;
}

int bl_gpu_choose_again(const bl_gpu_device *device, const bl_gpu_pattern *pattern, const char *text, const char *json,
                        bl_gpu_choice *choice) {
    *choice = (bl_gpu_choice){0};
    if (create_plan(device, &choice->plan)) return BL_FAILED;
    if ((device->described && bl_gpu_attribute(choice->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                               &device->described)) ||
        bl_gpu_attribute(choice->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(json), json) ||
        bl_gpu_finalize(choice->plan)) {
        bl_fail("cuDNN %zu no longer builds, on this device, the plan recorded for %s: %s", cudnnGetVersion(), text, bl_error());
        bl_gpu_choice_free(choice);
        return BL_FAILED;
    }
    if (!complete(choice, wish_of(pattern).is_product)) return BL_OK;
    bl_gpu_choice_free(choice);
    return BL_FAILED;
}

void bl_gpu_choice_free(bl_gpu_choice *choice) {
    if (choice->plan) cudnnBackendDestroyDescriptor(choice->plan);
    bl_free(choice->json);
    *choice = (bl_gpu_choice){0};
}
