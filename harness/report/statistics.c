#include "report/statistics.h"

#include <math.h>

// P(|T| <= t), finite series for whole degrees of freedom: Abramowitz & Stegun 26.7.3 and 26.7.4.
static double student_inside(int degrees, double t) {
    const double angle = atan2(t, sqrt(degrees)), cosine = cos(angle), sine = sin(angle);
    double term = degrees % 2 ? cosine : 1, sum = 0;
    for (int power = degrees % 2 ? 1 : 0; power <= degrees - 2; power += 2) {
        sum += term;
        term *= cosine * cosine * (power + 1) / (power + 2);
    }
    return degrees % 2 ? 2 / M_PI * (angle + sine * sum) : sine * sum;
}

double bl_student_quantile(int degrees, double share) {
    double low = 0, high = 1;
    while (student_inside(degrees, high) < share) high *= 2;
    for (int i = 0; i < 100; i++) { // halves a double's last bit
        const double middle = (low + high) / 2;
        if (student_inside(degrees, middle) < share) low = middle;
        else high = middle;
    }
    return (low + high) / 2;
}

double bl_resolution(double sd, int n) { return n < 2 ? NAN : bl_student_quantile(n - 1, .95) * sd / sqrt(n); }

bl_estimate bl_estimate_of(const double *values, int n) {
    double sum = 0, squares = 0;
    if (!n) return (bl_estimate){0};
    for (int i = 0; i < n; i++) sum += values[i];
    bl_estimate estimate = {.n = n, .mean = sum / n, .sd = NAN, .low = NAN, .high = NAN};
    if (n < 2) return estimate;
    for (int i = 0; i < n; i++) squares += (values[i] - estimate.mean) * (values[i] - estimate.mean);
    estimate.sd = sqrt(squares / (n - 1));
    const double half = bl_resolution(estimate.sd, n);
    estimate.low = estimate.mean - half;
    estimate.high = estimate.mean + half;
    return estimate;
}

// ---- how many are enough ----

int bl_pairs_that_resolve(double sd, double difference, int most) {
    int n = 2;
    while (n <= most && !(bl_resolution(sd, n) <= difference)) n++;
    return n <= most ? n : 0;
}

// P(X > x) of the chi-squared distribution, finite series for whole degrees of freedom: Abramowitz & Stegun 26.4.4 and 26.4.5.
static double chi_squared_above(int degrees, double x) {
    const double root = sqrt(x);
    double term = degrees % 2 ? sqrt(2 / M_PI) * exp(-x / 2) * root : exp(-x / 2), sum = 0;
    for (int k = degrees % 2 ? 3 : 2; k <= degrees; k += 2) {
        sum += term;
        term *= x / k;
    }
    return degrees % 2 ? erfc(root / sqrt(2)) + sum : sum;
}

double bl_sd_factor(int n) {
    double low = 0, high = n - 1; // the median lies below the degrees of freedom
    for (int i = 0; i < 100; i++) {
        const double middle = (low + high) / 2;
        if (chi_squared_above(n - 1, middle) > .95) low = middle;
        else high = middle;
    }
    return sqrt((n - 1) / ((low + high) / 2));
}
