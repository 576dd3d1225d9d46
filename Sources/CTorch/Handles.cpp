#include "Handles.h"
#include <c10/util/Exception.h>
#include <new>

namespace ct {

std::atomic<int64_t> liveHandles{0};

static thread_local std::string lastError;

/// Keeps the first line: what follows in c10's messages are backtraces and source snippets.
ct_status fail(ct_status status, const char *message) {
  lastError.assign(message ? message : "unknown failure");
  auto start = lastError.find_first_not_of(" \n\t");
  lastError.erase(0, start == std::string::npos ? lastError.size() : start);
  lastError.erase(std::min(lastError.find('\n'), lastError.size()));
  return status;
}

/// Must be called from a catch block.
ct_status currentException() {
  try {
    throw;
  } catch (const LostRanks &error) {
    return fail(CT_LOST_RANKS, error.what());
  } catch (const c10::OutOfMemoryError &error) {
    return fail(CT_OUT_OF_MEMORY, error.what_without_backtrace());
  } catch (const c10::Error &error) {
    return fail(CT_FAILED, error.what_without_backtrace());
  } catch (const std::bad_alloc &) {
    return fail(CT_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception &error) {
    return fail(CT_FAILED, error.what());
  } catch (...) {
    return fail(CT_FAILED, "an exception of unknown type");
  }
}

} // namespace ct

using namespace ct;

extern "C" {

const char *ct_error(void) { return lastError.c_str(); }

ct_tensor *ct_retain(const ct_tensor *tensor) { return own(borrow(tensor)); }

void ct_release(ct_tensor *tensor) {
  if (!tensor) return;
  liveHandles.fetch_sub(1, std::memory_order_relaxed);
  Pointer::reclaim(reinterpret_cast<c10::TensorImpl *>(tensor));
}

int64_t ct_live_handles(void) { return liveHandles.load(std::memory_order_relaxed); }

int32_t ct_dim(const ct_tensor *tensor) { return static_cast<int32_t>(impl(tensor).dim()); }

void ct_sizes(const ct_tensor *tensor, int64_t *sizes) {
  for (auto size : impl(tensor).sizes()) *sizes++ = size;
}

void ct_strides(const ct_tensor *tensor, int64_t *strides) {
  for (auto stride : impl(tensor).strides()) *strides++ = stride;
}

int64_t ct_numel(const ct_tensor *tensor) { return impl(tensor).numel(); }

int32_t ct_dtype(const ct_tensor *tensor) {
  return static_cast<int32_t>(c10::typeMetaToScalarType(impl(tensor).dtype()));
}

void ct_device(const ct_tensor *tensor, int32_t *type, int32_t *index) {
  auto device = impl(tensor).device();
  *type = static_cast<int32_t>(device.type());
  *index = device.index();
}

bool ct_is_contiguous(const ct_tensor *tensor, int32_t memory_format) {
  return impl(tensor).is_contiguous(static_cast<at::MemoryFormat>(memory_format));
}

bool ct_is_same(const ct_tensor *a, const ct_tensor *b) { return a == b; }

} // extern "C"
