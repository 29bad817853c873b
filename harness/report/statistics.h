// statistics.h - what a few seeds say of a mean.

#ifndef BL_REPORT_STATISTICS_H
#define BL_REPORT_STATISTICS_H

typedef struct bl_estimate {
    int n;
    double mean;
    double sd;        // n - 1 in the denominator; NaN for n < 2
    double low, high; // 95 % Student interval of the mean; NaN for n < 2
    int unfinished;   // of the n: values of runs that have not ended; whoever chose the values says so
} bl_estimate;

bl_estimate bl_estimate_of(const double *values, int n); // all 0 of none

// t with P(|T| <= t) = share for T of Student's distribution, 0 < share < 1.
double bl_student_quantile(int degrees, double share);

#endif
