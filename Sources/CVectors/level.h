#pragma once

// Which instructions are in use: 0 those that every processor has, 1 also AVX2 and FMA, 2 also AVX-512 (F, DQ, VL, BW).
int cv_level(void);
