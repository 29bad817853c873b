#include <stdio.h>
#include <string.h>

#include "backends/registry.h"
#include "base/host.h"           // bl_host_cpu, bl_host_flags
#include "base/load.h"           // bl_load_watch
#include "base/threads.h"        // bl_processors
#include "commands/command.h"
#include "commands/progress.h"   // bl_print_remarks
#include "datasets/facts.h"      // bl_dataset_facts_of
#include "experiment/cell.h"     // bl_cell_steps, bl_cell_warn
#include "experiment/schema.h"   // bl_schema_print
#include "inspect/bench.h"       // bl_bench_product
#include "inspect/needs.h"       // bl_needs_of_training
#include "protocols/arms.h"      // bl_arms_are_there
#include "protocols/segmenter.h" // bl_segmentation_has_own_step
#include "run/needed.h"          // bl_data_are_there

static void print_products(bl_backend *backend) {
    for (int i = 0; i < 2; i++) {
        const bl_dtype precision = i ? BL_BF16 : BL_F32;
        int side;
        double gflops;
        printf("  %s product: ", bl_dtype_name(precision));
        fflush(stdout); // the figure comes a moment later
        if (bl_bench_product(backend, precision, false, &side, &gflops)) printf("none here: %s\n", bl_error());
        else printf("%.0f GFLOP/s (%d x %d x %d)\n", gflops, side, side, side);
    }
}

// What runs would find here that ask for `machine`. The backend they take is timed, but for reference, which is not made to be fast.
static int print_machine(const bl_machine *machine) {
    bl_load load;
    bl_text busy = {0};
    char cpu[128], flags[512];
    if (bl_load_watch(0.3, &load)) return BL_FAILED;
    bl_load_describe(&load, &busy);
    bl_load_free(&load);
    bl_host_cpu(cpu, sizeof cpu);
    bl_host_flags(flags, sizeof flags);
    printf("machine: %s\ncpu: %s\ncpu flags: %s\nthreads: %d, and %d that make views\n", busy.chars, cpu, flags, machine->threads,
           machine->loader_threads);
    bl_text_free(&busy);
    for (const char *const *name = bl_backend_known(); *name; name++) {
        bl_backend *backend;
        bl_text text = {0};
        const bl_backend_options options = {.threads = machine->threads, .isa = machine->isa};
        if (!bl_backend_present(*name)) {
            printf("%s: not built\n", *name);
            continue;
        }
        if (bl_backend_open(&backend, *name, &options)) {
            printf("%s: not usable here: %s\n", *name, bl_error());
            continue;
        }
        backend->table->describe(backend, &text);
        printf("%s:\n", *name);
        for (char *line = strtok(text.chars, "\n"); line; line = strtok(NULL, "\n")) printf("  %s\n", line);
        bl_text_free(&text);
        if (!strcmp(*name, machine->backend) && strcmp(*name, "reference") != 0) print_products(backend);
        bl_backend_close(backend);
    }
    return BL_OK;
}

static void print_cell(const bl_cell *cell) {
    bl_text warnings = {0};
    printf("  %-24s ", cell->name);
    if (cell->train.steps)
        printf("%lld step%s", (long long)cell->train.steps, bl_plural(cell->train.steps));
    else
        printf("%d epoch%s", cell->train.epochs, bl_plural(cell->train.epochs));
    printf(", batch %d, %d evaluation row%s, recipe %.12s\n", cell->train.batch, cell->evaluation_count, bl_plural(cell->evaluation_count),
           cell->train_id);
    bl_cell_warn(cell, &warnings);
    for (char *line = warnings.size ? strtok(warnings.chars, "\n") : NULL; line; line = strtok(NULL, "\n")) printf("    warning: %s\n", line);
    bl_text_free(&warnings);
}

// Folders of scenes are looked through as a run would: what it would refuse, and what it would say. Images take long to read: not here.
static void print_data(const bl_experiment *experiment) {
    bl_text said = {0};
    for (int i = 0; i < experiment->cell_count; i++) {
        const bl_dataset_options *data = &experiment->cells[i].data;
        const bl_dataset_facts *facts = bl_dataset_facts_of(data->name);
        bl_dataset *dataset = NULL;
        bl_text now = {0};
        if (!facts->scenes || facts->is_drawn) continue;
        if (bl_dataset_open(&dataset, data)) bl_text_add(&now, "warning: %s\n", bl_error());
        else bl_text_add(&now, "%s", bl_dataset_remarks(dataset));
        if (!said.size || strcmp(said.chars, now.chars) != 0) bl_print_remarks(stdout, now.chars); // cells share their data as a rule
        bl_text_free(&said);
        said = now;
        bl_dataset_close(dataset);
    }
    bl_text_free(&said);
}

static void print_needs(const char *what, const bl_needs *needs) {
    const double gib = 1ull << 30;
    printf("    %s needs %.2f GiB: activations and workspace %.2f, batches %.2f, packed weights %.2f, weights and optimiser %.2f", what,
           (double)(needs->arena + needs->staging + needs->packed + needs->store) / gib, (double)needs->arena / gib,
           (double)needs->staging / gib, (double)needs->packed / gib, (double)needs->store / gib);
    if (needs->free) printf("; %.2f are free beside the last", (double)needs->free / gib);
    puts("");
}

static int print_memory(const bl_cell *cell, bl_backend *backend) {
    bl_needs needs;
    char what[256];
    if (cell->train.steps || cell->train.epochs) {
        if (bl_needs_of_training(backend, cell, &needs)) return BL_FAILED;
        print_needs(cell->train.accumulate > 1 ? "a micro step" : "a step", &needs);
    }
    for (int i = 0; i < cell->evaluation_count; i++) {
        if (!bl_segmentation_has_own_step(cell, i)) continue;
        if (bl_needs_of_segmentation(backend, cell, &cell->evaluations[i], &needs)) return BL_FAILED;
        snprintf(what, sizeof what, "a step of %s", cell->evaluations[i].row);
        print_needs(what, &needs);
    }
    return BL_OK;
}

// ---- what is not here ----

// A message of several lines, once however many cells have it.
static void warn(bl_text *said, const char *message) {
    if (said->size && strstr(said->chars, message)) return;
    bl_text_add(said, "%s\n", message);
    const char *margin = "  warning: ";
    for (const char *line = message, *end; *line; line = end + (*end == '\n'), margin = "  ") {
        end = line + strcspn(line, "\n");
        printf("%s%.*s\n", margin, (int)(end - line), line);
    }
}

// The runs may be done elsewhere: nothing of it is a mistake in the file.
static void warn_of_files(const bl_experiment *experiment) {
    bl_text said = {0};
    bl_arena *arena = bl_arena_create();
    for (const char *line = experiment->warnings; *line; line += strcspn(line, "\n") + 1)
        warn(&said, bl_arena_format(arena, "%.*s", (int)strcspn(line, "\n"), line));
    for (int i = 0; i < experiment->cell_count; i++) {
        const bl_cell *cell = &experiment->cells[i];
        bool is_seen = cell->data_root && cell->data_root->is_verbatim;
        for (int k = 0; !is_seen && k < i; k++) is_seen = bl_same_data(&experiment->cells[k], cell);
        if (!is_seen && bl_data_are_there(cell)) warn(&said, bl_error());
        if (bl_arms_are_there(cell)) warn(&said, bl_error());
    }
    bl_arena_free(arena);
    bl_text_free(&said);
}

// Each is a page of its own.
static int refuse_two_pages(const bl_arguments *arguments) {
    static const char *const pages[] = {"schema", "machine", "memory", "resolved"};
    const char *first = NULL;
    for (int i = 0; i < 4; i++) {
        if (!bl_arguments_option(arguments, pages[i], NULL)) continue;
        if (first) return bl_misused(bl_fail("--%s beside --%s: write one of them", pages[i], first));
        first = pages[i];
    }
    return BL_OK;
}

static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    const bl_cell *cell;
    if (bl_arguments_parse(&arguments, argc, argv, bl_command_check.options) || refuse_two_pages(&arguments)) return BL_FAILED;
    if (bl_arguments_option(&arguments, "schema", NULL)) {
        bl_text text = {0};
        bl_schema_print(&text);
        fputs(text.chars, stdout);
        bl_text_free(&text);
        return BL_OK;
    }
    const bool only_machine = bl_arguments_option(&arguments, "machine", NULL);
    if (only_machine && !arguments.file)
        return print_machine(&(bl_machine){.backend = "onednn", .threads = bl_processors(), .loader_threads = bl_processors(), .isa = ""});
    if (bl_arguments_read_elsewhere(&arguments, &experiment)) return BL_FAILED;
    int status = bl_arguments_cell(&arguments, experiment, &cell);
    if (!status && only_machine) {
        status = print_machine(&experiment->machine);
    } else if (!status && bl_arguments_option(&arguments, "resolved", NULL)) {
        fputs(cell->resolved, stdout);
    } else if (!status) {
        printf("%s: study %s, %d cell%s x %d seed%s, backend %s\n", experiment->path, experiment->study, experiment->cell_count,
               bl_plural(experiment->cell_count), experiment->seed_count, bl_plural(experiment->seed_count), experiment->machine.backend);
        const bl_machine *machine = &experiment->machine;
        const bl_backend_options options = {.threads = machine->threads, .isa = machine->isa};
        bl_backend *backend = NULL;
        if (bl_arguments_option(&arguments, "memory", NULL)) status = bl_backend_open(&backend, machine->backend, &options);
        for (int i = 0; !status && i < experiment->cell_count; i++) {
            if (arguments.cell && &experiment->cells[i] != cell) continue;
            print_cell(&experiment->cells[i]);
            if (backend) status = print_memory(&experiment->cells[i], backend);
        }
        bl_backend_close(backend);
        print_data(experiment);
        for (int i = 0; i < experiment->skipped_count; i++) printf("  left out: %s\n", experiment->skipped[i]);
        if (!status) warn_of_files(experiment);
    }
    bl_experiment_free(experiment);
    return status;
}

const bl_command bl_command_check = {
        "check", "read an experiment file and say what it asks for, or what is wrong with it",
        "byolab check FILE [options]     cells, seeds and recipes of the study, what it leaves out, and what of its data,\n"
        "                                weights and environment variables is not here; nothing runs\n"
        "byolab check FILE --memory      what a step of each cell needs, planned by its backend, and what is free\n"
        "byolab check FILE --resolved    one cell with every key, defaults included\n"
        "byolab check --schema           every key: type, default, range, meaning\n"
        "byolab check [FILE] --machine   processor, threads, the backends and what this machine can use of them, and how fast a large\n"
        "                                product is: for the file's machine keys, or for none\n\n",
        BL_COMMON_OPTIONS " schema! machine! memory! resolved!", run};
