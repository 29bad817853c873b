#include "commands/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/digest.h" // bl_digest_hex
#include "base/file.h"   // bl_seconds

bl_progress_bar bl_progress_bar_create(void) {
    return (bl_progress_bar){.is_terminal = isatty(STDERR_FILENO), .last_percent = -1};
}

static int terminal_width(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

void bl_print_remarks(FILE *file, const char *remarks) {
    for (int length; *remarks; remarks += length + 1) {
        length = (int)strcspn(remarks, "\n");
        fprintf(file, "data: %.*s\n", length, remarks);
    }
}

void bl_progress_end(bl_progress_bar *bar) {
    if (bar->line_open) fputs("\r\033[K", stderr);
    bar->line_open = false;
}

static void duration(double seconds, char out[16]) {
    const int s = (int)(seconds + 0.5);
    if (s >= 3600) snprintf(out, 16, "%dh%02dm", s / 3600 % 1000, s / 60 % 60);
    else snprintf(out, 16, "%d:%02d", s / 60, s % 60);
}

// "" while there is none.
static const char *verdict_of(const bl_event *event) { return event->verdict == BL_UNDETERMINED ? "" : bl_verdict_name(event->verdict); }

// "" where a step has no projections.
static void spread(const bl_event *event, char out[64]) {
    out[0] = 0;
    if (!isnan(event->scalars->std)) snprintf(out, 64, "std %.2f of start", event->scalars->std_ratio);
}

// Appends the part, where there is one, behind the separator.
static void add_part(char line[256], const char *separator, const char *part) {
    const size_t used = strlen(line);
    if (*part) snprintf(line + used, 256 - used, "%s%s", separator, part);
}

// The bar takes what the words leave; where even the least does not fit, the words are cut: what matters least stands last.
static void draw_line(bl_progress_bar *bar, const char *name, int64_t part, int64_t whole, const char *line) {
    enum { MOST = 24, LEAST = 6 };
    const int width = terminal_width() - 1 - (int)strlen(name), room = width - (int)strlen(line);
    const int cells = room > MOST ? MOST : room < LEAST ? LEAST : room;
    fprintf(stderr, "\r%s", name);
    for (int i = 0; i < cells; i++) fputs(i < part * cells / whole ? "━" : "─", stderr);
    fprintf(stderr, "%.*s\033[K", width > cells ? width - cells : 0, line);
    fflush(stderr);
    bar->line_open = true;
}

static void draw(bl_progress_bar *bar, const bl_event *event) {
    char left[32], speed[32], name[64], line[256], std[64];
    duration(event->seconds_left, left);
    strcat(left, " left");
    snprintf(speed, sizeof speed, "%.0f img/s", event->images_per_second);
    spread(event, std);
    snprintf(name, sizeof name, "%.24s/%" PRIu64 " ", event->cell, event->seed);
    snprintf(line, sizeof line, " epoch %d/%d  loss %.3f", event->epoch, event->epochs, event->scalars->loss);
    add_part(line, "  ", verdict_of(event));
    add_part(line, "  ", left);
    add_part(line, "  ", std);
    add_part(line, "  ", speed);
    draw_line(bar, name, event->step, event->steps, line);
}

// A line a minute where it is no terminal: a row may learn for hours.
static void show_fit(bl_progress_bar *bar, const bl_event *event) {
    const double now = bl_seconds();
    char name[64], line[256];
    if (event->fit_step == 1) bar->last_drawn = now;
    if (now - bar->last_drawn < (bar->is_terminal ? 0.2 : 60)) return;
    bar->last_drawn = now;
    if (!bar->is_terminal) {
        fprintf(stderr, "%s/%" PRIu64 ": %s: update %" PRId64 " of %" PRId64 "\n", event->cell, event->seed, event->row, event->fit_step,
                event->fit_steps);
        return;
    }
    snprintf(name, sizeof name, "%.24s/%" PRIu64 " ", event->cell, event->seed);
    snprintf(line, sizeof line, " %s  update %" PRId64 "/%" PRId64, event->row, event->fit_step, event->fit_steps);
    draw_line(bar, name, event->fit_step, event->fit_steps, line);
}

static void show_step(bl_progress_bar *bar, const bl_event *event) {
    const double now = bl_seconds();
    if (bar->is_terminal) {
        if (now - bar->last_drawn < 0.2 && event->step < event->steps) return;
        bar->last_drawn = now;
        draw(bar, event);
        return;
    }
    // A line every tenth of the run, at each change of the verdict, and at least one a minute: a log file stays short, and nobody
    // waits in the dark.
    const int percent = (int)(event->step * 10 / event->steps) * 10;
    if (percent == bar->last_percent && event->verdict == bar->last_verdict && now - bar->last_drawn < 60) return;
    char left[16], std[64], line[256] = "";
    bar->last_percent = percent;
    bar->last_verdict = event->verdict;
    bar->last_drawn = now;
    duration(event->seconds_left, left);
    spread(event, std);
    add_part(line, ", ", std);
    add_part(line, ", ", verdict_of(event));
    fprintf(stderr, "%s/%" PRIu64 ": step %" PRId64 " of %" PRId64 " (epoch %d/%d), loss %.3f%s, %.0f img/s, %s left\n", event->cell,
            event->seed, event->step, event->steps, event->epoch, event->epochs, event->scalars->loss, line, event->images_per_second, left);
}

static void show_remarks(bl_progress_bar *bar, const bl_event *event) {
    char digest[65];
    bl_digest_hex(event->remarks, strlen(event->remarks), digest);
    if (!strcmp(digest, bar->last_remarks)) return;
    strcpy(bar->last_remarks, digest);
    bl_progress_end(bar);
    bl_print_remarks(stderr, event->remarks);
}

static void show_lines(bl_progress_bar *bar, const bl_event *event) {
    bl_progress_end(bar);
    for (const char *line = event->remarks; *line; line += strcspn(line, "\n") + 1)
        fprintf(stderr, "%s/%" PRIu64 ": %.*s\n", event->cell, event->seed, (int)strcspn(line, "\n"), line);
}

void bl_progress_show(void *context, const bl_event *event) {
    bl_progress_bar *bar = context;
    char spent[16];
    if (event->kind == BL_EVENT_STEP) {
        show_step(bar, event);
        return;
    }
    if (event->kind == BL_EVENT_FIT) {
        show_fit(bar, event);
        return;
    }
    if (event->kind == BL_EVENT_DATA) {
        show_remarks(bar, event);
        return;
    }
    if (event->kind == BL_EVENT_REMARK) {
        show_lines(bar, event);
        return;
    }
    if (event->kind == BL_EVENT_EPOCH) return;
    bl_progress_end(bar);
    fprintf(stderr, "%s/%" PRIu64 ": ", event->cell, event->seed);
    switch (event->kind) {
    case BL_EVENT_BEGIN:
        bar->last_percent = -1;
        bar->last_verdict = BL_UNDETERMINED;
        if (event->resumed_from)
            fprintf(stderr, "continuing from step %" PRId64 " of %" PRId64 "\n", event->resumed_from, event->steps);
        else
            fprintf(stderr, "%" PRId64 " step%s, %d epoch%s\n", event->steps, bl_plural(event->steps), event->epochs, bl_plural(event->epochs));
        break;
    case BL_EVENT_EVALUATION:
        if (event->measurement->epoch) fprintf(stderr, "%s %.2f %% after epoch %d\n", event->measurement->row, event->measurement->value, event->measurement->epoch);
        else fprintf(stderr, "%s %.2f %% before training\n", event->measurement->row, event->measurement->value);
        break;
    case BL_EVENT_SKIPPED:
        fprintf(stderr, "finished before, skipped\n");
        break;
    case BL_EVENT_BUSY:
        fprintf(stderr, "another process is at it, skipped\n");
        break;
    case BL_EVENT_COLLAPSED:
        fprintf(stderr, "collapsed; training stops after step %" PRId64 " of %" PRId64 ", as train.stop_on asks\n", event->step,
                event->steps);
        break;
    case BL_EVENT_STOPPED:
        fprintf(stderr, "stopped at step %" PRId64 " of %" PRId64 "%s%s; the same command continues\n", event->step, event->steps,
                event->row ? ", in " : "", event->row ? event->row : "");
        break;
    case BL_EVENT_LEFT:
        fprintf(stderr, "stops after epoch %d of %d, as --stop-after-epoch asks; without it the same command continues\n", event->epoch,
                event->epochs);
        break;
    case BL_EVENT_END:
        duration(event->seconds, spent);
        if (event->verdict == BL_UNDETERMINED) fprintf(stderr, "finished, %s of training\n", spent);
        else fprintf(stderr, "finished, %s of training, %s\n", spent, bl_verdict_name(event->verdict));
        break;
    default:
        break;
    }
}
