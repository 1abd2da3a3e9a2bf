"""The only list of billable units. Keys are genai-prices' unit names; `parents` says what a count is part of."""
