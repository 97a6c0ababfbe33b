"""Energy from the machine's sensors: RAPL, the INA3221 of a Jetson, NVML.

The Linux kernel documents the first two in Documentation/power/powercap/powercap.rst and
Documentation/hwmon/ina3221.rst. Nothing is estimated: without a sensor there is no figure.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

SYSFS = Path("/sys")

_WHOLE_MODULE = {"VDD_IN", "POM_5V_IN", "5V_IN"}
"""Rails of a Jetson that feed all others. AGX modules have none; there all rails are added."""

_SAMPLING = 0.05  # seconds; the sensor itself averages over some milliseconds


class Counter(Protocol):
    """One source of energy figures."""

    @property
    def name(self) -> str:
        """The sensor's name, for people."""
        ...

    def joules(self) -> float:
        """Energy since the counter was created; never falls."""
        ...

    def close(self) -> None:
        """Stop reading; calling twice is fine."""
        ...


@dataclass(frozen=True)
class Meter:
    """All counters of this machine.

    Attributes:
        counters: They measure different parts of the machine, so they add up.
        missing: For each sensor that cannot be read, a line that says why.
    """

    counters: tuple[Counter, ...]
    missing: tuple[str, ...]

    @property
    def sensor(self) -> str | None:
        """Names of the counters, or None."""
        return " + ".join(counter.name for counter in self.counters) or None

    def joules(self) -> float | None:
        """Energy since the meter was made, idle power included; None without a sensor."""
        if not self.counters:
            return None
        return sum(counter.joules() for counter in self.counters)

    def close(self) -> None:
        """Stop reading; calling twice is fine."""
        for counter in self.counters:
            counter.close()


def open_meter(*, gpu: bool, sysfs: Path = SYSFS) -> Meter:
    """Find what there is: a Jetson's rails, which cover its GPU, or else packages and the GPU.

    Args:
        gpu: Whether a generator runs on an NVIDIA GPU, whose energy then belongs to the frame.
        sysfs: Where the kernel shows its devices.
    """
    try:
        return Meter((JetsonRails(sysfs),), ())
    except LookupError:
        pass  # not a Jetson
    tries: list[Callable[[], Counter]] = [lambda: Rapl(sysfs)]
    if gpu:
        tries.append(Nvml)
    counters, missing = [], []
    for attempt in tries:
        try:
            counters.append(attempt())
        except LookupError as error:
            missing.append(str(error.args[0]))
    return Meter(tuple(counters), tuple(missing))


class Rapl:
    """Energy of processor packages and of memory, counted by Intel's and AMD's processors.

    Raises:
        LookupError: There are no such counters, or this user may not read them.
    """

    def __init__(self, sysfs: Path = SYSFS) -> None:
        zones = rapl_zones(sysfs)
        if not zones:
            raise LookupError("no processor energy counters (RAPL) under /sys/class/powercap")
        self._zones: list[tuple[Path, int]] = []
        self._last: list[int] = []
        self._total = 0
        for zone in zones:
            counter = zone / "energy_uj"
            try:
                self._last.append(_number(counter))
                self._zones.append((counter, _number(zone / "max_energy_range_uj")))
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise LookupError(
                    f"cannot read {counter} ({reason}); run as root, or: sudo chmod a+r {counter}"
                ) from error

    @property
    def name(self) -> str:
        return "RAPL " + ", ".join(_text(path.with_name("name")) for path, _ in self._zones)

    def joules(self) -> float:
        """As `Counter.joules`; call it more often than a counter wraps, which takes minutes."""
        for number, (counter, span) in enumerate(self._zones):
            now = _number(counter)
            step = now - self._last[number]
            self._total += step if step >= 0 else step + span
            self._last[number] = now
        return self._total / 1e6

    def close(self) -> None:
        pass


def rapl_zones(sysfs: Path) -> list[Path]:
    """Zones to add up: packages, and memory, which a package does not include."""
    zones = []
    for zone in sorted((sysfs / "class" / "powercap").glob("intel-rapl:*")):
        try:
            name = _text(zone / "name")
        except OSError:
            continue
        package = re.fullmatch(r"intel-rapl:\d+", zone.name) and name.startswith("package")
        memory = re.fullmatch(r"intel-rapl:\d+:\d+", zone.name) and name == "dram"
        if package or memory:
            zones.append(zone)
    return zones


class _Sampled:
    """Energy from power, which a thread reads; the trapezoidal rule adds it up."""

    def __init__(self, watts: Callable[[], float], every: float = _SAMPLING) -> None:
        self._watts = watts
        self._lock = threading.Lock()
        self._total = 0.0
        self._power, self._at = watts(), time.perf_counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, args=(every,), daemon=True)
        self._thread.start()

    def _sample(self, every: float) -> None:
        while not self._stop.wait(every):
            self.joules()

    def joules(self) -> float:
        with self._lock:
            try:
                power, now = self._watts(), time.perf_counter()
            except OSError:
                return self._total  # the bus was busy; the next reading covers the gap
            self._total += (power + self._power) / 2 * (now - self._at)
            self._power, self._at = power, now
            return self._total

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


@dataclass(frozen=True)
class Rail:
    """One supply of a Jetson; `files` are voltage (mV) and current (mA), or power (mW) alone."""

    name: str
    files: tuple[Path, ...]

    def watts(self) -> float:
        """The current power."""
        values = [_number(file) for file in self.files]
        return values[0] * values[1] / 1e6 if len(values) == 2 else values[0] / 1e3


class JetsonRails:
    """Energy of a Jetson module, from the INA3221 sensors that tegrastats reads as well.

    Raises:
        LookupError: There is no such sensor, or this user may not read it.
    """

    def __init__(self, sysfs: Path = SYSFS) -> None:
        rails = jetson_rails(sysfs)
        whole = [rail for rail in rails if rail.name in _WHOLE_MODULE]
        self._rails: Sequence[Rail] = whole or rails
        if not rails:
            raise LookupError("no INA3221 sensor")
        self._sampled = _Sampled(lambda: sum(rail.watts() for rail in self._rails))

    @property
    def name(self) -> str:
        return "INA3221 " + ", ".join(rail.name for rail in self._rails)

    def joules(self) -> float:
        return self._sampled.joules()

    def close(self) -> None:
        self._sampled.close()


def jetson_rails(sysfs: Path) -> list[Rail]:
    """Named supplies: hwmon from Jetson Linux 34 on, industrial I/O before that."""
    drivers = sysfs / "bus" / "i2c" / "drivers"
    rails: list[tuple[Path, tuple[Path, ...]]] = []
    for label in sorted(drivers.glob("ina3221/*/hwmon/hwmon*/in[123]_label")):
        number = label.name[2]
        files = (label.with_name(f"in{number}_input"), label.with_name(f"curr{number}_input"))
        rails.append((label, files))
    for label in sorted(drivers.glob("ina3221x/*/iio:device*/rail_name_[012]")):
        rails.append((label, (label.with_name(f"in_power{label.name[-1]}_input"),)))
    found = []
    for label, readings in rails:
        try:
            rail = Rail(_text(label), readings)
            rail.watts()
        except (OSError, ValueError):
            continue  # a channel that is switched off
        if rail.name not in ("", "NC"):  # not connected
            found.append(rail)
    return found


class Nvml:
    """Energy of the NVIDIA GPU that CUDA_VISIBLE_DEVICES names first, or of the first GPU.

    Raises:
        LookupError: The package, the driver or the counter is missing.
    """

    def __init__(self) -> None:
        try:
            import pynvml
        except ImportError:
            raise LookupError("GPU energy needs NVML: pip install nvidia-ml-py") from None
        self._nvml: Any = pynvml
        self._sampled: _Sampled | None = None
        self._open = False
        try:
            pynvml.nvmlInit()
            self._open = True
            self._gpu = _chosen_gpu(pynvml)
            label = pynvml.nvmlDeviceGetName(self._gpu)
            self.name = "NVML " + (label.decode() if isinstance(label, bytes) else label)
            try:
                self._first = pynvml.nvmlDeviceGetTotalEnergyConsumption(self._gpu)
            except pynvml.NVMLError:  # before Volta
                self._sampled = _Sampled(lambda: pynvml.nvmlDeviceGetPowerUsage(self._gpu) / 1e3)
        except pynvml.NVMLError as error:
            self.close()
            raise LookupError(f"the GPU's energy cannot be read: {error}") from error

    def joules(self) -> float:
        if self._sampled is not None:
            return self._sampled.joules()
        now = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._gpu)
        return float(now - self._first) / 1e3

    def close(self) -> None:
        if self._sampled is not None:
            self._sampled.close()
        if self._open:
            self._open = False
            self._nvml.nvmlShutdown()


def _chosen_gpu(nvml: Any) -> Any:
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    if first.startswith("GPU-"):
        return nvml.nvmlDeviceGetHandleByUUID(first)
    return nvml.nvmlDeviceGetHandleByIndex(int(first) if first.isdigit() else 0)


def _text(path: Path) -> str:
    return path.read_text("utf-8").strip()


def _number(path: Path) -> int:
    return int(_text(path))
