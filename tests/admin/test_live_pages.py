"""Pages that keep themselves at the present state."""

import re

from executions import lifecycle
from tests.admin.conftest import page


def test_a_page_is_kept_at_the_present_state_until_the_end(desk, chain):
    execution = chain().execution
    address = page("executions_execution_change", execution.pk)

    shown = desk.get(address).content.decode()
    lifecycle.cancel(execution.pk)
    ended = desk.get(address).content.decode()

    assert f'data-live-url="/api/v1/executions/stream?execution_id={execution.pk}"' in shown
    assert "/static/executions/refresh.js" in shown
    assert "data-live-url" not in ended
    for text in (shown, ended):
        parts = re.findall(r'<div data-live="([^"]+)">', text)
        assert parts == [f"fieldset-{number}" for number in (1, 2, 3, 4)]
