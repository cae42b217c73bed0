"""Application: the parts of a running Kajogaki, built once by app.py and handed to page and API."""

from dataclasses import dataclass

from webui.config import Settings
from webui.credentials import Credentials
from webui.documents.library import Library
from webui.engine.pool import EnginePool
from webui.models import Catalog
from webui.storage import Storage
from webui.tasks.ask.asker import Asker
from webui.tasks.chat.chat import Chat
from webui.tasks.summarize.desk import SummaryDesk

LOCAL_USER = "local"  # the owner of everything where nobody has to log in
USER_SCOPE = "kajogaki.user"  # where the gate writes down who a request comes from


@dataclass(frozen=True, slots=True)
class Application:
    settings: Settings
    storage: Storage
    catalog: Catalog
    engines: EnginePool
    chat: Chat
    credentials: Credentials
    summaries: SummaryDesk
    library: Library
    asker: Asker
