"""Write the sample scene: `python sample_data/make.py` makes scene_ms.tif and scene_pan.tif beside this file.

The same as `fusion simulate demo -o sample_data --overwrite`.
"""

from __future__ import annotations

from pathlib import Path

from fusioncli.workflows.simulate.demo import write_demo


def main(folder: Path) -> None:
    """Write both files into a folder."""
    write_demo(folder, overwrite=True, progress=lambda stage, done, total: None)


if __name__ == "__main__":
    main(Path(__file__).parent)
