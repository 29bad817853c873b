// csv.h - fields and rows of CSV (RFC 4180, lines end in "\n"), appended to a text.

#ifndef BL_REPORT_CSV_H
#define BL_REPORT_CSV_H

#include "base/memory.h" // bl_text

void bl_csv_text(bl_text *csv, const char *field); // quoted
void bl_csv_integer(bl_text *csv, long long value);
void bl_csv_number(bl_text *csv, double value, int digits); // significant ones; 0: as many as bring the same double back
void bl_csv_none(bl_text *csv);                             // a field without a value
void bl_csv_end(bl_text *csv);                              // of the row

#endif
