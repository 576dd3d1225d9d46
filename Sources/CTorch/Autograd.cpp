// Differentiation: what libtorch offers as methods, not as operators.
#include "Handles.h"
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

using namespace ct;

extern "C" {

ct_status ct_backward(ct_tensor *tensor, ct_tensor *gradient, bool retain_graph) {
  return guarded([&] { borrow(tensor).backward(borrow(gradient), retain_graph); });
}

ct_status ct_backward_many(ct_tensor *const *roots, ct_tensor *const *gradients, int32_t count, bool retain_graph) {
  return guarded([&] {
    torch::autograd::variable_list outputs, seeds;
    for (int32_t i = 0; i < count; ++i) {
      outputs.push_back(borrow(roots[i]));
      seeds.push_back(borrow(gradients[i]));
    }
    torch::autograd::backward(outputs, seeds, retain_graph);
  });
}

bool ct_requires_grad(const ct_tensor *tensor) { return borrow(tensor).requires_grad(); }

ct_status ct_set_requires_grad(ct_tensor *tensor, bool requires_grad) {
  return guarded([&] { borrow(tensor).set_requires_grad(requires_grad); });
}

ct_status ct_grad(const ct_tensor *tensor, ct_tensor **out) {
  *out = nullptr;
  return guarded([&] { *out = own(borrow(tensor).grad()); });
}

ct_status ct_set_grad(ct_tensor *tensor, ct_tensor *gradient) {
  return guarded([&] {
    auto target = borrow(tensor);
    auto value = borrow(gradient);
    TORCH_CHECK(!value.defined() || value.sizes() == target.sizes(), "a gradient of shape ", value.sizes(),
                " for a tensor of shape ", target.sizes());
    target.mutable_grad() = value;
  });
}

ct_status ct_set_data(ct_tensor *tensor, ct_tensor *data) {
  return guarded([&] { borrow(tensor).set_data(borrow(data)); });
}

bool ct_grad_mode(void) { return c10::GradMode::is_enabled(); }

void ct_set_grad_mode(bool enabled) { c10::GradMode::set_enabled(enabled); }

} // extern "C"
