// The update phase: each is one pass over whole blocks. Meanings: graph/ops/update.c.

#include <math.h>

#include "backends/cudnn/kernels/update.h"
#include "backends/cudnn/kernels/kernel.cuh"

// Four floats: what one access of these kernels moves.
#define WIDTH bl_width<float>
typedef bl_vector<float, WIDTH> four;

// ---- running averages ----

__global__ void running_average(const float *mean, const float *variance, int groups, int64_t channels, double momentum, double unbiased,
                                float *running_mean, float *running_variance) {
    const int64_t c = bl_thread();
    if (c >= channels) return;
    for (int g = 0; g < groups; g++) {
        const double new_mean = (double)mean[g * channels + c], new_variance = (double)variance[g * channels + c];
        running_mean[c] = (float)((1 - momentum) * (double)running_mean[c] + momentum * new_mean);
        running_variance[c] = (float)((1 - momentum) * (double)running_variance[c] + momentum * new_variance * unbiased);
    }
}

void bl_gpu_running_average(cudaStream_t stream, const float *mean, const float *variance, int groups, int64_t channels, double momentum,
                            double unbiased, float *running_mean, float *running_variance) {
    BL_LAUNCH(running_average, bl_blocks(channels), BL_THREADS, stream, mean, variance, groups, channels, momentum, unbiased, running_mean,
              running_variance);
}

// ---- check_finite ----

#define CHECKED_VECTORS 4 // of a thread

// Infinities and NaNs are the values whose exponent has all bits set.
__device__ static inline bool is_finite(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x7f800000) != 0x7f800000;
}

// Threads that find one all write the same.
__global__ void check_finite(const float *values, int64_t count, float *finite) {
    const int64_t threads = (int64_t)gridDim.x * blockDim.x;
    bool are_finite = true;
    for (int j = 0; j < CHECKED_VECTORS; j++) {
        const int64_t first = (bl_thread() + j * threads) * WIDTH;
        if (first + WIDTH <= count) {
            const four from = bl_load_vector<WIDTH>(values + first);
            for (int k = 0; k < WIDTH; k++) are_finite &= is_finite(from.at[k]);
        } else {
            for (int64_t i = first; i < count; i++) are_finite &= is_finite(values[i]);
        }
    }
    if (!are_finite) *finite = 0;
}

void bl_gpu_check_finite(cudaStream_t stream, const float *values, int64_t count, float *finite) {
    const int64_t values_of_thread = WIDTH * CHECKED_VECTORS;
    BL_LAUNCH(check_finite, bl_blocks((count + values_of_thread - 1) / values_of_thread), BL_THREADS, stream, values, count, finite);
}

// ---- EMA ----

// In exactly this form: at tau 0 the target is the online network bit for bit.
__device__ static inline float moved(float target, float online, float tau) {
    return tau * target + (1 - tau) * online;
}

__global__ void ema(float *target, const float *online, int64_t count, const float *tau, const float *finite) {
    if (*finite != 1) return;
    const float of = *tau;
    const int64_t first = bl_thread() * WIDTH;
    if (first + WIDTH > count) { // the end, less than a vector
        for (int64_t i = first; i < count; i++) target[i] = moved(target[i], online[i], of);
        return;
    }
    four to = bl_load_vector<WIDTH>(target + first);
    const four from = bl_load_vector<WIDTH>(online + first);
    for (int k = 0; k < WIDTH; k++) to.at[k] = moved(to.at[k], from.at[k], of);
    bl_store_vector(target + first, to);
}

void bl_gpu_ema(cudaStream_t stream, float *target, const float *online, int64_t count, const float *tau, const float *finite) {
    BL_LAUNCH(ema, bl_blocks((count + WIDTH - 1) / WIDTH), BL_THREADS, stream, target, online, count, tau, finite);
}

// ---- SGD, Adam and LARS: a block of threads a piece ----

__device__ static void clear_piece(float *gradients, int count) {
    for (int i = (int)threadIdx.x; i < count; i += BL_THREADS) gradients[i] = 0;
}

struct descent { // SGD's rates of one segment
    float learning_rate, decay, momentum, share, trust; // the gradient's factors: before decay is added, and after
    bool nesterov;

    __device__ void operator()(float &p, float g, float &v) const {
        const float gradient = trust * (share * g + decay * p);
        v = momentum * v + gradient;
        p -= learning_rate * (nesterov ? gradient + momentum * v : v);
    }
};

// trust: of each segment; NULL: 1
__global__ void descend(bl_gpu_update of, const double *trust) {
    const bl_gpu_piece piece = of.pieces[blockIdx.x];
    const bl_gpu_segment segment = of.segments[piece.segment];
    if (*of.finite != 1) return;
    float *p = of.parameters + piece.offset, *g = of.gradients + piece.offset, *v = of.moment1 + piece.offset;
    if (!segment.is_frozen) {
        const descent rule = {(float)((double)*of.learning_rate * segment.lr_scale), segment.decay, (float)of.momentum, of.share,
                              trust ? (float)trust[piece.segment] : 1, of.nesterov};
        const int vectors = piece.count / WIDTH;
        for (int i = (int)threadIdx.x; i < vectors; i += BL_THREADS) {
            four parameters = bl_load_vector<WIDTH>(p + i * WIDTH), velocities = bl_load_vector<WIDTH>(v + i * WIDTH);
            const four gradients = bl_load_vector<WIDTH>(g + i * WIDTH);
            for (int k = 0; k < WIDTH; k++) rule(parameters.at[k], gradients.at[k], velocities.at[k]);
            bl_store_vector(p + i * WIDTH, parameters);
            bl_store_vector(v + i * WIDTH, velocities);
        }
        const int rest = vectors * WIDTH + (int)threadIdx.x;
        if (rest < piece.count) rule(p[rest], g[rest], v[rest]);
    }
    if (of.clears) {
        __syncthreads();
        clear_piece(g, piece.count);
    }
}

void bl_gpu_sgd(cudaStream_t stream, const bl_gpu_update *update) {
    const bl_gpu_update of = *update;
    const double *trust = NULL;
    BL_LAUNCH_BLOCKS(descend, (unsigned)of.piece_count, BL_THREADS, stream, of, trust);
}

struct adaption { // Adam's rates of one segment
    float learning_rate, decay, share, beta1, beta2, epsilon, root_correction2;
    float rest1, rest2; // 1 - beta, rounded once: of a rounded beta2 it would be off by 1e-5

    __device__ void operator()(float &p, float g, float &m, float &v) const {
        const float gradient = share * g + decay * p;
        m = beta1 * m + rest1 * gradient;
        v = beta2 * v + rest2 * (gradient * gradient);
        p -= learning_rate * (m / (sqrtf(v) / root_correction2 + epsilon));
    }
};

__global__ void adapt(bl_gpu_update of) {
    __shared__ adaption shared[1]; // found by one thread: powers in f64 are dear
    const bl_gpu_piece piece = of.pieces[blockIdx.x];
    if (*of.finite != 1) return;
    float *p = of.parameters + piece.offset, *g = of.gradients + piece.offset;
    float *m = of.moment1 + piece.offset, *v = of.moment2 + piece.offset;
    if (!of.segments[piece.segment].is_frozen) {
        if (threadIdx.x == 0) {
            const bl_gpu_segment segment = of.segments[piece.segment];
            const double step = (double)*of.step, learning_rate = (double)*of.learning_rate * segment.lr_scale;
            shared[0] = {(float)(learning_rate / (1 - pow(of.beta1, step))), segment.decay, of.share, (float)of.beta1, (float)of.beta2,
                         (float)of.epsilon, (float)sqrt(1 - pow(of.beta2, step)), (float)(1 - of.beta1), (float)(1 - of.beta2)};
        }
        __syncthreads();
        const adaption rule = shared[0];
        const int vectors = piece.count / WIDTH;
        for (int i = (int)threadIdx.x; i < vectors; i += BL_THREADS) {
            four parameters = bl_load_vector<WIDTH>(p + i * WIDTH);
            four first = bl_load_vector<WIDTH>(m + i * WIDTH), second = bl_load_vector<WIDTH>(v + i * WIDTH);
            const four gradients = bl_load_vector<WIDTH>(g + i * WIDTH);
            for (int k = 0; k < WIDTH; k++) rule(parameters.at[k], gradients.at[k], first.at[k], second.at[k]);
            bl_store_vector(p + i * WIDTH, parameters);
            bl_store_vector(m + i * WIDTH, first);
            bl_store_vector(v + i * WIDTH, second);
        }
        const int rest = vectors * WIDTH + (int)threadIdx.x;
        if (rest < piece.count) rule(p[rest], g[rest], m[rest], v[rest]);
    }
    if (of.clears) {
        __syncthreads();
        clear_piece(g, piece.count);
    }
}

void bl_gpu_adam(cudaStream_t stream, const bl_gpu_update *update) {
    const bl_gpu_update of = *update;
    BL_LAUNCH_BLOCKS(adapt, (unsigned)of.piece_count, BL_THREADS, stream, of);
}

// ---- LARS: what every adapted segment's gradient is multiplied by, from a first pass over the blocks ----

__device__ static inline bool is_adapted(const bl_gpu_segment &segment) {
    return segment.adapts && !segment.is_frozen;
}

// Of each piece the squares of its parameters, and of its gradients as the trust ratio's denominator takes them.
__global__ void sum_squares(bl_gpu_update of, double *sums) {
    __shared__ double shared[2 * BL_THREADS];
    const bl_gpu_piece piece = of.pieces[blockIdx.x];
    const bl_gpu_segment segment = of.segments[piece.segment];
    if (!is_adapted(segment)) return;
    const float *p = of.parameters + piece.offset, *g = of.gradients + piece.offset;
    const float decay = of.decay_apart ? 0 : segment.decay;
    const int vectors = piece.count / WIDTH;
    double squares[2] = {0, 0};
    for (int i = (int)threadIdx.x; i < vectors; i += BL_THREADS) {
        const four parameters = bl_load_vector<WIDTH>(p + i * WIDTH), gradients = bl_load_vector<WIDTH>(g + i * WIDTH);
        for (int k = 0; k < WIDTH; k++) {
            const double parameter = (double)parameters.at[k], gradient = (double)(of.share * gradients.at[k] + decay * parameters.at[k]);
            squares[0] += parameter * parameter;
            squares[1] += gradient * gradient;
        }
    }
    const int rest = vectors * WIDTH + (int)threadIdx.x;
    if (rest < piece.count) {
        const double parameter = (double)p[rest], gradient = (double)(of.share * g[rest] + decay * p[rest]);
        squares[0] += parameter * parameter;
        squares[1] += gradient * gradient;
    }
    bl_block_sums(squares, shared);
    if (threadIdx.x) return;
    sums[2 * blockIdx.x] = squares[0];
    sums[2 * blockIdx.x + 1] = squares[1];
}

__device__ static double trust_ratio(const bl_gpu_update &of, const bl_gpu_segment &segment, double parameter_norm, double gradient_norm) {
    const double decay = of.decay_apart ? (double)segment.decay : 0;
    double trust = 1;
    if (parameter_norm != 0 && gradient_norm != 0)
        trust = of.eta * parameter_norm / (gradient_norm + decay * parameter_norm + of.epsilon);
    return of.clip ? fmin(trust / ((double)*of.learning_rate * segment.lr_scale), 1.0) : trust;
}

// A block a segment.
__global__ void find_trust(bl_gpu_update of, const double *sums, double *trust) {
    __shared__ double shared[2 * BL_THREADS];
    const bl_gpu_segment segment = of.segments[blockIdx.x];
    double squares[2] = {0, 0};
    if (is_adapted(segment)) {
        for (int i = (int)threadIdx.x; i < segment.pieces; i += BL_THREADS)
            for (int k = 0; k < 2; k++) squares[k] += sums[2 * (segment.first_piece + i) + k];
        bl_block_sums(squares, shared);
    }
    if (threadIdx.x == 0) trust[blockIdx.x] = is_adapted(segment) ? trust_ratio(of, segment, sqrt(squares[0]), sqrt(squares[1])) : 1;
}

void bl_gpu_lars(cudaStream_t stream, const bl_gpu_update *update, double *sums, double *trust) {
    const bl_gpu_update of = *update;
    BL_LAUNCH_BLOCKS(sum_squares, (unsigned)of.piece_count, BL_THREADS, stream, of, sums);
    BL_LAUNCH_BLOCKS(find_trust, (unsigned)of.segment_count, BL_THREADS, stream, of, sums, trust);
    BL_LAUNCH_BLOCKS(descend, (unsigned)of.piece_count, BL_THREADS, stream, of, trust);
}
