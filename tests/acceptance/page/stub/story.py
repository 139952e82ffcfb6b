"""A made-up week in a shop's checkout: what the page shows while it is developed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telling import DAY, HOUR, MINUTE, Session

if TYPE_CHECKING:
    from memory_manager.model import RawEvent

_FAILED = """============================= test session starts ==============================
collected 34 items
tests/test_retry.py ..F                                                    [  8%]
=================================== FAILURES ===================================
______________________________ test_gives_up ___________________________________
    def test_gives_up(gateway):
        with pytest.raises(GatewayTimeout):
>           charge(gateway, amount=1200)
E           RecursionError: maximum recursion depth exceeded
src/checkout/retry.py:31: RecursionError
=========================== short test summary info ============================
FAILED tests/test_retry.py::test_gives_up - RecursionError: maximum recursion depth exceeded
1 failed, 33 passed in 0.84s"""

_MIGRATION = """Traceback (most recent call last):
  File "src/checkout/migrate.py", line 44, in <module>
    main()
  File "src/checkout/migrate.py", line 38, in main
    db.execute("ALTER TABLE orders ADD COLUMN coupon_id INTEGER NOT NULL")
sqlite3.OperationalError: Cannot add a NOT NULL column with default value NULL"""


def checkout(group: str, now: float) -> list[RawEvent]:
    """The project with everything in it; the newest session is still at work."""
    sessions = [_retry(group, now - 6 * DAY), _coupons(group, now - 5 * DAY - 3 * HOUR),
                _migration(group, now - 4 * DAY), _types(group, now - 3 * DAY - 5 * HOUR),
                _speed(group, now - 2 * DAY), _currency(group, now - 28 * HOUR),
                _webhook(group, now - 5 * HOUR), _receipts(group, now - 16 * MINUTE)]  # fmt: skip
    return [event for session in sessions for event in session.events]


def _retry(group: str, at: float) -> Session:
    s = Session(group, "ses_e0762580effesNYNesRra21VLq", at)
    s.ask(
        "Add a retry to the payment client: the gateway times out now and then. We decided to use exponential backoff, never more than 5 attempts."
    )
    s.edit(
        "src/checkout/retry.py",
        "def charge(gateway, amount, attempt=1):\n    try:\n        return gateway.charge(amount)\n    except GatewayTimeout:\n        return charge(gateway, amount, attempt + 1)",
    )
    s.edit(
        "src/checkout/payment.py", "from checkout.retry import charge", "charge = gateway.charge"
    )
    s.edit(
        "tests/test_retry.py",
        "def test_gives_up(gateway):\n    with pytest.raises(GatewayTimeout):\n        charge(gateway, amount=1200)",
    )
    s.run("pytest -q", _FAILED, 1)
    s.fail(
        "RecursionError: maximum recursion depth exceeded in src/checkout/retry.py",
        "RecursionError",
    )
    s.edit(
        "src/checkout/retry.py",
        "for attempt in range(MOST_ATTEMPTS):\n    time.sleep(BASE_DELAY * 2**attempt)",
        "return charge(gateway, amount, attempt + 1)",
    )
    s.run("pytest -q", "34 passed in 0.79s")
    s.run(
        'git commit -am "Retry the gateway with exponential backoff"',
        "[main 5d1c0a2] Retry the gateway with exponential backoff\n 3 files changed",
    )
    s.done("Add a retry to the payment client", 6.5)
    return s


def _coupons(group: str, at: float) -> Session:
    s = Session(group, "ses_d91c7e3a0ffeQm8TzR4kPw2Y6b", at)
    s.ask("Prices are wrong when a cart has more than one coupon. Find out why and fix it.")
    s.run(
        "rg -n coupon src",
        "src/checkout/pricing.py:18:    for coupon in coupons:\nsrc/checkout/cart.py:52:        self.coupons = coupons",
    )
    s.say(
        "The discount is applied to the already discounted price. Percent coupons therefore compound: two coupons of 10 % take 19 %, not 20 %."
    )
    s.edit(
        "src/checkout/pricing.py",
        "discount = sum(coupon.off(base) for coupon in coupons)\nreturn base - min(discount, base)",
        "for coupon in coupons:\n    price -= coupon.off(price)",
    )
    s.edit(
        "tests/test_pricing.py",
        "def test_two_coupons_add_up():\n    assert price(100, [ten, ten]) == 80",
    )
    s.run("pytest tests/test_pricing.py -q", "12 passed in 0.21s")
    s.note("Decided: coupons add up on the base price, they never compound. Product wants it so.")
    s.run(
        'git commit -am "Coupons add up on the base price"',
        "[main 8aa20f4] Coupons add up on the base price\n 2 files changed",
    )
    s.done("Fix prices with several coupons", 9)
    return s


def _migration(group: str, at: float) -> Session:
    s = Session(group, "ses_c7735b04cffeHw1NcD9sLx5J3t", at)
    s.ask("Write a migration that stores which coupon an order used.")
    s.edit(
        "src/checkout/migrate.py",
        'db.execute("ALTER TABLE orders ADD COLUMN coupon_id INTEGER NOT NULL")',
    )
    s.run("python src/checkout/migrate.py --dry-run", _MIGRATION, 1)
    s.fail(
        "sqlite3.OperationalError: Cannot add a NOT NULL column with default value NULL",
        "OperationalError",
    )
    s.edit(
        "src/checkout/migrate.py",
        'db.execute("ALTER TABLE orders ADD COLUMN coupon_id INTEGER")',
        'db.execute("ALTER TABLE orders ADD COLUMN coupon_id INTEGER NOT NULL")',
    )
    s.run("python src/checkout/migrate.py --dry-run", "would alter 1 table, 0 rows rewritten")
    s.edit("src/checkout/orders.py", "coupon_id: int | None = None", "pass")
    s.run("pytest -q", "47 passed in 1.02s")
    s.done("Store the coupon of an order", 12)
    return s


def _types(group: str, at: float) -> Session:
    s = Session(group, "ses_b2f0a9d17ffeVb6KyS3mGq8E0r", at)
    s.ask("mypy is not clean any more; make it so, and keep it so in CI.")
    s.run(
        "mypy src",
        'src/checkout/cart.py:61: error: Argument 1 to "total" has incompatible type "list[Item] | None"\nsrc/checkout/currency.py:14: error: Missing return statement\nFound 2 errors in 2 files',
        1,
    )
    s.edit("src/checkout/cart.py", "return total(self.items or [])", "return total(self.items)")
    s.edit("src/checkout/currency.py", "raise UnknownCurrency(code)", "pass")
    s.run("mypy src", "Success: no issues found in 14 source files")
    s.edit(".github/workflows/ci.yml", "- run: mypy src", "")
    s.done("Make mypy clean again", 5)
    return s


def _speed(group: str, at: float) -> Session:
    s = Session(group, "ses_a41d6c92effeXn7RtF5jUo4B1w", at)
    s.ask("The cart page takes 900 ms with 200 items. Where does the time go?")
    s.run(
        "python -m cProfile -s cumtime scripts/cart_bench.py",
        "   200   0.412  src/checkout/tax.py:20(rate_for)\n   200   0.301  src/checkout/inventory.py:9(stock_of)",
    )
    s.say(
        "Every item asks for its tax rate and its stock on its own: 400 queries for one page. One query for all items takes 6 ms."
    )
    s.edit(
        "src/checkout/tax.py",
        "def rates_for(items):\n    return db.query(RATES, [item.sku for item in items])",
        "def rate_for(item):",
    )
    s.edit("src/checkout/inventory.py", "def stock_of_all(items):", "def stock_of(item):")
    s.edit(
        "src/checkout/cart.py",
        "rates = rates_for(self.items)\nstock = stock_of_all(self.items)",
        "rate = rate_for(item)",
    )
    s.run("python scripts/cart_bench.py", "200 items: 38 ms")
    s.run("pytest -q", "49 passed in 1.10s")
    s.run(
        "git commit -am 'One query for all tax rates'",
        "[main c20be91] One query for all tax rates\n 3 files changed",
    )
    s.done("Make the cart page fast", 14)
    return s


def _currency(group: str, at: float) -> Session:
    s = Session(group, "ses_97e5340bbffePz2MdC8hJk6N4v", at)
    s.ask("Swiss prices have to be rounded to five centimes.")
    s.run("pip install babel", "Successfully installed babel-2.16.0")
    s.edit("pyproject.toml", '"babel>=2.16",', "")
    s.edit(
        "src/checkout/currency.py",
        "def rounded(amount, code):\n    step = STEPS.get(code, Decimal('0.01'))\n    return (amount / step).quantize(1) * step",
        "pass",
    )
    s.edit(
        "src/checkout/pricing.py",
        "return rounded(base - discount, currency)",
        "return base - discount",
    )
    s.edit("tests/test_currency.py", 'assert rounded(Decimal("9.97"), "CHF") == Decimal("9.95")')
    s.run(
        "pytest -q",
        "FAILED tests/test_currency.py::test_chf - decimal.InvalidOperation: [<class 'decimal.ConversionSyntax'>]\n1 failed, 52 passed in 1.13s",
        1,
    )
    s.fail(
        "decimal.InvalidOperation: conversion syntax in src/checkout/currency.py",
        "InvalidOperation",
    )
    s.edit(
        "src/checkout/currency.py",
        "step = Decimal(STEPS.get(code, '0.01'))",
        "step = STEPS.get(code, Decimal('0.01'))",
    )
    s.run("pytest -q", "53 passed in 1.15s")
    s.done("Round Swiss prices", 8)
    return s


def _webhook(group: str, at: float) -> Session:
    s = Session(group, "ses_8b62f1de2ffeLs9GwA7yTi3H5c", at)
    s.ask(
        "The gateway sends its webhooks twice now and then, and then we ship twice. Make the handler idempotent; remember that we always key on the event id, never on the order id."
    )
    s.say(
        "The handler trusts that an event comes once. I will keep the ids of handled events in a table with a unique index, inside the same transaction."
    )
    s.edit(
        "src/checkout/webhook.py",
        "with db.transaction():\n    if not seen.add(event.id):\n        return Response(200)\n    ship(event.order)",
        "ship(event.order)",
    )
    s.edit("src/checkout/orders.py", "def ship(order):", "def ship(order_id):")
    s.edit("tests/test_webhook.py", "def test_a_repeated_event_ships_once(client):")
    s.run(
        "pytest tests/test_webhook.py -q",
        "FAILED tests/test_webhook.py::test_a_repeated_event_ships_once - sqlite3.IntegrityError: UNIQUE constraint failed: seen.id\n1 failed, 5 passed in 0.40s",
        1,
    )
    s.fail(
        "sqlite3.IntegrityError: UNIQUE constraint failed: seen.id in src/checkout/webhook.py",
        "IntegrityError",
    )
    s.edit(
        "src/checkout/webhook.py",
        'INSERT = "INSERT OR IGNORE INTO seen (id) VALUES (?)"',
        'INSERT = "INSERT INTO seen (id) VALUES (?)"',
    )
    s.run("pytest -q", "59 passed in 1.31s")
    s.run(
        "git commit -am 'A webhook that comes twice ships once'",
        "[main f07d3be] A webhook that comes twice ships once\n 3 files changed",
    )
    s.done("Make the webhook idempotent", 17)
    return s


def _receipts(group: str, at: float) -> Session:
    s = Session(group, "ses_7f0d884a9ffeZk4QxB6vRe1U8m", at)
    s.ask(
        "Receipts should be sent as PDF, too. Start with the template; the text version stays as it is."
    )
    s.run("rg -n receipt src --files-with-matches", "src/checkout/receipt.py\nsrc/checkout/mail.py")
    s.edit(
        "src/checkout/receipt.py",
        "def as_pdf(order):\n    return render(TEMPLATE, order=order, currency=order.currency)",
        "pass",
    )
    s.edit("src/checkout/mail.py", 'message.attach(as_pdf(order), "application/pdf")', "pass")
    s.run(
        "pytest tests/test_receipt.py -q",
        "E   FileNotFoundError: [Errno 2] No such file or directory: 'templates/receipt.html'\n1 failed, 3 passed in 0.33s",
        1,
    )
    s.fail(
        "FileNotFoundError: No such file or directory: 'templates/receipt.html'",
        "FileNotFoundError",
    )
    s.edit(
        "src/checkout/receipt.py",
        'TEMPLATE = files("checkout") / "templates" / "receipt.html"',
        'TEMPLATE = "templates/receipt.html"',
    )
    return s
