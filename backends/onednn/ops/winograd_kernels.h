// winograd_kernels.h - 3x3 convolutions with fewer multiplications: Winograd's F(2x2, 3x3), Lavin & Gray 2015.
//
// Pixels are f32 or bf16; everything between reading and writing them is f32, so a bf16 convolution loses nothing but its results'
// own rounding. Weights of a bf16 convolution are rounded to bf16 first, as every backend rounds them.
//
// Stride 1, padding 1, NHWC. Each tile of 2x2 outputs reads 4x4 inputs (neighbours overlap by two) and costs 16 products a pair of
// channels instead of 36:
//   Y = A^T [(G g G^T) . (B^T d B)] A        d: 4x4 inputs, g: 3x3 weights, Y: 2x2 outputs
// The products at one of the 16 points, over all tiles and channels, are a matrix product. Gradients are the transposes: data the
// same with turned weights, weights G^T [sum over tiles of (A dY A^T) . (B^T d B)] G.
//
// These kernels need AVX-512. Lowering and the choice between this and oneDNN stand in winograd.c.

#ifndef BL_BACKENDS_ONEDNN_OPS_WINOGRAD_KERNELS_H
#define BL_BACKENDS_ONEDNN_OPS_WINOGRAD_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#define BL_WINOGRAD_POINTS 16

typedef struct bl_winograd {
    size_t images, height, width; // of the input and of the output
    size_t inputs, outputs;       // channels, multiples of 16
    size_t rows, columns;         // tiles an image has
    size_t block;                 // tiles that are transformed and multiplied together
    bool half;                    // pixels are bf16
} bl_winograd;

bl_winograd bl_winograd_of(size_t images, size_t height, size_t width, size_t inputs, size_t outputs, bool half);
size_t bl_winograd_tiles(const bl_winograd *w);
size_t bl_winograd_workspace(const bl_winograd *w); // floats of one thread, for either of the two below

// Transformed weights, [point][panel of 32 outputs][inputs][32], of `outputs` [begin, end), multiples of 16. The master is OHWI.
size_t bl_winograd_weight_floats(const bl_winograd *w);
void bl_winograd_pack(const bl_winograd *w, const float *master, float *packed, size_t begin, size_t end);
// For the gradient of the data: `w` is of the turned convolution, whose inputs are the outputs of the master.
void bl_winograd_pack_turned(const bl_winograd *w, const float *master, float *packed, size_t begin, size_t end);

// y of tiles [begin, end).
void bl_winograd_convolve(const bl_winograd *w, const void *x, const float *packed, void *y, float *workspace, size_t begin, size_t end);

// The sum over tiles [begin, end) from x and the output's gradient: [point][outputs][inputs], bl_winograd_weight_floats of them.
void bl_winograd_products(const bl_winograd *w, const void *x, const void *dy, float *sum, float *workspace, size_t begin, size_t end);
// dw (OHWI) of outputs [begin, end) from `count` such sums, added in their order.
void bl_winograd_weights(const bl_winograd *w, const float *sums, size_t count, float *dw, size_t begin, size_t end);

#endif
