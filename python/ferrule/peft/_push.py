# SPDX-License-Identifier: Apache-2.0
"""``PeftModel.push_to_hub``: saved and pushed natively."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import tempfile
import warnings
from typing import Any, Callable

import peft
from huggingface_hub import CommitInfo, HfApi, ModelCard

from .. import _ferrule
from .._errors import CorruptError, NotFoundError

#: transformers' own, which PeftModel inherits. Its signature is that of the transformers installed.
stock_push = peft.PeftModel.push_to_hub
_SIGNATURE = inspect.signature(stock_push)
_CARD = "README.md"


def _is_theirs(given: dict[str, Any]) -> bool:
    """Deprecated keywords of transformers 4, or saving into one of the user's folders."""
    if given.get("deprecated_kwargs"):
        return True
    wish = given.get("use_temp_dir")
    if wish is None and "use_temp_dir" in given:
        wish = not os.path.isdir(given["repo_id"].split("/")[-1])
    return wish is False


def native_push() -> Callable[..., Any]:
    @functools.wraps(stock_push)
    def push_to_hub(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = _SIGNATURE.bind(self, *args, **kwargs)
        bound.apply_defaults()
        given = dict(bound.arguments)
        model = given.pop(next(iter(given)))
        if _is_theirs(given):
            return stock_push(self, *args, **kwargs)
        try:
            return _push(model, **given)
        except CorruptError as error:
            if not error.rule.startswith(("AD-", "KY-")):
                raise
            # As in saving: PEFT uploads whatever there is. Nothing has been sent so far.
            warnings.warn(f"pushed by PEFT, although Ferrule refuses this adapter: {error}", stacklevel=2)
            return stock_push(self, *args, **kwargs)

    return push_to_hub


def _push(model: Any, repo_id: str, *, commit_message: str | None, commit_description: str | None,
          private: bool | None, token: bool | str | None, revision: str | None, create_pr: bool,
          tags: list[str] | None, safe_serialization: bool = True, **ignored: Any) -> CommitInfo:
    if "/" not in repo_id:
        repo_id = f"{HfApi().whoami(token=token)['name']}/{repo_id}"
    commit_message = "Upload model" if commit_message is None else commit_message
    with tempfile.TemporaryDirectory() as folder:
        _fetch_card(repo_id, revision, token, folder)
        card = os.path.join(folder, _CARD)
        # Saving sets the tags again. Those about the base model are its own.
        kept = [tag for tag in _tags_of(card) if not tag.startswith("base_model:")]
        model.save_pretrained(folder, safe_serialization=safe_serialization)
        _add_tags(card, [*kept, *(tags or ())])
        report = _ferrule.push(
            folder, repo_id, revision=revision, private=private, create_pr=create_pr, token=token,
            commit_message=commit_message, commit_description=commit_description)
    return _commit_info(report, commit_message, commit_description or "")


def _fetch_card(repo_id: str, revision: str | None, token: bool | str | None, folder: str) -> None:
    """Keeps what was written into the card on the Hub: saving adds to the card that it finds."""
    for branch in dict.fromkeys((revision, None)):
        try:
            _ferrule.pull(repo_id, revision=branch, files=[_CARD], output=folder, token=token)
        except NotFoundError as error:
            if error.kind != "revision_not_found":
                return
        else:
            return


def _tags_of(path: str) -> list[str]:
    return list(ModelCard.load(path).data.tags or ()) if os.path.exists(path) else []


def _add_tags(path: str, tags: list[str]) -> None:
    present = _tags_of(path)
    missing = [tag for tag in dict.fromkeys(tags) if tag not in present]
    if missing:
        card = ModelCard.load(path)
        card.data.tags = [*present, *missing]
        card.save(path)


def _commit_info(report: _ferrule.PushReport, message: str, description: str) -> CommitInfo:
    made: dict[str, Any] = {"commit_url": report.url, "commit_message": message, "commit_description": description,
                            "oid": report.commit, "pr_url": report.pr_url}
    if any(field.name == "_endpoint" for field in dataclasses.fields(CommitInfo)):
        made["_endpoint"] = report.url.partition(f"/{report.repo}/commit/")[0]
    return CommitInfo(**made)
