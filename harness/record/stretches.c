#include "record/stretches.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/host.h"
#include "record/columns.h"

#define GROUP "/timing/stretches"

static const struct {
    const char *path;
    size_t offset;
} numbers[] = {
    {GROUP "/first", offsetof(bl_stretch, first)},
    {GROUP "/last", offsetof(bl_stretch, last)},
    {GROUP "/threads", offsetof(bl_stretch, threads)},
    {GROUP "/until", offsetof(bl_stretch, until)},
};

static const bl_column hours = {GROUP "/hours", offsetof(bl_stretch, hours)};

#define TEXT(name) {GROUP "/" #name, offsetof(bl_stretch, name), sizeof((bl_stretch *)0)->name}
static const struct { // one text each, a line a stretch
    const char *path;
    size_t offset, room;
} texts[] = {TEXT(cpu), TEXT(device), TEXT(isa), TEXT(library), TEXT(version), TEXT(commit)};

enum { NUMBERS = sizeof numbers / sizeof *numbers, TEXTS = sizeof texts / sizeof *texts };

// ---- this process's ----

// The value of the line "key: value", or "".
static void take_value(const char *machine, const char *key, char *out, size_t room) {
    const size_t size = strlen(key);
    *out = 0;
    for (const char *line = machine; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (!strncmp(line, key, size) && !strncmp(line + size, ": ", 2))
            snprintf(out, room, "%.*s", (int)strcspn(line + size + 2, "\n"), line + size + 2);
}

void bl_stretches_begin(bl_stretches *stretches, const char *machine, int64_t step, double seconds) {
    bl_stretch *now = &stretches->now;
    char backend[32], version[100], threads[16];
    *now = (bl_stretch){.first = step + 1, .last = step};
    stretches->seconds_before = seconds;
    bl_host_cpu(now->cpu, sizeof now->cpu);
    take_value(machine, "device", now->device, sizeof now->device);
    take_value(machine, "instruction set", now->isa, sizeof now->isa);
    take_value(machine, "threads", threads, sizeof threads);
    now->threads = strtol(threads, NULL, 10);
    take_value(machine, "backend", backend, sizeof backend);
    take_value(machine, "version", version, sizeof version);
    if (!*version) take_value(machine, "versions", version, sizeof version);
    snprintf(now->library, sizeof now->library, "%s %s", backend, version);
    snprintf(now->version, sizeof now->version, "%s", BYOLAB_VERSION);
    snprintf(now->commit, sizeof now->commit, "%s", bl_program_commit());
}

void bl_stretches_free(bl_stretches *stretches) {
    bl_free(stretches->past);
    *stretches = (bl_stretches){0};
}

bool bl_stretches_same_cpu(const bl_stretches *stretches) {
    const bl_stretch *last = stretches->past_count ? &stretches->past[stretches->past_count - 1] : NULL;
    char cpu[sizeof last->cpu];
    bl_host_cpu(cpu, sizeof cpu);
    return !last || *last->device || !strcmp(last->cpu, cpu); // a GPU's results do not depend on it
}

// ---- the file ----

static int put_rows(const bl_stretch *rows, int64_t count, bl_container_writer *writer) {
    int status = BL_FAILED;
    bl_text lines = {0};
    int64_t *values = bl_alloc((size_t)count * sizeof *values);
    if (!values) return BL_FAILED;
    for (int k = 0; k < NUMBERS; k++) {
        for (int64_t i = 0; i < count; i++) memcpy(&values[i], (const char *)&rows[i] + numbers[k].offset, sizeof *values);
        if (bl_container_put_i64(writer, numbers[k].path, values, &count, 1)) goto done;
    }
    for (int k = 0; k < TEXTS; k++) {
        bl_text_free(&lines);
        for (int64_t i = 0; i < count; i++) bl_text_add(&lines, "%s\n", (const char *)&rows[i] + texts[k].offset);
        if (bl_container_put_text(writer, texts[k].path, lines.chars)) goto done;
    }
    status = bl_columns_put(writer, &hours, 1, rows, sizeof *rows, count);
done:
    bl_text_free(&lines);
    bl_free(values);
    return status;
}

int bl_stretches_put(const bl_stretches *stretches, int64_t step, double seconds, bl_container_writer *writer) {
    const bool has_now = *stretches->now.commit && step >= stretches->now.first;
    const int64_t count = stretches->past_count + has_now;
    if (!count) return BL_OK;
    bl_stretch *rows = bl_alloc((size_t)count * sizeof *rows);
    if (!rows) return BL_FAILED;
    if (stretches->past_count) memcpy(rows, stretches->past, (size_t)stretches->past_count * sizeof *rows);
    if (has_now) {
        bl_stretch *now = &rows[count - 1];
        *now = stretches->now;
        now->last = step;
        now->hours = (seconds - stretches->seconds_before) / 3600;
        now->until = (int64_t)time(NULL);
    }
    const int status = put_rows(rows, count, writer);
    bl_free(rows);
    return status;
}

static int get_number(bl_stretch *rows, int64_t count, int k, const bl_container_reader *reader) {
    int64_t *values = bl_alloc((size_t)count * sizeof *values);
    const int status = values ? bl_container_read_i64(reader, numbers[k].path, values, count) : BL_FAILED;
    for (int64_t i = 0; !status && i < count; i++) memcpy((char *)&rows[i] + numbers[k].offset, &values[i], sizeof *values);
    bl_free(values);
    return status;
}

static int get_text(bl_stretch *rows, int64_t count, int k, const bl_container_reader *reader) {
    char *lines = NULL;
    int status = BL_OK;
    if (bl_container_get_text(reader, texts[k].path, &lines)) return BL_FAILED;
    const char *line = lines;
    for (int64_t i = 0; !status && i < count; i++) status = bl_line_take(&line, (char *)&rows[i] + texts[k].offset, texts[k].room, GROUP);
    if (!status) status = bl_lines_end(line, GROUP);
    bl_free(lines);
    return status;
}

// Updates in the order in which they were made.
static int check(const bl_stretch *rows, int64_t count, const bl_container_reader *reader) {
    for (int64_t i = 0; i < count; i++)
        if (rows[i].first < 1 || rows[i].last < rows[i].first || (i && rows[i].first <= rows[i - 1].last) || rows[i].threads < 0 ||
            rows[i].until < 0 || !(rows[i].hours >= 0 && rows[i].hours < INFINITY))
            return bl_container_damaged(reader, "row %" PRId64 " of " GROUP " is no stretch of a run", i);
    return BL_OK;
}

int bl_stretches_get(bl_stretches *stretches, const bl_container_reader *reader) {
    int64_t *first = NULL, count = 0;
    if (!bl_container_has(reader, numbers[0].path)) return BL_OK;
    if (bl_container_get_i64(reader, numbers[0].path, &first, &count)) return BL_FAILED;
    bl_free(first);
    bl_stretch *rows = bl_alloc((size_t)count * sizeof *rows);
    int status = rows ? BL_OK : BL_FAILED;
    for (int k = 0; !status && k < NUMBERS; k++) status = get_number(rows, count, k, reader);
    for (int k = 0; !status && k < TEXTS; k++) status = get_text(rows, count, k, reader);
    if (!status) status = bl_column_get(reader, &hours, rows, sizeof *rows, count);
    if (!status) status = check(rows, count, reader);
    if (status) {
        bl_free(rows);
        return BL_FAILED;
    }
    bl_stretches_free(stretches);
    stretches->past = rows;
    stretches->past_count = count;
    return BL_OK;
}

// ---- what is said of them ----

bool bl_stretch_same_maker(const bl_stretch *a, const bl_stretch *b) {
    for (int k = 0; k < TEXTS; k++)
        if (strcmp((const char *)a + texts[k].offset, (const char *)b + texts[k].offset) != 0) return false;
    return a->threads == b->threads;
}

void bl_stretch_maker(const bl_stretch *stretch, bl_text *text) {
    if (*stretch->device) bl_text_add(text, "%s on ", stretch->device);
    bl_text_add(text, "%s", stretch->cpu);
    if (*stretch->isa) bl_text_add(text, ", %s", stretch->isa);
    if (stretch->threads) bl_text_add(text, ", %" PRId64 " thread%s", stretch->threads, stretch->threads == 1 ? "" : "s");
    bl_text_add(text, ", %s, commit %s", stretch->library, stretch->commit);
}
