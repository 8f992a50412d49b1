"""Streams the scene's views to the page, and passes mouse and keyboard on to them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from trame_rca.schedulers import RcaImageRenderScheduler
from trame_rca.view_adapter import RcaViewAdapter
from vtkmodules.vtkWebCore import vtkRemoteInteractionAdapter

from ..scene.live_views import LiveView
from ..scene.pictures import Picture

ENCODER = "jpeg"
# While something moves, pictures are sent in a quality that weak links carry; as soon as it rests, in a better one.
MOVING_QUALITY, STILL_QUALITY = 55, 92
_FRAMES_PER_SECOND = 25.0
_MOST_PIXELS = 1_500_000  # of a view: displays with many pixels would take a processor's time


class RemoteView:
    """A view as trame-rca asks for it.

    Parameters
    ----------
    view
        The view.
    name
        Of its place in the page.
    on_size, on_event
        Called when the page has given it another size, and after a mouse or key event.

    Attributes
    ----------
    seen
        Whether the page shows it: else nothing is drawn.
    """

    def __init__(
        self,
        view: LiveView,
        name: str,
        on_size: Callable[[], None] = lambda: None,
        on_event: Callable[[], None] = lambda: None,
    ) -> None:
        self.view, self.seen, self._on_size, self._on_event = view, True, on_size, on_event
        view.interactor.EnableRenderOff()  # pictures are drawn when they are asked for
        self._drawing = False
        scheduler = RcaImageRenderScheduler(
            self,
            target_fps=_FRAMES_PER_SECOND,
            interactive_quality=MOVING_QUALITY,
            still_quality=STILL_QUALITY,
            rca_encoder=ENCODER,
        )
        self.adapter = RcaViewAdapter(self, name, scheduler=scheduler)
        self.adapter.max_pixel_count = _MOST_PIXELS
        view.on_change(self.render)

    def render(self) -> None:
        """Draw and send it soon; what is asked meanwhile is one picture."""
        if self.seen and not self._drawing:  # what drawing itself changes asks for nothing new
            self.adapter.schedule_render()

    @property
    def img_cols_rows(self) -> tuple[Picture, int, int]:
        """What it shows now, with width and height."""
        self._drawing = True
        try:
            picture = self.view.picture()
        except Exception:  # one lost picture must not end the stream
            logging.exception("MRIInterpret: a view could not be drawn")
            picture = np.zeros((10, 10, 3), np.uint8)
        finally:
            self._drawing = False
        return picture, picture.shape[1], picture.shape[0]

    def process_resize_event(self, width: int, height: int) -> None:
        """The page gave it another size."""
        self.view.resize(width, height)
        self._on_size()

    def process_interaction_event(self, event: dict[str, Any]) -> None:
        """A mouse or key event of the page, as vtk.js writes it."""
        if event["type"] not in ("StartInteractionEvent", "EndInteractionEvent"):
            vtkRemoteInteractionAdapter.ProcessEvent(self.view.interactor, json.dumps(event))
            self._on_event()
