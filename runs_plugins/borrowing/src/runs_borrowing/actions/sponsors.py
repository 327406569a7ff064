"""`runs sponsors`: whom a run asks to lend. Edits of spec.funding, of that part alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runs_borrowing.actions.seen import everywhere, held
from runs_borrowing.sections import NOTHING, Borrowing
from runs_borrowing.views import loans
from runs_cli.answer import Block, Column, Fields, Table, answer, listed
from runs_cli.failures import Stop, nearest
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.session.port import NOTHING as NO_LISTS
from runs_cli.session.port import PAID, Session
from runs_core import Run, section

Wish = tuple[str, ...]
BUDGETS = ("Budget",)


def list_(name: str) -> None:
    with opened(everywhere(asked()), PAID) as session:
        run = session.run_named(name)
        wish = section(run.spec.sections, Borrowing) or NOTHING
        lent = _lent(session, run)
        answer(
            session.asked,
            plain=lambda: _plain(run, wish, lent),
            names=lambda: list(wish.sponsors),
            blocks=lambda: _blocks(run, wish, lent),
        )


def _lent(session: Session, run: Run) -> dict[str, int]:
    """GPUs that each owner lends it now."""
    owners = {budget.name: budget.spec.owner for budget in session.world.budgets()}
    leases = [lease for lease in session.leases() if lease.spec.run_ref.uid == run.uid]
    found: dict[str, int] = {}
    for loan in loans(held(session, leases), owners.get):
        found[loan.lender] = found.get(loan.lender, 0) + loan.gpus
    return found


def _plain(run: Run, wish: Borrowing, lent: dict[str, int]) -> dict[str, object]:
    return {
        "run": str(run.key),
        "allowBorrow": wish.allow_borrow,
        "maxBorrowGPUs": wish.max_borrow_gpus,
        "sponsors": [{"owner": owner, "gpus": lent.get(owner, 0)} for owner in wish.sponsors],
    }


def _blocks(run: Run, wish: Borrowing, lent: dict[str, int]) -> list[Block]:
    limit = "none" if wish.max_borrow_gpus is None else f"{wish.max_borrow_gpus} GPUs"
    allowed = "yes" if wish.allow_borrow else "no: set spec.funding.allowBorrow"
    columns = [Column("SPONSOR"), Column("LENDS NOW", right=True)]
    rows = [[owner, str(lent.get(owner, 0))] for owner in wish.sponsors]
    return [
        Fields(pairs=[("Run", str(run.key)), ("May borrow", allowed), ("Limit", limit)]),
        Table(columns=columns, rows=rows, empty="It asks nobody to lend."),
    ]


def add(name: str, owners: Wish, *, first: bool) -> None:
    def longer(known: Wish) -> Wish:
        new = tuple(dict.fromkeys(owners))
        kept = tuple(owner for owner in known if owner not in new) if first else known
        return (*new, *kept) if first else (*kept, *(owner for owner in new if owner not in kept))

    _edit(name, longer, allow=True)


def remove(name: str, owners: Wish) -> None:
    def shorter(known: Wish) -> Wish:
        if absent := [owner for owner in owners if owner not in known]:
            asks = ", ".join(known) or "nobody"
            raise Stop(f"run {name} does not ask {', '.join(absent)} to lend; it asks {asks}")
        return tuple(owner for owner in known if owner not in owners)

    _edit(name, shorter, allow=False)


def _edit(name: str, change: Callable[[Wish], Wish], *, allow: bool) -> None:
    """allow: it may borrow from now on."""
    with opened(asked(), BUDGETS if allow else NO_LISTS) as session:
        run = session.run_named(name)
        if run.status.phase.terminal:
            raise Stop(f"run {run.key} is over ({run.status.phase}): nothing of it can change any more")
        body = session.stored("Run", run.key)
        funding = body["spec"].get("funding") or {}
        old = tuple(funding.get("sponsors") or ())
        new = change(old)
        if allow:
            _refuse_strangers(session, [owner for owner in new if owner not in old])
        wanted: dict[str, object] = {"sponsors": list(new) or None}
        if allow:
            wanted["allowBorrow"] = True
        if new != old or (allow and not funding.get("allowBorrow")):
            session.amend(run.key, {"funding": wanted}, body["metadata"]["resourceVersion"])
            session.settle()
        now = session.find_run(run.key) or run
        answer(
            session.asked,
            plain=lambda: listed([session.stored("Run", run.key)], one=True),
            names=lambda: [str(run.key)],
            blocks=lambda: [Fields(pairs=[(str(run.key), _told(old, new, now))])],
        )


def _refuse_strangers(session: Session, owners: Sequence[str]) -> None:
    """Owners without a Budget can lend nothing. Where no Budget may be seen, nobody is refused."""
    known = sorted({budget.spec.owner for budget in session.world.budgets()})
    for owner in owners:
        if owner and known and owner not in known:
            raise Stop(f"no Budget is of {owner}{nearest(owner, known)}; those who could lend are {', '.join(known)}")


def _told(old: Wish, new: Wish, run: Run) -> str:
    asks = f"asks {', '.join(new)} to lend" if new else "asks nobody to lend"
    return f"{asks}; it is {run.status.phase}" + ("" if new != old else ", as before")
