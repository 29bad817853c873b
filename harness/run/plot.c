#include "run/plot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

// Okabe & Ito 2008: told apart with any kind of colour vision. The eighth cell begins again, dashed.
static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"};
enum { COLOURS = sizeof colours / sizeof *colours };
static const char grey[] = "#444444";

// Pixels. The text widths are estimates: gnuplot does not know the reader's font either.
enum {
    LEFT = 72, PLOT_WIDTH = 500, LEGEND_GAP = 14, LEGEND_SAMPLE = 58, LEGEND_ROW = 28, CHARACTER = 8,
    TITLE = 34, PANEL_TITLE = 46, PANEL = 210, BELOW = 60,
    AXIS_LABEL = 16, // from the left and the lower edge
    CURVE_POINTS = 500, // of a std curve; more cannot be seen
    MOST_ROWS = 16,
};

typedef struct curve_figure {
    const bl_study *study;
    bl_text *script;
    const bl_evaluation *panels[MOST_ROWS], *pixels[MOST_ROWS];
    int panel_count, pixel_count;
    int epochs;           // right end of every x axis
    bool bands, has_steps, has_pixels, has_published, has_context;
    int title_height, label_count;
    size_t longest_label; // characters
} curve_figure;

static const bl_experiment *experiment_of(const curve_figure *figure) { return figure->study->experiment; }

// In gnuplot's single quotes only the quote itself is special.
static void add_quoted(bl_text *script, const char *text) {
    bl_text_add(script, "'");
    for (; *text; text++) bl_text_add(script, *text == '\'' ? "''" : "%c", *text);
    bl_text_add(script, "'");
}

static void add_style(bl_text *script, int cell) {
    bl_text_add(script, "lc rgb '%s' dt %d", colours[cell % COLOURS], 1 + cell / COLOURS % 4);
}

// ---- what there is to draw ----

static bool has_runs(const bl_study *study, int cell) {
    for (int r = 0; r < study->run_count; r++)
        if (study->runs[r].cell == cell) return true;
    return false;
}

static bool measured(const bl_study *study, const char *row) {
    for (int c = 0, count; c < study->experiment->cell_count; c++)
        if (bl_study_epochs(study, c, row, &count), count) return true;
    return false;
}

// "pixels/k1_cv/test" stands beside "knn/k1_cv/test".
static bool asks_the_same(const bl_evaluation *a, const bl_evaluation *b) { return strcmp(strchr(a->row, '/'), strchr(b->row, '/')) == 0; }

static void add_label(curve_figure *figure, const char *label) {
    figure->label_count++;
    if (strlen(label) > figure->longest_label) figure->longest_label = strlen(label);
}

static const char label_bands[] = "95 % interval, seeds", label_pixels[] = "raw pixels", label_published[] = "published",
                  label_context[] = "published, other set-up";

static void look_at_study(curve_figure *figure) {
    const bl_study *study = figure->study;
    const bl_experiment *experiment = study->experiment;
    const bl_evaluation *rows[MOST_ROWS];
    const int row_count = bl_study_rows(study, rows, MOST_ROWS);
    for (int i = 0; i < row_count; i++) {
        if (!measured(study, rows[i]->row)) continue;
        if (rows[i]->raw_pixels) figure->pixels[figure->pixel_count++] = rows[i];
        else figure->panels[figure->panel_count++] = rows[i];
    }
    figure->epochs = 1;
    for (int c = 0; c < experiment->cell_count; c++) {
        if (!has_runs(study, c)) continue;
        add_label(figure, experiment->cells[c].name);
        if (experiment->cells[c].train.epochs > figure->epochs) figure->epochs = experiment->cells[c].train.epochs;
        for (int p = 0; p < figure->panel_count; p++) {
            int count;
            const int *epochs = bl_study_epochs(study, c, figure->panels[p]->row, &count);
            for (int i = 0; i < count; i++) figure->bands |= bl_study_value(study, c, figure->panels[p]->row, epochs[i]).n > 1;
        }
    }
    for (int r = 0; r < study->run_count; r++) figure->has_steps |= study->runs[r].history.step_count > 0;
    for (int p = 0; p < figure->panel_count; p++) {
        for (int i = 0; i < figure->pixel_count; i++) figure->has_pixels |= asks_the_same(figure->panels[p], figure->pixels[i]);
        for (int i = 0; i < experiment->expectation_count; i++) {
            const bl_expectation *expected = &experiment->expectations[i];
            if (strcmp(expected->row, figure->panels[p]->row) != 0 || expected->epoch > figure->epochs) continue;
            if (expected->context) figure->has_context = true;
            else figure->has_published = true;
        }
    }
    if (figure->bands) add_label(figure, label_bands);
    if (figure->has_pixels) add_label(figure, label_pixels);
    if (figure->has_published) add_label(figure, label_published);
    if (figure->has_context) add_label(figure, label_context);
}

// ---- the script ----

// Begins one more item of a plot command.
static void next_item(bl_text *script, bool *begun) {
    bl_text_add(script, *begun ? ", \\\n     " : "plot ");
    *begun = true;
}

// "k = 1, cosine, 5-fold inside test", as a figure's reader would say it.
static void add_panel_title(bl_text *script, const bl_evaluation *row) {
    bl_text_add(script, "'k = %d", row->k);
    if (row->temperature > 0) bl_text_add(script, ", T = %g", row->temperature);
    if (row->protocol == BL_KNN_CROSS_VALIDATION) bl_text_add(script, ", %d-fold inside %s", row->folds, bl_split_name(row->split));
    else bl_text_add(script, ", train to %s", bl_split_name(row->split));
    if (row->rows) bl_text_add(script, ", first %lld images", (long long)row->rows);
    if (row->monitor) bl_text_add(script, " (monitored)");
    bl_text_add(script, "'");
}

// The one legend, right of all panels: a plot of its own, as gnuplot drops entries that are higher than their plot.
static void add_legend(const curve_figure *figure, int width, int height) {
    bl_text *script = figure->script;
    const int top = figure->title_height + PANEL_TITLE / 2;
    bl_text_add(script, "\nset tmargin at screen %.5f\nset bmargin at screen 0\n", 1 - (double)top / height);
    bl_text_add(script, "unset border\nunset tics\nunset grid\nunset label\nunset logscale\n");
    bl_text_add(script, "set key at screen %.5f,%.5f left top Left reverse samplen 2.2 spacing 1.25\nplot [0:1] [0:1] NaN notitle",
                (double)(LEFT + PLOT_WIDTH + LEGEND_GAP) / width, 1 - (double)top / height);
    for (int c = 0; c < experiment_of(figure)->cell_count; c++) {
        if (!has_runs(figure->study, c)) continue;
        bl_text_add(script, ", \\\n     keyentry with linespoints ");
        add_style(script, c);
        bl_text_add(script, " lw 2 pt 7 ps 0.6 title ");
        add_quoted(script, experiment_of(figure)->cells[c].name);
    }
    const struct {
        bool shown;
        const char *style, *label;
    } rest[] = {
        {figure->bands, "filledcurves fs transparent solid 0.2 noborder", label_bands},
        {figure->has_published, "points lw 1.5 pt 6 ps 1", label_published},
        {figure->has_context, "points lw 1.5 pt 12 ps 1.1", label_context},
        {figure->has_pixels, "lines lw 1.5 dt 2", label_pixels},
    };
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        if (rest[i].shown) bl_text_add(script, ", \\\n     keyentry with %s lc rgb '%s' title '%s'", rest[i].style, grey, rest[i].label);
    bl_text_add(script, "\n");
}

// `column` of `file` where its columns 1 and 2 are the cell (NULL: "") and the row.
static void add_source(bl_text *script, const char *file, const char *cell, const char *row, const char *column) {
    bl_text_add(script, "'%s' using (strcol(1) eq ", file);
    add_quoted(script, cell ? cell : "");
    bl_text_add(script, " && strcol(2) eq ");
    add_quoted(script, row);
    bl_text_add(script, " ? %s : NaN)", column);
}

// Published figures of one cell (NULL: of every cell) for one row, as open markers.
static void add_published(const curve_figure *figure, const char *cell, int colour, const char *row, bool context, bool *begun) {
    bool any = false;
    for (int i = 0; i < experiment_of(figure)->expectation_count; i++) {
        const bl_expectation *expected = &experiment_of(figure)->expectations[i];
        const bool same_cell = cell ? expected->cell && strcmp(expected->cell, cell) == 0 : !expected->cell;
        any |= same_cell && expected->context == context && expected->epoch <= figure->epochs && strcmp(expected->row, row) == 0;
    }
    if (!any) return;
    next_item(figure->script, begun);
    add_source(figure->script, "published.csv", cell, row, context ? "$6 == 1 ? $3 : NaN" : "$6 == 0 ? $3 : NaN");
    bl_text_add(figure->script, ":4 with points lc rgb '%s' lw 1.5 pt %s notitle", colour < 0 ? grey : colours[colour % COLOURS],
                context ? "12 ps 1.1" : "6 ps 1");
}

static void add_curves(const curve_figure *figure, const bl_evaluation *panel) {
    bool begun = false;
    const bl_study *study = figure->study;
    bl_text *script = figure->script;
    const int cell_count = experiment_of(figure)->cell_count;
    for (int p = 0; p < figure->pixel_count; p++) {
        if (!asks_the_same(panel, figure->pixels[p])) continue;
        for (int c = 0, count; c < cell_count; c++) {
            if (bl_study_epochs(study, c, figure->pixels[p]->row, &count), !count) continue;
            next_item(script, &begun);
            add_source(script, "aggregate.csv", experiment_of(figure)->cells[c].name, figure->pixels[p]->row, "x_min");
            bl_text_add(script, ":5:(x_max - x_min):(0) with vectors nohead lc rgb '%s' lw 1.5 dt 2 notitle", grey);
        }
    }
    for (int pass = 0; pass < 2; pass++) // all bands lie below all curves
        for (int c = 0, count; c < cell_count; c++) {
            const char *cell = experiment_of(figure)->cells[c].name;
            const int *epochs = bl_study_epochs(study, c, panel->row, &count);
            bool has_band = false;
            for (int i = 0; i < count; i++) has_band |= bl_study_value(study, c, panel->row, epochs[i]).n > 1;
            if (!count || (pass == 0 && !has_band)) continue;
            next_item(script, &begun);
            add_source(script, "aggregate.csv", cell, panel->row, "$3");
            if (pass == 0)
                bl_text_add(script,
                            ":($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with filledcurves lc rgb '%s' fs transparent solid 0.2 noborder notitle",
                            colours[c % COLOURS]); // two seeds can reach beyond what an accuracy may be
            else {
                bl_text_add(script, ":5 with linespoints ");
                add_style(script, c);
                bl_text_add(script, " lw 2 pt 7 ps 0.6 notitle");
            }
        }
    for (int context = 0; context < 2; context++) {
        add_published(figure, NULL, -1, panel->row, context, &begun);
        for (int c = 0; c < cell_count; c++)
            if (has_runs(study, c)) add_published(figure, experiment_of(figure)->cells[c].name, c, panel->row, context, &begun);
    }
}

// A line for each run: seeds of a cell share its colour.
static void add_std_curves(const curve_figure *figure) {
    bool begun = false;
    const bl_study *study = figure->study;
    bl_text *script = figure->script;
    int64_t longest = 1;
    double lowest = 1, highest = 1;
    for (int r = 0; r < study->run_count; r++) {
        const bl_history *history = &study->runs[r].history;
        if (history->step_count > longest) longest = history->step_count;
        for (int64_t i = 0; i < history->step_count; i++) {
            const double ratio = history->steps[i].std_ratio;
            if (ratio > 0 && ratio < lowest) lowest = ratio;
            if (ratio > highest) highest = ratio;
        }
    }
    // Collapse spans decades; a healthy study reads better on a plain axis.
    if (lowest < .2 * highest) bl_text_add(script, "set logscale y\nset yrange [%g:%g]\n", lowest * .8, highest * 1.25);
    else bl_text_add(script, "set yrange [0:%g]\n", highest * 1.05);
    for (int r = 0; r < study->run_count; r++) {
        const bl_finished_run *run = &study->runs[r];
        if (!run->history.step_count) continue;
        char seed[24];
        snprintf(seed, sizeof seed, "%llu", (unsigned long long)run->seed);
        next_item(script, &begun);
        add_source(script, "steps.csv", experiment_of(figure)->cells[run->cell].name, seed, "$4");
        bl_text_add(script, ":7 every %lld with lines ", (long long)((longest + CURVE_POINTS - 1) / CURVE_POINTS));
        add_style(script, run->cell);
        bl_text_add(script, " lw 1.2 notitle");
    }
}

void bl_plot_curves(const bl_study *study, bl_text *script) {
    curve_figure figure = {.study = study, .script = script};
    look_at_study(&figure);
    const int panels = figure.panel_count + figure.has_steps;
    if (!panels) return;
    const char *title = study->experiment->title;
    figure.title_height = title ? TITLE : 0;
    const int width = LEFT + PLOT_WIDTH + LEGEND_GAP + LEGEND_SAMPLE + CHARACTER * (int)figure.longest_label + 10;
    const int panels_height = panels * (PANEL_TITLE + PANEL) + BELOW, legend_height = PANEL_TITLE + LEGEND_ROW * figure.label_count;
    const int height = figure.title_height + (panels_height > legend_height ? panels_height : legend_height);
    bl_text_add(script,
                "# Drawn from aggregate.csv, published.csv and steps.csv; `gnuplot curves.gp` in this folder writes curves.svg.\n"
                "set terminal svg size %d,%d font 'Helvetica,15' noenhanced background '#ffffff'\n"
                "if (!exists('to_stdout')) set output 'curves.svg'\n"
                "set datafile separator comma\n"
                "set datafile columnheaders\n"
                "set border 3 lc rgb '%s'\nset tics nomirror out scale 0.5 textcolor rgb '#000000'\nset format y '%%g'\n"
                "set grid lt 1 lc rgb '#e4e4e4' lw 1\nunset key\n"
                "x_min = %g\nx_max = %g\nset xrange [x_min:x_max]\n"
                "set lmargin at screen %.5f\nset rmargin at screen %.5f\n"
                "set multiplot\n",
                width, height, grey, -.015 * figure.epochs, 1.015 * figure.epochs, (double)LEFT / width,
                (double)(LEFT + PLOT_WIDTH) / width);
    if (figure.epochs <= 12) bl_text_add(script, "set xtics 1\n"); // no half epochs
    if (title) {
        bl_text_add(script, "set label 1 ");
        add_quoted(script, title);
        bl_text_add(script, " at screen %.5f,%.5f left font 'Helvetica,17'\n", (double)LEFT / width, 1 - 22. / height);
    }
    for (int p = 0; p < panels; p++) {
        const int top = height - figure.title_height - p * (PANEL_TITLE + PANEL) - PANEL_TITLE;
        const bool is_accuracy = p < figure.panel_count, is_last = p == panels - 1;
        bl_text_add(script, "\nset tmargin at screen %.5f\nset bmargin at screen %.5f\n", (double)top / height,
                    (double)(top - PANEL) / height);
        // Labels at places of their own: gnuplot's would move with the width of the numbers.
        bl_text_add(script, "set label 2 ");
        if (is_accuracy) add_panel_title(script, figure.panels[p]);
        else bl_text_add(script, "'std of the projection, relative to step 0'");
        bl_text_add(script, " at graph 0, screen %.5f left\n", (top + 18.) / height);
        bl_text_add(script, "set label 3 '%s' at screen %.5f, graph 0.5 center rotate by 90\n",
                    is_accuracy ? "k-NN accuracy (%)" : "std ratio", (double)AXIS_LABEL / width);
        if (is_last)
            bl_text_add(script,
                        "set format x '%%g'\nset xtics offset 0,0.5\nset label 4 'finished epochs' at graph 0.5, screen %.5f center\n",
                        (top - PANEL - BELOW + (double)AXIS_LABEL) / height);
        else bl_text_add(script, "set format x ''\n");
        bl_text_add(script, is_accuracy ? "set offsets 0, 0, graph 0.06, graph 0.06\nset yrange [0<*:*<100]\n" : "unset offsets\n");
        if (is_accuracy) add_curves(&figure, figure.panels[p]);
        else add_std_curves(&figure);
        bl_text_add(script, "\nunset label 1\n");
    }
    add_legend(&figure, width, height);
    bl_text_add(script, "unset multiplot\n");
}

// ---- running gnuplot ----

static int take_all(FILE *file, bl_text *text) {
    char piece[4096];
    rewind(file);
    for (size_t bytes; (bytes = fread(piece, 1, sizeof piece - 1, file)) > 0;) {
        piece[bytes] = 0;
        bl_text_add(text, "%s", piece);
    }
    return ferror(file) ? bl_fail("gnuplot: cannot read what it wrote: %s", strerror(errno)) : BL_OK;
}

int bl_plot_draw(const char *folder, const char *script, const char *svg, bool *drawn) {
    // -d: no settings of the user's; C: numbers and messages the same everywhere.
    char *const arguments[] = {"gnuplot", "-d", "-e", "to_stdout = 1", (char *)script, NULL};
    bl_text environment = {0}, picture = {0}, messages = {0}, path = {0};
    int status = BL_FAILED, ended = 0;
    pid_t child = 0;
    FILE *out = tmpfile(), *error = tmpfile();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    *drawn = false;
    if (!out || !error) {
        bl_fail("gnuplot: no temporary file: %s", strerror(errno));
        goto done;
    }
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fileno(out), 1);
    posix_spawn_file_actions_adddup2(&actions, fileno(error), 2);
    const char *search = getenv("PATH");
    bl_text_add(&environment, "PATH=%s", search ? search : "/usr/bin:/bin");
    char *const variables[] = {environment.chars, "LC_ALL=C", NULL};
    const int started = posix_spawnp(&child, "gnuplot", &actions, NULL, arguments, variables);
    if (started == ENOENT) {
        status = BL_OK;
        goto done;
    }
    if (started) {
        bl_fail("gnuplot: cannot start: %s", strerror(started));
        goto done;
    }
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR) {}
    if (take_all(out, &picture) || take_all(error, &messages)) goto done;
    if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0 || !picture.size) {
        bl_fail("gnuplot failed on %s/%s: %s", folder, script, messages.chars ? messages.chars : "no message");
        goto done;
    }
    bl_text_add(&path, "%s/%s", folder, svg);
    if (bl_atomic_write(path.chars, picture.chars, picture.size)) goto done;
    *drawn = true;
    status = BL_OK;
done:
    posix_spawn_file_actions_destroy(&actions);
    if (out) fclose(out);
    if (error) fclose(error);
    bl_text_free(&environment);
    bl_text_free(&picture);
    bl_text_free(&messages);
    bl_text_free(&path);
    return status;
}
