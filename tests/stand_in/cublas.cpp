// cublas.cpp - the few calls of cuBLAS that the backend makes, on the CPU: matrices are column-major, sums are taken in double.

#include "stream.h"

#include <cublas_v2.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

struct cublasContext {
    cudaStream_t stream = nullptr;
    unsigned char *workspace = nullptr;
    size_t workspace_bytes = 0;
    cublasMath_t math = CUBLAS_DEFAULT_MATH;
};

namespace {

struct Matrix { // as stored: column-major, `rows` x `columns`
    const unsigned char *data;
    cudaDataType type;
    int64_t rows, columns, leading;

    size_t width() const { return type == CUDA_R_16BF ? 2 : 4; }
    size_t bytes() const { return (size_t)((columns - 1) * leading + rows) * width(); }
    bool is_valid() const { return (type == CUDA_R_32F || type == CUDA_R_16BF) && leading >= rows && data && (uintptr_t)data % width() == 0; }
    bool overlaps(const Matrix &other) const { return data < other.data + other.bytes() && other.data < data + bytes(); }
};

double load(const Matrix &matrix, int64_t row, int64_t column) {
    const int64_t i = column * matrix.leading + row;
    uint32_t bits = 0;
    if (matrix.type == CUDA_R_32F) memcpy(&bits, matrix.data + 4 * i, 4);
    else {
        uint16_t half;
        memcpy(&half, matrix.data + 2 * i, 2);
        bits = (uint32_t)half << 16;
    }
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

void store(const Matrix &matrix, int64_t row, int64_t column, double value) {
    unsigned char *const data = const_cast<unsigned char *>(matrix.data);
    const int64_t i = column * matrix.leading + row;
    const float narrow = (float)value;
    if (matrix.type == CUDA_R_32F) {
        memcpy(data + 4 * i, &narrow, 4);
        return;
    }
    uint32_t bits;
    memcpy(&bits, &narrow, 4);
    const uint16_t half = std::isnan(narrow) ? 0x7fc0 : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16); // to nearest, ties to even
    memcpy(data + 2 * i, &half, 2);
}

double rounded_to_tf32(double value) {
    const float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, 4);
    if ((bits & 0x7fffffff) >= 0x7f800000) return value;
    bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
    float shortened;
    memcpy(&shortened, &bits, 4);
    return shortened;
}

// The values of op(matrix), row after row.
std::vector<double> operand(const Matrix &matrix, bool is_as_stored, bool uses_tf32) {
    std::vector<double> values((size_t)(matrix.rows * matrix.columns));
    size_t at = 0;
    for (int64_t i = 0; i < (is_as_stored ? matrix.rows : matrix.columns); i++)
        for (int64_t j = 0; j < (is_as_stored ? matrix.columns : matrix.rows); j++) {
            const double value = is_as_stored ? load(matrix, i, j) : load(matrix, j, i);
            values[at++] = uses_tf32 && matrix.type == CUDA_R_32F ? rounded_to_tf32(value) : value;
        }
    return values;
}

struct Product {
    Matrix a, b, c;
    bool a_transposed, b_transposed, uses_tf32;
    int64_t inner;
    float alpha, beta;
    unsigned char *workspace;
    size_t workspace_bytes;
};

void multiply(const Product &of) {
    for (const Matrix *matrix : {&of.a, &of.b, &of.c})
        if (!stand_in_is_device(matrix->data, matrix->bytes())) return stand_in_fail(cudaErrorIllegalAddress); // freed since the call
    if (of.workspace_bytes && !stand_in_is_device(of.workspace, of.workspace_bytes)) return stand_in_fail(cudaErrorIllegalAddress);
    if (of.workspace_bytes) memset(of.workspace, 0xFF, of.workspace_bytes); // what lies in the workspace is lost
    const std::vector<double> a = operand(of.a, !of.a_transposed, of.uses_tf32), b = operand(of.b, !of.b_transposed, of.uses_tf32);
    std::vector<double> row((size_t)of.c.columns);
    for (int64_t i = 0; i < of.c.rows; i++) {
        std::fill(row.begin(), row.end(), 0.0);
        for (int64_t k = 0; k < of.inner; k++) {
            const double value = a[(size_t)(i * of.inner + k)];
            const double *const from = b.data() + k * of.c.columns;
            for (int64_t j = 0; j < of.c.columns; j++) row[(size_t)j] += value * from[j];
        }
        for (int64_t j = 0; j < of.c.columns; j++) {
            double sum = of.alpha * row[(size_t)j];
            if (of.beta != 0) sum += of.beta * load(of.c, i, j); // beta 0: c need not hold numbers
            store(of.c, i, j, sum);
        }
    }
}

} // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
    int devices = 0;
    if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = new cublasContext;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

// As in cuBLAS, a new stream takes the workspace away.
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    handle->stream = stream;
    handle->workspace = nullptr;
    handle->workspace_bytes = 0;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if ((uintptr_t)workspace % 256 || (bytes && !stand_in_is_device(workspace, bytes))) return CUBLAS_STATUS_INVALID_VALUE;
    handle->workspace = static_cast<unsigned char *>(workspace);
    handle->workspace_bytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    handle->math = mode;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int *version) {
    if (!version) return CUBLAS_STATUS_INVALID_VALUE;
    *version = CUBLAS_VERSION;
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    default: return "unknown status";
    }
}

// c = alpha op(a) op(b) + beta c. alpha and beta are floats of the host, read now. Inputs of one type; f32 inputs give f32.
cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n, int k, const void *alpha,
                            const void *A, cudaDataType Atype, int lda, const void *B, cudaDataType Btype, int ldb, const void *beta, void *C,
                            cudaDataType Ctype, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (m < 0 || n < 0 || k < 0 || !alpha || !beta) return CUBLAS_STATUS_INVALID_VALUE;
    if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
    if (compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_PEDANTIC && compute != CUBLAS_COMPUTE_32F_FAST_TF32) return CUBLAS_STATUS_NOT_SUPPORTED;
    Product product{};
    product.a_transposed = transa != CUBLAS_OP_N;
    product.b_transposed = transb != CUBLAS_OP_N;
    product.a = {static_cast<const unsigned char *>(A), Atype, product.a_transposed ? k : m, product.a_transposed ? m : k, lda};
    product.b = {static_cast<const unsigned char *>(B), Btype, product.b_transposed ? n : k, product.b_transposed ? k : n, ldb};
    product.c = {static_cast<const unsigned char *>(C), Ctype, m, n, ldc};
    if (k == 0 || Atype != Btype || (Atype == CUDA_R_32F && Ctype != CUDA_R_32F)) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!product.a.is_valid() || !product.b.is_valid() || !product.c.is_valid()) return CUBLAS_STATUS_INVALID_VALUE;
    product.uses_tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32 || (compute == CUBLAS_COMPUTE_32F && (handle->math & 0xF) == CUBLAS_TF32_TENSOR_OP_MATH);
    product.inner = k;
    memcpy(&product.alpha, alpha, sizeof product.alpha);
    memcpy(&product.beta, beta, sizeof product.beta);
    product.workspace = handle->workspace;
    product.workspace_bytes = handle->workspace_bytes;
    for (const Matrix *matrix : {&product.a, &product.b, &product.c})
        if (!stand_in_is_device(matrix->data, matrix->bytes())) return CUBLAS_STATUS_EXECUTION_FAILED;
    if (product.c.overlaps(product.a) || product.c.overlaps(product.b)) return CUBLAS_STATUS_EXECUTION_FAILED;
    stand_in_submit(handle->stream, [product] { multiply(product); });
    return CUBLAS_STATUS_SUCCESS;
}

} // extern "C"
