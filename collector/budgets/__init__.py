"""Budgets: rules, the windows they hold for, what was spent in each, leases of what is left, and what happens then.

`model`, `windows`, `counting` and `leases` are pure; what they decide is stored with the spans that caused it, in one
transaction, and delivered by `actions`.
"""
