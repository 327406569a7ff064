"""Check a draw without runs: kubectl get resolution NAME -o json | python3 verify_draw.py

Written from docs/explanation/draw.md, with the standard library only. It says what it finds wrong, and exits with 1.
"""

import base64
import hashlib
import itertools
import json
import sys
import zlib


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def place(unit):
    return unit["namespace"], unit["name"], unit.get("group", -1)


def drawn(spec, evidence):
    """Every unit taken, in order, as (pool, unit, blocks used): what the seed says that it should be."""
    to, seed, used, left = spec.get("beneficiary") or spec["request"], spec["seed"], 0, spec["deficitGPUs"]
    head = f"runs.dev/v1|{to['uid']}|{to.get('attempt', 0)}|{spec['number']}|{seed['ledgerHead']}|{seed['nonce']}"

    def below(bound):
        nonlocal used
        while True:
            number, used = int(sha256(f"{head}|{used}"), 16), used + 1
            if number < 2**256 // bound * bound:
                return number % bound

    for number, pool in enumerate(evidence["pools"]):
        units = list(pool["candidates"])
        for _ in [one for one in evidence["draws"] if one["pool"] == number and units]:
            unit = units[0]
            if pool["drawn"]:
                narrow = [one for one in units if one["gpus"] <= left]
                drum = narrow if 0 < left <= sum(one["gpus"] for one in narrow) else units
                drum = sorted(drum, key=lambda one: (one.get("owner") or f"namespace:{one['namespace']}", place(one)))
                ticket = below(sum(one["gpus"] for one in drum))
                for _, his in itertools.groupby(drum, lambda one: one.get("owner") or f"namespace:{one['namespace']}"):
                    mine = list(his)
                    ticket -= sum(one["gpus"] for one in mine)
                    if ticket < 0:
                        break
                unit = mine[below(len(mine))]
            units.remove(unit)
            left -= unit["gpus"]
            yield number, place(unit), used


def differing(what, said, found):
    """The first place at which two lists differ."""
    for at, (one, other) in enumerate(itertools.zip_longest(said, found)):
        if one != other:
            yield f"{what} {at}: it says {one}, and the seed says {other}"
            return


def wrong(resolution, parts=()):
    """What does not follow, a sentence each. parts: the ConfigMaps with its evidence, in order, where it has some."""
    spec = resolution["spec"]
    text = "".join([spec["evidence"].get("data", ""), *(part["data"]["evidence"] for part in parts)])
    if sha256(spec["seed"]["nonce"]) != spec["seed"]["commitment"]:
        yield "spec.seed.nonce: it is not the one that was bound"
    if sha256(text) != spec["evidence"]["digest"]:
        yield f"spec.evidence: it is not what the digest says (it has {spec['evidence'].get('parts', 0)} parts)"
        return
    evidence = json.loads(zlib.decompress(base64.b64decode(text)))
    taken = [(one["pool"], place(one["unit"]), one["used"]) for one in evidence["draws"]]
    yield from differing("draw", taken, list(drawn(spec, evidence)))
    given = [place(unit) for unit in evidence.get("givenBack", [])]
    cuts = [unit for _, unit, _ in taken if unit not in given]
    yield from differing("spec.cuts", [place(cut) for cut in spec["cuts"]], cuts)


if __name__ == "__main__":
    found, *more = (body := json.load(sys.stdin)).get("items", [body])
    faults = list(wrong(found, more))
    print("\n".join(faults) or "the draw follows from its seed")
    sys.exit(bool(faults))
