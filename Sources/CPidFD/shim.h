// Linux's process descriptors, for processes that are nobody's children here. Older C libraries lack the functions, and
// Swift cannot call the variadic syscall(2). Both return -1 and set errno where they fail.
#pragma once
#include <sys/syscall.h>
#include <unistd.h>

/// A descriptor that becomes readable when the process ends; the caller closes it.
static inline int picoflow_pidfd_open(int pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

static inline int picoflow_pidfd_send_signal(int descriptor, int number) {
    return (int)syscall(SYS_pidfd_send_signal, descriptor, number, (void *)0, 0);
}
