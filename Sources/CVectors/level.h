#pragma once

// Which instructions are in use: 0 those that every processor has, 1 also AVX2 and FMA, 2 also AVX-512 (F, DQ, VL, BW).
int cv_level(void);

#define INLINE __attribute__((always_inline)) static inline

// Defines cv_name, whose body is the inline function name_body, compiled once for each level.
#ifdef __x86_64__
#define EVERYWHERE(result, name, parameters, arguments)                                                          \
    __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw"))) static result name##_avx512 parameters         \
    {                                                                                                            \
        return name##_body arguments;                                                                            \
    }                                                                                                            \
    __attribute__((target("avx2,fma"))) static result name##_avx2 parameters { return name##_body arguments; }  \
    result cv_##name parameters                                                                                  \
    {                                                                                                            \
        if (cv_level() == 2) return name##_avx512 arguments;                                                     \
        if (cv_level() == 1) return name##_avx2 arguments;                                                       \
        return name##_body arguments;                                                                            \
    }
#else
#define EVERYWHERE(result, name, parameters, arguments) \
    result cv_##name parameters { return name##_body arguments; }
#endif
