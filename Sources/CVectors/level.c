#include "level.h"

#include "vectors.h"

#include <stdatomic.h>

static atomic_int most = 2;

static int found(void)
{
#ifdef __x86_64__
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("popcnt")) return 0;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")
               ? 2
               : 1;
#else
    return 0;
#endif
}

int cv_level(void)
{
    const int limit = atomic_load_explicit(&most, memory_order_relaxed), level = found();
    return level < limit ? level : limit;
}

int cv_limit_level(int level)
{
    atomic_store_explicit(&most, level, memory_order_relaxed);
    return cv_level();
}
