from __future__ import annotations

from tests.autodiff.conftest import drive as drive
from tests.autodiff.conftest import engine as engine
from tests.autodiff.conftest import http as http
from tests.autodiff.conftest import inline as inline
from tests.autodiff.conftest import lab as lab
from tests.autodiff.conftest import served as served
