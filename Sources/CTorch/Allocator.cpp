// A CPU allocator that keeps memory for the next tensors.
//
// A training step allocates and frees the same few hundred activations over and over. glibc takes large ones from
// mmap and gives them back, and the kernel zeroes each page again: a fifth of a step. Here blocks of at least `smallest`
// bytes lie side by side in one stretch of address space, each at the first place that has room, and what is free side
// by side is one. So a block's pages serve blocks of other sizes next: ResNet-50 needs 1783 MiB for the 1747 that its
// tensors hold at once, where a list of free blocks for each size needed 2292. Free pages that are kept are bounded;
// beyond the bound they go back to the system, from the end.
#include "Handles.h"
#include <algorithm>
#include <c10/core/CPUAllocator.h>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

constexpr size_t alignment = 64;       // a cache line, and AVX-512's widest load
constexpr size_t smallest = 64 << 10;  // below this glibc keeps memory itself
constexpr size_t growth = 64 << 20;    // so much is made writable at a time

/// Stands before the data; fills one alignment unit.
struct Header {
  size_t size;  // of header and data
};

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
  /// What is free side by side.
  struct Gap {
    size_t size;
    size_t kept;  // so many bytes at the front count as having pages
  };

  std::mutex mutex_;
  char *base_ = nullptr;
  /// Bytes from the base: of address space, of what may be written, of what was ever used.
  size_t reserved_ = 0, writable_ = 0, used_ = 0;
  std::map<char *, Gap> gaps_;
  size_t inUse_ = 0, kept_ = 0;
  // A quarter of the machine: activations of one step fit, and other processes keep room.
  size_t limit_ = physicalMemory() / 4;

  static size_t physicalMemory() {
    return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  }

  /// Takes as much address space as the machine has memory, or half of what the process may have: stacks, libraries and
  /// all that is no tensor need some too. None is used by that. Without any, all blocks are glibc's.
  CachingAllocator() {
    size_t most = physicalMemory();
    rlimit limit{};
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
      most = std::min(most, static_cast<size_t>(limit.rlim_cur) / 2);
    for (size_t size = most / growth * growth; size >= growth; size = size / 2 / growth * growth) {
      void *space = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (space == MAP_FAILED) continue;
      base_ = static_cast<char *>(space);
      reserved_ = size;
      return;
    }
  }

  bool isOurs(const void *place) const { return place >= base_ && place < base_ + reserved_; }

  c10::DataPtr make(size_t bytes) {
    void *data = bytes ? take(bytes) : nullptr;
    return {data, data, &CachingAllocator::release, c10::Device(c10::DeviceType::CPU)};
  }

  void *take(size_t bytes) {
    TORCH_CHECK_WITH(OutOfMemoryError, bytes < SIZE_MAX / 2, "out of memory: ", bytes, " bytes asked for");
    size_t size = (bytes + alignment - 1) / alignment * alignment + alignment;
    std::lock_guard<std::mutex> lock(mutex_);
    void *block = bytes < smallest ? nullptr : place(size);
    if (!block && posix_memalign(&block, alignment, size) != 0) {
      shrink(0);
      TORCH_CHECK_WITH(OutOfMemoryError, posix_memalign(&block, alignment, size) == 0, "out of memory: ", bytes,
                       " bytes asked for, ", inUse_, " are in use by tensors");
    }
    auto *header = static_cast<Header *>(block);
    header->size = size;
    inUse_ += size;
    return static_cast<char *>(block) + alignment;
  }

  /// The first place that has room; may raise `size` to all that is there. Null where there is none.
  void *place(size_t &size) {
    auto gap = std::find_if(gaps_.begin(), gaps_.end(), [&](auto &gap) { return gap.second.size >= size; });
    if (gap == gaps_.end()) return append(size);
    auto [start, free] = *gap;
    gaps_.erase(gap);
    // Slivers would only be walked over.
    if (free.size - size < smallest) size = free.size;
    size_t taken = std::min(size, free.kept);
    if (size < free.size) gaps_.emplace(start + size, Gap{free.size - size, free.kept - taken});
    kept_ -= taken;
    return start;
  }

  /// A place at the end of what was ever used; the gap that may lie there becomes part of it.
  void *append(size_t size) {
    auto last = gaps_.empty() ? gaps_.end() : std::prev(gaps_.end());
    if (last != gaps_.end() && last->first + last->second.size != base_ + used_) last = gaps_.end();
    size_t start = last == gaps_.end() ? used_ : static_cast<size_t>(last->first - base_);
    if (size > reserved_ - start) return nullptr;
    size_t end = start + size;
    if (end > writable_) {
      size_t more = std::min((end - writable_ + growth - 1) / growth * growth, reserved_ - writable_);
      if (mprotect(base_ + writable_, more, PROT_READ | PROT_WRITE) != 0) return nullptr;
      writable_ += more;
    }
    if (last != gaps_.end()) {
      kept_ -= last->second.kept;
      gaps_.erase(last);
    }
    used_ = end;
    return base_ + start;
  }

  static void release(void *data) {
    if (data) shared().give(static_cast<char *>(data) - alignment);
  }

  void give(char *block) {
    std::lock_guard<std::mutex> lock(mutex_);
    size_t size = reinterpret_cast<Header *>(block)->size;
    inUse_ -= size;
    if (!isOurs(block)) return free(block);
    kept_ += size;
    Gap gap{size, size};
    auto next = gaps_.lower_bound(block);
    if (next != gaps_.end() && block + size == next->first) {
      gap = joined(gap, next->second);
      next = gaps_.erase(next);
    }
    auto previous = next == gaps_.begin() ? gaps_.end() : std::prev(next);
    if (previous != gaps_.end() && previous->first + previous->second.size == block)
      previous->second = joined(previous->second, gap);
    else
      gaps_.emplace_hint(next, block, gap);
    shrink(limit_);
  }

  /// One gap of two; what lies between pages counts as having some.
  Gap joined(const Gap &first, const Gap &second) {
    if (second.kept == 0) return {first.size + second.size, first.kept};
    kept_ += first.size - first.kept;
    return {first.size + second.size, first.size + second.kept};
  }

  /// Gives pages back until no more than `bound` bytes are kept.
  void shrink(size_t bound) {
    static const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    for (auto gap = gaps_.rbegin(); gap != gaps_.rend() && kept_ > bound; ++gap) {
      auto &[size, kept] = gap->second;
      size_t excess = std::min(kept, kept_ - bound);
      // Pages at the ends are the neighbours' too.
      size_t start = static_cast<size_t>(gap->first - base_) + kept - excess;
      size_t from = (start + page - 1) / page * page, to = (start + excess) / page * page;
      if (to > from) madvise(base_ + from, to - from, MADV_DONTNEED);
      kept -= excess;
      kept_ -= excess;
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
