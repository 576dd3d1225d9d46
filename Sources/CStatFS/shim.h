// What kind of file system a path lies on; Swift's Glibc module leaves this header out.
#pragma once
#include <sys/vfs.h>
