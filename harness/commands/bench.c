#include "inspect/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"           // bl_atomic_write
#include "base/host.h"           // bl_host_cpu
#include "base/load.h"           // bl_load
#include "base/threads.h"        // bl_processors
#include "commands/command.h"
#include "experiment/cell.h"     // bl_cell_precision
#include "protocols/segmenter.h" // bl_segmentation_has_own_step
#include "report/csv.h"          // bl_csv_text

static void print(const char *step, const bl_cell *cell, const bl_machine *machine, const bl_bench *b, bool nodes) {
    printf("%s%s, %s, batch %d, %d thread%s: median %.1f images/s, best %.1f; the median step %.1f ms, %.0f GFLOP/s\n", step, machine->backend,
           bl_cell_precision(cell), b->batch, machine->threads, bl_plural(machine->threads), b->median, b->best, 1e3 * b->step_seconds,
           b->gflop / b->step_seconds);
    printf("memory: activations and workspace %.0f MiB, packed weights %.0f MiB, staging %.0f MiB; the process at most %.0f MiB\n",
           (double)b->arena_bytes / 1048576, (double)b->packed_bytes / 1048576, (double)b->staging_bytes / 1048576,
           (double)b->process_bytes / 1048576);
    if (b->collapse_seconds > 0)
        printf("diagnosis of collapse every %d step%s: %.2f ms a step beside it, %.3f %% of its time\n", cell->train.collapse_every,
               bl_plural(cell->train.collapse_every), 1e3 * b->collapse_seconds, 100 * b->collapse_seconds / b->step_seconds);
    if (!nodes) return;
    if (b->checkpoint.file_seconds > 0)
        printf("a checkpoint: steps wait %.0f ms for its copy and take %.0f ms longer in all; on disk after %.2f s\n",
               1e3 * b->checkpoint.copy_seconds, 1e3 * b->checkpoint.seconds, b->checkpoint.file_seconds);
    printf("peak (a %d x %d x %d product): %.0f GFLOP/s; the step runs at %.0f %% of it, counted as direct convolutions:\n"
           "  above 100 %% where a backend multiplies less (Winograd)\n",
           b->peak_side, b->peak_side, b->peak_side, b->peak_gflops, 100 * b->gflop / b->step_seconds / b->peak_gflops);
    if (b->views_per_second[0] > 0) {
        printf("views: %.0f a second on one thread", b->views_per_second[0]);
        if (machine->loader_threads > 1) printf(", %.0f on %d", b->views_per_second[1], machine->loader_threads);
        printf("\n");
    }
    if (b->regions > 0)
        printf("threads meet in %.4g parallel regions a step and at %.4g barriers within them; what oneDNN does counts as one region\n",
               b->regions, b->barriers);
    printf("\n%-30s %6s %9s %7s %7s %8s %9s\n", "operator", "nodes", "ms/step", "share", "regions", "barriers", "GFLOP/s");
    for (int i = 0; i < b->kind_count; i++) {
        printf("%-30s %6d %9.2f %6.1f%% %7.4g %8.4g", b->kinds[i].name, b->kinds[i].count, 1e3 * b->kinds[i].seconds,
               100 * b->kinds[i].share, b->kinds[i].regions, b->kinds[i].barriers);
        if (b->kinds[i].gflops > 1) printf(" %9.0f", b->kinds[i].gflops);
        printf("\n");
    }
}

// For scripts. What --brief leaves out is empty.
static void print_csv(const bl_cell *cell, const bl_machine *machine, const bl_load *load, const bl_bench *b, bool nodes) {
    puts("backend,precision,batch,threads,images_per_second_median,images_per_second_best,step_ms,gflop,arena_mib,packed_mib,staging_mib,"
         "collapse_ms,peak_gflops,peak_side,views_per_second_one_thread,views_per_second,loader_threads,others_busy_cores");
    printf("%s,%s,%d,%d,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,", machine->backend, bl_cell_precision(cell), b->batch,
           machine->threads, b->median, b->best, 1e3 * b->step_seconds, b->gflop, (double)b->arena_bytes / 1048576,
           (double)b->packed_bytes / 1048576, (double)b->staging_bytes / 1048576, 1e3 * b->collapse_seconds);
    if (nodes) printf("%.6g,%d,%.6g,%.6g", b->peak_gflops, b->peak_side, b->views_per_second[0], b->views_per_second[1]);
    else printf(",,,");
    printf(",%d,", machine->loader_threads);
    if (load->is_known) printf("%.2f", load->busy);
    printf("\n");
}

// "ready", then a pass over the steps for each line that comes, and its images a second.
static bool wait_for_turn(void *context, const bl_bench *last) {
    (void)context;
    if (last) printf("%.6g\n", last->median);
    else puts("ready");
    fflush(stdout);
    int letter;
    do letter = getchar();
    while (letter != '\n' && letter != EOF);
    return letter == '\n';
}

// ---- beside a load ----

enum { QUIET, BUSY, SPINNING, BESIDE, ROUNDS = 5 };

typedef struct contended {
    bl_load_made loads[BESIDE]; // none for QUIET
    int taken;                  // turns
    double speeds[BESIDE][ROUNDS];
    int status;
} contended;

// Every other round goes backwards, so that what drifts falls on all alike.
static int beside(int turn) {
    const int place = turn % BESIDE;
    return turn / BESIDE % 2 ? BESIDE - 1 - place : place;
}

static bool next_load(void *context, const bl_bench *last) {
    contended *c = context;
    if (last) {
        const int before = beside(c->taken);
        c->speeds[before][c->taken / BESIDE] = last->mean;
        c->status = bl_load_halt(&c->loads[before]);
        c->taken++;
    }
    if (c->status == BL_OK && c->taken < BESIDE * ROUNDS) c->status = bl_load_go(&c->loads[beside(c->taken)]);
    return c->status == BL_OK && c->taken < BESIDE * ROUNDS;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(const double *values) {
    double sorted[ROUNDS];
    memcpy(sorted, values, sizeof sorted);
    qsort(sorted, ROUNDS, sizeof *sorted, by_value);
    return sorted[ROUNDS / 2];
}

static void print_contended(const char *step, const bl_cell *cell, const bl_machine *machine, const bl_bench *b, const contended *c, int steps) {
    static const char *const names[] = {"beside nothing", "beside one busy loop a core", "beside one OpenMP job, nice 10"};
    printf("%s%s, %s, batch %d, %d thread%s: images/s, and the part of the speed beside nothing (medians of %d turns of %d step%s)\n",
           step, machine->backend, bl_cell_precision(cell), b->batch, machine->threads, bl_plural(machine->threads), ROUNDS, steps,
           bl_plural(steps));
    for (int i = 0; i < BESIDE; i++) {
        double parts[ROUNDS];
        for (int k = 0; k < ROUNDS; k++) parts[k] = c->speeds[i][k] / c->speeds[QUIET][k];
        printf("  %-31s %8.1f", names[i], middle(c->speeds[i]));
        if (i != QUIET) printf("  %.2f", middle(parts));
        printf("\n");
    }
}

typedef struct request {
    const char *study;
    const bl_cell *cell;
    const bl_machine *machine;
    bl_bench_options options;
    bool as_csv;
    bl_load load;        // by others, before anything is timed
    const char *record;  // a CSV file; NULL: nothing is recorded
    const char *command; // as it was typed
    contended *contended; // NULL: not asked for
} request;

// ---- the record: rows of a machine that did nothing else ----

static int refuse_record(const bl_load *load, const char *when) {
    bl_text text = {0};
    bl_load_describe(load, &text);
    const int status = bl_fail("--record: %s the machine was not quiet but %s; nothing is recorded. Stop or pause what runs "
                               "(experiments/queue pause) and try again", when, text.chars);
    bl_text_free(&text);
    return status;
}

// Appends a row to the file, with a header where it is new.
static int append_record(const request *r, const char *step, const bl_bench *b) {
    static const char header[] = "date,commit,processor,device,threads,study,cell,step,precision,batch,images_per_second_median,"
                                 "images_per_second_lowest,images_per_second_highest,gflops,command";
    char day[16], processor[128];
    void *before = NULL;
    size_t bytes = 0;
    const time_t now = time(NULL);
    if (bl_file_exists(r->record) && bl_read_file(r->record, &before, &bytes)) return BL_FAILED;
    bl_text csv = {0};
    if (bytes) bl_text_add(&csv, "%s", (const char *)before);
    else bl_text_add(&csv, "%s\n", header);
    bl_free(before);
    int status = BL_FAILED;
    if (strncmp(csv.chars, header, sizeof header - 1) != 0) {
        bl_fail("--record %s: it is no record of this version, whose columns are %s", r->record, header);
        goto done;
    }
    strftime(day, sizeof day, "%Y-%m-%d", gmtime(&now));
    bl_host_cpu(processor, sizeof processor);
    bl_text_add(&csv, "%s", day); // the first field of a row, which needs no quotes
    for (const char *const *text = (const char *const[]){bl_program_commit(), processor, b->device, NULL}; *text; text++) bl_csv_text(&csv, *text);
    bl_csv_integer(&csv, r->machine->threads);
    for (const char *const *text = (const char *const[]){r->study, r->cell->name, step, bl_cell_precision(r->cell), NULL}; *text; text++)
        bl_csv_text(&csv, *text);
    bl_csv_integer(&csv, b->batch);
    for (int i = 0; i < 4; i++) bl_csv_number(&csv, (double[]){b->median, b->worst, b->best, b->gflop / b->step_seconds}[i], 5);
    bl_csv_text(&csv, r->command);
    bl_csv_end(&csv);
    status = bl_atomic_write(r->record, csv.chars, csv.size);
done:
    bl_text_free(&csv);
    return status;
}

// ---- timing ----

// What others began meanwhile does not show in the load before; work of idle priority that was there all along shows there alone.
static int time_watched(const request *r, const bl_evaluation *row, const bl_bench_options *options, bl_bench *result, bl_load *meanwhile) {
    bl_load_mark mark;
    *meanwhile = (bl_load){0};
    if (bl_load_take_mark(&mark)) return BL_FAILED;
    const int status = (row ? bl_bench_fit(r->cell, row, r->machine, options, result)
                            : bl_bench_run(r->cell, r->machine, options, result)) ||
                       bl_load_since(&mark, meanwhile);
    bl_load_mark_free(&mark);
    return status ? BL_FAILED : BL_OK;
}

// The training step where there is no row, else that of the row's fit.
static int time_one(const request *r, const bl_evaluation *row) {
    bl_bench result;
    bl_load meanwhile;
    bl_text plan = {0};
    bl_bench_options options = r->options;
    char step[64] = "";
    if (options.plan) options.plan = &plan;
    if (row) snprintf(step, sizeof step, "segmentation step, crop %d: ", row->segmentation.crop);
    int status = time_watched(r, row, &options, &result, &meanwhile);
    if (status == BL_OK && r->contended) status = r->contended->status;
    if (status == BL_OK && r->as_csv) print_csv(r->cell, r->machine, &r->load, &result, options.nodes);
    if (status == BL_OK && r->contended) print_contended(step, r->cell, r->machine, &result, r->contended, options.steps);
    if (status == BL_OK && !r->as_csv && !r->contended) print(step, r->cell, r->machine, &result, options.nodes);
    if (status == BL_OK && options.plan) printf("\n%s", plan.chars);
    if (status == BL_OK && r->record)
        status = bl_load_is_quiet(&meanwhile) ? append_record(r, row ? "segmentation" : "training", &result)
                                              : refuse_record(&meanwhile, "while the steps were timed");
    bl_load_free(&meanwhile);
    bl_text_free(&plan);
    return status;
}

// `timed`: steps before.
static int time_segmentations(const request *r, int timed, bool only_first) {
    for (int i = 0; i < r->cell->evaluation_count; i++) {
        if (!bl_segmentation_has_own_step(r->cell, i) || (only_first && timed)) continue;
        if (timed) printf("\n");
        if (time_one(r, &r->cell->evaluations[i])) return BL_FAILED;
        timed++;
    }
    return BL_OK;
}

static int time_all(const request *r, bool segmentation) {
    const bool alone = r->as_csv || r->record || r->options.turn; // one row, one program
    if (segmentation && !r->cell->data.labelled)
        return bl_fail("--segmentation: cell '%s' has no segmentation below `evaluate:`; leave it out", r->cell->name);
    if (segmentation) return time_segmentations(r, 0, alone);
    if (time_one(r, NULL)) return BL_FAILED;
    return alone ? BL_OK : time_segmentations(r, 1, false);
}

// In turns whoever is waited for is busy too, and starts at the same time.
static int look_around(request *r) {
    if (r->options.turn == wait_for_turn) return BL_OK;
    if (bl_load_watch(0.5, &r->load)) return BL_FAILED;
    if (r->record && !bl_load_is_quiet(&r->load)) return refuse_record(&r->load, "before the steps were timed");
    if (r->as_csv) return BL_OK;
    bl_text text = {0};
    bl_load_describe(&r->load, &text);
    printf("machine: %s\n", text.chars);
    bl_text_free(&text);
    return BL_OK;
}

// Before the plan takes its memory.
static int make_loads(const request *r) {
    if (!r->contended) return BL_OK;
    return bl_load_make(&r->contended->loads[BUSY], BL_LOAD_BUSY_LOOPS, bl_processors()) ||
                           bl_load_make(&r->contended->loads[SPINNING], BL_LOAD_SPINNING_THREADS, bl_processors())
                   ? BL_FAILED
                   : BL_OK;
}

static void join(int argc, char **argv, bl_text *command) {
    bl_text_add(command, "byolab");
    for (int i = 0; i < argc; i++) bl_text_add(command, strpbrk(argv[i], " \t*?[{;&|<>$\"") ? " '%s'" : " %s", argv[i]);
}

static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    bl_text plan = {0}, command = {0}; // plan: says that one is wanted
    contended loads = {0};
    request r = {.options = {.warmup = 3}};
    int status = BL_FAILED;
    join(argc, argv, &command); // before the words are cut
    if (bl_arguments_parse(&arguments, argc, argv, bl_command_bench.options) ||
        bl_arguments_count(&arguments, "steps", 6, &r.options.steps) || bl_arguments_read(&arguments, &experiment))
        goto done;
    r.study = experiment->study;
    r.machine = &experiment->machine;
    r.command = command.chars;
    r.record = bl_arguments_option(&arguments, "record", NULL);
    r.options.nodes = !bl_arguments_option(&arguments, "brief", NULL);
    r.as_csv = bl_arguments_option(&arguments, "csv", NULL);
    if (bl_arguments_option(&arguments, "plan", NULL)) r.options.plan = &plan;
    if (bl_arguments_option(&arguments, "turns", NULL)) r.options.turn = wait_for_turn;
    if (bl_arguments_option(&arguments, "contended", NULL)) {
        r.contended = r.options.context = &loads;
        r.options.turn = next_load;
        r.options.nodes = false;
    }
    const char *unfit = r.options.plan ? "plan" : r.as_csv ? "csv" : r.record ? "record" : NULL;
    if (r.contended && (unfit || bl_arguments_option(&arguments, "turns", NULL)))
        status = bl_misused(bl_fail("--contended takes turns of its own and prints what they found; leave out --%s", unfit ? unfit : "turns"));
    else if (r.options.plan && (r.as_csv || !r.options.nodes))
        status = bl_misused(bl_fail("--plan is a table of its own; leave out --%s", r.as_csv ? "csv" : "brief"));
    else if (r.record && r.options.turn)
        status = bl_misused(bl_fail("--record is for a machine that does nothing else; leave out --turns"));
    else if (bl_arguments_cell(&arguments, experiment, &r.cell) == BL_OK && look_around(&r) == BL_OK && make_loads(&r) == BL_OK)
        status = time_all(&r, bl_arguments_option(&arguments, "segmentation", NULL));
done:
    for (int i = 0; i < BESIDE; i++) bl_load_end(&loads.loads[i]);
    bl_load_free(&r.load);
    bl_text_free(&command);
    bl_experiment_free(experiment);
    return status;
}

const bl_command bl_command_bench = {
        "bench", "time a training step here and show where the time goes",
        "byolab bench FILE [options]\n\n"
        "Times whole steps (forward, backward, optimiser, EMA) on a batch that is ready in memory; views are timed apart. Prints\n"
        "images a second, GFLOP/s, the share of each operator, and the part of this machine's peak, a large matrix product in the\n"
        "same run; and what the diagnosis of collapse and a checkpoint cost beside the step. Then the same of the step that a segmentation below\n"
        "`evaluate:` fine-tunes by, once for each crop and batch. The first line says whether other processes keep the machine busy.\n\n"
        "  --steps N           timed steps (default 6)\n"
        "  --brief             the first lines only\n"
        "  --plan              a row a node too: time, workspace, implementation\n"
        "  --csv               a header and one row instead, for scripts\n"
        "  --segmentation      the segmentation's step alone\n"
        "  --record FILE       appends a row to that CSV file too (of one step); fails, and writes nothing, where the machine is not\n"
        "                      quiet\n"
        "  --contended         how fast the step is on a machine that is not ours alone: in turns beside nothing, beside one busy loop a\n"
        "                      core, and beside a job whose threads, one a core at nice 10, spin as an OpenMP program's do. Each turn\n"
        "                      times --steps steps: take so many that it lasts seconds\n"
        "  --turns             for scripts that measure two programs in turns: prints `ready`, then times the steps once for each\n"
        "                      line it reads and prints images a second; the rest when the input ends\n",
        BL_COMMON_OPTIONS " steps brief! plan! csv! segmentation! record contended! turns!", run};
