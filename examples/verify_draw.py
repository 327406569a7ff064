"""Check a draw without runs: kubectl get resolution NAME -o json | python3 verify_draw.py

Written from docs/explanation/draw.md, which says what is checked here, and what is not.
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


def owner(unit):
    return unit.get("owner") or f"namespace:{unit['namespace']}"


def pick(row):
    """One of them, each as likely: a block past the last whole multiple of their number is passed over."""
    return row[next(block for block in blocks if block < 2**256 // len(row) * len(row)) % len(row)]


body = json.load(sys.stdin)
resolution, *parts = body.get("items", [body])
spec = resolution["spec"]
seed, to, missing = spec["seed"], spec.get("beneficiary") or spec["request"], spec["deficitGPUs"]
if sha256(seed["nonce"]) != seed["commitment"]:
    sys.exit("spec.seed.nonce: it is not the one that was bound")
text = f"runs.dev/v1|{to['uid']}|{to.get('attempt', 0)}|{spec['number']}|{seed['ledgerHead']}|{seed['nonce']}"
blocks = (int(sha256(f"{text}|{at}"), 16) for at in itertools.count())
data = spec["evidence"].get("data") or "".join(part["data"]["evidence"] for part in parts)
evidence = json.loads(zlib.decompress(base64.b64decode(data)))
cuts = []
for at, said in enumerate(evidence["draws"]):
    pool = evidence["pools"][said["pool"]]
    units = pool["candidates"]
    unit = units[0]
    if pool["drawn"]:
        narrow = [one for one in units if one["gpus"] <= missing]
        drum = narrow if 0 < missing <= sum(one["gpus"] for one in narrow) else units
        his = pick(sorted(owner(one) for one in drum for _ in range(one["gpus"])))
        unit = pick(sorted((one for one in drum if owner(one) == his), key=place))
    if place(unit) != place(said["unit"]):
        sys.exit(f"draw {at}: it says {place(said['unit'])}, and the seed says {place(unit)}")
    units.remove(unit)
    missing -= unit["gpus"]
    cuts += [] if said["unit"] in evidence.get("givenBack", []) else [place(unit)]
if [place(cut) for cut in spec["cuts"]] != cuts:
    sys.exit(f"spec.cuts: it says {[place(cut) for cut in spec['cuts']]}, and the draws say {cuts}")
print("the draw follows from its seed")
