// models.h - the networks most tests are about, every option said: torchvision's ResNet-18 with the CIFAR stem, and BYOL's heads.

#ifndef BL_TESTS_MODELS_H
#define BL_TESTS_MODELS_H

#include "graph/networks.h"

#define RESNET18(channels) \
    {.name = "resnet18", .stem = BL_STEM_CIFAR, .stem_padding = 1, .width = channels, \
     .init = {.convolution = BL_INIT_KAIMING_FAN_OUT, .linear = BL_INIT_UNIFORM_FAN_IN}}

#define MLP(hidden_width, out_width, norm) \
    {.hidden = hidden_width, .out = out_width, .batch_norm = norm, .depth = 2, .hidden_bias = true, .out_bias = true, \
     .init = BL_INIT_UNIFORM_FAN_IN}

#endif
