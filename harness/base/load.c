#include "base/load.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STAT_BYTES = 1 << 16, SAID = 3 };

// The first line sums over processors: user nice system idle iowait irq softirq steal (guests are in user and nice).
bool bl_load_parse_machine(const char *text, bl_load_mark *mark) {
    double t[8];
    if (sscanf(text, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", t, t + 1, t + 2, t + 3, t + 4, t + 5, t + 6, t + 7) != 8) return false;
    mark->total = 0;
    for (int i = 0; i < 8; i++) mark->total += t[i];
    mark->busy = mark->total - t[3] - t[4];
    mark->cores = 0;
    for (const char *line = strchr(text, '\n'); line && !strncmp(line, "\ncpu", 4); line = strchr(line + 1, '\n')) mark->cores++;
    return mark->cores > 0;
}

// "pid (name) state ...": a name may hold blanks and parentheses, so what follows is counted from the last one. Field 14 and 15 are
// the ticks in user and kernel mode, 41 the scheduling policy, of which 5 is SCHED_IDLE (proc(5)).
bool bl_load_parse_process(const char *text, bl_process_time *process) {
    const char *open = strchr(text, '('), *close = strrchr(text, ')');
    double user, kernel;
    int policy;
    if (!open || !close || close < open || sscanf(text, "%d", &process->pid) != 1) return false;
    if (sscanf(close + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lf %lf %*d %*d %*d %*d %*d %*d %*u %*u %*d %*u %*u %*u %*u %*u "
                          "%*u %*u %*u %*u %*u %*u %*u %*u %*d %*d %*u %d", &user, &kernel, &policy) != 3)
        return false;
    snprintf(process->name, sizeof process->name, "%.*s", (int)(close - open - 1), open + 1);
    process->ticks = user + kernel;
    process->yields = policy == 5;
    return true;
}

// The file's beginning; NULL where it cannot be read, as that of a process that has just ended.
static const char *read_stat(const char *path, char text[STAT_BYTES]) {
    FILE *file = fopen(path, "r");
    if (!file) return NULL;
    text[fread(text, 1, STAT_BYTES - 1, file)] = '\0';
    fclose(file);
    return text;
}

static int take_processes(bl_load_mark *mark, DIR *folder, char text[STAT_BYTES]) {
    int capacity = 0;
    char path[300];
    bl_process_time process;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        if (!read_stat(path, text) || !bl_load_parse_process(text, &process)) continue;
        if (bl_grow((void **)&mark->processes, mark->count, &capacity, sizeof process)) return BL_FAILED;
        mark->processes[mark->count++] = process;
    }
    return BL_OK;
}

int bl_load_take_mark(bl_load_mark *mark) {
    *mark = (bl_load_mark){0};
    char *text = bl_alloc(STAT_BYTES);
    if (!text) return BL_FAILED;
    DIR *folder = opendir("/proc");
    int status = BL_OK;
    if (folder && read_stat("/proc/stat", text) && bl_load_parse_machine(text, mark)) {
        mark->is_known = true;
        status = take_processes(mark, folder, text);
    }
    if (folder) closedir(folder);
    bl_free(text);
    if (status) bl_load_mark_free(mark);
    return status;
}

void bl_load_mark_free(bl_load_mark *mark) {
    bl_free(mark->processes);
    *mark = (bl_load_mark){0};
}

static double ticks_before(const bl_load_mark *mark, int pid) {
    for (int i = 0; i < mark->count; i++)
        if (mark->processes[i].pid == pid) return mark->processes[i].ticks;
    return 0; // it began later
}

static int falling(const void *a, const void *b) {
    const double x = ((const bl_process_time *)a)->ticks, y = ((const bl_process_time *)b)->ticks;
    return (x < y) - (x > y);
}

int bl_load_since(const bl_load_mark *mark, bl_load *load) {
    bl_load_mark now;
    *load = (bl_load){0};
    if (!mark->is_known) return BL_OK;
    if (bl_load_take_mark(&now)) return BL_FAILED;
    if (!now.is_known || now.total <= mark->total) return bl_load_mark_free(&now), BL_OK; // no tick has passed
    double own = 0;
    for (int i = 0; i < now.count; i++) {
        bl_process_time process = now.processes[i];
        process.ticks -= ticks_before(mark, process.pid);
        if (process.pid == getpid()) own = process.ticks;
        else if (process.ticks > 0) now.processes[load->count++] = process;
    }
    load->is_known = true;
    load->cores = now.cores;
    load->ticks_a_core = (now.total - mark->total) / now.cores;
    load->busy = (now.busy - mark->busy - own) / load->ticks_a_core;
    if (load->busy < 0) load->busy = 0; // the clocks are read one after the other
    load->processes = now.processes;
    qsort(load->processes, (size_t)load->count, sizeof *load->processes, falling);
    return BL_OK;
}

int bl_load_watch(double seconds, bl_load *load) {
    bl_load_mark mark;
    *load = (bl_load){0};
    if (bl_load_take_mark(&mark)) return BL_FAILED;
    nanosleep(&(struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))}, NULL);
    const int status = bl_load_since(&mark, load);
    bl_load_mark_free(&mark);
    return status;
}

void bl_load_free(bl_load *load) {
    bl_free(load->processes);
    *load = (bl_load){0};
}

bool bl_load_is_quiet(const bl_load *load) {
    return load->is_known && load->busy < 0.05 * load->cores;
}

void bl_load_describe(const bl_load *load, bl_text *text) {
    if (!load->is_known) {
        bl_text_add(text, "unknown: no /proc to read here");
        return;
    }
    if (bl_load_is_quiet(load)) {
        bl_text_add(text, "quiet");
        return;
    }
    bl_text_add(text, "loaded: %.1f of %d core%s busy", load->busy, load->cores, bl_plural(load->cores));
    const char *before = " with ";
    for (int i = 0; i < load->count && i < SAID; i++) {
        const bl_process_time *process = &load->processes[i];
        if (process->ticks < 0.05 * load->ticks_a_core) break;
        bl_text_add(text, "%s%s (pid %d%s)", before, process->name, process->pid, process->yields ? ", idle priority" : "");
        before = ", ";
    }
    if (*before == ' ') bl_text_add(text, ", by processes that ended meanwhile or by the machine's host");
}
