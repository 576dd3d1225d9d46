#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>

/// Shares `count` items among the threads that libtorch's own operators run on: `body(from, to)` for stretches of them.
///
/// `at::parallel_for` is a template that becomes a plain loop where it is compiled without OpenMP, and clang's OpenMP would be a
/// second pool of threads beside libtorch's. An iterator's loop over one tensor is compiled within libtorch.
template <typename Body>
void shareOut(int64_t count, const Body &body) {
  if (count <= 1 || at::get_num_threads() == 1 || at::in_parallel_region()) return body(int64_t{0}, count);
  auto items = at::empty({count}, at::kChar);
  const auto first = static_cast<const char *>(items.data_ptr());
  auto iterator = at::TensorIteratorConfig().check_all_same_dtype(false).resize_outputs(false).add_output(items).build();
  iterator.for_each(
      [&](char **data, const int64_t *, int64_t size) {
        const int64_t from = data[0] - first;
        body(from, from + size);
      },
      /*grain_size=*/1);
}
