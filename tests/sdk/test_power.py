"""Energy counters, on trees of files as the kernel lays them out.

RAPL: Documentation/power/powercap/powercap.rst; INA3221: Documentation/hwmon/ina3221.rst (hwmon),
and NVIDIA's driver of Jetson Linux up to 32, which is under iio. Values in the files are made up
and nothing here is a measurement.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from srsdk import power


def write(folder: Path, **files: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name).write_text(f"{value}\n", "ascii")
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """Two packages with cores and memory, and the platform, which has the packages in it."""
    base = tmp_path / "class" / "powercap"
    write(base / "intel-rapl", enabled=1)
    for n in (0, 1):
        span = 262143328850
        write(
            base / f"intel-rapl:{n}", name=f"package-{n}", energy_uj=100, max_energy_range_uj=span
        )
        write(base / f"intel-rapl:{n}:0", name="core", energy_uj=70, max_energy_range_uj=span)
        write(
            base / f"intel-rapl:{n}:1", name="dram", energy_uj=10, max_energy_range_uj=65712999613
        )
    write(base / "intel-rapl:2", name="psys", energy_uj=500, max_energy_range_uj=262143328850)
    write(base / "intel-rapl-mmio:0", name="package-0", energy_uj=100, max_energy_range_uj=5)
    return tmp_path


def test_rapl_adds_packages_and_memory_once(server: Path) -> None:
    names = ["intel-rapl:0", "intel-rapl:0:1", "intel-rapl:1", "intel-rapl:1:1"]
    assert [zone.name for zone in power.rapl_zones(server)] == names
    counter = power.Rapl(server)
    assert counter.name == "RAPL package-0, dram, package-1, dram"
    assert counter.joules() == 0
    base = server / "class" / "powercap"
    write(base / "intel-rapl:0", energy_uj=100 + 2_500_000)
    write(base / "intel-rapl:0:1", energy_uj=10 + 500_000)
    write(base / "intel-rapl:0:0", energy_uj=9_000_000)  # in the package already
    write(base / "intel-rapl:2", energy_uj=9_000_000)
    assert counter.joules() == pytest.approx(3.0)
    assert counter.joules() == pytest.approx(3.0)


def test_rapl_counters_go_round(server: Path) -> None:
    zone = server / "class" / "powercap" / "intel-rapl:0"
    write(zone, energy_uj=262143328850 - 1_000_000)
    counter = power.Rapl(server)
    write(zone, energy_uj=2_000_000)
    assert counter.joules() == pytest.approx(3.0)
    write(zone, energy_uj=1_000_000)
    assert counter.joules() == pytest.approx(3.0 + 262143.32885 - 1.0)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_rapl_that_only_root_may_read(server: Path) -> None:
    (server / "class" / "powercap" / "intel-rapl:1" / "energy_uj").chmod(0)
    with pytest.raises(LookupError, match="sudo chmod"):
        power.Rapl(server)


def test_rapl_with_nonsense_in_it(server: Path) -> None:
    write(server / "class" / "powercap" / "intel-rapl:1", energy_uj="")
    with pytest.raises(LookupError, match="cannot read"):
        power.Rapl(server)


@pytest.fixture
def orin_nx(tmp_path: Path) -> Path:
    """The supply of the module and two that it feeds."""
    hwmon = tmp_path / "bus" / "i2c" / "drivers" / "ina3221" / "1-0040" / "hwmon" / "hwmon3"
    channels = (("VDD_IN", 5000, 1200), ("VDD_CPU_GPU_CV", 4984, 400), ("VDD_SOC", 4984, 300))
    for n, (label, millivolts, milliamperes) in enumerate(channels, 1):
        files = {f"in{n}_label": label, f"in{n}_input": millivolts, f"curr{n}_input": milliamperes}
        write(hwmon, name="ina3221", **files)
    write(hwmon, in7_label="sum of shunt voltages", in7_input=9, curr4_input=1900)
    return tmp_path


def test_a_module_with_a_supply_for_all(orin_nx: Path) -> None:
    watts = {rail.name: rail.watts() for rail in power.jetson_rails(orin_nx)}
    assert watts == {"VDD_IN": 6.0, "VDD_CPU_GPU_CV": 1.9936, "VDD_SOC": 1.4952}
    counter = power.JetsonRails(orin_nx)
    assert counter.name == "INA3221 VDD_IN"
    counter.close()


def test_energy_is_power_over_time(orin_nx: Path) -> None:
    began = time.perf_counter()
    with_slack = power.JetsonRails(orin_nx)
    first = time.perf_counter()
    time.sleep(0.2)
    before = time.perf_counter() - first
    joules = with_slack.joules()
    after = time.perf_counter() - began
    with_slack.close()
    with_slack.close()
    assert 6 * before <= joules <= 6 * after


def test_a_module_whose_supplies_add_up(tmp_path: Path) -> None:
    """AGX Orin: none feeds the others; channels that are not connected say NC or nothing."""
    drivers = tmp_path / "bus" / "i2c" / "drivers" / "ina3221"
    first, second = drivers / "1-0040" / "hwmon" / "hwmon3", drivers / "1-0041" / "hwmon" / "hwmon4"
    write(first, in1_label="VDD_GPU_SOC", in1_input=10000, curr1_input=100)
    write(first, in2_label="VDD_CPU_CV", in2_input=10000, curr2_input=50)
    write(first, in3_label="VIN_SYS_5V0", in3_input=5000, curr3_input=500)
    write(second, in1_label="NC", in1_input=0, curr1_input=0)
    write(second, in2_label="VDDQ_VDD2_1V8AO", in2_input=5000, curr2_input=100)
    write(second, in3_label="", in3_input=0, curr3_input=0)
    counter = power.JetsonRails(tmp_path)
    counter.close()
    rails = power.jetson_rails(tmp_path)
    assert sum(rail.watts() for rail in rails) == pytest.approx(1.0 + 0.5 + 2.5 + 0.5)
    assert counter.name.endswith("VDD_GPU_SOC, VDD_CPU_CV, VIN_SYS_5V0, VDDQ_VDD2_1V8AO")


def test_a_nano_with_the_older_driver(tmp_path: Path) -> None:
    device = tmp_path / "bus" / "i2c" / "drivers" / "ina3221x" / "6-0040" / "iio:device0"
    write(device, rail_name_0="POM_5V_IN", in_power0_input=2150)
    write(device, rail_name_1="POM_5V_GPU", in_power1_input=40)
    write(device, rail_name_2="POM_5V_CPU", in_power2_input=500)
    meter = power.open_meter(gpu=True, sysfs=tmp_path)
    meter.close()
    assert meter.sensor == "INA3221 POM_5V_IN"
    assert power.jetson_rails(tmp_path)[0].watts() == 2.15


def test_a_machine_without_sensors(tmp_path: Path) -> None:
    meter = power.open_meter(gpu=False, sysfs=tmp_path)
    assert (meter.sensor, meter.joules()) == (None, None)
    assert len(meter.missing) == 1
    assert "RAPL" in meter.missing[0]
    meter.close()


def test_a_gpu_without_its_library(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    meter = power.open_meter(gpu=True, sysfs=server)
    assert meter.sensor == "RAPL package-0, dram, package-1, dram"
    assert meter.missing == ("GPU energy needs NVML: pip install nvidia-ml-py",)


class _NvmlError(Exception):
    pass


def stand_in(*, energy: bool) -> SimpleNamespace:
    """pynvml's calls on a card that draws 200 W, which no machine of the tests has."""
    calls: list[str] = []
    began = time.perf_counter()

    def total(gpu: int) -> int:
        if not energy:
            raise _NvmlError("Not Supported")
        return 7_000_000 + int(200e3 * (time.perf_counter() - began))

    return SimpleNamespace(
        calls=calls,
        NVMLError=_NvmlError,
        nvmlInit=lambda: calls.append("init"),
        nvmlShutdown=lambda: calls.append("shutdown"),
        nvmlDeviceGetHandleByIndex=lambda index: calls.append(f"index {index}"),
        nvmlDeviceGetHandleByUUID=lambda uuid: calls.append(f"uuid {uuid}"),
        nvmlDeviceGetName=lambda gpu: b"A Card",
        nvmlDeviceGetTotalEnergyConsumption=total,
        nvmlDeviceGetPowerUsage=lambda gpu: 200_000,
    )


@pytest.mark.parametrize("energy", [True, False])
@pytest.mark.parametrize(
    ("visible", "call"), [("", "index 0"), ("2,1", "index 2"), ("GPU-8a", "uuid GPU-8a")]
)
def test_gpu(monkeypatch: pytest.MonkeyPatch, energy: bool, visible: str, call: str) -> None:
    nvml = stand_in(energy=energy)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    began = time.perf_counter()
    counter = power.Nvml()
    first = time.perf_counter()
    time.sleep(0.1)
    least = 200 * (time.perf_counter() - first)
    joules = counter.joules()
    assert 0.9 * least - 0.1 <= joules <= 200 * (time.perf_counter() - began) + 0.1
    assert counter.name == "NVML A Card"
    counter.close()
    counter.close()
    assert nvml.calls == ["init", call, "shutdown"]


def test_gpu_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = stand_in(energy=True)

    def fail() -> None:
        raise _NvmlError("NVML Shared Library Not Found")

    nvml.nvmlInit = fail
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    with pytest.raises(LookupError, match="Shared Library Not Found"):
        power.Nvml()
    assert nvml.calls == []
