// Autocast: libtorch's own, whose interface changed between versions.
#include "Handles.h"
#include <ATen/autocast_mode.h>
#include <torch/version.h>

using namespace ct;

namespace {

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
bool isOn(at::DeviceType device) { return at::autocast::is_autocast_enabled(device); }
at::ScalarType type(at::DeviceType device) { return at::autocast::get_autocast_dtype(device); }

void set(at::DeviceType device, bool on, at::ScalarType type) {
  if (on) at::autocast::set_autocast_dtype(device, type);
  at::autocast::set_autocast_enabled(device, on);
}
#else
bool isOn(at::DeviceType device) {
  return device == at::kCUDA ? at::autocast::is_enabled() : at::autocast::is_cpu_enabled();
}

at::ScalarType type(at::DeviceType device) {
  return device == at::kCUDA ? at::autocast::get_autocast_gpu_dtype() : at::autocast::get_autocast_cpu_dtype();
}

void set(at::DeviceType device, bool on, at::ScalarType type) {
  if (device == at::kCUDA) {
    if (on) at::autocast::set_autocast_gpu_dtype(type);
    at::autocast::set_enabled(on);
  } else {
    if (on) at::autocast::set_autocast_cpu_dtype(type);
    at::autocast::set_cpu_enabled(on);
  }
}
#endif

} // namespace

extern "C" {

int32_t ct_autocast(int32_t device_type) {
  auto device = static_cast<at::DeviceType>(device_type);
  return isOn(device) ? static_cast<int32_t>(type(device)) : -1;
}

ct_status ct_set_autocast(int32_t device_type, int32_t dtype) {
  return guarded([&] {
    auto device = static_cast<at::DeviceType>(device_type);
    TORCH_CHECK(device == at::kCPU || device == at::kCUDA, "autocast is for CPU and CUDA");
    auto wanted = static_cast<at::ScalarType>(dtype);
    TORCH_CHECK(dtype < 0 || wanted == at::kBFloat16 || wanted == at::kHalf, "no autocast to ", wanted);
    set(device, dtype >= 0, wanted);
  });
}

void ct_clear_autocast_cache(void) { at::autocast::clear_cache(); }

} // extern "C"
