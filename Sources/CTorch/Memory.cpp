// Tensors from the caller's memory, and the way back.
#include "Handles.h"
#include <ATen/TracerMode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <cstring>

using namespace ct;

extern "C" {

ct_status ct_copy_memory(const void *data, const int64_t *sizes, int32_t dim, int32_t dtype, ct_tensor **out) {
  *out = nullptr;
  return guarded([&] {
    // While a program is recorded, this is a constant in it, not memory to be allocated and left as it is.
    at::tracer::impl::NoTracerDispatchMode unrecorded;
    auto tensor = at::empty(c10::IntArrayRef(sizes, dim), at::TensorOptions(static_cast<at::ScalarType>(dtype)));
    if (tensor.numel()) std::memcpy(tensor.data_ptr(), data, tensor.nbytes());
    *out = own(std::move(tensor));
  });
}

ct_status ct_adopt_memory(void *data, const int64_t *sizes, int32_t dim, int32_t dtype, void (*release)(void *),
                          void *context, ct_tensor **out) {
  *out = nullptr;
  bool adopted = false;
  auto status = guarded([&] {
    // The deleter runs even if from_blob fails after it made its storage; `adopted` keeps that from happening twice.
    auto deleter = [release, context](void *) { release(context); };
    auto options = at::TensorOptions(static_cast<at::ScalarType>(dtype));
    auto shape = c10::IntArrayRef(sizes, dim);
    for (auto size : shape) TORCH_CHECK(size >= 0, "negative size ", size);
    adopted = true;
    at::tracer::impl::NoTracerDispatchMode unrecorded;
    *out = own(at::from_blob(data, shape, deleter, options));
  });
  if (!adopted) release(context);
  return status;
}

ct_status ct_data(const ct_tensor *tensor, void **out) {
  *out = nullptr;
  return guarded([&] {
    auto borrowed = borrow(tensor);
    TORCH_CHECK(borrowed.device().is_cpu(), "the memory of a tensor on ", borrowed.device(), " cannot be read from here");
    *out = borrowed.data_ptr();
  });
}

} // extern "C"
