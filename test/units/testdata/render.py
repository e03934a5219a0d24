# render.py DIR NODENAME OS_FAMILY: renders the Salt states of DIR as Salt would, jinja
# first and then YAML, and prints them as JSON by name.
import json
import os
import sys

import jinja2
import yaml

directory, nodename, family = sys.argv[1:]
environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(os.path.dirname(directory)),
    undefined=jinja2.StrictUndefined,
    extensions=["jinja2.ext.do"],
)


class Strict(yaml.SafeLoader):
    """A loader that takes no key twice."""


def mapping(loader, node):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    if len(keys) != len(set(keys)):
        raise ValueError(f"a key twice in {keys}")
    return loader.construct_mapping(node, deep=True)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
rendered = {}
for name in sorted(os.listdir(directory)):
    if name.endswith(".sls"):
        template = environment.get_template(os.path.join(os.path.basename(directory), name))
        text = template.render(grains={"nodename": nodename, "os_family": family})
        rendered[name] = yaml.load(text, Loader=Strict) or {}
json.dump(rendered, sys.stdout)
