// TorchScript: a network's operations, recorded once, as a program that PyTorch loads.
#include "Handles.h"
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <ostream>
#include <streambuf>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/lower_tuples.h>
#include <torch/csrc/jit/serialization/import.h>

using namespace ct;
using torch::jit::Module;

struct ct_script {
  Module module;
};

namespace {

/// The tree of submodules that dotted names describe: `backbone.conv1.weight` stands in `backbone`'s `conv1`.
class Tree {
public:
  Tree() : root_("__torch__.PicoFlow") { mark(root_); }

  Module &root() { return root_; }

  void add(const std::string &name, at::Tensor tensor, bool trained) {
    auto dot = name.rfind('.');
    auto parent = dot == std::string::npos ? root_ : find(name.substr(0, dot));
    parent.register_parameter(dot == std::string::npos ? name : name.substr(dot + 1), std::move(tensor), !trained);
  }

private:
  Module root_;
  std::map<std::string, Module> parts_;

  Module find(const std::string &path) {
    auto known = parts_.find(path);
    if (known != parts_.end()) return known->second;
    auto dot = path.rfind('.');
    auto parent = dot == std::string::npos ? root_ : find(path.substr(0, dot));
    Module part(c10::QualifiedName("__torch__.PicoFlowPart"), root_._ivalue()->compilation_unit(), true);
    mark(part);
    parent.register_module(dot == std::string::npos ? path : path.substr(dot + 1), part);
    parts_.emplace(path, part);
    return part;
  }

  /// Python's `eval()` and `train()` set it; what was recorded does not depend on it.
  static void mark(Module &module) { module.register_attribute("training", c10::BoolType::get(), false); }
};

/// A file that keeps its first failure for later and takes all that follows: where a write fails, libtorch's writer ends the
/// process, as its destructor writes and throws again (pytorch/pytorch#156955).
class Output : public std::streambuf {
public:
  explicit Output(const char *path) : file_(fopen(path, "wbe")), error_(file_ ? 0 : errno) {}
  Output(const Output &) = delete;
  Output &operator=(const Output &) = delete;
  ~Output() override { finish(); }

  /// Closes the file; `errno` of what failed first, or 0.
  int finish() {
    if (file_ && fclose(file_) != 0 && error_ == 0) error_ = errno;
    file_ = nullptr;
    return error_;
  }

protected:
  std::streamsize xsputn(const char *bytes, std::streamsize count) override {
    if (error_ == 0 && fwrite(bytes, 1, count, file_) != static_cast<size_t>(count)) error_ = errno;
    return count;
  }

  int_type overflow(int_type character) override {
    char byte = traits_type::to_char_type(character);
    if (!traits_type::eq_int_type(character, traits_type::eof())) xsputn(&byte, 1);
    return traits_type::not_eof(character);
  }

private:
  FILE *file_;
  int error_;
};

} // namespace

extern "C" {

ct_status ct_script_trace(const char *const *names, ct_tensor *const *tensors, const bool *trained, int32_t count,
                          const ct_tensor *input, ct_script_body body, void *context, ct_script **out) {
  *out = nullptr;
  return guarded([&] {
    Tree tree;
    for (int32_t i = 0; i < count; i++) tree.add(names[i], borrow(tensors[i]), trained[i]);
    auto run = [&](torch::jit::Stack inputs) -> torch::jit::Stack {
      auto *given = own(inputs.at(0).toTensor());
      ct_tensor *result = nullptr;
      auto status = body(context, given, &result);
      ct_release(given);
      TORCH_CHECK(status == CT_OK && result, "what was to be recorded failed");
      auto tensor = borrow(result);
      ct_release(result);
      return {tensor};
    };
    auto unnamed = [](const at::Tensor &) { return std::string(); };
    auto traced = torch::jit::tracer::trace({borrow(input)}, run, unnamed, /*strict=*/true, /*force_outplace=*/false,
                                            &tree.root(), {"images"});
    auto graph = traced.first->graph;
    torch::jit::EliminateDeadCode(graph);
    torch::jit::LowerSimpleTuples(graph);
    auto name = c10::QualifiedName(*tree.root().type()->name(), "forward");
    tree.root().type()->addMethod(tree.root()._ivalue()->compilation_unit()->create_function(name, graph));
    *out = new ct_script{tree.root()};
  });
}

ct_status ct_script_save(const ct_script *script, const char *path, const char *const *names, const char *const *texts,
                         int32_t count) {
  return guarded([&] {
    torch::jit::ExtraFilesMap files;
    for (int32_t i = 0; i < count; i++) files[names[i]] = texts[i];
    Output output(path);
    std::ostream stream(&output);
    script->module.save(stream, files);
    int error = output.finish();
    TORCH_CHECK(error == 0, std::strerror(error));
  });
}

bool ct_is_recording(void) { return torch::jit::tracer::isTracing(); }

ct_status ct_script_load(const char *path, ct_script **out) {
  *out = nullptr;
  return guarded([&] { *out = new ct_script{torch::jit::load(path)}; });
}

ct_status ct_script_run(ct_script *script, const ct_tensor *input, ct_tensor **out) {
  *out = nullptr;
  return guarded([&] { *out = own(script->module.forward({borrow(input)}).toTensor()); });
}

void ct_script_free(ct_script *script) { delete script; }

} // extern "C"
