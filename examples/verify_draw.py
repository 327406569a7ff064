"""Check a draw without runs: kubectl get resolution NAME -o json | python3 verify_draw.py

Written from docs/explanation/draw.md, with the standard library only. It says what it finds wrong, and exits with 1.
"""

import base64
import hashlib
import json
import sys
import zlib


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def place(unit):
    return unit["namespace"], unit["name"], unit.get("group", -1)


def drawn(spec, evidence):
    """Every unit taken, in order, as (pool, unit, blocks used): what the seed says that it should be."""
    to, seed, used, left = spec["beneficiary"], spec["seed"], 0, spec["deficitGPUs"]
    text = f"runs.dev/v1|{to['uid']}|{to['attempt']}|{spec['number']}|{seed['ledgerHead']}|{seed['nonce']}"

    def below(bound):
        nonlocal used
        while True:
            number, used = int(sha256(f"{text}|{used}"), 16), used + 1
            if number < 2**256 // bound * bound:
                return number % bound

    for number, pool in enumerate(evidence["pools"]):
        units = list(pool["candidates"])
        for _ in [one for one in evidence["draws"] if one["pool"] == number]:
            unit = units[0]
            if pool["drawn"]:
                narrow = [one for one in units if one["gpus"] <= left]
                drum = narrow if 0 < left <= sum(one["gpus"] for one in narrow) else units
                owners = {}
                for one in drum:
                    owners.setdefault(one.get("owner") or f"namespace:{one['namespace']}", []).append(one)
                ticket = below(sum(one["gpus"] for one in drum))
                for owner in sorted(owners):
                    mine, weight = owners[owner], sum(one["gpus"] for one in owners[owner])
                    if ticket < weight:
                        break
                    ticket -= weight
                unit = sorted(mine, key=place)[below(len(mine))]
            units.remove(unit)
            left -= unit["gpus"]
            yield number, place(unit), used


def wrong(resolution):
    """What does not follow, a sentence each."""
    spec, text = resolution["spec"], resolution["spec"]["evidence"].get("data", "")
    if sha256(spec["seed"]["nonce"]) != spec["seed"]["commitment"]:
        yield "the nonce is not the one that was bound"
    if sha256(text) != spec["evidence"]["digest"]:
        yield "the evidence is not what the digest says (if it has parts: runs resolve show NAME -o json)"
        return
    evidence = json.loads(zlib.decompress(base64.b64decode(text)))
    taken = [(one["pool"], place(one["unit"]), one["used"]) for one in evidence["draws"]]
    if taken != list(drawn(spec, evidence)):
        yield "the draws do not follow from the seed"
    given = [place(unit) for unit in evidence.get("givenBack", [])]
    if [place(cut) for cut in spec["cuts"]] != [unit for _, unit, _ in taken if unit not in given]:
        yield "the cuts are not what was taken and not given back"


if __name__ == "__main__":
    found = list(wrong(json.load(sys.stdin)))
    print("\n".join(found) or "the draw follows from its seed")
    sys.exit(bool(found))
