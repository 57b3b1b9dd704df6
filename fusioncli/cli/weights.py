"""`fusion weights`: which weights there are, what they are for, and whether a file is sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusioncli.cli import render
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import CommonOptions
from fusioncli.errors import DataError

if TYPE_CHECKING:
    from fusioncli.config.identity import Identity
    from fusioncli.io.weights import Header

weights = typer.Typer(
    help="Weights of networks: list, show, import and verify them.", no_args_is_help=True, rich_markup_mode="rich"
)


@dataclass(frozen=True)
class FoldersArgument:
    """Where to look besides the usual places."""

    folders: Annotated[
        list[Path], typer.Argument(metavar="[FOLDER]…", help="Look here too, besides packaged and cached weights.")
    ] = field(default_factory=list)


@dataclass(frozen=True)
class FileOptions:
    """One file of weights."""

    file: Annotated[Path, typer.Argument(metavar="FILE", help="A safetensors file.")]
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor.")] = False


@dataclass(frozen=True)
class VerifyOptions:
    """One file of weights, and what it should be."""

    file: Annotated[Path, typer.Argument(metavar="FILE", help="A safetensors file.")]
    sha256: Annotated[str | None, typer.Option("--sha256", metavar="HEX", help="Digest it must have.")] = None


@dataclass(frozen=True)
class ImportOptions:
    """A foreign file, and what it does not say."""

    arch: Annotated[str, typer.Argument(metavar="ARCH", help="Architecture the weights are of.")]
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth or .safetensors file; its code is never run.")]
    ratio: Annotated[int, typer.Option(metavar="N", min=1, help="PAN pixels per MS pixel.")] = 4
    value_max: Annotated[float, typer.Option(metavar="DN", min=1e-9, help="DN that was mapped to 1.")] = 2047
    sensor: Annotated[str | None, typer.Option(metavar="NAME", help="Sensor it was trained for.")] = None
    upsampler: Annotated[str | None, typer.Option(metavar="NAME", help="How the MS came to the PAN grid.")] = None
    licence: Annotated[str, typer.Option("--licence", metavar="TEXT", help="Of the training data.")] = ""
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="FILE.safetensors beside it by default.")
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False


@weights.command("ls")
@takes_groups
def ls(given: FoldersArgument, common: CommonOptions) -> None:
    """List packaged, cached and fetchable weights, and those in FOLDER.

    Example: fusion weights ls runs/pnn-small
    """
    from fusioncli.io.downloads import PACKAGED, REMOTES, cache_folder
    from fusioncli.io.weights import read_header, weight_files

    found: list[dict[str, Any]] = []
    for file in weight_files([PACKAGED, cache_folder(), *given.folders]):
        try:
            header = read_header(file)
            found.append({"file": str(file), **_brief(header.identity), "parameters": header.parameters})
        except DataError as error:
            render.notes([error.message], common)
    local = {Path(row["file"]).name for row in found}
    remote = {name: remote.title for name, remote in REMOTES.items() if name not in local}
    rows = [(row["file"], _line(row)) for row in found] + [(name, f"to fetch: {t}") for name, t in remote.items()]
    nothing = f"no weights yet; looked in {PACKAGED} and {cache_folder()}"
    render.result(render.table(rows) if rows else nothing, {"weights": found, "remote": remote}, common)


@weights.command("show")
@takes_groups
def show(given: FileOptions, common: CommonOptions) -> None:
    """Print what a file of weights is for, what it was trained on and what it holds.

    Example: fusion weights show best.safetensors; packaged and cached ones by name
    """
    from fusioncli.io.downloads import find_weights
    from fusioncli.io.weights import read_header

    path = given.file if given.file.suffix else find_weights(str(given.file))
    header = read_header(path)
    facts = {"file": str(path), **header.identity.model_dump(mode="json"), **_contents(header)}
    tensors = {name: [tensor.dtype, *tensor.shape] for name, tensor in header.tensors.items() if given.tensors}
    rows = [(name, _plain(value)) for name, value in facts.items()]
    rows += [(name, f"{dtype} {'x'.join(map(str, shape))}") for name, (dtype, *shape) in tensors.items()]
    render.result(render.table(rows), facts | ({"tensor_shapes": tensors} if tensors else {}), common)


@weights.command("verify")
@takes_groups
def verify(given: VerifyOptions, common: CommonOptions) -> None:
    """Read every byte of a file of weights: digest, layout, identity, and no NaN or infinite value.

    Example: fusion weights verify best.safetensors
    """
    from fusioncli.io.weights import count_non_finite, file_sha256, read_header

    header, digest = read_header(given.file), file_sha256(given.file)
    if given.sha256 not in (None, digest):
        text = f"{given.file} has the SHA-256 {digest}, not {given.sha256}"
        raise DataError(text, "copy or download it again")
    identity = header.identity
    if bad := count_non_finite(header):
        worst = ", ".join(f"{name} ({count})" for name, count in list(bad.items())[:5])
        text = f"{given.file} has NaN or infinite values in {len(bad)} of {len(header.tensors)} tensors: {worst}"
        raise DataError(text, "train again from the last good checkpoint, or download it again")
    facts = {"file": str(given.file), "sound": True, "sha256": digest, **_brief(identity), **_contents(header)}
    render.result(render.table([(name, _plain(value)) for name, value in facts.items()]), facts, common)


@weights.command("import")
@takes_groups
def import_(given: ImportOptions, common: CommonOptions) -> None:
    """Convert weights that others have published; nothing is written unless all that the network wants is there.

    Example: fusion weights import pnn theirs.pth --ratio 4 --sensor WV3 -o pnn-wv3.safetensors
    """
    from fusioncli.io.files import check_writable
    from fusioncli.models.foreign import Facts, find_importer, import_weights
    from fusioncli.models.weights import listed, save_weights

    find_importer(given.arch)
    target = given.output or given.file.with_suffix(".safetensors")
    check_writable(target, given.overwrite, given.file.stat().st_size if given.file.is_file() else 0)
    known = Facts(given.ratio, given.value_max, given.sensor, given.upsampler, given.licence)
    imported = import_weights(given.arch, given.file, known)
    digest = save_weights(target, imported.tensors, imported.identity)
    unexpected = imported.match.unexpected
    render.notes([f"{len(imported.match.matched)} tensors match"], common)
    if unexpected:
        render.notes([f"{len(unexpected)} tensors are not of '{given.arch}', left out: {listed(unexpected)}"], common)
    facts = {"matched": len(imported.match.matched), "unexpected": list(unexpected)}
    render.result(str(target), {"output": str(target), "sha256": digest, **facts}, common)


def _brief(identity: Identity) -> dict[str, Any]:
    names = ("kind", "arch", "bands", "ratio", "sensor")
    return {name: getattr(identity, name) for name in names}


def _contents(header: Header) -> dict[str, Any]:
    return {
        "tensors": len(header.tensors),
        "parameters": header.parameters,
        "types": sorted({tensor.dtype for tensor in header.tensors.values()}),
        "megabytes": round(header.path.stat().st_size / 1e6, 3),
    }


def _line(row: dict[str, Any]) -> str:
    what = f"{row['kind']} {row['arch']}, {row['bands']} bands, ratio {row['ratio']}"
    return f"{what}, {row['sensor'] or 'any sensor'}, {row['parameters']:,} parameters"


def _plain(value: object) -> object:
    """Settings and lists as words."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items()) or "-"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "-"
    return "-" if value in (None, "") else value
