// What dropout multiplies by, drawn on all threads: libtorch's generator of the CPU draws one number after another, which for a
// fine feature map takes longer than the convolution behind it.
//
// Numbers are those of Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011), which CUDA's
// generators are, too: each is a function of a key and its own index, so threads and processors draw the same ones.
#include "Handles.h"
#include "Parallel.h"
#include "Processor.h"
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>

using namespace ct;

namespace {

/// Counters that are enciphered side by side, and the numbers that they make.
constexpr int lanes = 16, block = 4 * lanes;

INLINE void draw(uint64_t key, uint64_t counter, uint32_t *__restrict numbers) {
  uint32_t a[lanes], b[lanes], c[lanes], d[lanes];
  for (int i = 0; i < lanes; i++) {
    a[i] = static_cast<uint32_t>(counter + i);
    b[i] = static_cast<uint32_t>((counter + i) >> 32);
    c[i] = d[i] = 0;
  }
  uint32_t low = static_cast<uint32_t>(key), high = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < lanes; i++) {
      const uint64_t first = uint64_t{0xD2511F53} * a[i], second = uint64_t{0xCD9E8D57} * c[i];
      a[i] = static_cast<uint32_t>(second >> 32) ^ b[i] ^ low;
      b[i] = static_cast<uint32_t>(second);
      c[i] = static_cast<uint32_t>(first >> 32) ^ d[i] ^ high;
      d[i] = static_cast<uint32_t>(first);
    }
    low += 0x9E3779B9;
    high += 0xBB67AE85;
  }
  std::memcpy(numbers, a, sizeof a);
  std::memcpy(numbers + lanes, b, sizeof b);
  std::memcpy(numbers + 2 * lanes, c, sizeof c);
  std::memcpy(numbers + 3 * lanes, d, sizeof d);
}

/// Of which elements there is noise, and which.
template <typename T>
struct Noise {
  uint64_t key;
  /// Of 2^32 numbers the first so many make 0, the others `kept`.
  uint32_t dropped;
  T kept;
  T *to;
  int64_t count;
};

template <typename T>
INLINE void fill(const Noise<T> &noise, int64_t begin, int64_t end) {
  for (auto index = begin; index < end; index++) {
    uint32_t numbers[block];
    T values[block];
    draw(noise.key, static_cast<uint64_t>(index) * lanes, numbers);
    for (int i = 0; i < block; i++) values[i] = numbers[i] < noise.dropped ? T(0) : noise.kept;
    const auto left = std::min<int64_t>(block, noise.count - index * block);
    std::memcpy(noise.to + index * block, values, static_cast<size_t>(left) * sizeof(T));
  }
}

#define COMPILED_FOR(name, attribute)                                      \
  template <typename T>                                                    \
  attribute void name(const Noise<T> &noise, int64_t begin, int64_t end) { \
    fill(noise, begin, end);                                               \
  }

COMPILED_FOR(portable, )
COMPILED_FOR(avx2, FOR_AVX2)
COMPILED_FOR(avx512, FOR_AVX512)

/// - T: an unsigned integer or a number of the elements' size, of which 0 is all zeros.
template <typename T>
void fill(const at::Tensor &tensor, uint64_t key, double p, T kept) {
  const auto dropped = static_cast<uint32_t>(std::min(std::llround(std::ldexp(p, 32)), (1LL << 32) - 1));
  const Noise<T> noise{key, dropped, kept, static_cast<T *>(tensor.data_ptr()), tensor.numel()};
  const auto function = forThisProcessor(portable<T>, avx2<T>, avx512<T>);
  // Threads work on so many blocks at a time that they write whole pages.
  constexpr int64_t stretch = 256;
  const auto blocks = (noise.count + block - 1) / block;
  shareOut((blocks + stretch - 1) / stretch, [&](int64_t begin, int64_t end) {
    function(noise, begin * stretch, std::min(end * stretch, blocks));
  });
}

} // namespace

extern "C" {

ct_status ct_dropout_noise(const ct_tensor *like, double p, ct_tensor **out) {
  *out = nullptr;
  return guarded([&] {
    auto tensor = borrow(like);
    TORCH_CHECK(tensor.device().is_cpu(), "a tensor on the CPU is wanted, not one on ", tensor.device());
    TORCH_CHECK(p >= 0 && p < 1, "the probability must be in [0, 1), not ", p);
    auto noise = at::empty_like(tensor.detach());
    auto generator = at::detail::getDefaultCPUGenerator();
    uint64_t key;
    {
      std::lock_guard<std::mutex> lock(generator.mutex());
      key = at::check_generator<at::CPUGeneratorImpl>(generator)->random64();
    }
    const double kept = 1 / (1 - p);
    switch (noise.scalar_type()) {
    case at::kFloat: fill(noise, key, p, static_cast<float>(kept)); break;
    case at::kDouble: fill(noise, key, p, kept); break;
    case at::kBFloat16: fill(noise, key, p, c10::BFloat16(static_cast<float>(kept)).x); break;
    default: TORCH_CHECK(false, "float32, float64 or bfloat16 is wanted, not ", noise.scalar_type());
    }
    *out = own(noise);
  });
}

} // extern "C"
