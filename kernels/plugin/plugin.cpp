// pixel_shuffle_prelu as a plugin of TensorRT 10 and later, and of TensorRT-RTX.
//
// SrsdkPixelShufflePReLU, version 1, namespace srsdk: x (n, c * r * r, h, w) of float or half, bias
// (c * r * r) and slope (c or 1) of float, attribute r; the result is (n, c, h * r, w * r) of x's
// type. Loading the library with IPluginRegistry::loadLibrary registers it.
#include <NvInferRuntime.h>

#include <atomic>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "srsdk/cuda.h"

namespace srsdk::plugin {
namespace {

using namespace nvinfer1;

constexpr const char* kName = "SrsdkPixelShufflePReLU";
constexpr const char* kVersion = "1";
constexpr const char* kNamespace = "srsdk";

std::atomic<ILoggerFinder*> finder{nullptr};

// TensorRT knows of a failure only that it was one; what it was goes to its log, if it lent one.
void complain(const std::string& message) noexcept {
    ILoggerFinder* const found = finder.load();
    ILogger* const logger = found ? found->findLogger() : nullptr;
    const std::string line = std::string(kName) + ": " + message;
    if (logger) {
        logger->log(ILogger::Severity::kERROR, line.c_str());
    } else {
        std::fprintf(stderr, "%s\n", line.c_str());
    }
}

bool known(int r) { return r == 1 || r == 2 || r == 3 || r == 4 || r == 8; }

// Half with the channels innermost, dense where they come in whole groups of eight.
bool channels_last(const PluginTensorDesc& x) { return x.format == TensorFormat::kHWC8; }

template <typename Tensor, typename Data>
Tensor tensor(const PluginTensorDesc& x, Data* data) {
    const std::int64_t size = x.type == DataType::kFLOAT ? 4 : 2;
    const std::int64_t n = x.dims.d[0], c = x.dims.d[1], h = x.dims.d[2], w = x.dims.d[3];
    const DType dtype = x.type == DataType::kFLOAT ? DType::kFloat32 : DType::kFloat16;
    if (channels_last(x)) {
        return {data, dtype, n, c, h, w, h * w * c * size, size, w * c * size, c * size};
    }
    return {data, dtype, n, c, h, w, c * h * w * size, h * w * size, w * size, size};
}

class Plugin final : public IPluginV3,
                     public IPluginV3OneCore,
                     public IPluginV3OneBuild,
                     public IPluginV3OneRuntime {
 public:
    explicit Plugin(std::int32_t r) : r_(r), id_("r=" + std::to_string(r)) {}

    // ---- IPluginV3

    IPluginCapability* getCapabilityInterface(PluginCapabilityType type) noexcept override {
        if (type == PluginCapabilityType::kCORE) return static_cast<IPluginV3OneCore*>(this);
        if (type == PluginCapabilityType::kBUILD) return static_cast<IPluginV3OneBuild*>(this);
        return static_cast<IPluginV3OneRuntime*>(this);
    }
    IPluginV3* clone() noexcept override { return new (std::nothrow) Plugin(r_); }

    // ---- core

    const char* getPluginName() const noexcept override { return kName; }
    const char* getPluginVersion() const noexcept override { return kVersion; }
    const char* getPluginNamespace() const noexcept override { return kNamespace; }

    // ---- build

    std::int32_t getNbOutputs() const noexcept override { return 1; }

    std::int32_t configurePlugin(const DynamicPluginTensorDesc*, std::int32_t,
                                 const DynamicPluginTensorDesc*, std::int32_t) noexcept override {
        return 0;
    }

    std::int32_t getOutputDataTypes(DataType* outputs, std::int32_t, const DataType* inputs,
                                    std::int32_t) const noexcept override {
        outputs[0] = inputs[0];
        return 0;
    }

    std::int32_t getOutputShapes(const DimsExprs* inputs, std::int32_t count, const DimsExprs*,
                                 std::int32_t, DimsExprs* outputs, std::int32_t,
                                 IExprBuilder& make) noexcept override {
        if (count != 3 || inputs[0].nbDims != 4 || inputs[1].nbDims != 1 || inputs[2].nbDims != 1) {
            complain("takes x (n, c * r * r, h, w), bias (c * r * r) and slope (c or 1)");
            return 1;
        }
        const IDimensionExpr* const* const x = inputs[0].d;
        const std::int64_t channels = fixed(x[1]), bias = fixed(inputs[1].d[0]),
                           slope = fixed(inputs[2].d[0]), area = std::int64_t{r_} * r_;
        if (channels < area || channels % area != 0) {
            complain(std::to_string(channels) +
                     " channels are no multiple of r * r = " + std::to_string(area));
            return 1;
        }
        if (bias != channels || (slope != channels / area && slope != 1)) {
            complain("bias of " + std::to_string(bias) + " and slope of " + std::to_string(slope) +
                     " do not go with " + std::to_string(channels) + " channels");
            return 1;
        }
        const IDimensionExpr& r = *make.constant(r_);
        outputs[0].nbDims = 4;
        outputs[0].d[0] = x[0];
        outputs[0].d[1] = make.constant(channels / area);
        outputs[0].d[2] = make.operation(DimensionOperation::kPROD, *x[2], r);
        outputs[0].d[3] = make.operation(DimensionOperation::kPROD, *x[3], r);
        return 0;
    }

    bool supportsFormatCombination(std::int32_t at, const DynamicPluginTensorDesc* tensors,
                                   std::int32_t, std::int32_t) noexcept override {
        const PluginTensorDesc &own = tensors[at].desc, &x = tensors[0].desc;
        const bool linear = own.format == TensorFormat::kLINEAR;
        if (at == 1 || at == 2) return linear && own.type == DataType::kFLOAT;
        if (at == 3) return own.format == x.format && own.type == x.type;
        const bool whole = own.dims.d[1] > 0 && own.dims.d[1] % (8 * r_ * r_) == 0;
        return (linear && own.type == DataType::kFLOAT) ||
               ((linear || (channels_last(own) && whole)) && own.type == DataType::kHALF);
    }

    const char* getTimingCacheID() noexcept override { return id_.c_str(); }

    // ---- runtime

    std::int32_t onShapeChange(const PluginTensorDesc*, std::int32_t, const PluginTensorDesc*,
                               std::int32_t) noexcept override {
        return 0;
    }

    std::int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc* out,
                         const void* const* inputs, void* const* outputs, void*,
                         cudaStream_t stream) noexcept override {
        const cuda::PReLU prelu{static_cast<const float*>(inputs[1]),
                                static_cast<const float*>(inputs[2]), in[2].dims.d[0] == 1};
        try {
            cuda::pixel_shuffle_prelu(tensor<cuda::Tensor>(out[0], outputs[0]),
                                      tensor<cuda::ConstTensor>(in[0], inputs[0]), r_, prelu,
                                      stream);
        } catch (const std::exception& error) {
            complain(error.what());
            return 1;
        }
        return 0;
    }

    IPluginV3* attachToContext(IPluginResourceContext*) noexcept override { return clone(); }

    const PluginFieldCollection* getFieldsToSerialize() noexcept override { return &fields_; }

 private:
    static std::int64_t fixed(const IDimensionExpr* size) {
        return size->isConstant() ? size->getConstantValue() : -1;
    }

    const std::int32_t r_;
    const std::string id_;
    const PluginField field_{"r", &r_, PluginFieldType::kINT32, 1};
    const PluginFieldCollection fields_{1, &field_};
};

class Creator final : public IPluginCreatorV3One {
 public:
    const char* getPluginName() const noexcept override { return kName; }
    const char* getPluginVersion() const noexcept override { return kVersion; }
    const char* getPluginNamespace() const noexcept override { return kNamespace; }
    const PluginFieldCollection* getFieldNames() noexcept override { return &fields_; }

    // Both from an ONNX node's attributes and from an engine's serialised fields.
    IPluginV3* createPlugin(const char*, const PluginFieldCollection* given,
                            TensorRTPhase) noexcept override {
        std::int64_t r = 0;
        for (std::int32_t k = 0; given && k < given->nbFields; ++k) {
            const PluginField& field = given->fields[k];
            if (!field.name || std::string(field.name) != "r" || !field.data) continue;
            if (field.type == PluginFieldType::kINT32 && field.length == 1) {
                r = *static_cast<const std::int32_t*>(field.data);
            } else if (field.type == PluginFieldType::kINT64 && field.length == 1) {
                r = *static_cast<const std::int64_t*>(field.data);
            }
        }
        if (r < 1 || r > 8 || !known(static_cast<int>(r))) {
            complain("needs r = 1, 2, 3, 4 or 8");
            return nullptr;
        }
        return new (std::nothrow) Plugin(static_cast<std::int32_t>(r));
    }

 private:
    const PluginField field_{"r", nullptr, PluginFieldType::kINT32, 1};
    const PluginFieldCollection fields_{1, &field_};
};

}  // namespace
}  // namespace srsdk::plugin

// What IPluginRegistry::loadLibrary asks a library for.
#define SRSDK_EXPORT extern "C" __attribute__((visibility("default")))

SRSDK_EXPORT nvinfer1::IPluginCreatorInterface* const* getCreators(std::int32_t& count) {
    static srsdk::plugin::Creator creator;
    static nvinfer1::IPluginCreatorInterface* const creators[] = {&creator};
    count = 1;
    return creators;
}

SRSDK_EXPORT void setLoggerFinder(nvinfer1::ILoggerFinder* finder) {
    srsdk::plugin::finder = finder;
}
