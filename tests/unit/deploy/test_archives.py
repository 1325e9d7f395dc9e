"""An archive offline is what a replay would have published."""

from pathlib import Path

from deploy.archives import published_documents
from ingest.settings import IngestSettings
from ingest.sources.archive import ArchiveSource

WIRE = "Regulator shuts down Alder Bank after a run on deposits that began on Friday and emptied its branches"
ROWS = (
    "Time,Text,Id",
    f'2020-03-02,"{WIRE}",b',
    "2020-03-01,An earlier day,a",
    f'2020-03-02,"{WIRE} today",c',
    "2020-03-02,The same row twice,b",
    "soon,No day,d",
)


def test_documents_come_once_in_event_order_with_their_stories(tmp_path: Path) -> None:
    path = tmp_path / "archive.csv"
    path.write_text("\n".join(ROWS))
    settings = IngestSettings()

    documents, rejected = published_documents(ArchiveSource(path, settings), settings)

    assert [document.text for document in documents] == ["An earlier day", WIRE, f"{WIRE} today"]
    earlier, head, copy = documents
    assert (earlier.story, head.story, copy.story) == (earlier.id, head.id, head.id)
    assert [one.where for one in rejected] == ["row 6"]
