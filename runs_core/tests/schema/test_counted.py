from runs_core.values.quantity import counted


def test_one_is_singular_and_all_else_plural() -> None:
    assert [counted(n, "node") for n in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]
    assert counted(3, "retry", "retries") == "3 retries"
    assert counted(1200, "run", spec=",") == "1,200 runs"
