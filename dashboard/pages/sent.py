"""What a browser may send of each component: the kinds of the values that callbacks get.

Controls send scalars. What a script of the pages puts together is listed here by its component.
"""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.pages import ids
from dashboard.pages.feature_maps.samples import MOST_THUMBNAILS, PICKS_FIELDS
from dashboard.pages.feature_maps.wall import ORDER_FIELDS
from dashboard.server.values import Kind, event, listed, record, scalar, text, whole

_OF_PROPERTIES: Mapping[str, Kind] = {
    "checked": scalar,
    "clickData": event,
    "data": scalar,
    "href": text,
    "n_clicks": whole,
    "n_intervals": whole,
    "pathname": text,
    "search": text,
    "value": scalar,
}
_OF_COMPONENTS: Mapping[str, Kind] = {
    ids.GOTO_ASKED: record(text=text, path=text, search=text),
    ids.MAPS_ORDER_QUESTION: record(**dict.fromkeys(ORDER_FIELDS, scalar)),
    ids.MAPS_PAGE: record(
        samples=listed(whole, most=MOST_THUMBNAILS), by=text, layer=text, filter=scalar
    ),
    ids.MAPS_PICKS_QUESTION: record(**dict.fromkeys(PICKS_FIELDS, scalar)),
    ids.SCHEME: text,
}


def kind_of(component: str, prop: str) -> Kind:
    """The kind of a component's property.

    Raises:
        KeyError: if nobody has decided what it may hold.
    """
    return _OF_COMPONENTS[component] if component in _OF_COMPONENTS else _OF_PROPERTIES[prop]
