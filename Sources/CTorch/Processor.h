#pragma once

/// A function that is to be compiled as a part of each function that calls it, for that one's processor.
#define INLINE inline __attribute__((always_inline))

// What is compiled for processors that have more instructions than all have; elsewhere, like the rest.
#ifdef __x86_64__
#define FOR_AVX2 __attribute__((target("avx2")))
#define FOR_AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl")))
#else
#define FOR_AVX2
#define FOR_AVX512
#endif

/// Of what was compiled three times, that for this processor.
template <typename Compiled>
Compiled forThisProcessor(Compiled portable, Compiled avx2, Compiled avx512) {
#ifdef __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return avx512;
  if (__builtin_cpu_supports("avx2")) return avx2;
#endif
  return portable;
}
