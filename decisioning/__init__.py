"""The decisioning engine: from an event to a decision, and back to learning.

The flow, and where each step lives:

1. `api` takes an event in (`sources`: a file or a topic); `customers.intake` checks it and commits it.
2. `flows.react` consumes what was committed: who it is of (`customers.identity`), facts (`customers.facts`), segments,
   campaign triggers.
3. `store.publishing` publishes the customer's facts, segments and scores to Redis.
4. `store.snapshot` freezes rules, contents, placements and the scorer under a number.
5. `flows.decide` answers a request from both: `engine.resolver` narrows by rules, ranks by scores, picks.
6. `store.ledger` keeps the decision; outcomes come back by its token.
7. `flows.learn` trains on the ledger (`learning`), a worker scores everybody, the next snapshot carries it.
8. `flows.deliver` sends what the outbox owes (`campaigns`).

Start reading at `engine/resolver.py`, then `flows/decide.py`. Imports point down only; `pyproject.toml` holds the
floors.
"""
