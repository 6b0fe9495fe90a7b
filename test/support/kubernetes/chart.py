"""Renders the chart by Helm's own engine.

Answers a line of standard input by a line of standard output, until there are no more. Reads {"chart": folder, "values": {...},
"release": name} and writes {"files": {name: text}}, or {"refused": why} where Helm does not take the values.
"""

import json
import sys

import helm_python


def answer(asked):
    try:
        with helm_python.Chart.load(asked["chart"]) as chart:
            return {"files": chart.render(asked["values"], name=asked["release"], namespace="postern")}
    except helm_python.HelmError as error:
        return {"refused": str(error)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
