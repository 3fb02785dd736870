# SPDX-License-Identifier: Apache-2.0
"""What PEFT itself makes of an adapter, for the tests that compare `ferrule check` with it."""
import peft


def peft_verdict(model, adapter, ignored=None, words=0):
    """Loads `adapter` on what `model()` returns: "loads", or how it fails.

    Missing keys that contain `ignored` do not count. `words`: characters of an error's message that are part of the verdict.
    """
    results = []
    original = peft.PeftModel.load_adapter

    def record(self, *arguments, **named):
        results.append(original(self, *arguments, **named))
        return results[-1]

    peft.PeftModel.load_adapter = record
    try:
        peft.PeftModel.from_pretrained(model(), adapter, adapter_name="again")
    except Exception as error:
        return f"raises {type(error).__name__}" + (f": {str(error)[:words]}" if words else "")
    finally:
        peft.PeftModel.load_adapter = original
    missing = [key for key in results[0].missing_keys if "again" in key and (ignored is None or ignored not in key)]
    if missing or results[0].unexpected_keys:
        return f"drops {len(results[0].unexpected_keys)}, leaves {len(missing)}"
    return "loads"
