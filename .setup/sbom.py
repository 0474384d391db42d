"""Adds the pinned downloads to a CycloneDX file of Go modules: sbom.py MODULES PINS OUT."""

import json
import sys

# What each client's packages are called in package URLs; test and build tools are no part of the product.
TYPES = {"npm": "npm", "pip": "pypi", "go": "golang", "mvn": "maven"}
SHIPPED = {"chdb", "openvino", "onnxruntime", "model", "tokenizers"}

modules, pins, out = sys.argv[1:]
with open(modules, encoding="utf-8") as f:
    bill = json.load(f)
known = {c.get("purl", "").split("?")[0] for c in bill["components"]}
for line in open(pins, encoding="utf-8"):
    if line.startswith("#"):
        continue
    piece, sha256, _, client, package, version, _ = line.split()
    name = package.replace("@", "%40", 1) if client == "npm" else package
    purl = f"pkg:{TYPES[client]}/{name}@{version}"
    if piece not in SHIPPED or purl in known:
        continue
    component = {"bom-ref": purl, "type": "library", "name": package, "version": version, "purl": purl, "scope": "required"}
    if sha256 != "-":
        component["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    bill["components"].append(component)
bill["components"].sort(key=lambda c: c["bom-ref"])
with open(out, "w", encoding="utf-8") as f:
    json.dump(bill, f, indent=1)
    f.write("\n")
print(f"{out}: {len(bill['components'])} components")
