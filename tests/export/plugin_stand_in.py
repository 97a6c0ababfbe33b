"""The part of the plugin that TensorRT needs for building, in Python; it cannot run."""

from typing import Any

import numpy as np
import tensorrt_rtx as trt


class StandIn(trt.IPluginV3, trt.IPluginV3OneCore, trt.IPluginV3OneBuild, trt.IPluginV3OneRuntime):
    def __init__(self, r: int) -> None:
        for base in StandIn.__bases__:
            base.__init__(self)
        self.r = r
        self.num_outputs = 1
        self.plugin_name, self.plugin_version = "SrsdkPixelShufflePReLU", "1"
        self.plugin_namespace = "srsdk"

    def get_capability_interface(self, kind: Any) -> Any:
        return self

    def clone(self) -> Any:
        return StandIn(self.r)

    def configure_plugin(self, inputs: Any, outputs: Any) -> Any:
        pass

    def get_output_data_types(self, types: Any) -> Any:
        return [types[0]]

    def get_output_shapes(self, inputs: Any, shape_inputs: Any, make: Any) -> Any:
        result, x = trt.DimsExprs(4), inputs[0]
        result[0] = x[0]
        area = make.constant(self.r**2)
        result[1] = make.operation(trt.DimensionOperation.FLOOR_DIV, x[1], area)
        for axis in (2, 3):
            r = make.constant(self.r)
            result[axis] = make.operation(trt.DimensionOperation.PROD, x[axis], r)
        return [result]

    def supports_format_combination(self, at: Any, tensors: Any, inputs: Any) -> Any:
        own = tensors[at].desc
        kind = trt.float32 if at in (1, 2) else tensors[0].desc.type
        return own.format == trt.TensorFormat.LINEAR and own.type == kind

    def get_fields_to_serialize(self) -> Any:
        r = np.array([self.r], np.int32)
        return trt.PluginFieldCollection([trt.PluginField("r", r, trt.PluginFieldType.INT32)])

    def get_valid_tactics(self) -> Any:
        return []


class Creator(trt.IPluginCreatorV3One):
    def __init__(self) -> None:
        super().__init__()
        self.name, self.plugin_version = "SrsdkPixelShufflePReLU", "1"
        self.plugin_namespace = "srsdk"
        empty = np.array([], np.int32)
        field = trt.PluginField("r", empty, trt.PluginFieldType.INT32)
        self.field_names = trt.PluginFieldCollection([field])
        self.made: list[Any] = []  # TensorRT does not keep them

    def create_plugin(self, name: Any, fields: Any, phase: Any) -> Any:
        given = {field.name: field.data for field in fields}
        self.made.append(StandIn(int(given["r"][0])))
        return self.made[-1]


creator = Creator()
assert trt.get_plugin_registry().register_creator(creator, "srsdk")
