"""What runs the stages: this process, or Ray Data on one machine or many. Results are the same."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, Protocol

from vignette.errors import PIP_INSTALL, ConfigError
from vignette.surd.stages import Row, Stage, Work

Keyed = tuple[str, Row]
# Batches in one of Ray's blocks, at most.
LARGEST_BLOCK = 32


class Engine(Protocol):
    def run(self, stage: Stage, rows: list[Keyed]) -> Iterator[list[Keyed]]:
        """Batches of `(key, result)`, in any order, each as soon as it is done."""
        ...

    def close(self) -> None: ...


class LocalEngine:
    """One batch after another, in this process."""

    def run(self, stage: Stage, rows: list[Keyed]) -> Iterator[list[Keyed]]:
        if not rows:
            return
        work = stage.make(**stage.arguments)
        for start in range(0, len(rows), stage.batch_size):
            batch = rows[start : start + stage.batch_size]
            yield _worked(stage, work, batch)

    def close(self) -> None:
        pass


class RayEngine:
    """Ray Data: every worker loads the stage once and takes batches. Workers read pictures by path, so the build's
    folder has to lie where all of them see it. This process alone writes the state.

    Args:
        address (`str`, *optional*): a running cluster (`auto`, `ray://…`); none starts one on this machine.
        workers (`int`, *optional*): processes per stage; none means one per GPU for the models and one per core else.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        # Ray reports usage to its makers unless told not to.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray would hide the GPUs from workers that ask for none, and warns that it will cease to.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
            import ray.data
        except ImportError:
            raise ConfigError(
                f"--engine ray needs Ray: {PIP_INSTALL} -r gpu-runner/requirements-surd-ray.txt."
            ) from None
        self._ray: Any = ray
        self._workers = workers
        self._own = not ray.is_initialized()
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
        if address is None:
            # Said outright, since Ray would otherwise take RAY_ADDRESS of the environment for one.
            options |= {"address": "local", "include_dashboard": False, "num_cpus": workers}
        else:
            import vignette

            options |= {"address": address, "runtime_env": {"py_modules": [os.path.dirname(vignette.__file__)]}}
        if self._own:
            try:
                ray.init(**options)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ConfigError(f"No Ray cluster at {address or 'this machine'}: {error}") from None
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False

    def run(self, stage: Stage, rows: list[Keyed]) -> Iterator[list[Keyed]]:
        if not rows:
            return
        import pyarrow as pa

        gpus = self._ray.cluster_resources().get("GPU", 0) if stage.device else 0
        slots = gpus or self._ray.cluster_resources().get("CPU", 1)
        # A worker beyond the slots would be waited for without end; one beyond the batches would have nothing to do.
        workers = max(1, min(self._workers or int(slots), int(slots), -(-len(rows) // stage.batch_size)))
        # Ray hands out whole blocks, so every worker needs several to choose from, each of whole batches.
        batches = min(LARGEST_BLOCK, -(-len(rows) // (4 * workers * stage.batch_size)))
        size = batches * stage.batch_size
        blocks = []
        for start in range(0, len(rows), size):
            blocks.append(pa.table({"row": [json.dumps(keyed) for keyed in rows[start : start + size]]}))
        data = self._ray.data.from_arrow(blocks).map_batches(
            _Worker,
            fn_constructor_args=(stage,),
            batch_size=stage.batch_size,
            batch_format="pyarrow",
            compute=self._ray.data.ActorPoolStrategy(size=workers),
            num_gpus=1 if gpus else None,
        )
        try:
            for batch in data.iter_batches(batch_size=stage.batch_size, batch_format="pyarrow"):
                done = [(key, result) for key, result in map(json.loads, batch.column("row").to_pylist())]
                complaint = next((result for key, result in done if key is None), None)
                if complaint is not None:
                    raise ConfigError(complaint)
                yield done
        except self._ray.exceptions.RayError as error:
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise ConfigError(f"A Ray worker failed: {last}") from None

    def close(self) -> None:
        if self._own:
            self._ray.shutdown()


class _Worker:
    """One of Ray's processes. Rows travel as JSON, because Arrow guesses types from a batch and batches differ.

    A ConfigError travels as a row without a key: raised here, Ray would take it for a mishap and try again without end.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._work: Work | None = None

    def __call__(self, batch: Any) -> Any:
        import pyarrow as pa

        rows = [(key, row) for key, row in map(json.loads, batch.column("row").to_pylist())]
        try:
            self._work = self._work or self._stage.make(**self._stage.arguments)
            done: list[Any] = _worked(self._stage, self._work, rows)
        except ConfigError as error:
            done = [(None, str(error))]
        return pa.table({"row": [json.dumps(keyed) for keyed in done]})


def _worked(stage: Stage, work: Work, batch: list[Keyed]) -> list[Keyed]:
    results = work([row for _, row in batch])
    if len(results) != len(batch):
        raise RuntimeError(f"{stage.name} gave {len(results)} results for {len(batch)} rows")
    return [(key, result) for (key, _), result in zip(batch, results, strict=True)]
