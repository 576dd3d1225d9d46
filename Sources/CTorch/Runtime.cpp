// Settings of the whole process.
#include "Handles.h"
#include "Parallel.h"
#include <ATen/Context.h>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <torch/version.h>

using namespace ct;

namespace {

/// Why libtorch's CUDA library could not be loaded; empty where it was, or where there is none.
std::string cudaTrouble;

/// CUDA registers itself when its library is loaded; nothing here needs a symbol of it, so no linker keeps it. Before main:
/// libtorch asks once per process whether there is CUDA, and a convolution on the CPU already asks.
void *const cuda = [] {
  auto library = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
  const char *why = library ? nullptr : dlerror();
  if (why && !std::strstr(why, "libtorch_cuda.so: cannot open shared object file")) cudaTrouble = why;
  return library;
}();

} // namespace

extern "C" {

const char *ct_version(void) { return TORCH_VERSION; }

ct_status ct_manual_seed(uint64_t seed) {
  return guarded([&] { at::manual_seed(seed); });
}

ct_status ct_set_num_threads(int32_t count) {
  return guarded([&] {
    at::set_num_threads(count);
    // A build against OpenBLAS has a second pool of threads, of which libtorch does not know.
    if (auto set = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) set(count);
  });
}

int32_t ct_num_threads(void) { return at::get_num_threads(); }

int32_t ct_sharing_threads(void) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  shareOut(1024, [&](int64_t, int64_t) {
    std::lock_guard<std::mutex> lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  return static_cast<int32_t>(threads.size());
}

int32_t ct_cuda_devices(void) {
  int32_t count = 0;
  if (!cuda) return 0;
  guarded([&] { count = at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().getNumGPUs() : 0; });
  return count;
}

const char *ct_cuda_trouble(void) { return cudaTrouble.c_str(); }

ct_status ct_synchronize(int32_t index) {
  return guarded([&] { at::detail::getCUDAHooks().deviceSynchronize(index); });
}

} // extern "C"
