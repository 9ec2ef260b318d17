"""`vignette judge FILE…`: what is in a picture of the miniature's world, one JSON line a file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

WEIGHTS = Path(__file__).resolve().parents[1] / "miniature" / "weights" / "judge"


def main(argv: list[str] | None = None) -> int:
    """Print `{file, place:{label,score}, objects:[{object, colour, count, action, score}]}` per file; 1 if any could not be read."""
    parser = argparse.ArgumentParser(
        prog="vignette judge", description="Read the content of pictures of the miniature's world."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="PNG, JPEG or WebP pictures")
    files = parser.parse_args(argv).files

    from PIL import Image, UnidentifiedImageError

    from vignette.miniature.judge_net import Judge

    try:
        judge = Judge.load(WEIGHTS)
    except (OSError, ValueError) as error:
        print(f"The judge cannot be loaded: {error}", file=sys.stderr)
        return 1
    failed = 0
    for name in files:
        try:
            with Image.open(name) as image:
                verdict = judge.read([image])[0]
        except (OSError, UnidentifiedImageError) as error:
            print(f"{name}: not a picture that can be read ({error}).", file=sys.stderr)
            failed = 1
            continue
        print(json.dumps({"file": name, **verdict.to_dict()}))
    return failed


if __name__ == "__main__":
    sys.exit(main())
