#include "report/csv.h"

#include <csv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void separate(bl_text *csv) {
    if (csv->size && csv->chars[csv->size - 1] != '\n') bl_text_add(csv, ",");
}

void bl_csv_text(bl_text *csv, const char *field) {
    const size_t length = strlen(field), room = 2 * length + 2; // every character a quote
    char *quoted = bl_alloc(room + 1);
    if (!quoted) bl_out_of_memory(); // as bl_text_add does
    csv_write(quoted, room, field, length);
    separate(csv);
    bl_text_add(csv, "%s", quoted);
    bl_free(quoted);
}

void bl_csv_integer(bl_text *csv, long long value) {
    separate(csv);
    bl_text_add(csv, "%lld", value);
}

void bl_csv_number(bl_text *csv, double value, int digits) {
    char shown[40];
    if (isnan(value)) strcpy(shown, "NaN"); // as R, pandas and gnuplot read it
    else if (isinf(value)) strcpy(shown, value > 0 ? "Inf" : "-Inf");
    else if (digits) snprintf(shown, sizeof shown, "%.*g", digits, value);
    else
        for (digits = 15; digits <= 17; digits++) {
            snprintf(shown, sizeof shown, "%.*g", digits, value);
            if (strtod(shown, NULL) == value) break;
        }
    separate(csv);
    bl_text_add(csv, "%s", shown);
}

// An empty first field would look like an empty row, and no table here has one.
void bl_csv_none(bl_text *csv) { bl_text_add(csv, ","); }

void bl_csv_end(bl_text *csv) { bl_text_add(csv, "\n"); }
