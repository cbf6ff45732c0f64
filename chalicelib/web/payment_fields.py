"""The kinds of fields that only payments have: their bounds are what Stripe takes, not what a wallet does."""

from chalicelib.domain.money import MICROS_PER_UNIT
from chalicelib.domain.payments import HIGHEST_LIMIT_MICROS, LOWEST_LIMIT_MICROS
from chalicelib.web.fields import money

TopUpAmount = money(MICROS_PER_UNIT // 100, HIGHEST_LIMIT_MICROS, "How much to buy, within the workspace's limits.")
TopUpLimit = money(LOWEST_LIMIT_MICROS, HIGHEST_LIMIT_MICROS, "What one top-up may come to.")
