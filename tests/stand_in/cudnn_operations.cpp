// cudnn_operations.cpp - what the operations mean: plain loops in double over values in the order N, C, H, W; a result is rounded to its
// tensor's type once, whether it is stored or only passed on.

#include "cudnn_stand_in.h"
#include "stream.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace stand_in {

namespace {

void finish(const Tensor &tensor, Values &values, Memory &memory) {
    for (double &value : values) value = rounded(value, tensor.type);
    memory[tensor.id] = std::move(values);
}

Values operand(const Memory &memory, const Tensor &tensor, bool uses_tf32) {
    Values values = memory.at(tensor.id);
    if (uses_tf32 && tensor.type == CUDNN_DATA_FLOAT)
        for (double &value : values) value = rounded_to_tf32(value);
    return values;
}

struct Window {
    int64_t size[2], stride[2], before[2], dilation[2];
};

// visit(row of x, position in the window, row of y, first and last + 1 output column, x column of output column 0) for each row of an
// image of `from` seen through the window that gives one of `to`.
template <typename Visit> void each_row(const Window &window, const int64_t *from, const int64_t *to, Visit visit) {
    for (int64_t r = 0; r < window.size[0]; r++)
        for (int64_t s = 0; s < window.size[1]; s++)
            for (int64_t p = 0; p < to[0]; p++) {
                const int64_t h = p * window.stride[0] - window.before[0] + r * window.dilation[0], left = s * window.dilation[1] - window.before[1];
                if (h < 0 || h >= from[0]) continue;
                int64_t first = 0, last = to[1];
                while (first < last && left + first * window.stride[1] < 0) first++;
                while (last > first && left + (last - 1) * window.stride[1] >= from[1]) last--;
                visit(h * from[1], r * window.size[1] + s, p * to[1], first, last, left);
            }
}

void convolution(const Operation &operation, Memory &memory, bool uses_tf32, int desc, int alpha_name, int beta_name, int x_name, int w_name, int y_name) {
    const Descriptor &of = *operation.descriptor, &convolution = *of.child(desc);
    const Tensor &xt = operation.tensor(x_name), &wt = operation.tensor(w_name), &yt = operation.tensor(y_name);
    const bool gives_x = operation.outputs.count(x_name), gives_w = operation.outputs.count(w_name), gives_y = operation.outputs.count(y_name);
    const double alpha = of.value(alpha_name, 1.0f), beta = of.value(beta_name, 0.0f);
    Values x = gives_x ? Values((size_t)xt.count(), 0) : operand(memory, xt, uses_tf32);
    Values w = gives_w ? Values((size_t)wt.count(), 0) : operand(memory, wt, uses_tf32);
    Values y = gives_y ? Values((size_t)yt.count(), 0) : operand(memory, yt, uses_tf32);
    Window window{};
    for (int i = 0; i < 2; i++) {
        window.size[i] = wt.dims[(size_t)i + 2];
        window.stride[i] = convolution.values<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES)[i];
        window.before[i] = convolution.values<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS)[i];
        window.dilation[i] = convolution.values<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS)[i];
    }
    const int64_t images = xt.dims[0], channels = xt.dims[1], filters = wt.dims[0], step = window.stride[1];
    const int64_t x_plane = xt.dims[2] * xt.dims[3], y_plane = yt.dims[2] * yt.dims[3], w_plane = wt.dims[2] * wt.dims[3];
    for (int64_t n = 0; n < images; n++)
        for (int64_t k = 0; k < filters; k++)
            for (int64_t c = 0; c < channels; c++) {
                double *const xs = x.data() + (n * channels + c) * x_plane, *const ws = w.data() + (k * channels + c) * w_plane, *const ys = y.data() + (n * filters + k) * y_plane;
                each_row(window, &xt.dims[2], &yt.dims[2], [&](int64_t x_row, int64_t at, int64_t y_row, int64_t first, int64_t last, int64_t left) {
                    double *const out = ys + y_row;
                    const int64_t in = x_row + left; // before the row where left < 0, but never used there
                    if (gives_y) for (int64_t q = first; q < last; q++) out[q] += ws[at] * xs[in + q * step];
                    else if (gives_x) for (int64_t q = first; q < last; q++) xs[in + q * step] += ws[at] * out[q];
                    else for (int64_t q = first; q < last; q++) ws[at] += xs[in + q * step] * out[q];
                });
            }
    const Tensor &result = operation.outputs.begin()->second;
    Values &values = gives_x ? x : gives_w ? w : y;
    for (double &value : values) value *= alpha;
    if (beta != 0)
        for (size_t i = 0; i < values.size(); i++) values[i] += beta * memory.at(result.id)[i];
    finish(result, values, memory);
}

void pointwise(const Operation &operation, Memory &memory) {
    const cudnnPointwiseMode_t mode = operation.mode();
    const bool is_backward = mode == CUDNN_POINTWISE_RELU_BWD;
    const int second = is_backward ? CUDNN_ATTR_OPERATION_POINTWISE_DYDESC : CUDNN_ATTR_OPERATION_POINTWISE_BDESC;
    const Tensor &result = operation.outputs.begin()->second, &xt = operation.tensor(CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
    const Tensor &bt = operation.has(second) ? operation.tensor(second) : xt;
    const Values &x = memory.at(xt.id), &b = memory.at(bt.id);
    const size_t rank = result.dims.size();
    // Steps through the operands' values; a dimension of 1 is repeated.
    std::vector<int64_t> x_steps(rank), b_steps(rank), at(rank, 0);
    for (const auto &[tensor, steps] : {std::pair{&xt, &x_steps}, std::pair{&bt, &b_steps}}) {
        int64_t step = 1;
        for (size_t k = rank; k-- > 0; step *= tensor->dims[k]) (*steps)[k] = tensor->dims[k] == 1 ? 0 : step;
    }
    Values y((size_t)result.count());
    for (double &value : y) {
        size_t i = 0, k = 0;
        for (size_t d = 0; d < rank; d++) {
            i += (size_t)(at[d] * x_steps[d]);
            k += (size_t)(at[d] * b_steps[d]);
        }
        switch (mode) {
        case CUDNN_POINTWISE_ADD: value = x[i] + b[k]; break;
        case CUDNN_POINTWISE_SUB: value = x[i] - b[k]; break;
        case CUDNN_POINTWISE_MUL: value = x[i] * b[k]; break;
        case CUDNN_POINTWISE_RELU_FWD: value = x[i] < 0 ? 0 : x[i]; break; // a NaN stays one
        case CUDNN_POINTWISE_RELU_BWD: value = x[i] > 0 ? b[k] : 0; break;
        case CUDNN_POINTWISE_CMP_GT: value = x[i] > b[k]; break;
        default: value = x[i]; // identity
        }
        for (size_t d = rank; d-- > 0;) {
            if (++at[d] < result.dims[d]) break;
            at[d] = 0;
        }
    }
    finish(result, y, memory);
}

// The values of channel c, image after image: visit(position).
template <typename Visit> void each_of_channel(const Tensor &x, int64_t c, Visit visit) {
    const int64_t plane = x.dims[2] * x.dims[3];
    for (int64_t n = 0; n < x.dims[0]; n++)
        for (int64_t i = 0; i < plane; i++) visit((size_t)((n * x.dims[1] + c) * plane + i));
}

void norm_forward(const Operation &operation, Memory &memory) {
    const auto read = [&](int name) -> const Values & { return memory.at(operation.tensor(name).id); };
    const Tensor &xt = operation.tensor(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC);
    const Values &x = read(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC), &scale = read(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC), &bias = read(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC);
    const double epsilon = read(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC)[0], count = (double)(xt.count() / xt.dims[1]);
    const size_t channels = (size_t)xt.dims[1];
    Values y(x.size()), means(channels), variances(channels), inverses(channels);
    for (size_t c = 0; c < channels; c++) {
        double sum = 0, squares = 0;
        each_of_channel(xt, (int64_t)c, [&](size_t i) { sum += x[i]; });
        const double mean = sum / count;
        each_of_channel(xt, (int64_t)c, [&](size_t i) { squares += (x[i] - mean) * (x[i] - mean); });
        const double inverse = 1 / std::sqrt(squares / count + epsilon);
        each_of_channel(xt, (int64_t)c, [&](size_t i) { y[i] = (x[i] - mean) * inverse * scale[c] + bias[c]; });
        means[c] = mean;
        variances[c] = squares / count;
        inverses[c] = inverse;
    }
    if (operation.has(CUDNN_ATTR_OPERATION_NORM_FWD_EXP_AVG_FACTOR_DESC)) {
        const double factor = read(CUDNN_ATTR_OPERATION_NORM_FWD_EXP_AVG_FACTOR_DESC)[0];
        Values mean = read(CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_MEAN_DESC), variance = read(CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_VAR_DESC);
        for (size_t c = 0; c < channels; c++) {
            mean[c] = (1 - factor) * mean[c] + factor * means[c];
            variance[c] = (1 - factor) * variance[c] + factor * variances[c] * count / (count - 1); // unbiased
        }
        finish(operation.tensor(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_MEAN_DESC), mean, memory);
        finish(operation.tensor(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_VAR_DESC), variance, memory);
    }
    finish(operation.tensor(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC), y, memory);
    finish(operation.tensor(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC), means, memory);
    finish(operation.tensor(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC), inverses, memory);
}

void norm_backward(const Operation &operation, Memory &memory) {
    const auto read = [&](int name) -> const Values & { return memory.at(operation.tensor(name).id); };
    const Tensor &xt = operation.tensor(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC);
    const Values &x = read(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC), &dy = read(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC), &scale = read(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC);
    const Values &mean = read(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC), &inverse = read(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC);
    const double count = (double)(xt.count() / xt.dims[1]);
    const size_t channels = (size_t)xt.dims[1];
    Values dx(x.size()), dscale(channels, 0), dbias(channels, 0);
    for (size_t c = 0; c < channels; c++) {
        each_of_channel(xt, (int64_t)c, [&](size_t i) {
            dbias[c] += dy[i];
            dscale[c] += dy[i] * (x[i] - mean[c]) * inverse[c];
        });
        each_of_channel(xt, (int64_t)c, [&](size_t i) {
            dx[i] = scale[c] * inverse[c] * (dy[i] - dbias[c] / count - (x[i] - mean[c]) * inverse[c] * dscale[c] / count);
        });
    }
    finish(operation.tensor(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC), dx, memory);
    finish(operation.tensor(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC), dscale, memory);
    finish(operation.tensor(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC), dbias, memory);
}

Window window_of(const Descriptor &resample) {
    Window window{};
    for (int i = 0; i < 2; i++) {
        window.size[i] = resample.values<cudnnFraction_t>(CUDNN_ATTR_RESAMPLE_WINDOW_DIMS)[i].numerator;
        window.stride[i] = resample.values<cudnnFraction_t>(CUDNN_ATTR_RESAMPLE_STRIDES)[i].numerator;
        window.before[i] = resample.values<cudnnFraction_t>(CUDNN_ATTR_RESAMPLE_PRE_PADDINGS)[i].numerator;
        window.dilation[i] = 1;
    }
    return window;
}

// A NaN is the greatest of all, or the least.
bool is_greater(double value, double best, bool keeps_nan) {
    return keeps_nan ? best == best && !(value <= best) : value == value && !(best >= value);
}

void resample_forward(const Operation &operation, Memory &memory) {
    const Descriptor &resample = *operation.descriptor->child(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC);
    const Tensor &xt = operation.tensor(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC), &yt = operation.tensor(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC);
    const bool is_max = resample.value(CUDNN_ATTR_RESAMPLE_MODE, CUDNN_RESAMPLE_NEAREST) == CUDNN_RESAMPLE_MAXPOOL;
    const bool keeps_nan = resample.value(CUDNN_ATTR_RESAMPLE_NAN_PROPAGATION, CUDNN_NOT_PROPAGATE_NAN) == CUDNN_PROPAGATE_NAN;
    const Window window = window_of(resample);
    const Values &x = memory.at(xt.id);
    Values y((size_t)yt.count(), is_max ? -INFINITY : 0.0), index((size_t)yt.count(), -1);
    const int64_t x_plane = xt.dims[2] * xt.dims[3], y_plane = yt.dims[2] * yt.dims[3];
    for (int64_t image = 0; image < xt.dims[0] * xt.dims[1]; image++) {
        const double *const xs = x.data() + image * x_plane;
        double *const ys = y.data() + image * y_plane, *const is = index.data() + image * y_plane;
        each_row(window, &xt.dims[2], &yt.dims[2], [&](int64_t x_row, int64_t at, int64_t y_row, int64_t first, int64_t last, int64_t left) {
            for (int64_t q = first; q < last; q++) {
                const double value = xs[x_row + left + q * window.stride[1]];
                if (!is_max) ys[y_row + q] += value / (double)(window.size[0] * window.size[1]); // padding counts
                else if (is[y_row + q] < 0 || is_greater(value, ys[y_row + q], keeps_nan)) { // the first of equals
                    ys[y_row + q] = value;
                    is[y_row + q] = (double)at;
                }
            }
        });
    }
    finish(yt, y, memory);
    if (operation.has(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC)) finish(operation.tensor(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC), index, memory);
}

void resample_backward(const Operation &operation, Memory &memory) {
    const Descriptor &resample = *operation.descriptor->child(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC);
    const Tensor &xt = operation.tensor(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC), &yt = operation.tensor(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC);
    const bool is_max = resample.value(CUDNN_ATTR_RESAMPLE_MODE, CUDNN_RESAMPLE_NEAREST) == CUDNN_RESAMPLE_MAXPOOL;
    const Window window = window_of(resample);
    const Values &dy = memory.at(yt.id);
    const Values index = is_max ? memory.at(operation.tensor(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_IDXDESC).id) : Values(dy.size());
    Values dx((size_t)xt.count(), 0);
    const int64_t x_plane = xt.dims[2] * xt.dims[3], y_plane = yt.dims[2] * yt.dims[3];
    int64_t placed = 0;
    for (int64_t image = 0; image < xt.dims[0] * xt.dims[1]; image++) {
        double *const xs = dx.data() + image * x_plane;
        const double *const ys = dy.data() + image * y_plane, *const is = index.data() + image * y_plane;
        each_row(window, &xt.dims[2], &yt.dims[2], [&](int64_t x_row, int64_t at, int64_t y_row, int64_t first, int64_t last, int64_t left) {
            for (int64_t q = first; q < last; q++) {
                double &into = xs[x_row + left + q * window.stride[1]];
                if (!is_max) into += ys[y_row + q] / (double)(window.size[0] * window.size[1]);
                else if (is[y_row + q] == (double)at) {
                    into += ys[y_row + q];
                    placed++;
                }
            }
        });
    }
    if (is_max && placed != yt.count()) stand_in_fail(cudaErrorIllegalAddress); // an index that points out of the image
    finish(xt, dx, memory);
}

void matmul(const Operation &operation, Memory &memory, bool uses_tf32) {
    const Tensor &at = operation.tensor(CUDNN_ATTR_OPERATION_MATMUL_ADESC), &bt = operation.tensor(CUDNN_ATTR_OPERATION_MATMUL_BDESC), &ct = operation.tensor(CUDNN_ATTR_OPERATION_MATMUL_CDESC);
    const Values a = operand(memory, at, uses_tf32), b = operand(memory, bt, uses_tf32);
    const int64_t rows = ct.dims[1], columns = ct.dims[2], inner = at.dims[2];
    Values c((size_t)ct.count(), 0);
    for (int64_t n = 0; n < ct.dims[0]; n++)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < inner; k++) {
                const double value = a[(size_t)((n * rows + i) * inner + k)];
                const double *const from = b.data() + (n * inner + k) * columns;
                double *const into = c.data() + (n * rows + i) * columns;
                for (int64_t j = 0; j < columns; j++) into[j] += value * from[j];
            }
    finish(ct, c, memory);
}

// A float whose mantissa keeps its first bits, to nearest, ties to even.
float shortened(float value, int dropped) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if ((bits & 0x7fffffff) >= 0x7f800000) return value;
    bits += ((1u << (dropped - 1)) - 1) + (bits >> dropped & 1);
    bits &= ~((1u << dropped) - 1);
    memcpy(&value, &bits, 4);
    return value;
}

} // namespace

double rounded_to_tf32(double value) { return shortened((float)value, 13); }

double rounded(double value, cudnnDataType_t type) {
    switch (type) {
    case CUDNN_DATA_FLOAT: return (float)value;
    case CUDNN_DATA_BFLOAT16: return shortened((float)value, 16);
    case CUDNN_DATA_INT8: return std::nearbyint(std::min(127.0, std::max(-128.0, value)));
    default: return value != 0;
    }
}

void run(const Operation &operation, Memory &memory, bool uses_tf32) {
    switch (operation.type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        return convolution(operation, memory, uses_tf32, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        return convolution(operation, memory, uses_tf32, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
        return convolution(operation, memory, uses_tf32, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: return pointwise(operation, memory);
    case CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR: return norm_forward(operation, memory);
    case CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR: return norm_backward(operation, memory);
    case CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR: return resample_forward(operation, memory);
    case CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR: return resample_backward(operation, memory);
    default: return matmul(operation, memory, uses_tf32);
    }
}

} // namespace stand_in
