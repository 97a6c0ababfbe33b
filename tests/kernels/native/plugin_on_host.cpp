// The TensorRT plugin run by the host, the kernel's body in the kernel's place: tests/export.
#include <NvInferRuntime.h>

#include <memory>

#include "../../../kernels/cuda/on_host.h"
#include "../../../kernels/cuda/pixel_shuffle.h"

namespace srsdk::cuda {

void pixel_shuffle_prelu(const Tensor& dst, const ConstTensor& src, int r, const PReLU& prelu,
                         Stream) {
    pixel_shuffle_prelu_with(dst, src, r, prelu, OnHost{false});
}

}  // namespace srsdk::cuda

using namespace nvinfer1;

extern "C" IPluginCreatorInterface* const* getCreators(std::int32_t& count);

namespace {

PluginTensorDesc describe(DataType type, TensorFormat format, Dims dims) {
    PluginTensorDesc made{};
    made.dims = dims;
    made.type = type;
    made.format = format;
    return made;
}

}  // namespace

// 0, or -1 where the plugin takes no such types and layouts, or -2 where it does not run.
extern "C" __attribute__((visibility("default"))) int run(int r, int type, int bias_type,
                                                          int format, std::int64_t n,
                                                          std::int64_t c, std::int64_t h,
                                                          std::int64_t w, std::int64_t slopes,
                                                          const void* x, const void* bias,
                                                          const void* slope, void* y) {
    std::int32_t count = 0;
    auto* const creator = static_cast<IPluginCreatorV3One*>(getCreators(count)[0]);
    const PluginField field{"r", &r, PluginFieldType::kINT32, 1};
    const PluginFieldCollection fields{1, &field};
    const std::unique_ptr<IPluginV3> built{
        creator->createPlugin("built", &fields, TensorRTPhase::kBUILD)};
    if (count != 1 || !built) return -2;

    const auto own = static_cast<DataType>(type), small = static_cast<DataType>(bias_type);
    const auto layout = static_cast<TensorFormat>(format);
    const std::int64_t wide = c * r * r;
    const PluginTensorDesc in[] = {
        describe(own, layout, {4, {n, wide, h, w}}),
        describe(small, TensorFormat::kLINEAR, {1, {wide}}),
        describe(small, TensorFormat::kLINEAR, {1, {slopes}}),
    };
    const PluginTensorDesc out = describe(own, layout, {4, {n, c, h * r, w * r}});
    auto* const build = static_cast<IPluginV3OneBuild*>(
        built->getCapabilityInterface(PluginCapabilityType::kBUILD));
    DynamicPluginTensorDesc all[4]{};
    for (int k = 0; k < 3; ++k) all[k].desc = in[k];
    all[3].desc = out;
    for (int at = 0; at < 4; ++at) {
        if (!build->supportsFormatCombination(at, all, 3, 1)) return -1;
    }

    // As an engine does: what the one writes makes the other, of which each context has a copy.
    auto* const writer = static_cast<IPluginV3OneRuntime*>(
        built->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
    const std::unique_ptr<IPluginV3> read{
        creator->createPlugin("read", writer->getFieldsToSerialize(), TensorRTPhase::kRUNTIME)};
    if (!read) return -2;
    const std::unique_ptr<IPluginV3> copy{
        static_cast<IPluginV3OneRuntime*>(
            read->getCapabilityInterface(PluginCapabilityType::kRUNTIME))
            ->attachToContext(nullptr)};
    auto* const runtime = static_cast<IPluginV3OneRuntime*>(
        copy->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
    const void* const inputs[] = {x, bias, slope};
    void* const outputs[] = {y};
    if (runtime->onShapeChange(in, 3, &out, 1)) return -2;
    return runtime->enqueue(in, &out, inputs, outputs, nullptr, nullptr) ? -2 : 0;
}
