"""The adapter that a run begins with: a new one, or the one that `--start` names."""

from __future__ import annotations

from vignette.errors import ConfigError
from vignette.sur import SURAdapter
from vignette.sur.text_encoder import check_text_encoder
from vignette.training.frozen import FrozenModel
from vignette.training.options import BUILT, Options


def first_adapter(options: Options, frozen: FrozenModel, teacher_dim: int | None) -> SURAdapter:
    """
    Args:
        teacher_dim: The teacher's width, `None` without a teacher.

    Raises:
        ConfigError: A start that does not fit the model, the teacher or the options.
    """
    width, marks = sum(frozen.widths), frozen.identify()
    if options.start is not None:
        try:
            adapter = SURAdapter.load(options.start)
        except ValueError as error:
            raise ConfigError(f"--start: {error}") from None
        if adapter.config["hidden_size"] != width:
            raise ConfigError(
                f"--start {options.start} is {adapter.config['hidden_size']} wide, {options.model} has states {width}"
                " wide: it was made for another text encoder."
            )
        remedy = "take text_encoder out of its config.json"
        check_text_encoder(adapter, marks, f"--start {options.start}", str(options.model), remedy)
        _check_teacher(options, adapter, teacher_dim)
        _check_build(options, adapter)
        if options.adapt_negative:
            adapter.register_to_config(adapt_negative=True)
        adapter.register_to_config(text_encoder=marks)
        return adapter
    if width % options.num_heads:
        raise ConfigError(f"--num-heads {options.num_heads} has to divide {width}, the width of the text states.")
    return SURAdapter(
        width,
        layout=options.layout,
        num_layers=options.num_layers,
        num_heads=options.num_heads,
        feedforward_size=options.feedforward_size,
        dropout=options.dropout,
        eta=options.eta,
        adapt_negative=options.adapt_negative,
        mask_padding=options.mask_padding,
        max_length=frozen.max_length,
        teacher_dim=teacher_dim if options.distil != "kl-published" else None,
        text_encoder=marks,
    )


def _check_teacher(options: Options, adapter: SURAdapter, teacher_dim: int | None) -> None:
    head = adapter.config["teacher_dim"]
    if not teacher_dim or options.distil == "kl-published" or head == teacher_dim:
        return
    if head is None:
        raise ConfigError(
            f"--start {options.start} has no teacher head, since it was trained without a teacher: leave --teacher out,"
            " or train anew without --start."
        )
    raise ConfigError(
        f"--start {options.start} has the teacher width {head}, --teacher gives {teacher_dim}: take the teacher it was"
        " trained with."
    )


def _check_build(options: Options, adapter: SURAdapter) -> None:
    """Refuse what `--start` cannot give: an adapter is built once, and other values would be passed over in silence."""
    for name in BUILT:
        value = getattr(options, name)
        if (name in options.asked or value != getattr(Options, name)) and value != adapter.config[name]:
            raise ConfigError(
                f"--start {options.start} was built with {name.replace('_', ' ')} {adapter.config[name]}, not {value}: leave"
                f" --{name.replace('_', '-')} out, or train anew without --start."
            )
