"""Says what az prints: reads [document, expression] pairs as JSON lines, with az's own formatters.

Prints one JSON line for each: json, tsv, table and yaml, or error.
"""
import collections
import json
import os
import sys
import types
import warnings

import jmespath
from knack import output

warnings.simplefilter("ignore")
here = os.path.dirname(os.path.abspath(__file__))


def written(form, result):
    """What az prints. It prints nothing for nothing."""
    if result is None:
        return ""
    answer = types.SimpleNamespace(result=result, is_query_active=True, table_transformer=None)
    try:
        return form(answer)
    except Exception:
        return None


for line in sys.stdin:
    document, expression = json.loads(line)
    with open(os.path.join(here, document + ".json"), encoding="utf-8") as f:
        value = json.load(f)
    try:
        result = jmespath.compile(expression).search(value, jmespath.Options(collections.OrderedDict))
        json.dumps(result)  # fails for an expression that is not evaluated
        answer = {
            "json": written(output.format_json, result),
            "tsv": written(output.format_tsv, result),
            "table": written(output.format_table, result),
            "yaml": written(output.format_yaml, result),
        }
    except Exception as e:
        answer = {"error": True}
    print(json.dumps(answer))
