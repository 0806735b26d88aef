"""What a model's configuration, as Keras writes it, says: what reads what, planes, the graph."""

from fmcore.architecture.graph import graph_of_configuration
from fmcore.architecture.planes import PlaneSource, layer_settings, plane_source
from fmcore.architecture.wiring import IMAGE, Node, consumers_of, nodes_of

__all__ = [
    "IMAGE",
    "Node",
    "PlaneSource",
    "consumers_of",
    "graph_of_configuration",
    "layer_settings",
    "nodes_of",
    "plane_source",
]
