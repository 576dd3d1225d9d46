// Batch normalisation in training with the activation behind it, on the CPU, channels last.
//
// Both are bound by memory: libtorch reads or writes an activation six times forward and eight times backward, this
// three and five times, as statistics take one pass, and the activation and its derivative ride along. What is kept for
// the backward pass is the input alone.
//
// Rows are cut into tiles whose size depends on the shape alone, sums over tiles have a fixed order, and no
// multiplication is fused with an addition: the result is the same bits with any number of threads and on every x86.
#include "Handles.h"
#include "Parallel.h"
#include "Processor.h"
#include <ATen/ATen.h>
#include <cmath>
#include <cstring>
#include <limits>
#include <torch/csrc/autograd/custom_function.h>
#include <vector>

#pragma STDC FP_CONTRACT OFF

using namespace ct;

namespace {

using Half = uint16_t;  // a bfloat16's bits

INLINE float widened(float x) { return x; }
INLINE float widened(Half x) {
  uint32_t bits = static_cast<uint32_t>(x) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

INLINE void store(float x, float &to) { to = x; }
/// To the nearest, ties to even.
INLINE void store(float x, Half &to) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  to = static_cast<Half>(x != x ? 0x7fc0 : bits);
}

/// Per channel: what the input is multiplied with and what is added then; and what bounds the result.
struct Affine {
  const float *scale, *shift;
  float least, most;
};

/// Adds up a tile's deviations from a reference and their squares.
template <typename T>
INLINE void addDeviations(const T *__restrict x, int64_t rows, int64_t channels, const float *__restrict reference,
                          float *__restrict sums, float *__restrict squares) {
  for (int64_t row = 0; row < rows; row++, x += channels)
    for (int64_t c = 0; c < channels; c++) {
      float deviation = widened(x[c]) - reference[c];
      sums[c] += deviation;
      squares[c] += deviation * deviation;
    }
}

template <typename T>
INLINE void normalize(const T *__restrict x, T *__restrict y, int64_t rows, int64_t channels, const Affine &affine) {
  const float *__restrict scale = affine.scale, *__restrict shift = affine.shift;
  const float least = affine.least, most = affine.most;
  for (int64_t row = 0; row < rows; row++, x += channels, y += channels)
    for (int64_t c = 0; c < channels; c++) {
      float value = widened(x[c]) * scale[c] + shift[c];
      value = value < least ? least : value;  // a NaN stays
      value = value > most ? most : value;
      store(value, y[c]);
    }
}

/// The gradient that passes the activation: where the result lies strictly between its bounds.
template <typename T>
INLINE float passed(T upstream, float x, float scale, float shift, float least, float most) {
  float value = x * scale + shift;
  return ((value > least) & (value < most)) ? widened(upstream) : 0.f;
}

/// Adds up a tile's gradients, and their products with the input's deviations from the mean.
template <typename T>
INLINE void addGradients(const T *__restrict g, const T *__restrict x, int64_t rows, int64_t channels,
                         const Affine &affine, const float *__restrict mean, float *__restrict sums,
                         float *__restrict products) {
  const float *__restrict scale = affine.scale, *__restrict shift = affine.shift;
  const float least = affine.least, most = affine.most;
  for (int64_t row = 0; row < rows; row++, x += channels, g += channels)
    for (int64_t c = 0; c < channels; c++) {
      float value = widened(x[c]);
      float gradient = passed(g[c], value, scale[c], shift[c], least, most);
      sums[c] += gradient;
      products[c] += gradient * (value - mean[c]);
    }
}

/// scale · (gradient - offset - slope · (x - mean))
template <typename T>
INLINE void differentiate(const T *__restrict g, const T *__restrict x, T *__restrict out, int64_t rows,
                          int64_t channels, const Affine &affine, const float *__restrict mean,
                          const float *__restrict offset, const float *__restrict slope) {
  const float *__restrict scale = affine.scale, *__restrict shift = affine.shift;
  const float least = affine.least, most = affine.most;
  for (int64_t row = 0; row < rows; row++, x += channels, g += channels, out += channels)
    for (int64_t c = 0; c < channels; c++) {
      float value = widened(x[c]);
      float gradient = passed(g[c], value, scale[c], shift[c], least, most);
      store((gradient - offset[c] - slope[c] * (value - mean[c])) * scale[c], out[c]);
    }
}

/// The four loops, compiled for one kind of processor.
template <typename T>
struct Kernels {
  void (*addDeviations)(const T *, int64_t, int64_t, const float *, float *, float *);
  void (*normalize)(const T *, T *, int64_t, int64_t, const Affine &);
  void (*addGradients)(const T *, const T *, int64_t, int64_t, const Affine &, const float *, float *, float *);
  void (*differentiate)(const T *, const T *, T *, int64_t, int64_t, const Affine &, const float *, const float *,
                        const float *);
};

#define COMPILED_FOR(name, attribute)                                                                                \
  template <typename T>                                                                                              \
  struct name {                                                                                                      \
    attribute static void deviations(const T *x, int64_t rows, int64_t channels, const float *reference, float *sums, \
                                     float *squares) {                                                               \
      addDeviations(x, rows, channels, reference, sums, squares);                                                    \
    }                                                                                                                \
    attribute static void normal(const T *x, T *y, int64_t rows, int64_t channels, const Affine &affine) {           \
      normalize(x, y, rows, channels, affine);                                                                       \
    }                                                                                                                \
    attribute static void gradients(const T *g, const T *x, int64_t rows, int64_t channels, const Affine &affine,    \
                                    const float *mean, float *sums, float *products) {                               \
      addGradients(g, x, rows, channels, affine, mean, sums, products);                                              \
    }                                                                                                                \
    attribute static void derivative(const T *g, const T *x, T *out, int64_t rows, int64_t channels,                 \
                                     const Affine &affine, const float *mean, const float *offset,                   \
                                     const float *slope) {                                                           \
      differentiate(g, x, out, rows, channels, affine, mean, offset, slope);                                         \
    }                                                                                                                \
    static Kernels<T> all() { return {deviations, normal, gradients, derivative}; }                                  \
  };

COMPILED_FOR(Portable, )
COMPILED_FOR(AVX2, FOR_AVX2)
COMPILED_FOR(AVX512, FOR_AVX512)

template <typename T>
const Kernels<T> &kernels() {
  static const Kernels<T> best = forThisProcessor(Portable<T>::all(), AVX2<T>::all(), AVX512<T>::all());
  return best;
}

/// An activation map as rows of channels, and its tiles.
struct Rows {
  int64_t rows, channels, tile;

  explicit Rows(const at::Tensor &x) : rows(x.numel() / x.size(1)), channels(x.size(1)) {
    tile = std::max<int64_t>(16, (1 << 16) / channels);  // what a core keeps close
  }
  int64_t tiles() const { return (rows + tile - 1) / tile; }

  /// Calls `body(tile, first row, rows)` for every tile, on all threads.
  template <typename Body>
  void forEachTile(Body &&body) const {
    shareOut(tiles(), [&](int64_t from, int64_t to) {
      for (auto i = from; i < to; i++) body(i, i * tile, std::min(tile, rows - i * tile));
    });
  }

  /// Per channel the sums that `body(tile, first row, rows, first sums, second sums)` leaves of each tile, in their order.
  template <typename Body>
  std::vector<double> sums(Body &&body) const {
    std::vector<float> parts(tiles() * 2 * channels, 0.f);
    forEachTile([&](int64_t index, int64_t first, int64_t count) {
      float *part = parts.data() + index * 2 * channels;
      body(first, count, part, part + channels);
    });
    std::vector<double> totals(2 * channels, 0.0);
    for (int64_t index = 0; index < tiles(); index++)
      for (int64_t c = 0; c < 2 * channels; c++) totals[c] += parts[index * 2 * channels + c];
    return totals;
  }
};

template <typename T>
const T *elements(const at::Tensor &tensor) { return static_cast<const T *>(tensor.data_ptr()); }
template <typename T>
T *mutableElements(const at::Tensor &tensor) { return static_cast<T *>(tensor.data_ptr()); }

/// Rows of the tensor in which statistics go to the backward pass.
enum { MEAN, SCALE, SHIFT, DEVIATION, STATISTICS };

struct BatchNormActivation : torch::autograd::Function<BatchNormActivation> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, at::Tensor x, at::Tensor weight, at::Tensor bias,
                            at::Tensor runningMean, at::Tensor runningVariance, double momentum, double eps,
                            double least, double most) {
    auto y = at::empty_like(x);
    auto statistics = at::empty({STATISTICS, x.size(1)}, weight.options().requires_grad(false));
    if (x.scalar_type() == at::kBFloat16)
      compute<Half>(x, y, weight, bias, runningMean, runningVariance, momentum, eps, least, most, statistics);
    else
      compute<float>(x, y, weight, bias, runningMean, runningVariance, momentum, eps, least, most, statistics);
    context->save_for_backward({x, statistics});
    context->saved_data["least"] = least;
    context->saved_data["most"] = most;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 torch::autograd::variable_list gradients) {
    auto saved = context->get_saved_variables();
    auto least = context->saved_data["least"].toDouble(), most = context->saved_data["most"].toDouble();
    auto upstream = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    auto result = saved[0].scalar_type() == at::kBFloat16 ? derive<Half>(upstream, saved[0], saved[1], least, most)
                                                          : derive<float>(upstream, saved[0], saved[1], least, most);
    auto none = at::Tensor();
    return {std::get<0>(result), std::get<1>(result), std::get<2>(result), none, none, none, none, none, none};
  }

private:
  template <typename T>
  static void compute(const at::Tensor &x, at::Tensor &y, const at::Tensor &weight, const at::Tensor &bias,
                      at::Tensor &runningMean, at::Tensor &runningVariance, double momentum, double eps, double least,
                      double most, at::Tensor &statistics) {
    Rows rows(x);
    auto channels = rows.channels;
    auto input = elements<T>(x);
    // Deviations from some pixel's values, which are near enough to the mean for squares not to cancel.
    std::vector<float> reference(channels);
    auto middle = input + rows.rows / 2 * channels;
    for (int64_t c = 0; c < channels; c++) reference[c] = widened(middle[c]);
    auto totals = rows.sums([&](int64_t first, int64_t count, float *sums, float *squares) {
      kernels<T>().addDeviations(input + first * channels, count, channels, reference.data(), sums, squares);
    });
    auto table = statistics.data_ptr<float>();
    auto count = static_cast<double>(rows.rows);
    for (int64_t c = 0; c < channels; c++) {
      auto offset = totals[c] / count;
      auto variance = std::max(totals[channels + c] / count - offset * offset, 0.0);
      auto mean = reference[c] + offset;
      auto deviation = 1 / std::sqrt(variance + eps);
      auto scale = weight.data_ptr<float>()[c] * deviation;
      table[MEAN * channels + c] = static_cast<float>(mean);
      table[SCALE * channels + c] = static_cast<float>(scale);
      table[SHIFT * channels + c] = static_cast<float>(bias.data_ptr<float>()[c] - mean * scale);
      table[DEVIATION * channels + c] = static_cast<float>(deviation);
      auto &running = runningMean.data_ptr<float>()[c];
      auto &spread = runningVariance.data_ptr<float>()[c];
      running = static_cast<float>((1 - momentum) * running + momentum * mean);
      spread = static_cast<float>((1 - momentum) * spread + momentum * variance * count / (count - 1));
    }
    Affine affine{table + SCALE * channels, table + SHIFT * channels, static_cast<float>(least),
                  static_cast<float>(most)};
    auto output = mutableElements<T>(y);
    rows.forEachTile([&](int64_t, int64_t first, int64_t count) {
      kernels<T>().normalize(input + first * channels, output + first * channels, count, channels, affine);
    });
  }

  /// The gradients of input, weight and bias.
  template <typename T>
  static std::tuple<at::Tensor, at::Tensor, at::Tensor> derive(const at::Tensor &upstream, const at::Tensor &x,
                                                               const at::Tensor &statistics, double least,
                                                               double most) {
    Rows rows(x);
    auto channels = rows.channels;
    auto table = statistics.data_ptr<float>();
    auto mean = table + MEAN * channels, deviation = table + DEVIATION * channels;
    Affine affine{table + SCALE * channels, table + SHIFT * channels, static_cast<float>(least),
                  static_cast<float>(most)};
    auto g = elements<T>(upstream), input = elements<T>(x);
    auto totals = rows.sums([&](int64_t first, int64_t count, float *sums, float *products) {
      kernels<T>().addGradients(g + first * channels, input + first * channels, count, channels, affine, mean, sums,
                                products);
    });
    auto weightGradient = at::empty({channels}, statistics.options());
    auto biasGradient = at::empty({channels}, statistics.options());
    std::vector<float> offset(channels), slope(channels);
    auto count = static_cast<double>(rows.rows);
    for (int64_t c = 0; c < channels; c++) {
      double inverse = deviation[c];
      weightGradient.data_ptr<float>()[c] = static_cast<float>(totals[channels + c] * inverse);
      biasGradient.data_ptr<float>()[c] = static_cast<float>(totals[c]);
      offset[c] = static_cast<float>(totals[c] / count);
      slope[c] = static_cast<float>(totals[channels + c] * inverse * inverse / count);
    }
    auto result = at::empty_like(x);
    auto output = mutableElements<T>(result);
    rows.forEachTile([&](int64_t, int64_t first, int64_t count) {
      kernels<T>().differentiate(g + first * channels, input + first * channels, output + first * channels, count,
                                 channels, affine, mean, offset.data(), slope.data());
    });
    return {result, weightGradient, biasGradient};
  }
};

} // namespace

extern "C" {

bool ct_batch_norm_activation_fits(const ct_tensor *x, const ct_tensor *weight) {
  auto input = borrow(x), scale = borrow(weight);
  return input.dim() == 4 && input.device().is_cpu() &&
         (input.scalar_type() == at::kFloat || input.scalar_type() == at::kBFloat16) &&
         input.is_contiguous(at::MemoryFormat::ChannelsLast) && scale.scalar_type() == at::kFloat &&
         input.numel() > input.size(1);
}

ct_status ct_batch_norm_activation(ct_tensor *x, ct_tensor *weight, ct_tensor *bias, ct_tensor *running_mean,
                                   ct_tensor *running_variance, double momentum, double eps, double least, double most,
                                   ct_tensor **out) {
  *out = nullptr;
  return guarded([&] {
    TORCH_CHECK(ct_batch_norm_activation_fits(x, weight),
                "float32 or bfloat16 [N, C, H, W] on the CPU, channels last, is wanted");
    auto channels = borrow(x).size(1);
    for (auto tensor : {weight, bias, running_mean, running_variance}) {
      auto values = borrow(tensor);
      TORCH_CHECK(values.defined() && values.scalar_type() == at::kFloat && values.dim() == 1 &&
                      values.size(0) == channels && values.is_contiguous(),
                  "weight, bias and running statistics are float32 [", channels, "]");
    }
    *out = own(BatchNormActivation::apply(borrow(x), borrow(weight), borrow(bias), borrow(running_mean),
                                          borrow(running_variance), momentum, eps, least, most));
  });
}

} // extern "C"
