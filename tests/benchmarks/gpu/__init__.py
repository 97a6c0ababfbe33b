"""What `make gpu-check OUT=DIRECTORY` runs: `python -m tests.benchmarks.gpu DIRECTORY`.

Steps, each in processes of its own, so that one that crashes takes nothing with it:

build       the package with SRSDK_CUDA=ON, into an environment of its own (DIRECTORY/venv) that
            sees the packages of the Python that runs this, which is left as it is.
tests       `pytest -m gpu` on tests/gpu and tests/export.
kernels     each CUDA kernel against a device-to-device copy and against torch.
network     srsdk's own engine (backend "cuda-native") on the device.
engines     float16 ONNX files of the bundled generators, and TensorRT engines of them.
plugin      an engine with the TensorRT plugin against one without.
generators  each bundled generator at each size in torch and in every backend of srsdk's.

`--quick` takes srsdk as it is installed and runs network, a few generators with their engines,
kernels and tests/gpu in four minutes, with a limit for each and the report written after each; see
quick.py. Engines are of TensorRT or TensorRT-RTX, whichever is installed.

Exit status: 1 where a step failed (a test, the build, a crash, wrong pixels) or a bar was measured
and missed; 0 otherwise, also where nothing could run for want of a GPU, a compiler or a package;
2 for options that make no sense. `--only` runs some of the steps and keeps the others' results of
an earlier run into the same directory.

DIRECTORY/report.json, also told as Markdown in report.md:

    format        1
    made          time in UTC
    commit        of the sources, with "+" where files differ from it
    machine       device, compute_capability, memory_bytes, driver, driver_cuda, nvcc, processor,
                  system, and the version of each package; "" where there is none
    options       the command line's
    verdict       "passed", "failed", or "nothing measured"
    bars          [{what, wanted, measured, met}]
    could_not_run [{what, reason}]
    steps         by name: {status, reason, seconds, made, result}; status is "passed", "failed" or
                  "could not run", and result, by step,
      build       {python, command}
      tests       {passed, failed, errors, skipped, failures: [{test, message}],
                   skips: [{reason, tests}]}
      kernels     {machine, repeats, rows: [{kernel, shape, bytes, seconds: {kernel, copy, torch:
                   {median, min}}, bytes_per_second, of_copy, bar_of_copy, torch_over_kernel,
                   bar_of_torch}]}; a row that failed has {kernel, shape, error}
      network     {rows: [{model, input, launches, trials: [{launches, ms}], p50_ms, min_ms,
                   tera_operations_per_second, goal_ms, largest_difference, mean_difference}]}; a
                   row that failed has {model, input, error}
      engines     {flavour, files: {model: {onnx, engine, build_seconds}}}
      plugin      {rows: [{input, native_p50_ms, plugin_p50_ms, ratio, worth, largest_difference}]}
      generators  {rows: [{model, batch, width, height, runner, clock, runs, p50_ms, p95_ms, p99_ms,
                   fps, largest_difference}], left_out: [{model, batch, width, height, runner,
                   reason}], failures: the same}

`clock` is "device" (CUDA events around the work, frames already on the GPU, results left there),
"host" (wall clock from frames in host memory to results in an array of the caller's) or "stream"
(wall clock of a batch where the next is submitted before a result is waited for; results in pinned
memory). `fps` is frames, not
batches, by the median. `largest_difference` is in grey levels, from torch eager.
"""
