// Several ranks that train one network: process groups of c10d, and batch normalisation over all of them.
//
// c10d's Gloo is there where its headers find Gloo's own: with Debian's libtorch (libgloo-dev), and with a copy that brings
// them; Package.swift defines USE_C10D_GLOO then. Without them everything builds and making a group fails with a sentence.
#include "Handles.h"
#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <chrono>
#include <cstdlib>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/version.h>
#ifdef USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#if TORCH_VERSION_MAJOR >= 2
#include <torch/csrc/distributed/c10d/Backend.hpp>
using Backend = c10d::Backend;
#else
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
using Backend = c10d::ProcessGroup;
#endif

using namespace ct;

struct ct_group {
  c10::intrusive_ptr<Backend> backend;
};

namespace {

using Group = c10::intrusive_ptr<Backend>;

/// Runs one collective operation to its end. What fails here is the other ranks: they died, or say nothing.
template <typename Start>
void together(const char *what, Start &&start) {
  auto prefix = std::string("lost the other ranks in ") + what + ": ";
  try {
    start()->wait();
  } catch (const c10::Error &error) {
    throw LostRanks(prefix + error.what_without_backtrace());
  } catch (const std::exception &error) {
    throw LostRanks(prefix + error.what());
  }
}

/// Sums in place. Every rank gets the same bits: each stretch is summed by one of them, in the order of the ranks.
void sum(const Group &group, at::Tensor tensor) {
  TORCH_CHECK(tensor.is_contiguous(), "ranks exchange contiguous tensors only");
  std::vector<at::Tensor> tensors{tensor};
  together("all-reduce", [&] { return group->allreduce(tensors); });
}

std::vector<at::Tensor> gather(const Group &group, at::Tensor tensor) {
  TORCH_CHECK(tensor.is_contiguous(), "ranks exchange contiguous tensors only");
  std::vector<at::Tensor> inputs{tensor};
  std::vector<std::vector<at::Tensor>> outputs(1);
  for (auto rank = 0; rank < group->getSize(); rank++) outputs[0].push_back(at::empty_like(tensor));
  together("all-gather", [&] { return group->allgather(outputs, inputs); });
  return outputs[0];
}

/// `[C]` as it broadcasts over `[N, C, ...]`.
at::Tensor perChannel(const at::Tensor &values, const at::Tensor &like) {
  std::vector<int64_t> shape(like.dim(), 1);
  shape[1] = values.numel();
  return values.view(shape);
}

std::vector<int64_t> allButChannels(const at::Tensor &x) {
  std::vector<int64_t> dims;
  for (int64_t dim = 0; dim < x.dim(); dim++)
    if (dim != 1) dims.push_back(dim);
  return dims;
}

at::ScalarType statisticsType(const at::Tensor &x) {
  return x.scalar_type() == at::kHalf || x.scalar_type() == at::kBFloat16 ? at::kFloat : x.scalar_type();
}

/// Batch normalisation whose batch is that of all ranks. The element-wise work and the local sums are libtorch's own
/// operators in evaluation mode, with the global statistics in the place of the running ones.
struct SyncBatchNorm : torch::autograd::Function<SyncBatchNorm> {
  using Optional = c10::optional<at::Tensor>;

  /// The tensors that may be left out are optional here: autograd asks each of the others for its device.
  static at::Tensor forward(torch::autograd::AutogradContext *context, at::Tensor x, Optional weightOrNone,
                            Optional biasOrNone, Optional runningMean, Optional runningVariance, double momentum,
                            double eps, Group group) {
    auto weight = weightOrNone.value_or(at::Tensor()), bias = biasOrNone.value_or(at::Tensor());
    auto type = statisticsType(x);
    auto channels = x.size(1);
    auto own = at::var_mean(x.to(type), allButChannels(x), /*unbiased=*/false);
    auto count = static_cast<double>(x.numel() / channels);
    auto counts = at::full({1}, count, x.options().dtype(at::kDouble));
    // Mean, sum of squared deviations and count of each rank, merged as Chan, Golub & LeVeque (1979) do it: no
    // difference of large numbers anywhere.
    auto parts = gather(group, at::cat({std::get<1>(own).to(at::kDouble), std::get<0>(own).to(at::kDouble) * count, counts}));
    auto all = at::stack(parts);                                                           // [R, 2C + 1]
    auto means = all.narrow(1, 0, channels), squares = all.narrow(1, channels, channels);  // [R, C]
    auto sizes = all.narrow(1, 2 * channels, 1);                                           // [R, 1]
    auto total = sizes.sum().item<double>();
    TORCH_CHECK(total > 1, "batch statistics of one value per channel over all ranks");
    auto mean = (means * sizes).sum(0) / total;
    auto variance = (squares + (means - mean).square() * sizes).sum(0) / total;
    if (runningMean && runningVariance) {
      runningMean->mul_(1 - momentum).add_(mean.to(runningMean->scalar_type()), momentum);
      runningVariance->mul_(1 - momentum)
          .add_((variance * (total / (total - 1))).to(runningVariance->scalar_type()), momentum);
    }
    mean = mean.to(type);
    variance = variance.to(type);
    auto result = std::get<0>(at::native_batch_norm(x, weight, bias, mean, variance, /*training=*/false, 0, eps));
    context->save_for_backward({x, weight, mean, variance});
    context->saved_data["bias"] = bias.defined();
    context->saved_data["eps"] = eps;
    context->saved_data["total"] = total;
    context->saved_data["group"] = c10::IValue::make_capsule(group);
    return result;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 torch::autograd::variable_list gradients) {
    auto saved = context->get_saved_variables();
    auto x = saved[0], weight = saved[1], mean = saved[2], variance = saved[3];
    auto eps = context->saved_data["eps"].toDouble();
    auto total = context->saved_data["total"].toDouble();
    auto group = c10::static_intrusive_pointer_cast<Backend>(context->saved_data["group"].toCapsule());
    auto upstream = gradients[0].contiguous(x.suggest_memory_format());

    // Sums of dy * x̂ and of dy over this rank: the gradients of weight and bias, which all-reducing all parameters'
    // gradients adds up, and after their own all-reduce what the gradient of x needs.
    // CUDA's kernel asks for saved statistics too, which on the CPU are not read outside of training.
    auto local = at::native_batch_norm_backward(upstream, x, weight, mean, variance, mean, (variance + eps).rsqrt(),
                                                /*train=*/false, eps, {false, true, true});
    auto weightGradient = std::get<1>(local), biasGradient = std::get<2>(local);
    auto sums = at::cat({weightGradient.to(at::kDouble), biasGradient.to(at::kDouble)});
    sum(group, sums);
    at::Tensor inputGradient;
    if (context->needs_input_grad(0)) {
      auto channels = x.size(1);
      auto type = mean.scalar_type();
      auto inverse = (variance.to(at::kDouble) + eps).rsqrt();
      auto scale = weight.defined() ? weight.to(at::kDouble) * inverse : inverse;
      auto slope = -scale * inverse * sums.narrow(0, 0, channels) / total;
      auto offset = -scale * sums.narrow(0, channels, channels) / total;
      auto channel = [&](const at::Tensor &values) { return perChannel(values.to(type), x); };
      inputGradient = (x - channel(mean)).mul_(channel(slope)).add_(channel(offset)).addcmul_(upstream, channel(scale));
      inputGradient = inputGradient.to(x.scalar_type());
    }
    auto hasBias = context->saved_data["bias"].toBool();
    return {inputGradient,
            weight.defined() ? weightGradient.to(weight.scalar_type()) : at::Tensor(),
            hasBias ? biasGradient : at::Tensor(),
            at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

c10::intrusive_ptr<c10d::Store> makeStore(const char *path, const char *host, int32_t port, const char *prefix,
                                          int32_t rank, int32_t size, std::chrono::milliseconds timeout) {
  c10::intrusive_ptr<c10d::Store> store;
  if (path) {
    store = c10::make_intrusive<c10d::FileStore>(path, size);
  } else {
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(port);
    options.isServer = rank == 0;
    options.numWorkers = static_cast<std::size_t>(size);
    options.timeout = timeout;
    store = c10::make_intrusive<c10d::TCPStore>(std::string(host), options);
  }
  store->setTimeout(timeout);
  return c10::make_intrusive<c10d::PrefixStore>(prefix, store);
}

} // namespace

extern "C" {

ct_status ct_group_create(const char *backend, const char *path, const char *host, int32_t port, const char *prefix,
                          int32_t rank, int32_t size, int64_t timeout_milliseconds, ct_group **out) {
  *out = nullptr;
  return guarded([&] {
    std::chrono::milliseconds timeout(timeout_milliseconds);
    std::string name(backend);
    Group group;
    if (name == "gloo") {
#ifdef USE_C10D_GLOO
      auto options = c10d::ProcessGroupGloo::Options::create(timeout);
      // Ranks of one host meet on the loopback. Else the host's name says the address to be reached at, or, as with
      // PyTorch, GLOO_SOCKET_IFNAME the interface.
      auto interface = getenv("GLOO_SOCKET_IFNAME");
      options->devices.push_back(
          path ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
               : interface && *interface ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                                         : c10d::ProcessGroupGloo::createDefaultDevice());
      // One operation at a time: training waits for each.
      options->threads = 1;
      auto store = makeStore(path, host, port, prefix, rank, size, timeout);
      group = c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, options);
#else
      TORCH_CHECK(false, "this build knows no Gloo, so compute runs as one rank only; build it by 'swift build "
                         "--manifest-cache none' where the copy of libtorch has its own include/gloo");
#endif
    } else if (name == "nccl") {
#ifdef USE_C10D_NCCL
      auto options = c10d::ProcessGroupNCCL::Options::create();
      options->timeout = timeout;
      auto store = makeStore(path, host, port, prefix, rank, size, timeout);
      group = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
#else
      TORCH_CHECK(false, "this build knows no NCCL");
#endif
    } else {
      TORCH_CHECK(false, "'", name, "' is neither gloo nor nccl");
    }
    *out = new ct_group{group};
  });
}

void ct_group_free(ct_group *group) { delete group; }

bool ct_group_has(const char *backend) {
  std::string name(backend);
#ifdef USE_C10D_GLOO
  if (name == "gloo") return true;
#endif
#ifdef USE_C10D_NCCL
  if (name == "nccl") return true;
#endif
  return false;
}

ct_status ct_all_reduce(ct_group *group, ct_tensor *tensor) {
  return guarded([&] { sum(group->backend, borrow(tensor)); });
}

ct_status ct_all_gather(ct_group *group, ct_tensor *tensor, ct_tensor **out) {
  return guarded([&] {
    auto parts = gather(group->backend, borrow(tensor));
    for (size_t rank = 0; rank < parts.size(); rank++) out[rank] = own(std::move(parts[rank]));
  });
}

ct_status ct_barrier(ct_group *group) {
  return guarded([&] { together("barrier", [&] { return group->backend->barrier(); }); });
}

ct_status ct_sync_batch_norm(ct_group *group, ct_tensor *x, ct_tensor *weight, ct_tensor *bias, ct_tensor *running_mean,
                             ct_tensor *running_variance, double momentum, double eps, ct_tensor **out) {
  *out = nullptr;
  return guarded([&] {
    auto input = borrow(x);
    TORCH_CHECK(input.dim() >= 2 && input.numel() > 0, "batch normalisation wants [N, C, ...], not ", input.sizes());
    auto optional = [](const ct_tensor *tensor) {
      return tensor ? SyncBatchNorm::Optional(borrow(tensor)) : SyncBatchNorm::Optional();
    };
    *out = own(SyncBatchNorm::apply(input, optional(weight), optional(bias), optional(running_mean),
                                    optional(running_variance), momentum, eps, group->backend));
  });
}

} // extern "C"
