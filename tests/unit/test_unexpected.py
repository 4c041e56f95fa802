"""A defect of ours is a problem document too, in the log with its cause and without it outside."""

from starlette.testclient import TestClient

from whatsit.opening import open_service
from whatsit.settings import Settings
from whatsit.web.api.app import build_api
from whatsit.web.envelope import Envelope
from whatsit.web.intake.intake import Intake
from whatsit.web.journal import Journal


def test_a_defect_is_told_as_a_problem_and_logged(tmp_path, caplog):
    def fail() -> None:
        raise ZeroDivisionError("the secret reason")

    settings = Settings(store=tmp_path, model="efficientnet-lite2", cache="off")
    with open_service(settings) as running:
        api = build_api(running, Intake(10**6, 5))
        api.add_api_route("/api/defect", fail)
        app = Envelope(api, Journal(running.telemetry))
        answer = TestClient(app, raise_server_exceptions=False).get("/api/defect")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal"
    assert answer.headers["x-request-id"]
    assert "secret" not in answer.text
    assert "the secret reason" in caplog.text
