"""Renders the chart by Helm's own engine and holds every object of Kubernetes itself against its schema.

Reads {"chart": folder, "values": {...}} from standard input and writes {"files": {name: text}, "problems": [...]}, or
{"refused": why} where Helm does not take the values. With {"files": {name: text}} instead it renders nothing.
"""

import json
import sys

import helm_python
import kubernetes_validate
import yaml

OTHERS = ("traefik.io/", "gateway.networking.k8s.io/", "gateway.envoyproxy.io/", "monitoring.coreos.com/", ".istio.io/")


def problems_of(files):
    for name, text in files.items():
        if name.endswith("NOTES.txt"):
            continue
        for manifest in yaml.safe_load_all(text):
            if manifest is None or any(part in manifest["apiVersion"] for part in OTHERS):
                continue
            try:
                kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{name}: {manifest['kind']} {manifest['metadata']['name']}: {error.message}"


def main():
    asked = json.load(sys.stdin)
    if "files" in asked:
        return {"problems": list(problems_of(asked["files"]))}
    try:
        with helm_python.Chart.load(asked["chart"]) as chart:
            files = chart.render(asked["values"], name="gate", namespace="postern")
    except helm_python.HelmError as error:
        return {"refused": str(error)}
    return {"files": files, "problems": list(problems_of(files))}


print(json.dumps(main()))
