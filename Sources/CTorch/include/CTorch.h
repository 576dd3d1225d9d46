#pragma once
#ifdef __cplusplus
extern "C" {
#endif
/// The version of the libtorch linked, as "1.13.1".
const char *ct_version(void);
#ifdef __cplusplus
}
#endif
