"""The browser of the page's tests, for attacks that only a browser can make."""

from tests.ui.conftest import browser as browser
from tests.ui.conftest import desktop as desktop
from tests.ui.conftest import open_page as open_page
from tests.ui.conftest import page as page
