/// The few C functions through which Swift reaches libtorch.
///
/// One boxed call (`ct_call`) runs any operator by its schema name; the rest is what is no operator: autograd, memory,
/// metadata and the runtime's settings.
///
/// Ownership: every `ct_tensor *` that a function returns or writes to an `out` parameter belongs to the caller, who
/// hands it to `ct_release` once. Arguments are borrowed. NULL stands for an undefined tensor.
///
/// Errors: functions that can fail return a `ct_status`; after anything but CT_OK, `ct_error` holds one line that is
/// valid until the same thread's next failure. No C++ exception leaves this library.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/// A reference to a libtorch tensor (one count of its TensorImpl).
typedef struct ct_tensor ct_tensor;

typedef int32_t ct_status;
enum { CT_OK = 0, CT_FAILED = 1, CT_OUT_OF_MEMORY = 2, CT_LOST_RANKS = 3 };

/// The first line of what went wrong in this thread's last failed call.
const char *ct_error(void);

// --- operators -------------------------------------------------------------------------------------------------

enum {
  CT_NONE = 0,
  CT_TENSOR,   // integer: index into the tensor pool
  CT_INT,      // integer; also dtypes, layouts and memory formats, as c10 numbers them
  CT_DOUBLE,   // real
  CT_BOOL,     // integer, 0 or 1
  CT_INTS,     // count elements of the integer pool from index `integer`
  CT_TENSORS,  // count elements of the tensor pool from index `integer`
  CT_STRING,   // count bytes of the byte pool from index `integer`
  CT_DEVICE,   // integer: c10 device type; count: index, -1 for none
};

/// One argument or result: a tag and where its value stands.
typedef struct {
  int32_t tag;
  int32_t count;
  int64_t integer;
  double real;
} ct_value;

/// An operator's arguments in the order of its schema. Trailing ones may be left out where the schema has defaults.
typedef struct {
  const ct_value *values;
  int32_t count;
  ct_tensor *const *tensors;
  const int64_t *integers;
  const uint8_t *bytes;
} ct_arguments;

/// An operator's results; the two arrays are freed by `ct_results_free`, the tensors by `ct_release`.
typedef struct {
  ct_value *values;
  int32_t count;
  ct_tensor **tensors;
} ct_results;

/// Runs the operator called `name`, for instance "aten::add.Tensor".
///
/// `name` must have static storage: a thread's cache of operators is keyed by its address.
ct_status ct_call(const char *name, const ct_arguments *arguments, ct_results *results);
void ct_results_free(ct_results *results);

// --- tensors ---------------------------------------------------------------------------------------------------

/// Another handle to the same tensor.
ct_tensor *ct_retain(const ct_tensor *tensor);
void ct_release(ct_tensor *tensor);
/// How many handles have been given out and not been released.
int64_t ct_live_handles(void);

int32_t ct_dim(const ct_tensor *tensor);
void ct_sizes(const ct_tensor *tensor, int64_t *sizes);
void ct_strides(const ct_tensor *tensor, int64_t *strides);
int64_t ct_numel(const ct_tensor *tensor);
int32_t ct_dtype(const ct_tensor *tensor);
void ct_device(const ct_tensor *tensor, int32_t *type, int32_t *index);
bool ct_is_contiguous(const ct_tensor *tensor, int32_t memory_format);
/// Whether both are the same tensor, not merely equal ones.
bool ct_is_same(const ct_tensor *a, const ct_tensor *b);

/// A new CPU tensor with a copy of the bytes at `data`, row-major.
ct_status ct_copy_memory(const void *data, const int64_t *sizes, int32_t dim, int32_t dtype, ct_tensor **out);
/// A CPU tensor on the caller's memory; `release(context)` is called once when the last tensor on it has gone, and
/// also when this call fails.
ct_status ct_adopt_memory(void *data, const int64_t *sizes, int32_t dim, int32_t dtype, void (*release)(void *),
                          void *context, ct_tensor **out);
/// The address of a CPU tensor's first element.
ct_status ct_data(const ct_tensor *tensor, void **out);

// --- autograd --------------------------------------------------------------------------------------------------

ct_status ct_backward(ct_tensor *tensor, ct_tensor *gradient, bool retain_graph);
/// One pass from several roots; a gradient may be NULL where its root has a single element.
ct_status ct_backward_many(ct_tensor *const *roots, ct_tensor *const *gradients, int32_t count, bool retain_graph);
bool ct_requires_grad(const ct_tensor *tensor);
ct_status ct_set_requires_grad(ct_tensor *tensor, bool requires_grad);
/// The accumulated gradient, NULL if there is none.
ct_status ct_grad(const ct_tensor *tensor, ct_tensor **out);
/// Replaces the accumulated gradient; NULL drops it.
ct_status ct_set_grad(ct_tensor *tensor, ct_tensor *gradient);
/// Makes `tensor` hold the values, dtype, device and layout of `data`, keeping its identity.
ct_status ct_set_data(ct_tensor *tensor, ct_tensor *data);
/// Whether this thread records operations for differentiation.
bool ct_grad_mode(void);
void ct_set_grad_mode(bool enabled);

// --- mixed precision -------------------------------------------------------------------------------------------

/// The type to which this thread's convolutions and matrix products on a kind of device cast their operands; -1: none.
int32_t ct_autocast(int32_t device_type);
/// Sets it; -1 switches casting off.
ct_status ct_set_autocast(int32_t device_type, int32_t dtype);
/// Drops the parameters' cast copies, which autocast keeps for the next operation that reads the same parameter.
void ct_clear_autocast_cache(void);
/// min(max(x, 0), 6) of a dense bfloat16 tensor on the CPU, in place; differentiable.
ct_status ct_relu6_(ct_tensor *x);
/// What dropout multiplies by: a tensor like this one, float32, float64 or bfloat16 on the CPU, of 0 with probability p and of
/// 1 / (1 - p) otherwise. Takes one draw of libtorch's generator.
ct_status ct_dropout_noise(const ct_tensor *like, double p, ct_tensor **out);

// --- batch normalisation -----------------------------------------------------------------------------------------

/// Whether the next function takes a tensor: float32 or bfloat16 [N, C, H, W] on the CPU, channels last, of more than one
/// value per channel, under a float32 weight.
bool ct_batch_norm_activation_fits(const ct_tensor *x, const ct_tensor *weight);
/// Batch normalisation in training and, behind it, min(max(y, least), most); differentiable. Updates the running
/// statistics.
ct_status ct_batch_norm_activation(ct_tensor *x, ct_tensor *weight, ct_tensor *bias, ct_tensor *running_mean,
                                   ct_tensor *running_variance, double momentum, double eps, double least, double most,
                                   ct_tensor **out);

// --- loss at full resolution --------------------------------------------------------------------------------------

/// The sum over labelled pixels of the softmax cross-entropy of `scores`, [N, C, h, w] float32 on the CPU, resized
/// bilinearly to `height` x `width`, against the first rows and columns of that: `labels`, [N, H, W] int64 or uint8 with
/// H <= height and W <= width. Differentiable with respect to the scores; a derivative of its derivative does not exist.
ct_status ct_upsampled_cross_entropy(ct_tensor *scores, ct_tensor *labels, int64_t height, int64_t width,
                                     bool align_corners, int64_t ignored, ct_tensor **out);

// --- several ranks -----------------------------------------------------------------------------------------------

/// Processes that train one network together; every operation must be called by all of them in the same order.
typedef struct ct_group ct_group;

/// Whether this build has the backend "gloo" or "nccl".
bool ct_group_has(const char *backend);
/// Waits until all `size` ranks are there. They meet in the file `path`, which nobody used before, or where that is NULL
/// at rank 0's `host` and `port`, under `prefix`. A peer that says nothing for the timeout counts as lost. The caller
/// frees the group; gradients recorded through it keep what they need of it.
ct_status ct_group_create(const char *backend, const char *path, const char *host, int32_t port, const char *prefix,
                          int32_t rank, int32_t size, int64_t timeout_milliseconds, ct_group **out);
void ct_group_free(ct_group *group);
/// Sums a contiguous tensor over the ranks, in place.
ct_status ct_all_reduce(ct_group *group, ct_tensor *tensor);
/// Every rank's tensor, of the same shape on all, written to the `size` places of `out`.
ct_status ct_all_gather(ct_group *group, ct_tensor *tensor, ct_tensor **out);
/// Returns when all ranks have come here.
ct_status ct_barrier(ct_group *group);
/// Batch normalisation in training over the batch of all ranks; differentiable, and so is a collective operation in the
/// backward pass too. The gradients of weight and bias are this rank's shares. Updates the running statistics.
ct_status ct_sync_batch_norm(ct_group *group, ct_tensor *x, ct_tensor *weight, ct_tensor *bias, ct_tensor *running_mean,
                             ct_tensor *running_variance, double momentum, double eps, ct_tensor **out);

// --- TorchScript -----------------------------------------------------------------------------------------------

/// A program of operators with its parameters; freed by `ct_script_free`.
typedef struct ct_script ct_script;

/// What is recorded: makes the output (which the callee then owns) of the borrowed input.
typedef ct_status (*ct_script_body)(void *context, ct_tensor *input, ct_tensor **out);

/// Runs `body` once and records the operators that it calls on this thread. The tensors of `tensors` become parameters
/// (`trained`) and buffers under their dotted names; every other tensor is a constant, and so is every size.
ct_status ct_script_trace(const char *const *names, ct_tensor *const *tensors, const bool *trained, int32_t count,
                          const ct_tensor *input, ct_script_body body, void *context, ct_script **out);
/// Writes it as `torch.jit.load` reads it, with `count` texts beside it by name.
ct_status ct_script_save(const ct_script *script, const char *path, const char *const *names, const char *const *texts,
                         int32_t count);
/// Whether this thread is within `ct_script_trace`.
bool ct_is_recording(void);
ct_status ct_script_load(const char *path, ct_script **out);
ct_status ct_script_run(ct_script *script, const ct_tensor *input, ct_tensor **out);
void ct_script_free(ct_script *script);

// --- runtime ---------------------------------------------------------------------------------------------------

/// The version of the libtorch linked, as "1.13.1".
const char *ct_version(void);
ct_status ct_manual_seed(uint64_t seed);
ct_status ct_set_num_threads(int32_t count);
int32_t ct_num_threads(void);
/// How many threads work at a loop of this library's own, which are to be `ct_num_threads`.
int32_t ct_sharing_threads(void);
/// The number of usable GPUs.
int32_t ct_cuda_devices(void);
/// Why CUDA's library could not be loaded; empty where it was, or where there is none.
const char *ct_cuda_trouble(void);
/// Waits for all that was given to a GPU.
ct_status ct_synchronize(int32_t index);

// --- the caching CPU allocator -----------------------------------------------------------------------------------

/// Bytes that are allocated for tensors, and bytes that are kept for the next ones.
void ct_allocator_statistics(int64_t *in_use, int64_t *kept);
/// Bounds what is kept; gives back what is above. 0 switches keeping off.
void ct_allocator_set_limit(int64_t bytes);
int64_t ct_allocator_limit(void);

#ifdef __cplusplus
}
#endif
