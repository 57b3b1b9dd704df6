"""The learning rate as a pure function of the step, so that a resumed run needs nothing but the step."""

from __future__ import annotations

import math

from fusioncli.config.recipe import Recipe


def learning_rate(recipe: Recipe, step: int) -> float:
    """Rate of one optimiser step.

    Args:
        recipe: its highest rate, schedule and number of steps.
        step: counted from 0.

    Returns:
        A linear climb over the warm-up, whose last step has the highest rate; after it constant, a stair, or half a
        period of a cosine that would reach `decay` times the highest rate one step after the last.
    """
    schedule, highest = recipe.schedule, recipe.optimiser.learning_rate
    if step < schedule.warmup_steps:
        return highest * (step + 1) / schedule.warmup_steps
    after = step - schedule.warmup_steps
    if schedule.kind == "step":
        return highest * schedule.decay ** (after // schedule.every_steps)
    if schedule.kind == "cosine":
        fall = 0.5 - 0.5 * math.cos(math.pi * after / (recipe.training.steps - schedule.warmup_steps))
        return highest * (1 - (1 - schedule.decay) * fall)
    return highest
