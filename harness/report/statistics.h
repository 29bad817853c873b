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
// Of n pairs whose differences have the standard deviation sd: half of the interval of their mean. A smaller difference stays inconclusive.
// NaN for n < 2.
double bl_resolution(double sd, int n);
// The fewest pairs that resolve so much, up to `most`; 0: more than those.
int bl_pairs_that_resolve(double sd, double difference, int most);
// The factor by which the sd of n normal values may lie too low: 95 % of the time the true one is at most so many times it. n >= 2.
double bl_sd_factor(int n);

#endif
