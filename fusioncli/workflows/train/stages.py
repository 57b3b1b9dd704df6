"""A run in stages: each an ordinary run in a folder of its own that starts from the weights of the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fusioncli.config.recipe import Recipe
from fusioncli.errors import DataError, UsageError
from fusioncli.workflows.train import launch, records
from fusioncli.workflows.train.events import Event, Listener, Started
from fusioncli.workflows.train.request import TrainReport, TrainRequest


def train_stages(
    recipes: Sequence[Recipe], request: TrainRequest, listener: Listener, only: str | None = None
) -> TrainReport | None:
    """Train the stages of a recipe one after another; finished ones are not repeated.

    Args:
        recipes: as from `load_stages`; a single one without a stage is trained in the folder itself.
        request: of the whole run; its recipe is not looked at.
        listener: told about everything that happens.
        only: the one stage to train; None for all.

    Returns:
        What came out of the last stage; None in a process that does not lead.

    Raises:
        UsageError: there is no stage of that name, or as `launch.train`.
        DataError: the stage before has left no weights, or as `launch.train`.
        KeyboardInterrupt: as `launch.train`.
    """
    first, *then = _chosen(list(_requests(recipes, request, only)), only)

    def tell(event: Event) -> None:
        if isinstance(event, Started) and event.stage and only is None:  # patches have been looked at by then
            records.write_recipe(request.folder, *recipes)
        listener(event)

    return launch.train(first, tell, *then)


def _requests(recipes: Sequence[Recipe], request: TrainRequest, only: str | None) -> Iterator[TrainRequest]:
    before: Path | None = None
    for recipe in recipes:
        if before is not None and not (only and recipe.start.weights):  # whoever asks for one stage may name others
            start = recipe.start.model_copy(update={"weights": str(before)})
            recipe = recipe.model_copy(update={"start": start})
        folder = request.folder / recipe.stage if recipe.stage else request.folder
        one = replace(request, recipe=recipe, folder=folder)
        yield one
        before = one.weights


def _chosen(requests: list[TrainRequest], only: str | None) -> list[TrainRequest]:
    if only is None:
        return requests
    found = [request for request in requests if request.recipe.stage == only]
    if not found:
        names = ", ".join(request.recipe.stage or "" for request in requests)
        known = f"its stages: {names}" if names else "it has no stages"
        raise UsageError(f"recipe {requests[0].recipe.name} has no stage {only}", known)
    weights = found[0].recipe.start.weights
    if found[0] is not requests[0] and weights is not None and not Path(weights).is_file():
        raise DataError(
            f"stage {only} starts from the weights of the stage before, and {weights} is not there",
            "train that stage first, or all of them without --stage",
        )
    return found
