// winograd.h - which convolutions are done by Winograd's algorithm (winograd_kernels.h), and their steps.

#ifndef BL_BACKENDS_ONEDNN_OPS_WINOGRAD_H
#define BL_BACKENDS_ONEDNN_OPS_WINOGRAD_H

#include "backends/onednn/onednn.h"

bool bl_cpu_winograd_suits(const bl_cpu_backend *backend, const bl_node *node); // of plain tensors
BL_CHECK int bl_cpu_winograd(bl_lowering *plan, const bl_node *node);           // a convolution, or either of its gradients

#endif
