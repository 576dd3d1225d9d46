// Softmax cross-entropy of scores that are resized bilinearly to the labels' size, on the CPU, without the resized scores.
//
// Resized scores are a small linear function of few low-resolution ones, so they are made where they are needed, sixteen
// pixels of a row at a time, and their gradient goes back to the low resolution at once. What is kept of all classes
// for sixteen pixels fits the first cache; nothing of the labels' size times the classes is ever in memory.
//
// The work is cut into strips of rows whose borders depend on sizes alone, sums have a fixed order, and no
// multiplication is fused with an addition: the result is the same bits with any number of threads and on every x86.
#include "Handles.h"
#include "Parallel.h"
#include "Processor.h"
#include <ATen/ATen.h>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <torch/csrc/autograd/custom_function.h>
#include <vector>

#pragma STDC FP_CONTRACT OFF

using namespace ct;

namespace {

constexpr int lanes = 16;
typedef float Floats __attribute__((vector_size(4 * lanes)));
typedef int32_t Ints __attribute__((vector_size(4 * lanes)));
typedef double Doubles __attribute__((vector_size(8 * lanes)));

/// Where the pixels of one axis lie between the scores', as torch's upsample_bilinear2d has it: between `low` and the
/// next one, whose share is `share`; at the last score that next one is itself.
struct Axis {
  std::vector<int32_t> low, next;
  std::vector<float> share;

  Axis(int64_t scores, int64_t full, int64_t kept, bool alignCorners) {
    float scale = alignCorners ? (full > 1 ? float(scores - 1) / float(full - 1) : 0.f) : float(scores) / float(full);
    for (int64_t i = 0; i < kept; i++) {
      float at = alignCorners ? scale * float(i) : std::max(scale * (float(i) + 0.5f) - 0.5f, 0.f);
      if (scores == full) at = float(i);
      auto below = std::min(static_cast<int64_t>(at), scores - 1);
      low.push_back(static_cast<int32_t>(below));
      next.push_back(static_cast<int32_t>(std::min(below + 1, scores - 1)));
      share.push_back(std::min(std::max(at - float(below), 0.f), 1.f));
    }
  }
};

/// Sixteen pixels of a row: the scores' columns that they lie between, and each column's share of each pixel.
struct Block {
  int32_t first = 0;
  std::vector<Floats> shares;
};

std::vector<Block> blocks(const Axis &axis) {
  auto width = static_cast<int64_t>(axis.low.size());
  std::vector<Block> all;
  for (int64_t begin = 0; begin < width; begin += lanes) {
    auto end = std::min(begin + lanes, width);
    Block block;
    block.first = axis.low[begin];
    block.shares.assign(axis.next[end - 1] - block.first + 1, Floats{});
    for (auto x = begin; x < end; x++) {
      block.shares[axis.low[x] - block.first][x - begin] += 1 - axis.share[x];
      block.shares[axis.next[x] - block.first][x - begin] += axis.share[x];
    }
    all.push_back(std::move(block));
  }
  return all;
}

struct Problem {
  int64_t classes, height, width;       // of the scores
  int64_t labelHeight, labelWidth;
  const float *scores;                  // of one image at `strides`, of class, row and column
  int64_t imageStride, strides[3];
  float *gradient;                      // laid out as the scores; null where none is wanted
  const int64_t *wideLabels;            // one of the two is null
  const uint8_t *narrowLabels;
  int64_t ignored;
  const Axis *rows;
  const std::vector<Block> *columns;
};

/// Rows `begin ..< end` of one image's scores, and all pixels between them and the next ones.
struct Strip {
  int64_t image, begin, end;
};

/// A strip's own memory, used again by the thread's next one.
struct Scratch {
  std::vector<float> scores, gradient;  // [rows + 1][classes][width]
  std::vector<Floats> lanes;            // six times [classes]
};

/// exp of numbers that are at most 0; below -87 that of -87, as what follows would be no normal number.
INLINE void exponentiate(Floats &x) {
  const Floats least = Floats{} - 87.f, magic = Floats{} + 12582912.f;  // 1.5 · 2²³: adding it rounds to integers
  x = x < least ? least : x;                                            // a NaN stays
  Floats shifted = x * 1.44269504f + magic;
  Floats n = shifted - magic;
  Floats r = x - n * 0.693359375f;  // ln 2 in two parts, the first with few digits
  r = r + n * 2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;  // Cephes' polynomial for |r| <= ln 2 / 2
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.f;
  x = (Floats)((Ints)p + ((Ints)shifted << 23));
}

INLINE float sum(const Floats &x) {
  typedef float Eight __attribute__((vector_size(32)));
  typedef float Four __attribute__((vector_size(16)));
  Eight a = __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7) +
            __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
  Four b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
  return (b[0] + b[2]) + (b[1] + b[3]);
}

/// A row of scores, resized to a block's pixels: `row` is [classes][width].
INLINE void expand(const Problem &problem, const Block &block, const float *row, Floats *out) {
  for (int64_t c = 0; c < problem.classes; c++) {
    const float *from = row + c * problem.width + block.first;
    Floats value = block.shares[0] * from[0];
    for (size_t k = 1; k < block.shares.size(); k++) value = value + block.shares[k] * from[k];
    out[c] = value;
  }
}

/// The derivative of `expand`: adds a block's gradients to a row's, and clears them.
INLINE void contract(const Problem &problem, const Block &block, Floats *gradients, float *row) {
  for (int64_t c = 0; c < problem.classes; c++) {
    float *to = row + c * problem.width + block.first;
    for (size_t k = 0; k < block.shares.size(); k++) {
      Floats part = gradients[c] * block.shares[k];
      to[k] += sum(part);
    }
    gradients[c] = Floats{};
  }
}

/// The loss of a strip's pixels; their gradient is added to `scratch.gradient`.
INLINE double lossOfStrip(const Problem &problem, const Strip &strip, Scratch &scratch, std::atomic<int64_t> &wrong) {
  const auto classes = problem.classes;
  const auto plane = classes * problem.width;
  Floats *above = scratch.lanes.data(), *below = above + classes, *slope = below + classes, *terms = slope + classes;
  Floats *gradientAbove = terms + classes, *gradientBelow = gradientAbove + classes;
  std::fill(gradientAbove, gradientAbove + 2 * classes, Floats{});
  const auto &low = problem.rows->low;
  const bool differentiates = problem.gradient != nullptr;
  double total = 0;

  const auto firstPixel = std::lower_bound(low.begin(), low.end(), static_cast<int32_t>(strip.begin)) - low.begin();
  for (size_t index = 0; index < problem.columns->size(); index++) {
    const Block &block = (*problem.columns)[index];
    const auto left = static_cast<int64_t>(index) * lanes;
    const auto used = std::min<int64_t>(lanes, problem.labelWidth - left);
    Doubles differences{}, product = Doubles{} + 1.0;
    int factors = 0;
    auto y = firstPixel;
    expand(problem, block, scratch.scores.data(), above);
    for (auto row = strip.begin; row < strip.end; row++) {
      const auto next = std::min(row + 1, problem.height - 1) - strip.begin;
      expand(problem, block, scratch.scores.data() + next * plane, below);
      for (int64_t c = 0; c < classes; c++) slope[c] = below[c] - above[c];
      for (; y < problem.labelHeight && low[y] == row; y++) {
        const float share = problem.rows->share[y];
        const auto labelRow = (strip.image * problem.labelHeight + y) * problem.labelWidth + left;
        int64_t labels[lanes];
        bool isAny = false;
        for (int64_t lane = 0; lane < lanes; lane++) {
          auto label = lane >= used             ? problem.ignored
                       : problem.narrowLabels ? problem.narrowLabels[labelRow + lane]
                                                : problem.wideLabels[labelRow + lane];
          if (label == problem.ignored) label = -1;
          else if (label < 0 || label >= classes) { wrong = label; label = -1; }
          labels[lane] = label;
          isAny = isAny || label >= 0;
        }
        if (!isAny) continue;

        Floats most = above[0] + slope[0] * share;
        for (int64_t c = 1; c < classes; c++) {
          Floats score = above[c] + slope[c] * share;
          most = most > score ? most : score;
        }
        Floats all{};
        for (int64_t c = 0; c < classes; c++) {
          terms[c] = above[c] + slope[c] * share - most;
          exponentiate(terms[c]);
          all = all + terms[c];
        }
        // -log(e^s / Σ) = log Σ - s. The sums' logarithms are taken of their product, once for many.
        Floats difference{}, factor = Floats{} + 1.f, scale{};
        for (int64_t lane = 0; lane < lanes; lane++) {
          const auto label = labels[lane];
          if (label < 0) continue;
          difference[lane] = most[lane] - (above[label][lane] + slope[label][lane] * share);
          factor[lane] = all[lane];
          scale[lane] = 1.f / all[lane];
          terms[label][lane] -= all[lane];  // softmax - 1 where the label is, by the division below
        }
        differences = differences + __builtin_convertvector(difference, Doubles);
        product = product * __builtin_convertvector(factor, Doubles);
        if (++factors == 100) {  // at most 255 each: far below the largest double
          for (int lane = 0; lane < lanes; lane++) total += std::log(product[lane]);
          product = Doubles{} + 1.0;
          factors = 0;
        }
        if (!differentiates) continue;
        for (int64_t c = 0; c < classes; c++) {
          Floats value = terms[c] * scale, lower = value * share;
          gradientBelow[c] = gradientBelow[c] + lower;
          gradientAbove[c] = gradientAbove[c] + (value - lower);
        }
      }
      if (differentiates) {
        contract(problem, block, gradientAbove, scratch.gradient.data() + (row - strip.begin) * plane);
        if (row + 1 == strip.end) contract(problem, block, gradientBelow, scratch.gradient.data() + next * plane);
      }
      std::swap(above, below);
      std::swap(gradientAbove, gradientBelow);
    }
    for (int lane = 0; lane < lanes; lane++) total += differences[lane] + std::log(product[lane]);
  }
  return total;
}

double portable(const Problem &problem, const Strip &strip, Scratch &scratch, std::atomic<int64_t> &wrong) {
  return lossOfStrip(problem, strip, scratch, wrong);
}

FOR_AVX2 double avx2(const Problem &problem, const Strip &strip, Scratch &scratch, std::atomic<int64_t> &wrong) {
  return lossOfStrip(problem, strip, scratch, wrong);
}

FOR_AVX512 double avx512(const Problem &problem, const Strip &strip, Scratch &scratch, std::atomic<int64_t> &wrong) {
  return lossOfStrip(problem, strip, scratch, wrong);
}

/// Strips of about this many rows of pixels: enough of them for many threads, few enough that what two share is little.
constexpr int64_t stripPixels = 32;

/// The summed loss; the gradient, where one is wanted, is written to `gradient`, laid out as the scores.
double compute(Problem problem, int64_t images) {
  static const auto function = forThisProcessor(portable, avx2, avx512);
  const auto plane = problem.classes * problem.width;
  const auto pixelsPerRow = std::max<int64_t>(1, problem.labelHeight / problem.height);
  const auto rows = std::max<int64_t>(1, stripPixels / pixelsPerRow);
  std::vector<Strip> strips;
  for (int64_t image = 0; image < images; image++)
    for (int64_t begin = 0; begin < problem.height; begin += rows)
      strips.push_back({image, begin, std::min(begin + rows, problem.height)});
  // What a strip adds to the first row of the one below it.
  std::vector<float> carried(problem.gradient ? strips.size() * plane : 0);
  std::vector<double> losses(strips.size());
  std::atomic<int64_t> wrong{-1};

  shareOut(static_cast<int64_t>(strips.size()), [&](int64_t from, int64_t to) {
    Scratch scratch;
    scratch.scores.resize((rows + 1) * plane);
    scratch.lanes.resize(6 * problem.classes);
    for (auto index = from; index < to; index++) {
      const auto &strip = strips[index];
      const auto last = std::min(strip.end, problem.height - 1);
      auto element = [&](int64_t row, int64_t c, int64_t x) {
        return strip.image * problem.imageStride + c * problem.strides[0] + row * problem.strides[1] +
               x * problem.strides[2];
      };
      for (auto row = strip.begin; row <= last; row++)
        for (int64_t c = 0; c < problem.classes; c++)
          for (int64_t x = 0; x < problem.width; x++)
            scratch.scores[(row - strip.begin) * plane + c * problem.width + x] = problem.scores[element(row, c, x)];
      if (problem.gradient) scratch.gradient.assign((rows + 1) * plane, 0.f);
      losses[index] = function(problem, strip, scratch, wrong);
      if (!problem.gradient) continue;
      for (auto row = strip.begin; row < strip.end; row++)
        for (int64_t c = 0; c < problem.classes; c++)
          for (int64_t x = 0; x < problem.width; x++)
            problem.gradient[element(row, c, x)] =
                scratch.gradient[(row - strip.begin) * plane + c * problem.width + x];
      if (strip.end < problem.height)
        std::copy_n(scratch.gradient.begin() + (strip.end - strip.begin) * plane, plane,
                    carried.begin() + index * plane);
    }
  });
  TORCH_CHECK(wrong < 0, "label ", wrong.load(), " among scores of ", problem.classes, " classes");
  double total = 0;
  for (size_t index = 0; index < strips.size(); index++) {
    total += losses[index];
    const auto &strip = strips[index];
    if (!problem.gradient || strip.end == problem.height) continue;
    for (int64_t c = 0; c < problem.classes; c++)
      for (int64_t x = 0; x < problem.width; x++)
        problem.gradient[strip.image * problem.imageStride + c * problem.strides[0] + strip.end * problem.strides[1] +
                         x * problem.strides[2]] += carried[index * plane + c * problem.width + x];
  }
  return total;
}

struct UpsampledCrossEntropy : torch::autograd::Function<UpsampledCrossEntropy> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, at::Tensor scores, at::Tensor labels,
                            int64_t height, int64_t width, bool alignCorners, int64_t ignored, bool differentiates) {
    if (!scores.is_non_overlapping_and_dense()) scores = scores.contiguous();
    labels = labels.contiguous();
    auto gradient = differentiates ? at::empty_like(scores) : at::Tensor();
    Axis rows(scores.size(2), height, labels.size(1), alignCorners);
    Axis columns(scores.size(3), width, labels.size(2), alignCorners);
    auto columnBlocks = blocks(columns);
    Problem problem;
    problem.classes = scores.size(1);
    problem.height = scores.size(2);
    problem.width = scores.size(3);
    problem.labelHeight = labels.size(1);
    problem.labelWidth = labels.size(2);
    problem.scores = scores.data_ptr<float>();
    problem.imageStride = scores.stride(0);
    for (int i = 0; i < 3; i++) problem.strides[i] = scores.stride(i + 1);
    problem.gradient = differentiates ? gradient.data_ptr<float>() : nullptr;
    bool isNarrow = labels.scalar_type() == at::kByte;
    problem.narrowLabels = isNarrow ? labels.data_ptr<uint8_t>() : nullptr;
    problem.wideLabels = isNarrow ? nullptr : labels.data_ptr<int64_t>();
    problem.ignored = ignored;
    problem.rows = &rows;
    problem.columns = &columnBlocks;
    auto loss = compute(problem, scores.size(0));
    if (differentiates) context->save_for_backward({gradient});
    return at::full({}, loss, scores.options());
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 torch::autograd::variable_list gradients) {
    auto none = at::Tensor();
    return {context->get_saved_variables()[0] * gradients[0], none, none, none, none, none, none};
  }
};

} // namespace

extern "C" {

ct_status ct_upsampled_cross_entropy(ct_tensor *scores, ct_tensor *labels, int64_t height, int64_t width,
                                     bool align_corners, int64_t ignored, ct_tensor **out) {
  *out = nullptr;
  return guarded([&] {
    auto s = borrow(scores), l = borrow(labels);
    TORCH_CHECK(s.dim() == 4 && s.scalar_type() == at::kFloat && s.device().is_cpu() && s.numel() > 0,
                "scores are [N, C, h, w] float32 on the CPU");
    TORCH_CHECK(l.dim() == 3 && l.device().is_cpu() && (l.scalar_type() == at::kLong || l.scalar_type() == at::kByte),
                "labels are [N, H, W] int64 or uint8 on the CPU");
    TORCH_CHECK(l.size(0) == s.size(0), "scores of ", s.size(0), " images and labels of ", l.size(0));
    TORCH_CHECK(l.size(1) > 0 && l.size(1) <= height && l.size(2) > 0 && l.size(2) <= width,
                "labels of ", l.size(1), "x", l.size(2), " for scores resized to ", height, "x", width);
    TORCH_CHECK(height < (1 << 24) && width < (1 << 24), "sizes beyond float32's integers");
    bool differentiates = c10::GradMode::is_enabled() && s.requires_grad();
    *out = own(UpsampledCrossEntropy::apply(s, l, height, width, align_corners, ignored, differentiates));
  });
}

} // extern "C"
