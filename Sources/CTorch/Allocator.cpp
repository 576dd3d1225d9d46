// A CPU allocator that keeps large blocks for the next tensor of about their size.
//
// A training step allocates and frees the same few hundred activations over and over. glibc takes large ones from
// mmap and gives them back, and the kernel zeroes each page again: a fifth of a step. Here a freed block of at least
// `smallest` bytes goes to a list of its size class (eight classes per power of two, so at most 1/8 is lost to rounding).
// What is kept is bounded; beyond the bound the block that lay idle longest is given back first.
#include "Handles.h"
#include <c10/core/CPUAllocator.h>
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <unistd.h>

namespace {

constexpr size_t alignment = 64;       // a cache line, and AVX-512's widest load
constexpr size_t smallest = 64 << 10;  // below this glibc keeps memory itself

/// Stands before the data; fills one alignment unit.
struct Header {
  size_t size;  // of the data, rounded up to its class
};

Header *headerOf(void *data) { return reinterpret_cast<Header *>(static_cast<char *>(data) - alignment); }

size_t rounded(size_t bytes) {
  if (bytes < smallest) return bytes;
  size_t step = (size_t(1) << (63 - __builtin_clzll(bytes))) / 8;
  return (bytes + step - 1) / step * step;
}

class CachingAllocator final : public c10::Allocator {
public:
  // 1.13 declares this const, later versions do not; whichever fits overrides.
  c10::DataPtr allocate(size_t bytes) const { return const_cast<CachingAllocator *>(this)->make(bytes); }
  c10::DataPtr allocate(size_t bytes) { return make(bytes); }
  void copy_data(void *to, const void *from, size_t count) const { std::memcpy(to, from, count); }
  c10::DeleterFnPtr raw_deleter() const { return &CachingAllocator::release; }

  void statistics(int64_t *inUse, int64_t *kept) {
    std::lock_guard<std::mutex> lock(mutex_);
    *inUse = static_cast<int64_t>(inUse_);
    *kept = static_cast<int64_t>(kept_);
  }

  void setLimit(size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    limit_ = bytes;
    shrink(limit_);
  }

  size_t limit() {
    std::lock_guard<std::mutex> lock(mutex_);
    return limit_;
  }

  static CachingAllocator &shared() {
    static auto *allocator = new CachingAllocator();  // never destroyed: tensors may outlive every static
    return *allocator;
  }

private:
  using Idle = std::list<void *>;  // in the order in which they were freed

  std::mutex mutex_;
  Idle idle_;
  std::map<size_t, std::vector<Idle::iterator>> classes_;
  size_t inUse_ = 0, kept_ = 0;
  // A quarter of the machine: activations of one step fit, and other processes keep room.
  size_t limit_ = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE)) / 4;

  c10::DataPtr make(size_t bytes) {
    void *data = bytes ? take(rounded(bytes)) : nullptr;
    return {data, data, &CachingAllocator::release, c10::Device(c10::DeviceType::CPU)};
  }

  void *take(size_t size) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = classes_.find(size);
    if (found != classes_.end() && !found->second.empty()) {
      auto position = found->second.back();  // the one freed last is the one still in cache
      found->second.pop_back();
      void *data = *position;
      idle_.erase(position);
      kept_ -= size;
      inUse_ += size;
      return data;
    }
    void *base = nullptr;
    TORCH_CHECK_WITH(OutOfMemoryError, size < SIZE_MAX / 2, "out of memory: ", size, " bytes asked for");
    if (posix_memalign(&base, alignment, size + alignment) != 0) {
      shrink(0);
      TORCH_CHECK_WITH(OutOfMemoryError, posix_memalign(&base, alignment, size + alignment) == 0, "out of memory: ", size,
                       " bytes asked for, ", inUse_, " are in use by tensors");
    }
    inUse_ += size;
    auto *header = static_cast<Header *>(base);
    header->size = size;
    return static_cast<char *>(base) + alignment;
  }

  static void release(void *data) {
    if (data) shared().give(data);
  }

  void give(void *data) {
    std::lock_guard<std::mutex> lock(mutex_);
    size_t size = headerOf(data)->size;
    inUse_ -= size;
    if (size < smallest || size > limit_) return free(headerOf(data));
    classes_[size].push_back(idle_.insert(idle_.end(), data));
    kept_ += size;
    shrink(limit_);
  }

  void shrink(size_t bound) {
    while (kept_ > bound) {
      auto oldest = idle_.begin();
      size_t size = headerOf(*oldest)->size;
      auto &positions = classes_[size];
      positions.erase(positions.begin());  // a class's positions are in the order of freeing too
      kept_ -= size;
      free(headerOf(*oldest));
      idle_.erase(oldest);
    }
  }
};

/// Before main, so that no tensor is allocated by another allocator; 200 is above libtorch's own priorities.
[[maybe_unused]] const bool installed = [] {
  c10::SetCPUAllocator(&CachingAllocator::shared(), 200);
  return true;
}();

} // namespace

extern "C" {

void ct_allocator_statistics(int64_t *in_use, int64_t *kept) { CachingAllocator::shared().statistics(in_use, kept); }

void ct_allocator_set_limit(int64_t bytes) {
  CachingAllocator::shared().setLimit(bytes < 0 ? 0 : static_cast<size_t>(bytes));
}

int64_t ct_allocator_limit(void) { return static_cast<int64_t>(CachingAllocator::shared().limit()); }

} // extern "C"
