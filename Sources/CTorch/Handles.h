// What the shim's files share: tensor handles, and exceptions turned into a status.
#pragma once
#include "CTorch.h"
#include <ATen/core/Tensor.h>
#include <atomic>
#include <exception>
#include <stdexcept>
#include <string>

namespace ct {

using Pointer = c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;

extern std::atomic<int64_t> liveHandles;

/// A tensor that shares the handle's TensorImpl; the handle stays the caller's.
inline at::Tensor borrow(const ct_tensor *handle) {
  if (!handle) return at::Tensor();
  auto *impl = reinterpret_cast<c10::TensorImpl *>(const_cast<ct_tensor *>(handle));
  return at::Tensor(Pointer::reclaim_copy(impl));
}

inline const c10::TensorImpl &impl(const ct_tensor *handle) {
  return *reinterpret_cast<const c10::TensorImpl *>(handle);
}

/// Hands a tensor's reference count to a new handle; NULL for an undefined tensor.
inline ct_tensor *own(at::Tensor tensor) {
  if (!tensor.defined()) return nullptr;
  liveHandles.fetch_add(1, std::memory_order_relaxed);
  return reinterpret_cast<ct_tensor *>(tensor.unsafeReleaseTensorImpl());
}

/// A collective operation that the other ranks did not finish.
struct LostRanks : std::runtime_error {
  using std::runtime_error::runtime_error;
};

ct_status fail(ct_status status, const char *message);
ct_status currentException();

/// Runs `body`; whatever it throws becomes a status and a line of text.
template <typename Body>
ct_status guarded(Body &&body) {
  try {
    body();
    return CT_OK;
  } catch (...) {
    return currentException();
  }
}

} // namespace ct
