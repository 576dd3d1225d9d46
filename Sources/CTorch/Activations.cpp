// Activations that a supported libtorch lacks for some type.
#include "Handles.h"
#include "Parallel.h"
#include <ATen/ATen.h>
#include <algorithm>
#include <torch/csrc/autograd/custom_function.h>

using namespace ct;

namespace {

/// min(max(x, 0), 6) in place, for bfloat16 on the CPU: libtorch 1.13 has no derivative of it there. The result says
/// where the gradient passes, strictly between the bounds, as in libtorch's own.
struct ReLU6 : torch::autograd::Function<ReLU6> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, at::Tensor x) {
    x.clamp_(0, 6);
    context->mark_dirty({x});
    context->save_for_backward({x});
    return x;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 torch::autograd::variable_list gradients) {
    auto y = context->get_saved_variables()[0];
    auto upstream = gradients[0];
    if (upstream.strides() != y.strides()) upstream = at::empty_like(y).copy_(upstream);
    auto result = at::empty_like(y);  // dense in the same order, as the check of overlap below sees to
    auto from = static_cast<const uint16_t *>(upstream.data_ptr());
    auto values = static_cast<const uint16_t *>(y.data_ptr());
    auto to = static_cast<uint16_t *>(result.data_ptr());
    constexpr uint16_t six = 0x40c0, sign = 0x8000;
    constexpr int64_t block = 1 << 15;
    shareOut((y.numel() + block - 1) / block, [&](int64_t begin, int64_t end) {
      // Without branches, so that the compiler takes many at a time.
      for (auto i = begin * block; i < std::min(end * block, y.numel()); i++) {
        uint16_t passes = ((values[i] & ~sign) != 0) & (values[i] != six);
        to[i] = from[i] & static_cast<uint16_t>(-passes);
      }
    });
    return {result};
  }
};

} // namespace

extern "C" {

ct_status ct_relu6_(ct_tensor *x) {
  return guarded([&] {
    auto tensor = borrow(x);
    TORCH_CHECK(tensor.scalar_type() == at::kBFloat16 && tensor.device().is_cpu(), "bfloat16 on the CPU is wanted, not ",
                tensor.scalar_type(), " on ", tensor.device());
    TORCH_CHECK(tensor.is_non_overlapping_and_dense(), "a dense tensor is wanted");
    ReLU6::apply(tensor);
  });
}

} // extern "C"
