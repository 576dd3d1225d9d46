// What the kernel knows of its clock's discipline; Swift's Glibc module leaves this header out.
#pragma once
#include <sys/timex.h>
